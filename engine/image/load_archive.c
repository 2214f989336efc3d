/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/load_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/oci/oci.h"
#include "engine/stream/archive_input.h"
#include "engine/stream/inflate.h"
#include "store/blob.h"

#define READ_SIZE ((size_t)256 * 1024)
#define BLOBS "blobs/sha256/"
#define LINKS_MAX 8 /* of links to links */

static void file_free(void *p)
{
	struct load_file *f = p;

	free(f->link);
	free(f);
}

void load_archive_release(struct load_archive *a)
{
	map_release(&a->files, file_free);
}

const struct load_file *load_archive_find(const struct load_archive *a, const char *name)
{
	_cleanup_free_ char *at = path_rooted(name);

	for (unsigned i = 0; i < LINKS_MAX; i++) {
		const struct load_file *f = map_gets(&a->files, at);

		if (!f || !f->link)
			return f;
		free(at);
		at = xstrdup(f->link);
	}
	return NULL;
}

const struct load_file *load_archive_blob(const struct load_archive *a, const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];
	_cleanup_free_ char *name = xasprintf(BLOBS "%s", digest_hex(digest, hex));

	return load_archive_find(a, name);
}

/* The clean form of a name that stays inside the archive. */
static int check_name(const char *name, char **ret, struct error **err)
{
	_cleanup_free_ char *clean = NULL;

	if (!name || !*name)
		return error_new(err, ERR_INVALID, 0, "the archive has a file without a name");
	if (strlen(name) > LOAD_NAME_MAX)
		return error_new(err, ERR_INVALID, 0,
				 "the archive has a name of more than %d bytes", LOAD_NAME_MAX);
	clean = path_clean(name);
	if (clean[0] == '/' || strcmp(clean, "..") == 0 || strncmp(clean, "../", 3) == 0)
		return error_new(err, ERR_INVALID, 0, "the archive has the unsafe name '%s'", name);
	*ret = TAKE_PTR(clean);
	return 0;
}

static int add_file(struct load_archive *a, const char *name, const struct load_file *file,
		    struct error **err)
{
	void **slot = map_puts(&a->files, name);

	if (*slot)
		file_free(*slot);
	*slot = NEW(struct load_file);
	*(struct load_file *)*slot = *file;
	if (a->files.n > LOAD_FILES_MAX)
		return error_new(err, ERR_INVALID, 0, "the archive has more than %d files",
				 LOAD_FILES_MAX);
	return 0;
}

/* Files of docker's older form that say nothing that the others do not. */
static bool is_needless(const char *name)
{
	const char *base = path_base(name);

	return strcmp(base, "VERSION") == 0 || strcmp(name, "repositories") == 0 ||
	       strcmp(name, "oci-layout") == 0 || (base != name && strcmp(base, "json") == 0);
}

/* A file named as a blob must be that blob. */
static int expected_digest(const char *name, struct digest *ret, bool *ret_expected,
			   struct error **err)
{
	*ret_expected = strncmp(name, BLOBS, strlen(BLOBS)) == 0;
	if (!*ret_expected)
		return 0;
	name += strlen(BLOBS);
	if (digest_parse_hex(name, strlen(name), ret) < 0)
		return error_new(err, ERR_INVALID, 0, "'%s' is not the name of a blob", name);
	return 0;
}

static int store_file(struct store *s, const char *name, inflate_read_fn read, void *data,
		      struct cancel *cancel, struct load_file *ret, struct error **err)
{
	_cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
	_cleanup_free_ char *buffer = xmalloc(READ_SIZE);
	struct digest digest;
	bool expected;
	int r = expected_digest(name, &digest, &expected, err);

