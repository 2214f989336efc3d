/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cancel.h"

ssize_t fs_read_full(int fd, void *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, (char *)p + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int fs_write_full(int fd, const void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(fd, (const char *)p + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

int fs_pwrite_full(int fd, const void *p, size_t n, off_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = pwrite(fd, (const char *)p + done, n - done, at + (off_t)done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

int fs_read_fd(int fd, struct buf *b)
{
	struct stat st;
	size_t chunk = 4096;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		chunk = (size_t)st.st_size + 1;
	for (;;) {
		size_t n = b->max && b->max - b->n < chunk ? b->max - b->n + 1 : chunk;
		_cleanup_free_ char *extra = NULL;
		char *to;
		ssize_t r;

		/* One byte past max tells a file that is too big from one that just fits. */
		if (b->max && b->n + n > b->max) {
			to = extra = xmalloc(n);
		} else {
			to = buf_reserve(b, n);
		}
		r = fs_read_full(fd, to, n);
		if (r < 0)
			return (int)r;
		if (extra) {
			if (b->n + (size_t)r > b->max)
				return -EFBIG;
			buf_add(b, extra, (size_t)r);
		} else {
			buf_commit(b, (size_t)r);
		}
		if ((size_t)r < n)
			return 0;
		chunk = 1 << 16;
	}
}

int fs_read_file(int dirfd, const char *path, struct buf *b)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fs_read_fd(fd, b);
}

int fs_write_file_atomic(int dirfd, const char *path, const void *p, size_t n, mode_t mode)
{
	_cleanup_free_ char *tmp = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t random;
	int r;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	tmp = xasprintf("%s.%016llx.tmp", path, (unsigned long long)random);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = fs_write_full(fd, p, n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, tmp, 0);
	return r;
}

static int open2(int rootfd, const char *path, uint64_t flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
	long fd;

	if (flags & (O_CREAT | __O_TMPFILE))
		how.mode = mode;
	do {
		fd = syscall(SYS_openat2, rootfd, *path ? path : ".", &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

/* What the kernel takes at once of a path that is longer, as a new string; *path moves past it.
 * NULL: nothing, or a single name that is too long. */
static char *take_piece(const char **path)
{
	const char *slash = memrchr(*path, '/', PATH_MAX - 1);
	char *piece = slash ? xstrndup(*path, (size_t)(slash - *path)) : NULL;

	if (slash)
		*path = slash + strspn(slash, "/");
	return piece;
}

int fs_open_no_symlinks(int rootfd, const char *path, uint64_t flags, mode_t mode)
{
	const uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
	_cleanup_close_ int at = -1;

	path += strspn(path, "/");
	while (strlen(path) >= PATH_MAX) {
		_cleanup_free_ char *piece = take_piece(&path);
		int fd = !piece ? -ENAMETOOLONG
				: open2(at < 0 ? rootfd : at, piece, O_PATH | O_DIRECTORY, 0,
					resolve);

		if (fd < 0)
			return fd;
		cleanup_closep(&at);
		at = fd;
	}
	return open2(at < 0 ? rootfd : at, path, flags, mode, resolve);
}

int fs_place_open(int rootfd, const char *path, struct fs_place *ret)
{
	const char *name = strrchr(path, '/');
	_cleanup_free_ char *parent = NULL;

	*ret = (struct fs_place){.fd = rootfd, .name = path, .own = -1};
	if (strlen(path) < PATH_MAX || !name)
		return 0;
	parent = xstrndup(path, (size_t)(name - path));
	ret->own = fs_open_no_symlinks(rootfd, parent, O_PATH | O_DIRECTORY, 0);
	if (ret->own < 0)
		return ret->own;
	ret->fd = ret->own;
	ret->name = name + 1;
	return 0;
}

void fs_place_close(struct fs_place *p)
{
	cleanup_closep(&p->own);
}

int fs_mkdir_p(int dirfd, const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = xstrdup(path);

	for (char *p = copy + 1; *copy; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = c;
		if (c == '\0')
			break;
	}
	return 0;
}

/* A tree that is being removed. A directory deep down is moved up to its top first, so that neither
 * descriptors nor the stack limit how deep a tree may be. */
struct removal {
	const struct cancel *cancel;
	int top; /* -1: at the top itself */
	unsigned depth;
	uint64_t moved;
};

enum { REMOVE_DEPTH_MAX = 64 };

static int remove_node(struct removal *rm, int dirfd, const char *path);

static bool move_to_top(struct removal *rm, int dirfd, const char *name)
{
	char to[40];

	if (rm->depth < REMOVE_DEPTH_MAX)
		return false;
	(void)snprintf(to, sizeof(to), ".kiln-removed-%llu", (unsigned long long)rm->moved);
	if (renameat(dirfd, name, rm->top, to) < 0)
		return false;
	rm->moved++;
	return true;
}

int fs_next_entry(DIR *dir, struct dirent **ret)
{
	do {
		errno = 0;
		*ret = readdir(dir);
		if (!*ret)
			return -errno;
	} while (strcmp((*ret)->d_name, ".") == 0 || strcmp((*ret)->d_name, "..") == 0);
	return 1;
}

static int remove_entries(struct removal *rm, int dirfd)
{
	DIR *dir = fdopendir(dirfd);
	struct dirent *de;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)close(dirfd);
		return r;
	}
	rm->depth++;
	while (r == 0 && (r = fs_next_entry(dir, &de)) > 0) {
		r = 0;
		if (cancel_is_set(rm->cancel))
			r = -ECANCELED;
		else if (de->d_type == DT_DIR || unlinkat(dirfd, de->d_name, 0) < 0)
			r = remove_node(rm, dirfd, de->d_name);
	}
	rm->depth--;
	(void)closedir(dir);
	return r;
}

static int open_to_remove(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The entries of a directory, which is made writable if need be. */
static int empty(struct removal *rm, int dirfd, const char *path)
{
	int fd = open_to_remove(dirfd, path), r;

	if (fd == -EACCES) {
		if (fchmodat(dirfd, path, 0700, 0) < 0)
			return -errno;
		fd = open_to_remove(dirfd, path);
	}
	if (fd < 0)
		return fd;
	if (rm->top < 0)
		rm->top = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	r = remove_entries(rm, fd);
	if (r == -EACCES && fchmodat(dirfd, path, 0700, 0) == 0) {
		fd = open_to_remove(dirfd, path);
		r = fd < 0 ? fd : remove_entries(rm, fd);
	}
	return r;
}

static int remove_node(struct removal *rm, int dirfd, const char *path)
{
	int r;

	if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM && errno != EACCES)
		return -errno;
	if (move_to_top(rm, dirfd, path))
		return 0;
	r = empty(rm, dirfd, path);
	if (r < 0)
		return r;
	return unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int fs_remove_tree_until(int dirfd, const char *path, const struct cancel *cancel)
{
	struct removal rm = {.cancel = cancel, .top = -1};
	uint64_t moved;
	int r;

	/* What was moved to the top comes next, and may be as deep again. */
	do {
		moved = rm.moved;
		r = remove_node(&rm, dirfd, path);
	} while (r == -ENOTEMPTY && rm.moved > moved);
	cleanup_closep(&rm.top);
	return r;
}

int fs_remove_tree(int dirfd, const char *path)
{
	return fs_remove_tree_until(dirfd, path, NULL);
}

int fs_open_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
