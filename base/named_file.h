/* SPDX-License-Identifier: Apache-2.0 */
/* Files that people name, which may be pipes: whoever is at the other end may never come, read or
 * write, and a wait for them ends when it is asked to.
 *
 * Like base/fs.h: results are -errno, and -ECANCELED once `cancel` (NULL: never) is set. Regular
 * files are read and written as ever.
 */
#ifndef KILN_BASE_NAMED_FILE_H
#define KILN_BASE_NAMED_FILE_H

#include <errno.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"

/* Opens for reading; a FIFO is waited for until it has something to read, or had a writer. */
int named_file_open(const char *path, const struct cancel *cancel) _must_check_;
/* Appends all of it, from an open descriptor or by name, as fs_read_fd does. */
int named_file_read_fd(int fd, const struct cancel *cancel, struct buf *b) _must_check_;
int named_file_read(const char *path, const struct cancel *cancel, struct buf *b) _must_check_;

/* Waits until there is something to read, or the end. */
int named_file_wait(int fd, const struct cancel *cancel) _must_check_;

/* Opens what exists and is not a regular file for writing; a FIFO is waited for until it has a
 * reader. */
int named_file_open_sink(const char *path, const struct cancel *cancel) _must_check_;
/* A descriptor of the same pipe that does not block (to be closed), or -1: then `fd` itself is as
 * good as it gets. */
int named_file_unblock(int fd);
/* Writes all of it. Only a descriptor that does not block can be waited for. */
int named_file_write(int fd, const void *p, size_t n, const struct cancel *cancel) _must_check_;

/* The code of an error about such a result. */
static inline enum err_code named_file_error(int r)
{
	return r == -ECANCELED ? ERR_CANCELED : ERR_IO;
}

#endif
