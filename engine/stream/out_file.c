/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/named_file.h"

#define BUFFER_SIZE ((size_t)128 * 1024)

/* "x/" is to be below x, and "x" in ".". */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !slash ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Has another user put this where everybody may put things? What is written through it would go to a
 * file of that user's choice. The kernel asks the same where fs.protected_symlinks is set. */
static bool is_planted(const char *path, const struct stat *st)
{
	_cleanup_free_ char *dir = parent_of(path);
	struct stat above;

	return stat(dir, &above) == 0 &&
	       (above.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) &&
	       st->st_uid != geteuid() && st->st_uid != above.st_uid;
}

/* A file appears whole, under another name first. What else has the name stays what it is and is
 * written to: a device, a pipe, whatever a symlink such as /dev/stdout leads to. */
static int choose(const char *path, bool *ret_through, struct error **err)
{
	struct stat st, target;

	*ret_through = false;
	if (lstat(path, &st) < 0)
		return errno == ENOENT && *path ? 0
						: error_new(err, ERR_IO, errno, "write '%s'", path);
	target = st;
	if (S_ISLNK(st.st_mode) && stat(path, &target) < 0 && errno != ENOENT)
		return error_new(err, ERR_IO, errno, "write '%s'", path);
	if (S_ISDIR(target.st_mode))
		return error_new(err, ERR_INVALID, 0, "destination '%s' is a directory", path);
	if (S_ISSOCK(target.st_mode))
		return error_new(err, ERR_INVALID, 0, "destination '%s' is a socket", path);
	*ret_through = !S_ISREG(st.st_mode);
	if (*ret_through && is_planted(path, &st))
		return error_new(err, ERR_DENIED, 0,
				 "write '%s': it is another user's, in a folder that everybody may "
				 "write to",
				 path);
	return 0;
}

static int may_write(const char *path, int how)
{
	return faccessat(AT_FDCWD, path, how, AT_EACCESS) < 0 ? -errno : 0;
}

int out_file_check(const char *path, struct error **err)
{
	_cleanup_free_ char *dir = parent_of(path);
	bool through;
	int r = choose(path, &through, err);

	if (r < 0)
		return r;
	r = through ? may_write(path, W_OK) : may_write(dir, W_OK | X_OK);
	/* A symlink to what is not there yet makes it. */
	if (through && r == -ENOENT)
		return 0;
	return r < 0 ? error_new(err, ERR_IO, -r, "write '%s'", path) : 0;
}

int out_dir_check(const char *path, struct error **err)
{
	_cleanup_free_ char *dir = xstrdup(path);
	struct stat st;
	int r;

	/* What is not there is made in the first parent that is. */
	while (lstat(dir, &st) < 0 && errno == ENOENT && strcmp(dir, ".") != 0) {
		char *parent = parent_of(dir);

		free(dir);
		dir = parent;
	}
	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		return error_new(err, ERR_INVALID, 0, "destination '%s': '%s' is not a directory",
				 path, dir);
	r = may_write(dir, W_OK | X_OK);
	return r < 0 ? error_new(err, ERR_IO, -r, "write to directory '%s'", path) : 0;
}

/* The same file as one of our own outputs is not opened anew: that would begin at its start. */
static int output_of_ours(int fd)
{
	struct stat st, ours;

	if (fstat(fd, &st) < 0)
		return -1;
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (fstat(i, &ours) == 0 && ours.st_dev == st.st_dev && ours.st_ino == st.st_ino)
			return fcntl(i, F_DUPFD_CLOEXEC, 3);
	return -1;
}

static int open_through(const char *path, const struct cancel *cancel)
{
	_cleanup_close_ int fd = -1, ours = -1;
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT) {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
		return fd < 0 ? -errno : TAKE_FD(fd);
	}
	fd = named_file_open_sink(path, cancel);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return TAKE_FD(fd);
	ours = output_of_ours(fd);
	if (ours >= 0)
		return TAKE_FD(ours);
	return ftruncate(fd, 0) < 0 ? -errno : TAKE_FD(fd);
}

static int open_temporary(struct out_file *f)
{
	uint64_t random;
	int fd;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	f->temporary = xasprintf("%s.%016llx.tmp", f->path, (unsigned long long)random);
	fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd >= 0)
		return fd;
	fd = -errno;
	free(TAKE_PTR(f->temporary));
	return fd;
}

int out_file_open(struct out_file *f, const char *path, int fd, const struct cancel *cancel,
		  struct error **err)
{
	bool through;
	int r;

	*f = (struct out_file){
		.fd = fd, .cancel = cancel, .unblocked = -1, .buffer = xmalloc(BUFFER_SIZE)};
	if (!path) {
		f->unblocked = named_file_unblock(fd);
		return 0;
	}
	f->owned = true;
	f->fd = -1;
	f->path = xstrdup(path);
	r = choose(path, &through, err);
	if (r < 0)
		return r;
	r = through ? open_through(path, cancel) : open_temporary(f);
	if (r < 0)
		return error_new(err, named_file_error(r), -r, "%s '%s'",
				 through ? "open" : "create", path);
	f->fd = r;
	return 0;
}

static const char *name_of(const struct out_file *f)
{
	return f->path ? f->path : "the output";
}

static int write_now(struct out_file *f, const void *p, size_t n, struct error **err)
{
	int r = named_file_write(f->unblocked >= 0 ? f->unblocked : f->fd, p, n, f->cancel);

	return r < 0 ? error_new(err, named_file_error(r), -r, "write '%s'", name_of(f)) : 0;
}

static int flush(struct out_file *f, struct error **err)
{
	int r = write_now(f, f->buffer, f->n, err);

	f->n = 0;
	return r;
}

int out_file_write(void *data, const void *p, size_t n, struct error **err)
{
	struct out_file *f = data;
	int r;

	f->size += n;
	if (f->n + n > BUFFER_SIZE) {
		r = flush(f, err);
		if (r < 0)
			return r;
	}
	if (n <= BUFFER_SIZE) {
		memcpy(f->buffer + f->n, p, n);
		f->n += n;
		return 0;
	}
	return write_now(f, p, n, err);
}

int out_file_commit(struct out_file *f, struct error **err)
{
	int r = flush(f, err);

	if (r < 0 || !f->owned)
		return r;
	r = close(f->fd);
	f->fd = -1;
	/* Some file systems tell of a full disk only now. */
	if (r < 0)
		return error_new(err, ERR_IO, errno, "write '%s'", f->path);
	if (f->temporary && rename(f->temporary, f->path) < 0)
		return error_new(err, ERR_IO, errno, "rename '%s' to '%s'", f->temporary, f->path);
	free(f->temporary);
	f->temporary = NULL;
	return 0;
}

void out_file_release(struct out_file *f)
{
	cleanup_closep(&f->unblocked);
	if (f->owned)
		cleanup_closep(&f->fd);
	if (f->temporary)
		unlink(f->temporary);
	free(f->temporary);
	free(f->path);
	free(f->buffer);
	*f = (struct out_file){.fd = -1, .unblocked = -1};
}

int out_file_write_all(const char *path, const void *p, size_t n, const struct cancel *cancel,
		       struct error **err)
{
	struct out_file f;
	int r = out_file_open(&f, path, -1, cancel, err);

	if (r == 0)
		r = out_file_write(&f, p, n, err);
	if (r == 0)
		r = out_file_commit(&f, err);
	out_file_release(&f);
	return r;
}
