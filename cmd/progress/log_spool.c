/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/log_spool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

enum { MEMORY_MAX = 1 << 20, PIECE = 64 << 10 };
enum { NO_FILE_YET = -1, NO_FILE = -2 };

void log_spool_release(struct log_spool *l)
{
	buf_release(&l->memory);
	if (l->fd >= 0)
		(void)close(l->fd);
	*l = (struct log_spool){.memory = BUF_INIT, .fd = NO_FILE_YET, .max = l->max};
}

static int open_file(void)
{
	const char *dir = getenv("TMPDIR");
	_cleanup_free_ char *path = NULL;
	int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	/* Not all file systems have files without a name. */
	path = xasprintf("%s/kiln-log-XXXXXX", dir && *dir ? dir : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd < 0 ? NO_FILE : fd;
}

/* Moves what is in memory to the file. Where that fails, or the file has what a step may have, the
 * older half goes, up to a line's end. */
static void make_room(struct log_spool *l)
{
	const char *half = l->memory.p + l->memory.n / 2, *nl;
	size_t gone;

	if (l->fd == NO_FILE_YET)
		l->fd = open_file();
	if (l->fd >= 0 && l->lost == 0 && (!l->max || l->in_file < l->max) &&
	    fs_pwrite_full(l->fd, l->memory.p, l->memory.n, (off_t)l->in_file) == 0) {
		l->in_file += l->memory.n;
		buf_clear(&l->memory);
		return;
	}
	nl = memchr(half, '\n', l->memory.n - l->memory.n / 2);
	gone = nl ? (size_t)(nl + 1 - l->memory.p) : l->memory.n;
	memmove(l->memory.p, l->memory.p + gone, l->memory.n - gone);
	buf_truncate(&l->memory, l->memory.n - gone);
	l->lost += gone;
}

void log_spool_add(struct log_spool *l, const void *p, size_t n)
{
	buf_add(&l->memory, p, n);
	if (l->memory.n > MEMORY_MAX)
		make_room(l);
}

/* The lines of the file. */
static void read_file(const struct log_spool *l, void (*piece)(void *data, const char *p, size_t n),
		      void *data)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (uint64_t at = 0; at < l->in_file;) {
		ssize_t n = pread(l->fd, buf_reserve(&b, PIECE), PIECE, (off_t)at);
		const char *nl;
		size_t whole;

		if (n <= 0)
			break;
		buf_commit(&b, (size_t)n);
		at += (uint64_t)n;
		nl = memrchr(b.p, '\n', b.n);
		whole = nl ? (size_t)(nl + 1 - b.p) : 0;
		piece(data, b.p, whole);
		memmove(b.p, b.p + whole, b.n - whole);
		buf_truncate(&b, b.n - whole);
	}
	if (b.n > 0)
		piece(data, b.p, b.n);
}

void log_spool_read(const struct log_spool *l, void (*piece)(void *data, const char *p, size_t n),
		    void *data)
{
	char note[96];
	int n = 0;

	if (l->in_file > 0)
		read_file(l, piece, data);
	if (l->lost > 0)
		n = snprintf(note, sizeof(note),
			     "[%" PRIu64 " bytes of the log are left out here]\n", l->lost);
	if (n > 0)
		piece(data, note, (size_t)n);
	if (l->memory.n > 0)
		piece(data, l->memory.p, l->memory.n);
}
