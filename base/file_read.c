/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_read.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"

enum {
	PIECE = 1 << 17,
	SECTOR = 512,
	/* What the kernel copies in one go, in which nobody is asked whether to stop. */
	COPY_PIECE = 32 << 20,
};

static char zeros[PIECE]; /* written by nobody: a constant would take room in the program */

void file_holes_init(struct file_holes *h, int fd)
{
	struct stat st;

	*h = (struct file_holes){0};
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > PIECE)
		h->sparse = st.st_blocks * SECTOR < st.st_size;
}

/* What goes on from `at`. A file system that cannot tell says that all is data. */
static int look(struct file_holes *h, int fd, uint64_t at)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);
	bool last = data < 0 && errno == ENXIO;
	off_t end;

	if (last)
		data = lseek(fd, 0, SEEK_END);
	if (data < 0)
		return -errno;
	h->hole = (uint64_t)data > at;
	h->end = (uint64_t)data;
	if (h->hole || last)
		return 0;
	end = lseek(fd, data, SEEK_HOLE);
	h->end = (uint64_t)end;
	return end < 0 ? -errno : 0;
}

int file_holes_at(struct file_holes *h, int fd, uint64_t at, size_t *n)
{
	int r;

	if (!h->sparse)
		return 0;
	if (at >= h->end) {
		r = look(h, fd, at);
		if (r < 0)
			return r;
	}
	if (h->end > at && h->end - at < *n)
		*n = (size_t)(h->end - at);
	return h->hole;
}

void file_read_init(struct file_read *in, int fd, const struct cancel *cancel)
{
	off_t at;

	*in = (struct file_read){.fd = fd, .cancel = cancel};
	file_holes_init(&in->holes, fd);
	at = in->holes.sparse ? lseek(fd, 0, SEEK_CUR) : 0;
	in->holes.sparse = in->holes.sparse && at >= 0;
	in->at = in->holes.sparse ? (uint64_t)at : 0;
}

void file_read_release(struct file_read *in)
{
	free(in->chunk);
	in->chunk = NULL;
}

int file_read_next(struct file_read *in, struct file_piece *ret)
{
	size_t want = PIECE;
	ssize_t n;
	int hole;

	if (cancel_is_set(in->cancel))
		return -ECANCELED;
	hole = file_holes_at(&in->holes, in->fd, in->at, &want);
	if (hole < 0)
		return hole;
	if (hole) {
		in->at += want;
		*ret = (struct file_piece){zeros, want, true};
		return 1;
	}
	if (in->holes.sparse && lseek(in->fd, (off_t)in->at, SEEK_SET) < 0)
		return -errno;
	if (!in->chunk)
		in->chunk = xmalloc(PIECE);
	n = fs_read_full(in->fd, in->chunk, want);
	if (n <= 0)
		return (int)n;
	in->at += (uint64_t)n;
	*ret = (struct file_piece){in->chunk, (size_t)n, false};
	return 1;
}

int file_read_digest(int fd, const struct cancel *cancel, struct digest *ret, uint64_t *ret_size)
{
	_cleanup_hasher_ struct hasher h;
	struct file_piece piece;
	struct file_read in;
	uint64_t size = 0;
	int r;

	hasher_init(&h);
	file_read_init(&in, fd, cancel);
	while ((r = file_read_next(&in, &piece)) > 0) {
		hasher_add(&h, piece.p, piece.n);
		size += piece.n;
	}
	file_read_release(&in);
	if (r < 0)
		return r;
	hasher_final(&h, ret);
	if (ret_size)
		*ret_size = size;
	return 0;
}

/* --- Copying --- */

/* Leaves out the next n bytes, which are zeros; the caller sets the size in the end. */
static int skip(int to, uint64_t n)
{
	return lseek(to, (off_t)n, SEEK_CUR) < 0 ? -errno : 0;
}

/* By hand: for file systems that know no better. */
static int copy_pieces(int from, int to, uint64_t n, const struct cancel *cancel)
{
	struct file_piece piece;
	struct file_read in;
	int r = 0;

	file_read_init(&in, from, cancel);
	while (n > 0 && (r = file_read_next(&in, &piece)) > 0) {
		size_t part = piece.n < n ? piece.n : (size_t)n;

		r = piece.hole ? skip(to, part) : fs_write_full(to, piece.p, part);
		if (r < 0)
			break;
		n -= part;
	}
	file_read_release(&in);
	return r < 0 ? r : 0;
}

/* Of a file without holes. */
static int copy_range(int from, int to, uint64_t n, const struct cancel *cancel)
{
	while (n > 0) {
		ssize_t r;

		if (cancel_is_set(cancel))
			return -ECANCELED;
		r = copy_file_range(from, NULL, to, NULL, n < COPY_PIECE ? (size_t)n : COPY_PIECE,
				    0);
		if (r < 0 && errno == EINTR)
			continue;
		/* Zero may also mean a file system that cannot tell the end (procfs). */
		if (r <= 0)
			return copy_pieces(from, to, n, cancel);
		n -= (uint64_t)r;
	}
	return 0;
}

/* A hole at the end makes no size by itself. */
static int settle_size(int to)
{
	off_t end = lseek(to, 0, SEEK_CUR);
	struct stat st;

	if (end < 0 || fstat(to, &st) < 0)
		return -errno;
	return st.st_size < end && ftruncate(to, end) < 0 ? -errno : 0;
}

int file_copy(int from, int to, uint64_t n, const struct cancel *cancel)
{
	struct file_holes holes;
	int r;

	if (n == UINT64_MAX && lseek(from, 0, SEEK_CUR) == 0 && ioctl(to, FICLONE, from) == 0)
		return 0;
	file_holes_init(&holes, from);
	if (!holes.sparse)
		return copy_range(from, to, n, cancel);
	r = copy_pieces(from, to, n, cancel);
	return r < 0 ? r : settle_size(to);
}
