/* SPDX-License-Identifier: Apache-2.0 */
/* Cache mounts on their way to a cache outside the store. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/remote_cache/mount_tar.h"
#include "engine/remote_cache/remote_mounts.h"
#include "store/mounts.h"

#define MEDIA_TYPE "application/vnd.oci.image.layer.v1.tar+zstd"

/* Plain bytes of a part. Where it ends depends on the name of what comes next: a file that changes
 * changes its part, and one that comes or goes at most the one after it, not all that follow. */
#define PART_MIN (UINT64_C(16) << 20)
#define PART_MAX (UINT64_C(256) << 20)

struct saving {
	struct store *store;
	struct remote_backend *to;
	struct job *job;
	struct remote_mount mount; /* the parts that are there */

	/* The part that is being written. */
	int fd; /* a file without a name; -1: none */
	struct hasher hash;
	struct compress *compress;
	uint64_t size, plain; /* compressed and not */
};

static void saving_release(struct saving *s)
{
	compress_free(s->compress);
	hasher_release(&s->hash);
	cleanup_closep(&s->fd);
	remote_mount_release(&s->mount);
}

/* --- one part --- */

static int on_packed(void *data, const void *p, size_t n, struct error **err)
{
	struct saving *s = data;
	int r = fs_write_full(s->fd, p, n);

	hasher_add(&s->hash, p, n);
	s->size += n;
	return r < 0 ? error_new(err, ERR_IO, -r, "write a cache mount's blob") : 0;
}

static int begin_part(struct saving *s, struct error **err)
{
	static const struct compress_options options = {.type = COMPRESS_ZSTD,
							.level = COMPRESS_LEVEL_DEFAULT};

	s->size = s->plain = 0;
	s->fd = store_tmp_file(s->store, err);
	if (s->fd < 0)
		return s->fd;
	hasher_init(&s->hash);
	return compress_open(&options, on_packed, s, &s->compress, err);
}

static int upload(struct saving *s, const struct layer_blob *part, struct error **err)
{
	struct remote_backend *to = s->to;
	struct remote_upload up = {
		.digest = part->digest, .size = part->size, .fd = s->fd, .media_type = MEDIA_TYPE};
	char text[DIGEST_TEXT];
	_cleanup_free_ char *line = xasprintf("writing cache mount %s %s", s->mount.id,
					      digest_format(&part->digest, text));
	bool there = false;
	int r = to->ops->has_blob(to, &part->digest, &there, err);

	if (r < 0 || there)
		return r;
	job_status(s->job, line, 0, part->size, false);
	if (lseek(s->fd, 0, SEEK_SET) < 0)
		return error_new(err, ERR_IO, errno, "rewind a cache mount's blob");
	r = to->ops->put_blob(to, &up, err);
	if (r == 0)
		job_status(s->job, line, part->size, part->size, true);
	return r;
}

static int end_part(struct saving *s, struct error **err)
{
	struct layer_blob part = {0};
	int r = compress_finish(s->compress, err);

	compress_free(TAKE_PTR(s->compress));
	hasher_final(&s->hash, &part.digest);
	hasher_release(&s->hash);
	part.size = s->size;
	if (r == 0)
		r = upload(s, &part, err);
	cleanup_closep(&s->fd);
	if (r < 0)
		return r;
	part.media_type = xstrdup(MEDIA_TYPE);
	vec_push(&s->mount.parts, part);
	return 0;
}

/* --- one mount --- */

static int on_tar(void *data, const void *p, size_t n, struct error **err)
{
	struct saving *s = data;

	s->plain += n;
	compress_write(s->compress, p, n);
	return compress_failed(s->compress) ? compress_finish(s->compress, err) : 0;
}

static int on_entry(void *data, const char *path, struct error **err)
{
	struct saving *s = data;
	struct digest name;
	int r;

	if (s->plain < PART_MIN)
		return 0;
	name = digest_of(path, strlen(path));
	if (s->plain < PART_MAX && name.b[0] % 8 != 0)
		return 0;
	r = end_part(s, err);
	return r < 0 ? r : begin_part(s, err);
}

static int save_dir(struct saving *s, const char *path, struct error **err)
{
	const struct mount_tar tar = {
		.write = on_tar, .between = on_entry, .data = s, .cancel = job_cancel(s->job)};
	_cleanup_close_ int dir = fs_open_dir(AT_FDCWD, path);
	int r;

	if (dir < 0)
		return error_new(err, ERR_IO, -dir, "open '%s'", path);
	r = begin_part(s, err);
	if (r == 0)
		r = mount_tar_write(dir, &tar, err);
	return r < 0 ? r : end_part(s, err);
}

/* The name's mount of now, if all of its blobs are still there. */
static int keep(struct saving *s, const struct remote_manifest *before, struct error **err)
{
	const struct remote_mount *had = before ? remote_manifest_mount(before, s->mount.id) : NULL;

	for (size_t i = 0; had && i < had->parts.n; i++) {
		struct layer_blob part = had->parts.v[i];
		bool there = false;
		int r = s->to->ops->has_blob(s->to, &part.digest, &there, err);

		if (r < 0)
			return r;
		if (!there) {
			while (s->mount.parts.n > 0)
				free(vec_pop(&s->mount.parts).media_type);
			return 0;
		}
		part.media_type = xstrdup(MEDIA_TYPE);
		vec_push(&s->mount.parts, part);
	}
	return 0;
}

static void warn_absent(struct job *job, const char *id)
{
	_cleanup_free_ char *text = xasprintf("there is no cache mount '%s' to export", id);
	const struct event_warning warning = {.short_text = text, .level = 1};

	job_warn(job, &warning);
}

static int save(struct saving *s, const struct remote_manifest *before, struct error **err)
{
	_cleanup_(mounts_releasep) struct mount_use *use = NULL;
	int r = mounts_acquire_full(s->store, s->mount.id, job_cancel(s->job), &use, err);

	if (r < 0)
		return r;
	return use ? save_dir(s, mounts_path(use), err) : keep(s, before, err);
}

int remote_mounts_save(struct store *s, struct remote_backend *to, const struct strv *ids,
		       const struct remote_manifest *before, struct job *job,
		       struct remote_manifest *ret, struct error **err)
{
	for (size_t i = 0; i < ids->n; i++) {
		/* "mounts=a,a" */
		bool again = remote_manifest_mount(ret, ids->v[i]) != NULL;
		_cleanup_(saving_release) struct saving saving = {
			.store = s, .to = to, .job = job, .fd = -1};
		int r;

		saving.mount.id = xstrdup(ids->v[i]);
		r = again ? 0 : save(&saving, before, err);
		if (r < 0)
			return error_wrap(err, r, "cache mount '%s'", ids->v[i]);
		if (again)
			continue;
		if (saving.mount.parts.n == 0) {
			warn_absent(job, ids->v[i]);
			continue;
		}
		vec_push(&ret->mounts, saving.mount);
		saving.mount = (struct remote_mount){0};
	}
	return 0;
}
