/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed streams for layers: bytes in, bytes out, the same bytes on every machine.
 *
 * gzip: the input is cut into blocks of a fixed size that are deflated independently on several
 * threads, each primed with the 32 KiB before it, and joined into one ordinary gzip member (the
 * idea is pigz's). zstd: the library's own workers with a fixed job size. In both the output
 *depends on the input and the options only, never on the number of threads or on how writes were
 *cut; of COMPRESS_LEVEL_FAST on the processor, too.
 *
 *	compress_open(&options, sink, data, &c, err);
 *	while (...) compress_write(c, p, n);		errors are latched
 *	r = compress_finish(c, err);			reports the first of them
 *	compress_free(c);
 */
#ifndef KILN_ENGINE_STREAM_COMPRESS_H
#define KILN_ENGINE_STREAM_COMPRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum compression {
	COMPRESS_NONE = 1,
	COMPRESS_GZIP,
	COMPRESS_ZSTD,
};

#define COMPRESS_LEVEL_DEFAULT (-1)
/* gzip by ISA-L: about ten times as fast, for about a seventh more bytes, which depend on the
 * processor. */
#define COMPRESS_LEVEL_FAST (-2)

struct compress_options {
	enum compression type;
	int level; /* gzip 0-9 or COMPRESS_LEVEL_FAST, zstd 0-22, or COMPRESS_LEVEL_DEFAULT */
	unsigned threads; /* 0: the number of cores */
};

/* "gzip", "zstd", "uncompressed"; ERR_INVALID otherwise. */
int compress_parse(const char *name, enum compression *ret, struct error **err) _must_check_;
const char *compress_name(enum compression type);
/* "fast" or a number; ERR_INVALID otherwise. */
int compress_parse_level(const char *text, int *ret, struct error **err) _must_check_;
/* ERR_INVALID unless the codec knows the level. */
int compress_check_level(const struct compress_options *o, struct error **err) _must_check_;

/* Called from one thread at a time, in order. A negative return stops the stream. */
typedef int (*compress_sink_fn)(void *data, const void *p, size_t n, struct error **err);

struct compress;
int compress_open(const struct compress_options *o, compress_sink_fn sink, void *data,
		  struct compress **ret, struct error **err) _must_check_;
void compress_write(struct compress *c, const void *p, size_t n);
bool compress_failed(const struct compress *c);
int compress_finish(struct compress *c, struct error **err) _must_check_;
void compress_free(struct compress *c);
DEFINE_FREEP(struct compress, compress_free)

#endif
