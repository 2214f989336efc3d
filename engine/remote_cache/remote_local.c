/* SPDX-License-Identifier: Apache-2.0 */
/* A cache in a directory of this machine: an OCI image layout, one cache a tag. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attrs.h"
#include "base/fs.h"
#include "base/json.h"
#include "engine/oci/layout_dir.h"
#include "engine/oci/layout_source.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_archive.h"
#include "engine/oci/oci_manifest.h"
#include "engine/remote_cache/remote_backend.h"
#include "store/blob.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define COPY_SIZE ((size_t)256 * 1024)

struct remote_local {
	struct remote_backend base;
	char *dir; /* absolute */
	char *tag;
	bool has_digest; /* import: this manifest, whatever the index says */
	struct digest digest;
	bool reset; /* export: what the new manifest does not need goes */

	pthread_mutex_t mutex; /* protects `use` */
	int use; /* the layout's marker under a shared lock, from the first blob that was looked
		  * for; -1 */
};

static struct remote_local *local_of(struct remote_backend *b)
{
	return (struct remote_local *)(void *)b; /* the first member */
}

/* --- opening --- */

static void local_close(struct remote_backend *b)
{
	struct remote_local *l = local_of(b);

	if (l->use >= 0)
		(void)close(l->use);
	pthread_mutex_destroy(&l->mutex);
	free(l->dir);
	free(l->tag);
	remote_backend_release(b);
	free(l);
}

static char *absolute(const char *path)
{
	_cleanup_free_ char *here = *path == '/' ? NULL : getcwd(NULL, 0);

	return here ? xasprintf("%s/%s", here, path) : xstrdup(path);
}

static int read_attrs(struct remote_local *l, const struct remote_spec *spec, struct error **err)
{
	const char *tag = attrs_get(&spec->attrs, "tag"),
		   *digest = attrs_get(&spec->attrs, "digest");
	const char *reset = attrs_get(&spec->attrs, "reset");

	l->tag = xstrdup(tag && *tag ? tag : "latest");
	l->has_digest = digest != NULL;
	if (digest && digest_parse(digest, &l->digest) < 0)
		return error_new(err, ERR_INVALID, 0, "'%s' is not a sha256 digest", digest);
	return reset ? attrs_bool("reset", reset, &l->reset, err) : 0;
}

static int local_open(const struct remote_env *env, const struct remote_spec *spec,
		      struct remote_backend **ret, struct error **err)
{
	bool import = spec->use == REMOTE_IMPORT;
	struct remote_local *l = NEW(struct remote_local);
	int r = read_attrs(l, spec, err);

	(void)env;
	l->use = -1;
	pthread_mutex_init(&l->mutex, NULL);
	l->dir = absolute(attrs_get(&spec->attrs, import ? "src" : "dest"));
	l->base.name = xasprintf("%s:%s", l->dir, l->tag);
	l->base.source = oci_layout_source(l->dir);
	l->base.tidies = l->reset;
	if (r < 0)
		local_close(&l->base);
	else
		*ret = &l->base;
	return r;
}

static int open_dir(const struct remote_local *l, struct error **err)
{
	int fd = fs_open_dir(AT_FDCWD, l->dir);

	if (fd == -ENOENT)
		return error_new(err, ERR_NOTFOUND, 0, "there is no directory '%s'", l->dir);
	return fd < 0 ? error_new(err, ERR_IO, -fd, "open '%s'", l->dir) : fd;
}

/* For writing: made where it is not there. */
static int make_layout(const struct remote_local *l, struct error **err)
{
	static const char marker[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	_cleanup_close_ int fd = -1;
	int r = fs_mkdir_p(AT_FDCWD, l->dir, 0755);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "make '%s'", l->dir);
	fd = open_dir(l, err);
	if (fd < 0)
		return fd;
	r = layout_dir_make_blobs(fd, err);
	if (r < 0)
		return error_wrap(err, r, "OCI layout '%s'", l->dir);
	if (faccessat(fd, "oci-layout", F_OK, 0) < 0) {
		r = fs_write_file_atomic(fd, "oci-layout", marker, sizeof(marker) - 1, 0644);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "write '%s/oci-layout'", l->dir);
	}
	return TAKE_FD(fd);
}

/* --- locks --------------------------------------------------------------------------------------
 *
 * On bytes of the file oci-layout. Who writes index.json holds the first one. Who exports holds the
 * second one, shared, from the first look for a blob until the end: nobody sweeps blobs that a
 * manifest is about to name.
 */

enum { LOCK_INDEX, LOCK_BLOBS };

