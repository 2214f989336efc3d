#include "engine/remote_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"
#include "engine/mount_tar.h"
#include "engine/unpack.h"
#include "store/blob.h"
#include "store/mounts.h"

#define MEDIA_TYPE "application/vnd.oci.image.layer.v1.tar+zstd"

/* --- restoring --- */

struct offer {
	struct remote_backend *from;
	char *id;
	struct layer_blob blob;
};

enum tried { TRYING = 1, TRIED };

struct remote_mounts {
	struct store *store;
	pthread_mutex_t lock; /* protects tried and, until the first wish, offers */
	VEC(struct offer) offers;
	pthread_cond_t changed;
	struct map tried; /* id -> enum tried */
};

struct remote_mounts *remote_mounts_new(struct store *s)
{
	struct remote_mounts *m = NEW(struct remote_mounts);

	m->store = s;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	return m;
}

void remote_mounts_free(struct remote_mounts *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->offers.n; i++) {
		free(m->offers.v[i].id);
		free(m->offers.v[i].blob.media_type);
	}
	vec_release(&m->offers);
	map_release(&m->tried, NULL);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->changed);
	free(m);
}

void remote_mounts_offer(struct remote_mounts *m, struct remote_backend *from,
			 const struct remote_manifest *manifest, const struct strv *only)
{
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < manifest->mounts.n; i++) {
		const struct remote_mount_blob *has = &manifest->mounts.v[i];
		struct offer o = {.from = from, .id = xstrdup(has->id), .blob = has->blob};

		o.blob.media_type = xstrdup(has->blob.media_type);
		if (only->n == 0 || strv_contains(only, has->id)) {
			vec_push(&m->offers, o);
			continue;
		}
		free(o.id);
		free(o.blob.media_type);
	}
	pthread_mutex_unlock(&m->lock);
}

struct reading {
	int fd;
	struct cancel *cancel;
};

