/* SPDX-License-Identifier: Apache-2.0 */
#include "base/named_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

/* Nothing tells that a FIFO's reader came: one looks again after so many milliseconds. */
enum { LOOK_AGAIN = 20 };

static int wait_for(int fd, short events, int timeout, const struct cancel *cancel)
{
	struct pollfd fds[] = {{.fd = fd, .events = events},
			       {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};

	while (!cancel_is_set(cancel)) {
		if (poll(fds, ARRAY_SIZE(fds), timeout) >= 0)
			return cancel_is_set(cancel) ? -ECANCELED : 0;
		if (errno != EINTR)
			return -errno;
	}
	return -ECANCELED;
}

int named_file_wait(int fd, const struct cancel *cancel)
{
	return wait_for(fd, POLLIN, -1, cancel);
}

static bool is_fifo(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

int named_file_open(const char *path, const struct cancel *cancel)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	/* Without a writer so far it would have an end at once; poll knows better. */
	if (is_fifo(fd))
		r = wait_for(fd, POLLIN, -1, cancel);
	if (r == 0 && fcntl(fd, F_SETFL, 0) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

static int read_pipe(int fd, const struct cancel *cancel, struct buf *b)
{
	char chunk[1 << 14];
	ssize_t n = 1;
	int r = 0;

	while (r == 0 && n != 0) {
		r = wait_for(fd, POLLIN, -1, cancel);
		if (r < 0)
			break;
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			r = -errno;
		else if (n > 0 && b->max && b->n + (size_t)n > b->max)
			r = -EFBIG;
		else if (n > 0)
			buf_add(b, chunk, (size_t)n);
	}
	/* It may be a secret. */
	explicit_bzero(chunk, sizeof(chunk));
	return r;
}

int named_file_read_fd(int fd, const struct cancel *cancel, struct buf *b)
{
	struct stat st;
	bool waits = fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);

	return waits ? read_pipe(fd, cancel, b) : fs_read_fd(fd, b);
}

int named_file_read(const char *path, const struct cancel *cancel, struct buf *b)
{
	_cleanup_close_ int fd = named_file_open(path, cancel);

	return fd < 0 ? fd : named_file_read_fd(fd, cancel, b);
}

int named_file_open_sink(const char *path, const struct cancel *cancel)
{
	_cleanup_close_ int fd = -1;

	while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		int r = errno == ENXIO ? wait_for(-1, 0, LOOK_AGAIN, cancel) : -errno;

		if (r < 0)
			return r;
	}
	if (!is_fifo(fd) && fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int named_file_unblock(int fd)
{
	char path[32];

	if (!is_fifo(fd))
		return -1;
	/* Not a flag of `fd`: that one is shared with whoever gave it. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

int named_file_write(int fd, const void *p, size_t n, const struct cancel *cancel)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = write(fd, (const char *)p + done, n - done);
		int r = 0;

		if (k > 0)
			done += (size_t)k;
		else if (k < 0 && errno == EAGAIN)
			r = wait_for(fd, POLLOUT, -1, cancel);
		else if (k < 0 && errno != EINTR)
			r = -errno;
		if (r < 0)
			return r;
	}
	return 0;
}
