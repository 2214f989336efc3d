/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/times.h"
#include "engine/layer/layer_blob.h"
#include "engine/layer/layer_bytes.h"
#include "engine/layer/unpack.h"
#include "engine/oci/layout_source.h"
#include "engine/stream/byte_queue.h"
#include "store/blob.h"
#include "store/rootfs.h"

enum { LOCK_POLL_MS = 50 };
#define STATUS_INTERVAL_NS (INT64_C(100) * 1000000)

static struct cancel *fetch_cancel(const struct fetch *f)
{
	struct cancel *cancel = f->job ? job_cancel(f->job) : NULL;

	if (cancel || !f->registry)
		return cancel;
	return registry_cancel(f->registry);
}

static bool is_stopped(const struct fetch *f)
{
	return cancel_is_set(fetch_cancel(f)) || (f->stop && atomic_load(f->stop));
}

/* --- One at a time --- */

/* Waits for the lock of this blob: one byte of a file that stands for all of them. An
 * open-file-description lock excludes threads as well as processes and goes with its holder; its
 * release cannot be polled for, hence the short pauses. */
static int fetch_lock(const struct fetch *f, const struct digest *blob, int *ret_fd,
		      struct error **err)
{
	struct cancel *cancel = fetch_cancel(f);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	_cleanup_close_ int fd =
		openat(store_dirfd(f->store), "lock/fetch", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t offset;

	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open 'lock/fetch' of the store");
	memcpy(&offset, blob->b, sizeof(offset));
	lock.l_start = (off_t)(offset >> 2);
	while (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		struct pollfd pfd = {.fd = cancel ? cancel->fd : -1, .events = POLLIN};

		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return error_new(err, ERR_IO, errno, "lock 'lock/fetch' of the store");
		if (is_stopped(f))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		(void)poll(&pfd, 1, LOCK_POLL_MS);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* --- Unpacking --- */

/* One layer on its way into the store. */
struct unpacking {
	const struct fetch *fetch;
	const struct layer_info *info;
	struct layer_writer *writer;
	struct unpack_result result;
	struct byte_queue queue; /* from the download */
	int fd;			 /* the blob's file, where it is here already */
	bool shown;
	int r;
	struct error *err;
};

static void show_extracting(struct unpacking *u, bool completed)
{
	char digest[DIGEST_TEXT];
	_cleanup_free_ char *id = NULL;

	if (!u->fetch->job || (u->shown && !completed))
		return;
	u->shown = true;
	id = xasprintf("extracting %s", digest_format(&u->info->blob.digest, digest));
	job_status(u->fetch->job, id, 0, 0, completed);
}

static int read_queue(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct unpacking *u = data;
	ptrdiff_t got = byte_queue_get(&u->queue, p, n);

	/* The download reports what happened. */
	if (got < 0)
		return error_new(err, ERR_CANCELED, 0, "the download stopped");
	show_extracting(u, false);
	*ret = (size_t)got;
	return 0;
}

static int read_file(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct unpacking *u = data;
	int r;

	if (is_stopped(u->fetch))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	r = inflate_read_fd(&u->fd, p, n, ret, err);
	if (r == 0)
		show_extracting(u, false);
	return r;
}

static void unpack(struct unpacking *u)
{
	u->r = layer_writer_open_for(u->fetch->store, u->info->id, &u->writer, &u->err);
	if (u->r == 0)
		u->r = unpack_layer(u->writer, u->fd < 0 ? read_queue : read_file, u,
				    !u->info->source, &u->result, &u->err);
	if (u->shown)
		show_extracting(u, true);
}

static void *unpack_main(void *data)
{
	struct unpacking *u = data;

	unpack(u);
	byte_queue_leave(&u->queue);
	return NULL;
}

static int take_from_below(void *data, struct entry *e, struct error **err)
{
	const struct rootfs *below = data;
	struct rootfs_node node;

	(void)err;
	if (!rootfs_get(below, e->path, &node) || node.entry.type != ENTRY_DIR)
		return 0;
	e->mode = node.entry.mode;
	e->uid = node.entry.uid;
	e->gid = node.entry.gid;
	e->mtime = node.entry.mtime;
	return 0;
}

/* A tar may leave out the directories above a file, and then the image shows those of the layers
 * below. The dir has to look like them, since it hides them. */
static int complete_parents(struct unpacking *u, struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	const struct fetch *f = u->fetch;
	int r;

	if (f->n_below == 0 || !layer_writer_has_implied(u->writer))
		return 0;
	r = f->wait_below(f->wait_data, f->n_below, err);
	if (r == 0)
		r = rootfs_open(f->store, f->below, f->n_below, &below, err);
	return r < 0 ? r : layer_writer_imply(u->writer, take_from_below, below, err);
}

/* The dir becomes visible only if it is what the image's config promises. */
static int commit(struct unpacking *u, struct error **err)
{
	char blob[DIGEST_TEXT];
	int64_t id;

	digest_format(&u->info->blob.digest, blob);
	if (u->r < 0) {
		if (err)
			*err = TAKE_PTR(u->err);
		return error_wrap(err, u->r, "unpack layer %s", blob);
	}
	if (!digest_equal(&u->result.diff_id, &u->info->diff_id))
		return layer_blob_misnamed(u->fetch->store, u->info, &u->result.diff_id, err);
	u->r = complete_parents(u, err);
	return u->r < 0 ? u->r : layer_writer_commit(u->writer, &id, err);
}

/* A blob that does not unpack to what was promised, and is not what it was, is given up: it is
 * fetched or made again by who asks next. */
static int unpack_local(const struct fetch *f, const struct layer_info *info, struct error **err)
{
	struct unpacking u = {.fetch = f, .info = info};
	int r;

	u.fd = blob_open(f->store, &info->blob.digest, NULL, err);
	if (u.fd < 0)
		return u.fd;
	unpack(&u);
	r = commit(&u, err);
	if (r == -ERR_CORRUPT && blob_verify(f->store, &info->blob.digest, NULL, NULL) < 0)
		r = error_hint(err, r, "build, load or pull the image again");
	layer_writer_free(u.writer);
	error_free(u.err);
	(void)close(u.fd);
	return r;
}

/* --- Downloading --- */

struct download {
	const struct fetch *fetch;
	const struct layer_info *info;
	struct blob_writer *writer;
	struct byte_queue *queue; /* NULL: the bytes alone are wanted */
	char id[DIGEST_TEXT];
	int64_t shown;
};

static void show_download(struct download *d, bool completed)
{
	int64_t now = times_monotonic_ns();

	if (!d->fetch->job || (!completed && now - d->shown < STATUS_INTERVAL_NS))
		return;
	d->shown = now;
	job_status(d->fetch->job, d->id, blob_writer_size(d->writer), d->info->blob.size,
		   completed);
}

static int on_piece(void *data, const void *p, size_t n, struct error **err)
{
	struct download *d = data;

	(void)err;
	blob_writer_write(d->writer, p, n);
	if (d->queue)
		byte_queue_put(d->queue, p, n);
	show_download(d, false);
	return 0;
}

static int gone(const struct layer_info *info, struct error **err)
{
	char digest[DIGEST_TEXT];
	int r = error_new(err, ERR_NOTFOUND, 0,
			  "the blob %s is no longer in the store, and it did not come from a "
			  "registry",
			  digest_format(&info->blob.digest, digest));

	return error_hint(err, r, "build or load the image again");
}

/* Where the blob can be fetched. */
static int find_source(const struct layer_info *info, struct imageref *ret, struct error **err)
{
	char digest[DIGEST_TEXT];

	digest_format(&info->blob.digest, digest);
	if (!info->source || !strchr(info->source, '/'))
		return gone(info, err);
	if (imageref_parse(info->source, ret, NULL) == 0)
		return 0;
	return error_new(err, ERR_NOTFOUND, 0,
			 "the blob %s is in the cache %s, which this build does not import", digest,
			 info->source);
}

/* Streams the blob into the store and, if a queue is given, to its reader. */
static int download(const struct fetch *f, const struct layer_info *info, struct byte_queue *queue,
		    struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	_cleanup_(blob_writer_freep) struct blob_writer *writer = NULL;
	_cleanup_free_ char *server = NULL;
	struct download d = {.fetch = f, .info = info, .queue = queue};
	struct registry_blob blob = {.digest = info->blob.digest, .size = info->blob.size};
	int r = find_source(info, &ref, err);

	if (r == 0)
		r = blob_writer_open(f->store, &writer, err);
	if (r < 0)
		return r;
	d.writer = writer;
	digest_format(&blob.digest, d.id);
	blob.host = ref.host;
	blob.path = ref.path;
	show_download(&d, false);
	r = registry_blob_get(f->registry, &blob, on_piece, &d, fetch_cancel(f), f->stop, &server,
			      err);
	if (r < 0)
		return r;
	r = blob_writer_commit(writer, &blob.digest, NULL, err);
	if (r == -ERR_CORRUPT)
		return error_wrap(err, r, "registry %s sent wrong bytes for %s/%s", server,
				  ref.host, ref.path);
	if (r == 0)
		show_download(&d, true);
	return r;
}

static int download_and_unpack(const struct fetch *f, const struct layer_info *info,
			       struct error **err)
{
	struct unpacking u = {.fetch = f, .info = info, .fd = -1};
	pthread_t thread;
	int r;

	byte_queue_init(&u.queue);
	r = pthread_create(&thread, NULL, unpack_main, &u);
	if (r != 0) {
		byte_queue_release(&u.queue);
		return error_new(err, ERR_IO, r, "start a thread");
	}
	/* A tar that cannot be unpacked is downloaded to its end all the same: if its digest is
	 * wrong, that is what is to be told. */
	r = download(f, info, &u.queue, err);
	byte_queue_end(&u.queue, r == 0);
	pthread_join(thread, NULL);
	if (r == 0)
		r = commit(&u, err);
	layer_writer_free(u.writer);
	error_free(u.err);
	byte_queue_release(&u.queue);
	return r;
}

/* --- Layouts on this machine --- */

/* Brings the blob into the store where it lies in a layout directory; others are left alone. */
static int copy_from_layout(const struct fetch *f, const struct layer_info *info,
			    struct error **err)
{
	if (!oci_layout_is_source(info->source) || blob_exists(f->store, &info->blob.digest, NULL))
		return 0;
	return oci_layout_copy_blob(f->store, info->source, &info->blob, fetch_cancel(f), err);
}

/* --- Layers --- */

static bool can_come_again(const struct fetch *f, const struct layer_info *info)
{
	return info->source && (f->registry || oci_layout_is_source(info->source));
}

static int make_dir(const struct fetch *f, const struct layer_info *info, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	int r = copy_from_layout(f, info, err);

	if (r < 0)
		return r;
	if (!blob_exists(f->store, &info->blob.digest, NULL))
		return download_and_unpack(f, info, err);
	r = unpack_local(f, info, &why);
	/* A blob that turned out damaged is gone since. */
	if (r == -ERR_CORRUPT && can_come_again(f, info) &&
	    !blob_exists(f->store, &info->blob.digest, NULL)) {
		r = copy_from_layout(f, info, err);
		if (r < 0)
			return r;
		if (!blob_exists(f->store, &info->blob.digest, NULL))
			return download_and_unpack(f, info, err);
		return unpack_local(f, info, err);
	}
	if (r < 0 && err)
		*err = TAKE_PTR(why);
	return r;
}

int fetch_layer(const struct fetch *f, int64_t id, struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0}, again = {0};
	_cleanup_close_ int lock = -1;
	int r = layer_get(f->store, id, &info, err);

	if (r < 0 || info.has_dir)
		return r;
	if (!info.has_blob || !info.has_diff_id)
		return layer_bytes_lost(id, ERR_NOTFOUND, err);
	r = fetch_lock(f, &info.blob.digest, &lock, err);
	if (r == 0)
		r = layer_get(f->store, id, &again, err);
	if (r < 0 || again.has_dir)
		return r;
	return make_dir(f, &info, err);
}

int fetch_index(const struct fetch *f, int64_t id, struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	int r = layer_get(f->store, id, &info, err);

	return r < 0 || info.has_index ? r : fetch_layer(f, id, err);
}

int fetch_blob(const struct fetch *f, int64_t id, struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	_cleanup_close_ int lock = -1;
	int r = layer_get(f->store, id, &info, err);

	if (r < 0 || !info.has_blob || (!info.source && info.has_dir) ||
	    blob_exists(f->store, &info.blob.digest, NULL))
		return r;
	if (!info.source)
		return gone(&info, err);
	r = fetch_lock(f, &info.blob.digest, &lock, err);
	if (r < 0 || blob_exists(f->store, &info.blob.digest, NULL))
		return r;
	r = copy_from_layout(f, &info, err);
	if (r < 0 || blob_exists(f->store, &info.blob.digest, NULL))
		return r;
	return download(f, &info, NULL, err);
}
