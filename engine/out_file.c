#include "engine/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/named_file.h"

#define BUFFER_SIZE ((size_t)128 * 1024)

int out_file_open(struct out_file *f, const char *path, int fd, const struct cancel *cancel,
		  struct error **err)
{
	struct stat st;

	*f = (struct out_file){
		.fd = fd, .cancel = cancel, .unblocked = -1, .buffer = xmalloc(BUFFER_SIZE)};
	if (!path) {
		f->unblocked = named_file_unblock(fd);
		return 0;
	}
	f->owned = true;
	f->path = xstrdup(path);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		f->fd = -1;
		return error_new(err, ERR_INVALID, 0, "destination '%s' is a directory", path);
	}
	/* What is no regular file, /dev/stdout say, cannot be replaced by one. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		f->fd = named_file_open_sink(path, cancel);
		if (f->fd < 0)
			return error_new(err, named_file_error(f->fd), -f->fd, "open '%s'", path);
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
