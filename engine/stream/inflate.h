/* SPDX-License-Identifier: Apache-2.0 */
/* The plain bytes of a stream that may be compressed, pulled from a reader: gzip (all its members,
 * through ISA-L), zstd (all its frames) or neither, by its first bytes. */
#ifndef KILN_ENGINE_STREAM_INFLATE_H
#define KILN_ENGINE_STREAM_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Fills p with up to n bytes; *ret = 0 is the end. */
typedef int (*inflate_read_fn)(void *data, void *p, size_t n, size_t *ret, struct error **err);
/* One that reads a descriptor; `data` is an int *. */
int inflate_read_fd(void *data, void *p, size_t n, size_t *ret, struct error **err) _must_check_;

struct inflate;
struct inflate *inflate_open(inflate_read_fn read, void *data);
/* The next plain bytes, as inflate_read_fn gives them. ERR_CORRUPT for what is damaged or ends too
 * early. At the end everything has been read from the reader. */
int inflate_read(struct inflate *in, void *p, size_t n, size_t *ret,
		 struct error **err) _must_check_;
uint64_t inflate_consumed(const struct inflate *in); /* bytes read so far, before inflating */
void inflate_free(struct inflate *in);
DEFINE_FREEP(struct inflate, inflate_free)

#endif
