/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file_read.h"
#include "base/fs.h"
#include "base/owner_set.h"
#include "store/index.h"
#include "store/internal.h"
#include "store/layer.h"

static bool type_matches(const struct entry *e, mode_t mode)
{
	switch (e->type) {
	case ENTRY_FILE:
	case ENTRY_HARDLINK:
		return S_ISREG(mode);
	case ENTRY_DIR:
		return S_ISDIR(mode);
	case ENTRY_SYMLINK:
		return S_ISLNK(mode);
	case ENTRY_FIFO:
		return S_ISFIFO(mode);
	case ENTRY_WHITEOUT:
		return S_ISCHR(mode);
	case ENTRY_CHAR:
	case ENTRY_BLOCK: /* may live in the index only */
		return true;
	}
	return false;
}

/* Of a symlink its target, of what has a mode that and the owner. */
static int check_attributes(int fd, const struct entry *e, const struct stat *st,
			    struct error **err)
{
	char target[PATH_MAX];
	ssize_t n;

	if (e->type == ENTRY_SYMLINK) {
		n = readlinkat(fd, "", target, sizeof(target));
		if (n < 0)
			return error_new(err, ERR_IO, errno, "read symlink '%s'", e->path);
		if ((size_t)n != strlen(e->link) || memcmp(target, e->link, (size_t)n) != 0)
			return error_new(err, ERR_CORRUPT, 0, "'%s' has changed its target",
					 e->path);
		return 0;
	}
	if ((e->type != ENTRY_FILE && e->type != ENTRY_DIR) || !*e->path)
		return 0; /* the root is not as its entry says: see settle_root */
	if ((st->st_mode & 07777) != e->mode ||
	    (!owner_single_id() && (st->st_uid != e->uid || st->st_gid != e->gid)))
		return error_new(err, ERR_CORRUPT, 0, "'%s' has changed its mode or owner",
				 e->path);
	return 0;
}

/* What is not there, or is behind something else than a directory, is damage; that it could not be looked at
 * says nothing about it. */
static int cannot_open(const struct entry *e, int errnum, struct error **err)
{
	if (errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP)
		return error_new(err, ERR_CORRUPT, errnum, "'%s' is gone", e->path);
	return error_new(err, ERR_IO, errnum, "look at '%s'", e->path);
}

static int check_entry(const struct store *s, int dirfd, const struct entry *e, struct error **err)
{
	_cleanup_close_ int fd = fs_open_no_symlinks(dirfd, e->path, O_PATH | O_NOFOLLOW, 0);
	_cleanup_close_ int data = -1;
	struct digest actual;
	struct stat st;
	int r;

	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK ||
	    (e->type == ENTRY_WHITEOUT && store_is_plain(s)))
		return 0;
	/* O_NOFOLLOW|O_PATH gives the symlink itself, which RESOLVE_NO_SYMLINKS allows. */
	if (fd < 0 || fstat(fd, &st) < 0)
		return cannot_open(e, fd < 0 ? -fd : errno, err);
	if (!type_matches(e, st.st_mode))
		return error_new(err, ERR_CORRUPT, 0, "'%s' has changed its type", e->path);
	r = check_attributes(fd, e, &st, err);
	if (r < 0 || e->type != ENTRY_FILE)
		return r;
	if ((uint64_t)st.st_size != e->size)
		return error_new(err, ERR_CORRUPT, 0, "'%s' has changed its size", e->path);
	data = fs_open_no_symlinks(dirfd, e->path, O_RDONLY, 0);
	if (data < 0)
		return cannot_open(e, -data, err);
	r = file_read_digest(data, s->cancel, &actual, NULL);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read '%s'", e->path);
	if (!digest_equal(&actual, &e->content))
		return error_new(err, ERR_CORRUPT, 0, "'%s' has changed its content", e->path);
	return 0;
}

int layer_check_dir(struct store *s, int64_t id, const struct index *index, struct error **err)
{
	_cleanup_close_ int dirfd = layer_dir_open(s, id, err);

	if (dirfd < 0)
		return dirfd;
	for (size_t n = 0; n < index_count(index); n++) {
		struct entry e;
		int r;

		if (cancel_is_set(s->cancel))
			return error_new(err, ERR_CANCELED, 0, "check layer %lld", (long long)id);
		index_entry(index, n, &e);
		r = check_entry(s, dirfd, &e, err);
		if (r < 0)
			return error_wrap(err, r, "check layer %lld", (long long)id);
	}
	return 0;
}
