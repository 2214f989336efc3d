/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a file from its position to its end, a piece at a time, for whoever hashes or copies it.
 *
 *	file_read_init(&in, fd, cancel);
 *	while ((r = file_read_next(&in, &piece)) > 0)
 *		hasher_add(&h, piece.p, piece.n);
 *	file_read_release(&in);
 *
 * The holes of a sparse file are not read: they come as pieces of zeros that say what they are, so
 * that a copy can have them, too, and a hash costs no more than the hashing.
 * Like base/fs.h: results are -errno, and -ECANCELED once `cancel` (NULL: never) is set. */
#ifndef KILN_BASE_FILE_READ_H
#define KILN_BASE_FILE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/cancel.h"

struct file_piece {
	const void *p; /* valid until the next piece */
	size_t n;
	bool hole; /* nothing but zeros, which are not on disk */
};

/* Where the holes of a file are. */
struct file_holes {
	bool sparse; /* it has some */
	bool hole;   /* what `end` ends is one */
	uint64_t end;
};
/* Of a regular file, whose position file_holes_at moves. */
void file_holes_init(struct file_holes *h, int fd);
/* 1: there is a hole at `at`, 0: data (or the end); *n is made less where that ends before. */
int file_holes_at(struct file_holes *h, int fd, uint64_t at, size_t *n) _must_check_;

struct file_read {
	int fd; /* borrowed */
	const struct cancel *cancel;
	char *chunk;
	struct file_holes holes;
	uint64_t at; /* where they are looked for */
};
void file_read_init(struct file_read *in, int fd, const struct cancel *cancel);
void file_read_release(struct file_read *in);
/* 1: a piece; 0: the end. */
int file_read_next(struct file_read *in, struct file_piece *ret) _must_check_;
/* Of all from the position on. *ret_size (or NULL): how many bytes that was. */
struct digest;
int file_read_digest(int fd, const struct cancel *cancel, struct digest *ret,
		     uint64_t *ret_size) _must_check_;

/* Copies n bytes (UINT64_MAX: to the end) from one regular file's position to the other's, an empty
 * or just as far written one: reflink or copy_file_range where possible, else read and write. Holes
 * stay holes. */
int file_copy(int from, int to, uint64_t n, const struct cancel *cancel) _must_check_;

#endif
