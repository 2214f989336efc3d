/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/oci/layout_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_archive.h"

enum { MARKER_MAX = 4096 }; /* bytes of the file oci-layout */

int layout_dir_open(int dirfd, const char *name, struct error **err)
{
	_cleanup_close_ int fd =
		fs_open_no_symlinks(dirfd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return error_new(err, ERR_NOTFOUND, 0, "the layout lacks '%s'", name);
	if (fd == -ELOOP)
		return error_new(err, ERR_INVALID, 0, "'%s' is a symlink, which is not followed",
				 name);
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s'", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_new(err, ERR_INVALID, 0, "'%s' is not a regular file", name);
	return TAKE_FD(fd);
}

int layout_dir_read(int dirfd, const char *name, size_t max, struct buf *ret, struct error **err)
{
	_cleanup_close_ int fd = layout_dir_open(dirfd, name, err);
	int r;

	if (fd < 0)
		return fd;
	ret->max = max;
	r = fs_read_fd(fd, ret);
	ret->max = 0;
	if (r == -EFBIG)
		return error_new(err, ERR_INVALID, 0, "'%s' has more than %zu bytes", name, max);
	return r < 0 ? error_new(err, ERR_IO, -r, "read '%s'", name) : 0;
}

int layout_dir_read_blob(int dirfd, const struct digest *digest, size_t max, struct buf *ret,
			 struct error **err)
{
	_cleanup_free_ char *name = oci_archive_blob_name(digest);
	char text[DIGEST_TEXT];
	struct digest got;
	int r = layout_dir_read(dirfd, name, max, ret, err);

	if (r < 0)
		return r;
	got = digest_of(ret->p, ret->n);
	if (digest_equal(&got, digest))
		return 0;
	return error_new(err, ERR_CORRUPT, 0, "'%s' is damaged: its bytes are %s", name,
			 digest_format(&got, text));
}

int layout_dir_check(int dirfd, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_json_ json_t *doc = NULL;
	const char *version = NULL;
	int r = layout_dir_read(dirfd, "oci-layout", MARKER_MAX, &b, err);

	if (r == 0)
		r = js_parse("oci-layout", b.p, b.n, &doc, err);
	if (r == 0)
		r = js_string(doc, "imageLayoutVersion", &version, err);
	if (r == 0 && (!version || strncmp(version, "1.", 2) != 0))
		r = error_new(err, ERR_UNSUPPORTED, 0, "version \"%s\" of the layout is unknown",
			      version ? version : "");
	return r;
}

static int open_folder(int dirfd, const char *name, struct error **err)
{
	int fd = fs_open_no_symlinks(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd == -ELOOP)
		return error_new(err, ERR_INVALID, 0, "'%s' is a symlink, which is not followed",
				 name);
	return fd < 0 ? error_new(err, ERR_IO, -fd, "open '%s'", name) : fd;
}

int layout_dir_make_blobs(int dirfd, struct error **err)
{
	static const char *const folders[] = {"blobs", "blobs/sha256"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_close_ int fd = -1;

		if (mkdirat(dirfd, folders[i], 0755) < 0 && errno != EEXIST)
			return error_new(err, ERR_IO, errno, "create '%s'", folders[i]);
		fd = open_folder(dirfd, folders[i], err);
		if (fd < 0)
			return fd;
	}
	return 0;
}

/* --- sweeping --- */

static int mark(int dirfd, const json_t *descriptor, unsigned depth, struct map *kept,
		struct error **err);

/* The descriptors that a document holds. */
static int mark_inside(int dirfd, const struct digest *digest, unsigned depth, struct map *kept,
		       struct error **err)
{
	static const char *const lists[] = {"manifests", "layers"};
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_json_ json_t *doc = NULL;
	int r = layout_dir_read_blob(dirfd, digest, OCI_DOCUMENT_MAX, &b, err);

	if (r == 0)
		r = js_parse("manifest", b.p, b.n, &doc, err);
	if (r == 0 && json_object_get(doc, "config"))
		r = mark(dirfd, json_object_get(doc, "config"), depth + 1, kept, err);
	for (size_t i = 0; i < ARRAY_SIZE(lists) && r == 0; i++) {
		const json_t *item;
		size_t k;

		json_array_foreach(json_object_get(doc, lists[i]), k, item) if (r == 0) r =
			mark(dirfd, item, depth + 1, kept, err);
	}
	return r;
}

static int mark(int dirfd, const json_t *descriptor, unsigned depth, struct map *kept,
		struct error **err)
{
	const char *text = json_string_value(json_object_get(descriptor, "digest"));
	const char *type = json_string_value(json_object_get(descriptor, "mediaType"));
	struct digest digest;
	void **slot;

	if (!text || digest_parse(text, &digest) < 0 || depth > OCI_NESTING_MAX + 1)
		return error_new(err, ERR_INVALID, 0, "a descriptor without a digest");
	slot = map_put(kept, digest.b, sizeof(digest.b));
	if (*slot)
		return 0;
	*slot = kept;
	if (!oci_is_index_type(type) && !oci_is_manifest_type(type))
		return 0;
	return mark_inside(dirfd, &digest, depth, kept, err);
}

static int remove_unmarked(int dirfd, const struct map *kept, struct error **err)
{
	int fd = open_folder(dirfd, "blobs/sha256", err);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	int r;

	if (fd < 0)
		return fd;
	if (!dir)
		return error_new(err, ERR_IO, errno, "list 'blobs/sha256'");
	while ((r = fs_next_entry(dir, &e)) > 0) {
		struct digest digest;

		if (digest_parse_hex(e->d_name, strlen(e->d_name), &digest) == 0 &&
		    !map_get(kept, digest.b, sizeof(digest.b)))
			(void)unlinkat(fd, e->d_name, 0);
	}
	(void)closedir(dir);
	return r < 0 ? error_new(err, ERR_IO, -r, "list 'blobs/sha256'") : 0;
}

int layout_dir_sweep(int dirfd, const json_t *manifests, struct error **err)
{
	struct map kept = {0};
	const json_t *descriptor;
	size_t i;
	int r = 0;

	json_array_foreach(manifests, i, descriptor) if (r == 0) r =
		mark(dirfd, descriptor, 0, &kept, err);
	if (r == 0)
		r = remove_unmarked(dirfd, &kept, err);
	map_release(&kept, NULL);
	return r;
}
