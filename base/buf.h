/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte string.
 *
 * Invariant: `p` is never NULL and p[n] is always NUL, so a buf of text is a C string at any time.
 * A buf is valid from BUF_INIT without a call. `max` (0 = none) caps its size: an append that would
 * exceed it changes nothing and latches `full`, which the owner checks once at the end; use it for
 * everything fed by outside bytes.
 */
#ifndef KILN_BASE_BUF_H
#define KILN_BASE_BUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

struct buf {
	char *p;
	size_t n, cap;
	size_t max;
	bool full;
};

extern char buf_slop[1];
#define BUF_INIT              \
	{                     \
		.p = buf_slop \
	}
#define BUF_INIT_MAX(limit)                   \
	{                                     \
		.p = buf_slop, .max = (limit) \
	}

void buf_release(struct buf *b); /* back to BUF_INIT, keeping max */
void buf_clear(struct buf *b);	 /* empties, keeps the memory */
void buf_truncate(struct buf *b, size_t n);
/* Makes room for n more bytes and returns where they go; the caller then adds to b->n and writes
 * the NUL (buf_commit). NULL if it would exceed max. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) _printf_(2, 0);
/* Moves the string out (heap, NUL-terminated, caller frees) and leaves BUF_INIT. */
char *buf_take(struct buf *b) _must_check_;

#define _cleanup_buf_ _cleanup_(buf_release)

#endif
