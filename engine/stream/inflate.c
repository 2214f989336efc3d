/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/inflate.h"

#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/fs.h"

enum { INPUT_SIZE = 128 << 10 };

enum inflate_kind { KIND_UNKNOWN, KIND_PLAIN, KIND_GZIP, KIND_ZSTD };

struct inflate {
	inflate_read_fn read;
	void *data;
	enum inflate_kind kind;
	uint8_t *input;
	size_t at, n; /* what is left of input */
	uint64_t consumed;
	bool ended; /* the reader has no more */
	struct inflate_state gzip;
	bool in_member; /* within a gzip member or zstd frame: an end here is too early */
	ZSTD_DStream *zstd;
};

int inflate_read_fd(void *data, void *p, size_t n, size_t *ret, struct error **err)
{
	ssize_t got = fs_read_full(*(int *)data, p, n);

	if (got < 0)
		return error_new(err, ERR_IO, (int)-got, "read a blob");
	*ret = (size_t)got;
	return 0;
}

struct inflate *inflate_open(inflate_read_fn read, void *data)
{
	struct inflate *in = NEW(struct inflate);

	in->read = read;
	in->data = data;
	in->input = xmalloc(INPUT_SIZE);
	return in;
}

void inflate_free(struct inflate *in)
{
	if (!in)
		return;
	ZSTD_freeDStream(in->zstd);
	free(in->input);
	free(in);
}

uint64_t inflate_consumed(const struct inflate *in)
{
	return in->consumed;
}

/* Makes at least `want` bytes available unless the reader ends before. */
static int fill(struct inflate *in, size_t want, struct error **err)
{
	while (in->n < want && !in->ended) {
		size_t got = 0;
		int r;

		if (in->at > 0) {
			memmove(in->input, in->input + in->at, in->n);
			in->at = 0;
		}
		r = in->read(in->data, in->input + in->n, INPUT_SIZE - in->n, &got, err);
		if (r < 0)
			return r;
		in->n += got;
		in->consumed += got;
		in->ended = got == 0;
	}
	return 0;
}

static void advance(struct inflate *in, size_t n)
{
	in->at += n;
	in->n -= n;
}

static bool is_gzip(const uint8_t *p, size_t n)
{
	return n >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

static bool is_zstd(const uint8_t *p, size_t n)
{
	if (n < 4)
		return false;
	/* A frame, or one of the sixteen kinds of skippable frames that may come first. */
	return memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0 ||
	       ((p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0);
}

static int recognise(struct inflate *in, struct error **err)
{
	int r = fill(in, 4, err);

	if (r < 0)
		return r;
	if (is_gzip(in->input + in->at, in->n)) {
		in->kind = KIND_GZIP;
	} else if (is_zstd(in->input + in->at, in->n)) {
		in->kind = KIND_ZSTD;
		in->zstd = ZSTD_createDStream();
		if (!in->zstd)
			abort();
	} else {
		in->kind = KIND_PLAIN;
	}
	return 0;
}

static int damaged(const char *kind, const char *why, struct error **err)
{
	return error_new(err, ERR_CORRUPT, 0, "the %s stream is damaged: %s", kind, why);
}

/* Between members: starts the next one; *ret_end at the end of everything. */
static int begin_member(struct inflate *in, bool *ret_end, struct error **err)
{
	int r = fill(in, 2, err);

	if (r < 0)
		return r;
	*ret_end = in->n == 0;
	if (*ret_end)
		return 0;
	if (!is_gzip(in->input + in->at, in->n))
		return damaged("gzip", "other bytes follow a member", err);
	isal_inflate_init(&in->gzip);
	in->gzip.crc_flag = ISAL_GZIP;
	in->in_member = true;
	return 0;
}

static const char *gzip_reason(int code)
{
	switch (code) {
	case ISAL_INCORRECT_CHECKSUM:
		return "wrong checksum";
	case ISAL_INVALID_WRAPPER:
	case ISAL_UNSUPPORTED_METHOD:
		return "bad header";
	default:
		return "invalid data";
	}
}

static int read_gzip(struct inflate *in, uint8_t *p, size_t n, size_t *ret, struct error **err)
{
	*ret = 0;
	while (*ret == 0) {
		uint32_t before;
		int r, code;

		if (!in->in_member) {
			bool end;

			r = begin_member(in, &end, err);
			if (r < 0 || end)
				return r;
		}
		r = fill(in, 1, err);
		if (r < 0)
			return r;
		in->gzip.next_in = in->input + in->at;
		in->gzip.avail_in = before = (uint32_t)in->n;
		in->gzip.next_out = p;
		in->gzip.avail_out = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
		code = isal_inflate(&in->gzip);
		if (code < 0)
			return damaged("gzip", gzip_reason(code), err);
		advance(in, before - in->gzip.avail_in);
		*ret = (size_t)(in->gzip.next_out - p);
		if (in->gzip.block_state == ISAL_BLOCK_FINISH)
			in->in_member = false;
		else if (*ret == 0 && before == 0 && in->ended)
			return damaged("gzip", "it ends too early", err);
	}
	return 0;
}

static int read_zstd(struct inflate *in, uint8_t *p, size_t n, size_t *ret, struct error **err)
{
	ZSTD_outBuffer out = {.dst = p, .size = n};

	while (out.pos == 0) {
		ZSTD_inBuffer input;
		size_t code;
		int r = fill(in, 1, err);

		if (r < 0)
			return r;
		if (in->n == 0 && !in->in_member)
			break;
		input = (ZSTD_inBuffer){.src = in->input + in->at, .size = in->n};
		code = ZSTD_decompressStream(in->zstd, &out, &input);
		if (ZSTD_isError(code))
			return damaged("zstd", ZSTD_getErrorName(code), err);
		advance(in, input.pos);
		in->in_member = code != 0;
		if (out.pos == 0 && input.size == 0 && in->ended && in->in_member)
			return damaged("zstd", "it ends too early", err);
	}
	*ret = out.pos;
	return 0;
}

static int read_plain(struct inflate *in, uint8_t *p, size_t n, size_t *ret, struct error **err)
{
	int r = fill(in, 1, err);

	if (r < 0)
		return r;
	*ret = n < in->n ? n : in->n;
	memcpy(p, in->input + in->at, *ret);
	advance(in, *ret);
	return 0;
}

int inflate_read(struct inflate *in, void *p, size_t n, size_t *ret, struct error **err)
{
	int r = 0;

	if (in->kind == KIND_UNKNOWN)
		r = recognise(in, err);
	if (r < 0)
		return r;
	switch (in->kind) {
	case KIND_GZIP:
		return read_gzip(in, p, n, ret, err);
	case KIND_ZSTD:
		return read_zstd(in, p, n, ret, err);
	default:
		return read_plain(in, p, n, ret, err);
	}
}