	if (r == 0)
		r = blob_writer_open(s, &w, err);
	while (r == 0) {
		size_t n;

		if (cancel_is_set(cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		r = read(data, buffer, READ_SIZE, &n, err);
		if (r < 0 || n == 0)
			break;
		blob_writer_write(w, buffer, n);
		if (blob_writer_size(w) > OCI_BLOB_MAX)
			r = error_new(err, ERR_INVALID, 0, "'%s' is too large", name);
	}
	if (r < 0)
		return cancel_is_set(cancel) ? error_new(err, ERR_CANCELED, 0, "canceled") : r;
	ret->size = blob_writer_size(w);
	return blob_writer_commit(w, expected ? &digest : NULL, &ret->digest, err);
}

/* --- tar
 * ------------------------------------------------------------------------------------------ */

static void archive_closep(struct archive **a)
{
	archive_read_free(*a);
}

static int damaged(struct archive *a, struct error **err)
{
	const char *why = archive_error_string(a);

	return error_hint(err,
			  error_new(err, ERR_INVALID, 0, "not a sound tar archive: %s",
				    why ? why : "it is empty"),
			  "it should be what kiln save or docker save has written, whole");
}

static int read_entry(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	la_ssize_t got = archive_read_data(data, p, n);

	if (got < 0)
		return damaged(data, err);
	*ret = (size_t)got;
	return 0;
}

/* A link is another name for a file of the archive. */
static int add_link(struct load_archive *a, const char *name, const char *target, bool symlink,
		    struct error **err)
{
	_cleanup_free_ char *dir = path_dir(name), *joined = NULL, *clean = NULL;
	struct load_file file = {0};
	int r;

	if (!target || path_is_absolute(target))
		return error_new(err, ERR_INVALID, 0, "the link '%s' leads out of the archive",
				 name);
	joined = symlink ? path_join(dir, target) : xstrdup(target);
	r = check_name(joined, &clean, err);
	if (r < 0)
		return error_wrap(err, r, "link '%s'", name);
	file.link = TAKE_PTR(clean);
	return add_file(a, name, &file, err);
}

static int add_entry(struct store *s, struct archive *tar, struct archive_entry *entry,
		     struct cancel *cancel, struct load_archive *a, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	struct load_file file = {0};
	int r = check_name(archive_entry_pathname(entry), &name, err);

	if (r < 0)
		return r;
	if (archive_entry_hardlink(entry))
		return add_link(a, name, archive_entry_hardlink(entry), false, err);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return 0;
	case AE_IFLNK:
		return add_link(a, name, archive_entry_symlink(entry), true, err);
	case AE_IFREG:
		break;
	default:
		return error_new(err, ERR_INVALID, 0, "'%s' is neither a file nor a directory",
				 name);
	}
	if (is_needless(name))
		return 0;
	r = store_file(s, name, read_entry, tar, cancel, &file, err);
	return r < 0 ? error_wrap(err, r, "'%s'", name) : add_file(a, name, &file, err);
}

static int unreadable(struct archive *tar, const struct cancel *cancel, struct error **err)
{
	return cancel_is_set(cancel) ? error_new(err, ERR_CANCELED, 0, "canceled")
				     : damaged(tar, err);
}

static int read_tar(struct store *s, int fd, struct cancel *cancel, struct load_archive *a,
		    struct error **err)
{
	_cleanup_(archive_input_release) struct archive_input in = {0};
	_cleanup_(archive_closep) struct archive *tar = archive_read_new();
	struct archive_entry *entry;
	int r;

	archive_read_support_filter_gzip(tar);
	archive_read_support_filter_bzip2(tar);
	archive_read_support_filter_xz(tar);
	archive_read_support_filter_zstd(tar);
	archive_read_support_format_tar(tar);
	if (!archive_input_open(&in, tar, fd, cancel))
		return unreadable(tar, cancel, err);
	for (;;) {
		r = archive_read_next_header(tar, &entry);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return unreadable(tar, cancel, err);
		r = add_entry(s, tar, entry, cancel, a, err);
		if (r < 0)
			return r;
	}
}

/* --- directory
 * --------------------------------------------------------------------------------------- */

static int add_dir_file(struct store *s, int dirfd, const char *name, struct cancel *cancel,
			struct load_archive *a, struct error **err)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct load_file file = {0};
	struct stat st;
	int r;

	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open '%s'", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_new(err, ERR_INVALID, 0, "'%s' is not a regular file", name);
	r = store_file(s, name, inflate_read_fd, &fd, cancel, &file, err);
	return r < 0 ? error_wrap(err, r, "'%s'", name) : add_file(a, name, &file, err);
}

static int read_blobs(struct store *s, int dirfd, struct cancel *cancel, struct load_archive *a,
		      struct error **err)
{
	int fd = openat(dirfd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
	    r = 0, more = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d)
		return error_new(err, ERR_IO, errno, "read 'blobs/sha256'");
	while (r == 0 && (more = fs_next_entry(d, &entry)) > 0) {
		_cleanup_free_ char *name = xasprintf(BLOBS "%s", entry->d_name);

		if (entry->d_name[0] != '.')
			r = add_dir_file(s, dirfd, name, cancel, a, err);
	}
	closedir(d);
	return more < 0 ? error_new(err, ERR_IO, -more, "read 'blobs/sha256'") : r;
}

static int read_layout(struct store *s, int dirfd, struct cancel *cancel, struct load_archive *a,
		       struct error **err)
{
	int r = add_dir_file(s, dirfd, "index.json", cancel, a, err);

	if (r == 0 && faccessat(dirfd, "manifest.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = add_dir_file(s, dirfd, "manifest.json", cancel, a, err);
	return r < 0 ? r : read_blobs(s, dirfd, cancel, a, err);
}

int load_archive_read(struct store *s, int fd, const char *name, struct cancel *cancel,
		      struct load_archive *a, struct error **err)
{
	struct stat st;
	int r;

	*a = (struct load_archive){.files = MAP_INIT};
	if (fstat(fd, &st) < 0)
		return error_new(err, ERR_IO, errno, "read '%s'", name);
	r = S_ISDIR(st.st_mode) ? read_layout(s, fd, cancel, a, err)
				: read_tar(s, fd, cancel, a, err);
	return error_wrap(err, r, "load '%s'", name);
}