static int lock_byte(int dirfd, int byte, short type, bool wait)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	_cleanup_close_ int fd = openat(dirfd, "oci-layout", O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int lock_index(int dirfd, struct error **err)
{
	int fd = lock_byte(dirfd, LOCK_INDEX, F_WRLCK, true);

	return fd < 0 ? error_new(err, ERR_IO, -fd, "lock 'oci-layout'") : fd;
}

/* Returns a descriptor of the layout. */
static int start_export(struct remote_local *l, struct error **err)
{
	_cleanup_close_ int dirfd = make_layout(l, err);
	int r = 0;

	if (dirfd < 0)
		return dirfd;
	pthread_mutex_lock(&l->mutex);
	if (l->use < 0)
		r = l->use = lock_byte(dirfd, LOCK_BLOBS, F_RDLCK, true);
	pthread_mutex_unlock(&l->mutex);
	return r < 0 ? error_new(err, ERR_IO, -r, "lock '%s/oci-layout'", l->dir) : TAKE_FD(dirfd);
}

/* Where others are exporting, what they left over waits for the next time. */
static int sweep(struct remote_local *l, int dirfd, const json_t *manifests, struct error **err)
{
	_cleanup_close_ int alone = -1;

	pthread_mutex_lock(&l->mutex);
	if (l->use >= 0)
		(void)close(l->use);
	l->use = -1;
	pthread_mutex_unlock(&l->mutex);
	alone = lock_byte(dirfd, LOCK_BLOBS, F_WRLCK, false);
	return alone < 0 ? 0 : layout_dir_sweep(dirfd, manifests, err);
}

/* --- reading --- */

/* The descriptors of index.json, an array; empty if there is no such file yet. */
static int read_index(int dirfd, json_t **ret, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_json_ json_t *doc = NULL;
	json_t *manifests = NULL;
	int r = layout_dir_read(dirfd, "index.json", OCI_DOCUMENT_MAX, &b, &why);

	if (r == -ERR_NOTFOUND) {
		*ret = json_array();
		return 0;
	}
	if (r == 0)
		r = js_parse("index.json", b.p, b.n, &doc, &why);
	if (r == 0)
		r = js_array(doc, "manifests", &manifests, &why);
	if (r < 0 && err)
		*err = TAKE_PTR(why);
	if (r == 0)
		*ret = manifests ? json_incref(manifests) : json_array();
	return r;
}

static const char *name_of(const json_t *descriptor)
{
	return json_string_value(
		json_object_get(json_object_get(descriptor, "annotations"), REF_NAME));
}

static bool has_tag(const json_t *descriptor, const char *tag)
{
	const char *name = name_of(descriptor);

	return name && strcmp(name, tag) == 0;
}

static int find_tagged(const struct remote_local *l, int dirfd, struct digest *ret,
		       struct error **err)
{
	_cleanup_json_ json_t *manifests = NULL;
	const json_t *descriptor;
	size_t i;
	int r = read_index(dirfd, &manifests, err);

	if (r < 0)
		return r;
	json_array_foreach(manifests, i, descriptor)
	{
		const char *text = json_string_value(json_object_get(descriptor, "digest"));

		if (!has_tag(descriptor, l->tag))
			continue;
		if (text && digest_parse(text, ret) == 0)
			return 0;
		return error_new(err, ERR_INVALID, 0, "index.json: '%s' has no digest", l->tag);
	}
	return error_new(err, ERR_NOTFOUND, 0, "'%s' has no cache tagged '%s'", l->dir, l->tag);
}

static int local_read_manifest(struct remote_backend *b, const struct digest *digest, size_t max,
			       struct buf *ret, struct error **err)
{
	struct remote_local *l = local_of(b);
	_cleanup_close_ int dirfd = open_dir(l, err);
	struct digest found;
	int r = dirfd;

	if (dirfd < 0)
		return dirfd;
	if (digest)
		found = *digest;
	else if (l->has_digest)
		found = l->digest;
	else
		r = find_tagged(l, dirfd, &found, err);
	return r < 0 ? r : layout_dir_read_blob(dirfd, &found, max, ret, err);
}

static int local_has_blob(struct remote_backend *b, const struct digest *digest, bool *ret,
			  struct error **err)
{
	_cleanup_close_ int dirfd = start_export(local_of(b), err);
	_cleanup_free_ char *name = oci_archive_blob_name(digest);

	if (dirfd < 0)
		return dirfd;
	*ret = faccessat(dirfd, name, F_OK, 0) == 0;
	return 0;
}

static int local_read_blob(struct remote_backend *b, const struct digest *digest, uint64_t size,
			   struct buf *ret, struct error **err)
{
	_cleanup_close_ int dirfd = open_dir(local_of(b), err);

	return dirfd < 0 ? dirfd : layout_dir_read_blob(dirfd, digest, size, ret, err);
}

static int local_fetch_blob(struct remote_backend *b, const struct layer_blob *blob,
			    struct job *job, struct error **err)
{
	int r = oci_layout_copy_blob(b->env.store, b->source, blob, b->env.cancel, err);
	char text[DIGEST_TEXT];

	if (r == 0 && job)
		job_status(job, digest_format(&blob->digest, text), blob->size, blob->size, true);
	return r;
}

/* --- writing --- */

static int copy_file(const struct remote_backend *b, const struct remote_upload *u, int to,
		     struct error **err)
{
	_cleanup_free_ char *chunk = xmalloc(COPY_SIZE);

	for (uint64_t done = 0; done < u->size;) {
		ssize_t n = fs_read_full(u->fd, chunk, COPY_SIZE);
		int r = n > 0 ? fs_write_full(to, chunk, (size_t)n) : (int)n;

		if (n == 0)
			return error_new(err, ERR_CORRUPT, 0, "the file is too short");
		if (r < 0)
			return error_new(err, ERR_IO, -r, "copy");
		if (cancel_is_set(b->env.cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		done += (uint64_t)n;
		if (u->sent)
			u->sent(u->data, done);
	}
	return 0;
}

static int local_put_blob(struct remote_backend *b, const struct remote_upload *u,
			  struct error **err)
{
	struct remote_local *l = local_of(b);
	_cleanup_free_ char *name = oci_archive_blob_name(&u->digest), *temporary = NULL;
	_cleanup_close_ int dirfd = start_export(l, err), fd = -1;
	int r;

	if (dirfd < 0)
		return dirfd;
	temporary = xasprintf("%s/%s.XXXXXX", l->dir, name);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "make a file in '%s/blobs'", l->dir);
	r = copy_file(b, u, fd, err);
	if (r == 0 && (fchmod(fd, 0644) < 0 || renameat(AT_FDCWD, temporary, dirfd, name) < 0))
		r = error_new(err, ERR_IO, errno, "name");
	if (r < 0)
		(void)unlink(temporary);
	return r < 0 ? error_wrap(err, r, "write '%s/%s'", l->dir, name) : 0;
}

/* Removes the tag from the index, and with `all` everybody else's too. */
static void drop_entries(json_t *manifests, const char *tag, bool all)
{
	for (size_t i = json_array_size(manifests); i-- > 0;)
		if (all || has_tag(json_array_get(manifests, i), tag))
			(void)json_array_remove(manifests, i);
}

static int write_index(int dirfd, json_t *manifests, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r;

	oci_index_write(false, manifests, NULL, false, &b);
	r = fs_write_file_atomic(dirfd, "index.json", b.p, b.n, 0644);
	return r < 0 ? error_new(err, ERR_IO, -r, "write index.json") : 0;
}

static int put_document(int dirfd, const void *p, size_t n, struct digest *ret, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	int r;

	*ret = digest_of(p, n);
	name = oci_archive_blob_name(ret);
	r = fs_write_file_atomic(dirfd, name, p, n, 0644);
	return r < 0 ? error_new(err, ERR_IO, -r, "write '%s'", name) : 0;
}

static void add_entry(json_t *manifests, const char *tag, const char *media_type,
		      const struct digest *digest, size_t size)
{
	_cleanup_strv_ struct strv annotations = {0};

	strv_pushf(&annotations, REF_NAME "=%s", tag);
	json_array_append_new(manifests,
			      oci_descriptor(media_type, digest, size, &annotations, NULL));
}

static int local_write_manifest(struct remote_backend *b, const char *media_type, const void *p,
				size_t n, struct error **err)
{
	struct remote_local *l = local_of(b);
	_cleanup_close_ int dirfd = make_layout(l, err), lock = -1;
	_cleanup_json_ json_t *manifests = NULL;
	struct digest digest;
	int r = dirfd;

	if (dirfd >= 0)
		r = lock = lock_index(dirfd, err);
	if (r >= 0)
		r = put_document(dirfd, p, n, &digest, err);
	if (r == 0)
		r = read_index(dirfd, &manifests, err);
	if (r < 0)
		return error_wrap(err, r, "'%s'", l->dir);
	drop_entries(manifests, l->tag, l->reset);
	add_entry(manifests, l->tag, media_type, &digest, n);
	r = write_index(dirfd, manifests, err);
	if (r == 0 && l->reset)
		r = sweep(l, dirfd, manifests, err);
	return r < 0 ? error_wrap(err, r, "'%s'", l->dir) : 0;
}

static int local_remove_manifest(struct remote_backend *b, struct error **err)
{
	struct remote_local *l = local_of(b);
	_cleanup_close_ int dirfd = open_dir(l, err), lock = -1;
	_cleanup_json_ json_t *manifests = NULL;
	int r = dirfd;

	if (dirfd >= 0)
		r = lock = lock_index(dirfd, err);
	if (r >= 0)
		r = read_index(dirfd, &manifests, err);
	if (r < 0)
		return r;
	drop_entries(manifests, l->tag, false);
	r = write_index(dirfd, manifests, err);
	return r < 0 ? r : sweep(l, dirfd, manifests, err);
}

static const char *const import_attrs[] = {"!src", "tag", "digest", NULL};
static const char *const export_attrs[] = {"!dest", "tag", "reset", NULL};

const struct remote_ops remote_local_ops = {
	.type = "local",
	.import_attrs = import_attrs,
	.export_attrs = export_attrs,
	.open = local_open,
	.close = local_close,
	.read_manifest = local_read_manifest,
	.write_manifest = local_write_manifest,
	.remove_manifest = local_remove_manifest,
	.has_blob = local_has_blob,
	.read_blob = local_read_blob,
	.fetch_blob = local_fetch_blob,
	.put_blob = local_put_blob,
};
