/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/deflate.h"

#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "engine/stream/compress.h"

enum { FAST_LEVEL = 1 };

struct deflater {
	bool is_fast;
	z_stream plain;
	struct isal_zstream fast;
	uint8_t fast_buffer[ISAL_DEF_LVL1_DEFAULT];
};

static void fast_init(struct deflater *d)
{
	isal_deflate_init(&d->fast);
	d->fast.level = FAST_LEVEL;
	d->fast.level_buf = d->fast_buffer;
	d->fast.level_buf_size = sizeof(d->fast_buffer);
}

struct deflater *deflater_new(int level)
{
	struct deflater *d = NEW(struct deflater);

	d->is_fast = level == COMPRESS_LEVEL_FAST;
	if (d->is_fast) {
		fast_init(d);
	} else if (deflateInit2(&d->plain, level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) !=
		   Z_OK) {
		free(d);
		return NULL;
	}
	return d;
}

void deflater_free(struct deflater *d)
{
	if (!d)
		return;
	if (!d->is_fast)
		(void)deflateEnd(&d->plain);
	free(d);
}

size_t deflate_bound(size_t n)
{
	return n + n / 8 + 1024;
}

/* Both libraries take what they only read by pointers to what they could write. */
static uint8_t *unconst(const unsigned char *p)
{
	return (uint8_t *)(uintptr_t)p;
}

static size_t plain_block(z_stream *z, const struct deflate_input *in, unsigned char *out)
{
	size_t room = deflate_bound(in->n);
	int r = deflateReset(z);

	if (r == Z_OK && in->n_window > 0)
		r = deflateSetDictionary(z, in->window, (uInt)in->n_window);
	if (r != Z_OK)
		return 0;
	z->next_in = unconst(in->p);
	z->avail_in = (uInt)in->n;
	z->next_out = out;
	z->avail_out = (uInt)room;
	r = deflate(z, in->last ? Z_FINISH : Z_SYNC_FLUSH);
	if (in->last ? r != Z_STREAM_END : r != Z_OK || z->avail_in > 0 || z->avail_out == 0)
		return 0;
	return room - z->avail_out;
}

static size_t fast_block(struct isal_zstream *z, const struct deflate_input *in, unsigned char *out)
{
	size_t room = deflate_bound(in->n);

	isal_deflate_reset(z);
	if (in->n_window > 0 &&
	    isal_deflate_set_dict(z, unconst(in->window), (uint32_t)in->n_window) != COMP_OK)
		return 0;
	z->next_in = unconst(in->p);
	z->avail_in = (uint32_t)in->n;
	z->next_out = out;
	z->avail_out = (uint32_t)room;
	z->end_of_stream = in->last;
	z->flush = in->last ? NO_FLUSH : SYNC_FLUSH;
	if (isal_deflate(z) != COMP_OK || z->avail_in > 0 || z->avail_out == 0)
		return 0;
	if (in->last && z->internal_state.state != ZSTATE_END)
		return 0;
	return room - z->avail_out;
}

size_t deflater_block(struct deflater *d, const struct deflate_input *in, unsigned char *out)
{
	return d->is_fast ? fast_block(&d->fast, in, out) : plain_block(&d->plain, in, out);
}