static int read_blob(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	struct reading *r = data;
	ssize_t got;

	if (cancel_is_set(r->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	got = fs_read_full(r->fd, p, n);
	if (got < 0)
		return error_new(err, ERR_IO, (int)-got, "read the blob");
	*ret = (size_t)got;
	return 0;
}

/* Fetches and unpacks aside, then puts in place. */
static int fill(struct remote_mounts *m, const struct offer *o, struct mount_use *use,
		struct job *job, struct error **err)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	struct reading reading = {.cancel = job ? job_cancel(job) : NULL};
	struct unpack_result unpacked;
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (!blob_exists(m->store, &o->blob.digest, NULL))
		r = o->from->ops->fetch_blob(o->from, &o->blob, job, err);
	if (r == 0)
		r = fd = blob_open(m->store, &o->blob.digest, NULL, err);
	if (r >= 0)
		r = layer_writer_open(m->store, &w, err);
	if (r < 0)
		return r;
	reading.fd = fd;
	r = unpack_layer(w, read_blob, &reading, false, &unpacked, err);
	return r < 0 ? r : mounts_fill(use, w, err);
}

static void warn(struct job *job, const struct offer *o, const struct error *why)
{
	_cleanup_free_ char *text = xasprintf("cache mount '%s' was not restored from %s: %s",
					      o->id, o->from->name, error_text(why));
	const struct event_warning warning = {.short_text = text, .level = 1};

	if (job)
		job_warn(job, &warning);
}

/* *ret_done: nobody else needs to try. */
static int restore_from(struct remote_mounts *m, const struct offer *o,
			const struct remote_mount_wish *wish, struct job *job, bool *ret_done,
			struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct mount_use *use = NULL;
	bool is_new;
	int r = mounts_acquire_empty(m->store, o->id, wish->mode, wish->uid, wish->gid, &use, err);

	*ret_done = r < 0 || !use;
	if (*ret_done)
		return r;
	is_new = mounts_is_new(use);
	r = fill(m, o, use, job, &why);
	if (r == 0 && wish->step)
		r = mounts_note_step(use, wish->step, &why);
	mounts_release(use);
	*ret_done = r == 0;
	if (r == 0)
		return 0;
	/* So that it is new to the step: `from=` may have something for it. */
	if (is_new)
		(void)mounts_remove(m->store, o->id, NULL);
	if (r == -ERR_CANCELED)
		return error_new(err, ERR_CANCELED, 0, "canceled");
	warn(job, o, why);
	return 0;
}

static int restore(struct remote_mounts *m, const struct remote_mount_wish *wish, struct job *job,
		   struct error **err)
{
	bool done = false;
	int r = 0;

	for (size_t i = 0; i < m->offers.n && r == 0 && !done; i++)
		if (strcmp(m->offers.v[i].id, wish->id) == 0)
			r = restore_from(m, &m->offers.v[i], wish, job, &done, err);
	return r;
}

/* Is it this caller's turn? Waits for another's to end. */
static bool begin(struct remote_mounts *m, const char *id)
{
	void **slot;
	bool mine;

	pthread_mutex_lock(&m->lock);
	slot = map_puts(&m->tried, id);
	mine = !*slot;
	if (mine)
		*slot = (void *)(uintptr_t)TRYING;
	while (!mine && map_gets(&m->tried, id) == (void *)(uintptr_t)TRYING)
		pthread_cond_wait(&m->changed, &m->lock);
	pthread_mutex_unlock(&m->lock);
	return mine;
}

static void finish(struct remote_mounts *m, const char *id)
{
	pthread_mutex_lock(&m->lock);
	*map_puts(&m->tried, id) = (void *)(uintptr_t)TRIED;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

int remote_mounts_restore(struct remote_mounts *m, const struct remote_mount_wish *wish,
			  struct job *job, struct error **err)
{
	int r;

	if (!m || m->offers.n == 0 || !begin(m, wish->id))
		return 0;
	r = restore(m, wish, job, err);
	finish(m, wish->id);
	return r;
}

/* --- saving --- */

struct saving {
	int fd; /* a file without a name */
	struct hasher hash;
	uint64_t size;
	struct compress *compress;
};

static int on_packed(void *data, const void *p, size_t n, struct error **err)
{
	struct saving *s = data;
	int r = fs_write_full(s->fd, p, n);

	hasher_add(&s->hash, p, n);
	s->size += n;
	return r < 0 ? error_new(err, ERR_IO, -r, "write a cache mount's blob") : 0;
}

static int on_tar(void *data, const void *p, size_t n, struct error **err)
{
	struct saving *s = data;

	(void)err;
	compress_write(s->compress, p, n);
	/* The failure comes with compress_finish. */
	return compress_failed(s->compress) ? -ERR_IO : 0;
}

/* The directory as a blob in s->fd. */
static int pack(struct saving *s, const char *path, struct cancel *cancel, struct layer_blob *ret,
		struct error **err)
{
	static const struct compress_options options = {.type = COMPRESS_ZSTD,
							.level = COMPRESS_LEVEL_DEFAULT};
	_cleanup_(error_freep) struct error *failed = NULL;
	_cleanup_close_ int dir = fs_open_dir(AT_FDCWD, path);
	int r, finished;

	if (dir < 0)
		return error_new(err, ERR_IO, -dir, "open '%s'", path);
	r = compress_open(&options, on_packed, s, &s->compress, err);
	if (r < 0)
		return r;
	r = mount_tar_write(dir, cancel, on_tar, s, &failed);
	finished = compress_finish(s->compress, r < 0 ? NULL : err);
	if (r == 0)
		r = finished;
	else if (failed && err)
		*err = TAKE_PTR(failed);
	hasher_final(&s->hash, &ret->digest);
	ret->size = s->size;
	return r;
}

static int upload(struct remote_backend *to, const char *id, const struct saving *s,
		  const struct layer_blob *blob, struct job *job, struct error **err)
{
	struct remote_upload up = {
		.digest = blob->digest, .size = blob->size, .fd = s->fd, .media_type = MEDIA_TYPE};
	_cleanup_free_ char *what = xasprintf("sending cache mount %s", id);
	bool there = false;
	int r = to->ops->has_blob(to, &blob->digest, &there, err);

	if (r < 0 || there)
		return r;
	job_status(job, what, 0, blob->size, false);
	if (lseek(s->fd, 0, SEEK_SET) < 0)
		return error_new(err, ERR_IO, errno, "rewind a cache mount's blob");
	r = to->ops->put_blob(to, &up, err);
	if (r == 0)
		job_status(job, what, blob->size, blob->size, true);
	return r;
}

static void append(struct remote_manifest *m, const char *id, const struct layer_blob *blob)
{
	struct remote_mount_blob b = {.id = xstrdup(id), .blob = *blob};

	b.blob.media_type = xstrdup(MEDIA_TYPE);
	vec_push(&m->mounts, b);
}

/* The name's mount of now, if its blob is still there. */
static int keep(struct remote_backend *to, const char *id, const struct remote_manifest *before,
		struct remote_manifest *ret, bool *ret_kept, struct error **err)
{
	for (size_t i = 0; before && i < before->mounts.n; i++) {
		const struct remote_mount_blob *had = &before->mounts.v[i];
		int r;

		if (strcmp(had->id, id) != 0)
			continue;
		r = to->ops->has_blob(to, &had->blob.digest, ret_kept, err);
		if (r == 0 && *ret_kept)
			append(ret, id, &had->blob);
		return r;
	}
	return 0;
}

static int save_one(struct store *s, struct remote_backend *to, const char *id, const char *path,
		    struct job *job, struct remote_manifest *ret, struct error **err)
{
	struct saving saving = {.fd = store_tmp_file(s, err)};
	struct layer_blob blob = {0};
	int r = saving.fd;

	if (r < 0)
		return r;
	hasher_init(&saving.hash);
	r = pack(&saving, path, job_cancel(job), &blob, err);
	if (r == 0)
		r = upload(to, id, &saving, &blob, job, err);
	if (r == 0)
		append(ret, id, &blob);
	hasher_release(&saving.hash);
	compress_free(saving.compress);
	cleanup_closep(&saving.fd);
	return r;
}

static int save(struct store *s, struct remote_backend *to, const char *id,
		const struct remote_manifest *before, struct job *job, struct remote_manifest *ret,
		struct error **err)
{
	_cleanup_(mounts_releasep) struct mount_use *use = NULL;
	bool kept = false;
	int r = mounts_acquire_full(s, id, job_cancel(job), &use, err);

	if (r < 0)
		return r;
	if (use)
		return save_one(s, to, id, mounts_path(use), job, ret, err);
	r = keep(to, id, before, ret, &kept, err);
	if (r == 0 && !kept) {
		_cleanup_free_ char *text = xasprintf("there is no cache mount '%s' to export", id);
		const struct event_warning warning = {.short_text = text, .level = 1};

		job_warn(job, &warning);
	}
	return r;
}

int remote_mounts_save(struct store *s, struct remote_backend *to, const struct strv *ids,
		       const struct remote_manifest *before, struct job *job,
		       struct remote_manifest *ret, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < ids->n && r == 0; i++) {
		r = save(s, to, ids->v[i], before, job, ret, err);
		if (r < 0)
			r = error_wrap(err, r, "cache mount '%s'", ids->v[i]);
	}
	return r;
}
