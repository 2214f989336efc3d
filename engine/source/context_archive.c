/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/source/context_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/times.h"
#include "engine/http/http.h"
#include "engine/layer/layer_edit.h"
#include "engine/layer/unpack_archive.h"
#include "store/record.h"

#define READ_SIZE ((size_t)256 * 1024)
#define STATUS_INTERVAL_NS (INT64_C(100) * 1000000)
/* The name of the file in the layer that a URL was fetched into. */
#define FETCHED_NAME "context"
/* What a record of a fetched URL says its layer is. */
#define KIND_ARCHIVE 'a'
#define KIND_DOCKERFILE 'd'

void context_archive_release(struct context_archive *c)
{
	buf_release(&c->dockerfile);
}

/* --- What it is --- */

/* A compressed file is an archive even if it is damaged: a Dockerfile it is not. */
static bool is_compressed(int fd)
{
	static const struct {
		const char *magic;
		size_t n;
	} kinds[] = {
		{"\x1f\x8b", 2},
		{"BZh", 3},
		{"\xfd"
		 "7zXZ",
		 5},
		{"\x28\xb5\x2f\xfd", 4},
	};
	char head[6] = {0};

	if (pread(fd, head, sizeof(head), 0) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (memcmp(head, kinds[i].magic, kinds[i].n) == 0)
			return true;
	return false;
}

static int read_dockerfile(int fd, const char *what, struct buf *ret, struct error **err)
{
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fs_read_fd(fd, ret);

	if (r == -EFBIG)
		return error_new(
			err, ERR_INVALID, 0,
			"%s is not an archive, and too large for a Dockerfile (more than %d bytes)",
			what, CONTEXT_DOCKERFILE_MAX);
	return r < 0 ? error_new(err, ERR_IO, -r, "read %s", what) : 0;
}

static int unpack(const struct source_env *e, int fd, const char *what, struct job *job,
		  int64_t *ret_layer, struct error **err)
{
	const struct unpack_options options = {
		.what = what,
		.dest = "",
		.strict = true,
		.size_max = e->config->archive_size,
		.entries_max = e->config->archive_entries,
		.cancel = job ? job_cancel(job) : NULL,
	};
	_cleanup_(layer_edit_freep) struct layer_edit *edit = NULL;
	_cleanup_(rootfs_freep) struct rootfs *empty = NULL;
	int r;

	if (job)
		job_start(job);
	r = rootfs_open(e->store, NULL, 0, &empty, err);
	/* Directories that the archive implies have the epoch's time: its own bytes shall be all
	 * that counts. */
	if (r < 0)
		return r;
	edit = layer_edit_open(e->store, empty, 0, NULL);
	r = unpack_archive(edit, fd, &options, err);
	return r < 0 ? r
		     : layer_plan_make_dir(layer_edit_plan(edit), NULL, options.cancel, ret_layer,
					   err);
}

static int take_file(const struct source_env *e, int fd, const char *what, struct job *job,
		     struct context_archive *ret, struct error **err)
{
	const struct cancel *cancel = job ? job_cancel(job) : NULL;

	ret->is_dockerfile = !is_compressed(fd) && !unpack_archive_recognise(fd, cancel);
	if (ret->is_dockerfile)
		return read_dockerfile(fd, what, &ret->dockerfile, err);
	return unpack(e, fd, what, job, &ret->layer, err);
}

static int take_newest(void *data, const struct rootfs_node *node, struct error **err)
{
	int64_t *newest = data;

	(void)err;
	if (*node->entry.path && node->entry.mtime > *newest)
		*newest = node->entry.mtime;
	return 0;
}

int context_archive_time(const struct source_env *e, int64_t layer, int64_t *ret,
			 struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	int64_t newest = 0;
	int r = rootfs_open(e->store, &layer, 1, &rootfs, err);

	if (r == 0)
		r = rootfs_walk(rootfs, "", take_newest, &newest, err);
	if (r == 0)
		*ret = newest;
	return r;
}

/* --- From a descriptor --- */

/* Waits until the descriptor has something to read, or an end. */
static int wait_readable(int fd, struct cancel *cancel, struct error **err)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			       {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		if (errno != EINTR)
			return error_new(err, ERR_IO, errno, "wait for input");
	return cancel_is_set(cancel) ? error_new(err, ERR_CANCELED, 0, "canceled") : 0;
}

static int spool(int from, int to, const char *what, struct job *job, struct error **err)
{
	_cleanup_free_ char *chunk = xmalloc(READ_SIZE);
	int64_t start = times_monotonic_ns(), shown = start;
	uint64_t total = 0;

	for (;;) {
		int r = wait_readable(from, job ? job_cancel(job) : NULL, err);
		ssize_t n;

		if (r < 0)
			return r;
		n = read(from, chunk, READ_SIZE);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return error_new(err, ERR_IO, errno, "read %s", what);
		r = n > 0 ? fs_write_full(to, chunk, (size_t)n) : 0;
		if (r < 0)
			return error_new(err, ERR_IO, -r, "keep what %s holds", what);
		total += n > 0 ? (uint64_t)n : 0;
		/* A Dockerfile alone is there at once, and nothing is shown of it. */
		if (job &&
		    (n == 0 ? shown != start : times_monotonic_ns() - shown > STATUS_INTERVAL_NS)) {
			shown = times_monotonic_ns();
			job_status(job, "transferring context:", total, 0, n == 0);
		}
		if (n == 0)
			return 0;
	}
}

int context_archive_read(const struct source_env *e, int fd, const char *what, struct job *job,
			 struct context_archive *ret, struct error **err)
{
	_cleanup_close_ int file = store_tmp_file(e->store, err);
	int r = file < 0 ? file : spool(fd, file, what, job, err);

	return r < 0 ? r : take_file(e, file, what, job, ret, err);
}

/* --- From a URL --- */

static int open_fetched(const struct source_env *e, int64_t layer, struct error **err)
{
	_cleanup_close_ int dirfd = layer_dir_open(e->store, layer, err);
	int fd;

	if (dirfd < 0)
		return dirfd;
	fd = fs_open_no_symlinks(dirfd, FETCHED_NAME, O_RDONLY | O_CLOEXEC, 0);
	return fd < 0 ? error_new(err, ERR_IO, -fd, "open what was fetched") : fd;
}

/* What an earlier build made of the same bytes. */
static int find_record(const struct source_env *e, const struct digest *key, bool *ret_found,
		       struct context_archive *ret, struct error **err)
{
	struct record record = {.data = BUF_INIT};
	int r = record_find(e->store, key, ret_found, &record, err);

	if (r < 0 || !*ret_found)
		return r;
	*ret_found = record.n_layers == 1 && record.data.n == 1;
	if (*ret_found) {
		ret->layer = record.layers[0];
		ret->is_dockerfile = record.data.p[0] == KIND_DOCKERFILE;
		r = record_touch(e->store, &record.id, 1, err);
	}
	record_release(&record);
	return r;
}

static int add_record(const struct source_env *e, const struct digest *key, const char *where,
		      const struct context_archive *c, struct error **err)
{
	struct record record = {.data = BUF_INIT, .created = times_now_ns()};
	int64_t layer = c->layer;
	int r;

	record.layers = &layer;
	record.n_layers = 1;
	record.description = xasprintf("[internal] load remote build context %s", where);
	buf_addc(&record.data, c->is_dockerfile ? KIND_DOCKERFILE : KIND_ARCHIVE);
	r = record_add(e->store, &record, key, 1, err);
	record.layers = NULL;
	record_release(&record);
	return r;
}

static int take_fetched(const struct source_env *e, const struct http_file *file, const char *where,
			const struct digest *key, struct job *job, struct context_archive *ret,
			struct error **err)
{
	_cleanup_close_ int fd = -1;
	int64_t layer;
	int r = http_files_layer(e->http, file, job, &layer, err);

	if (r < 0)
		return r;
	fd = open_fetched(e, layer, err);
	r = fd < 0 ? fd : take_file(e, fd, where, job, ret, err);
	if (r < 0)
		return r;
	if (ret->is_dockerfile)
		ret->layer = layer;
	return add_record(e, key, where, ret, err);
}

/* Another key than an ADD of the same URL has: the layer is another one, too. */
static struct digest record_key(const struct digest *pin)
{
	struct digest key;
	struct hasher h;

	hasher_init(&h);
	hasher_add_string(&h, "remote context");
	hasher_add(&h, pin->b, sizeof(pin->b));
	hasher_final(&h, &key);
	hasher_release(&h);
	return key;
}

int context_archive_fetch(const struct source_env *e, const char *url, struct job *job,
			  struct context_archive *ret, struct error **err)
{
	const struct http_file file = {
		.url = url, .filename = FETCHED_NAME, .mode = HTTP_FILE_MODE};
	_cleanup_free_ char *where = http_url_display(url);
	_cleanup_close_ int fd = -1;
	struct digest pin, key;
	bool found = false;
	int r = http_files_pin(e->http, &file, job, &pin, err);

	if (r < 0)
		return r;
	key = record_key(&pin);
	r = find_record(e, &key, &found, ret, err);
	if (r < 0)
		return r;
	if (!found)
		return take_fetched(e, &file, where, &key, job, ret, err);
	if (!ret->is_dockerfile)
		return 0;
	fd = open_fetched(e, ret->layer, err);
	return fd < 0 ? fd : read_dockerfile(fd, where, &ret->dockerfile, err);
}

int context_dockerfile_fetch(const struct source_env *e, const char *url, struct job *job,
			     struct buf *ret, struct error **err)
{
	const struct http_file file = {
		.url = url, .filename = FETCHED_NAME, .mode = HTTP_FILE_MODE};
	_cleanup_free_ char *where = http_url_display(url);
	_cleanup_close_ int fd = -1;
	struct digest pin;
	int64_t layer;
	int r = http_files_pin(e->http, &file, job, &pin, err);

	if (r == 0)
		r = http_files_layer(e->http, &file, job, &layer, err);
	if (r < 0)
		return r;
	fd = open_fetched(e, layer, err);
	return fd < 0 ? fd : read_dockerfile(fd, where, ret, err);
}
