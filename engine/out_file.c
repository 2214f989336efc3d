#include "engine/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define BUFFER_SIZE ((size_t)128 * 1024)

int out_file_open(struct out_file *f, const char *path, int fd, struct error **err)
{
	struct stat st;

	*f = (struct out_file){.fd = fd, .buffer = xmalloc(BUFFER_SIZE)};
	if (!path)
		return 0;
	f->owned = true;
	f->path = xstrdup(path);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		f->fd = -1;
		return error_new(err, ERR_INVALID, 0, "destination '%s' is a directory", path);
	}
	/* What is no regular file, /dev/stdout say, cannot be replaced by one. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		f->fd = open(path, O_WRONLY | O_CLOEXEC);
	} else {
		f->temporary = xasprintf("%s.tmp-%d", path, (int)getpid());
		f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			     0666);
	}
	if (f->fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s'", path);
	return 0;
}

static const char *name_of(const struct out_file *f)
{
	return f->path ? f->path : "the output";
}

static int flush(struct out_file *f, struct error **err)
{
	int r = fs_write_full(f->fd, f->buffer, f->n);

	f->n = 0;
	return r < 0 ? error_new(err, ERR_IO, -r, "write '%s'", name_of(f)) : 0;
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
	r = fs_write_full(f->fd, p, n);
	return r < 0 ? error_new(err, ERR_IO, -r, "write '%s'", name_of(f)) : 0;
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
	if (f->owned)
		cleanup_closep(&f->fd);
	if (f->temporary)
		unlink(f->temporary);
	free(f->temporary);
	free(f->path);
	free(f->buffer);
	*f = (struct out_file){.fd = -1};
}
