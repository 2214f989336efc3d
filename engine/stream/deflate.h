/* SPDX-License-Identifier: Apache-2.0 */
/* One block of a deflate stream at a time: what a thread of the gzip writer does (compress.c).
 *
 * Blocks are independent of each other but for the window, the bytes before them that matches may
 * reach into, and join into one stream. By zlib, whose bytes are the same everywhere, or by ISA-L,
 * which is about ten times as fast for about a seventh more bytes, chosen by the processor it runs
 * on.
 */
#ifndef KILN_ENGINE_STREAM_DEFLATE_H
#define KILN_ENGINE_STREAM_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

#define DEFLATE_WINDOW ((size_t)32 * 1024)

struct deflater;
/* `level` as of compress_options, COMPRESS_LEVEL_FAST included. NULL if the library refuses. */
struct deflater *deflater_new(int level);
void deflater_free(struct deflater *d);
DEFINE_FREEP(struct deflater, deflater_free)

/* How much room a block of n bytes needs at most, whatever is in it. */
size_t deflate_bound(size_t n);

struct deflate_input {
	const unsigned char *window; /* at most DEFLATE_WINDOW bytes that came before */
	size_t n_window;
	const unsigned char *p;
	size_t n;
	bool last; /* else it ends with an empty stored block, so that the next starts on a byte */
};
/* How many bytes it wrote to `out`, which has deflate_bound(n); 0 if the library failed. */
size_t deflater_block(struct deflater *d, const struct deflate_input *in, unsigned char *out);

#endif
