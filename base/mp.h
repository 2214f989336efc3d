/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical msgpack: one value has one encoding. msgpack-c writes and parses it; what is checked on
 * top is that no other form is read.
 *
 * Canonical means: every integer and length in its shortest form, text as str and bytes as bin, no
 * floats and no extension types, map keys are str in ascending byte order without repeats.
 *
 * Writing appends to a buf; a map is mp_put_map(b, n) followed by n times
 * mp_put_key and a value, keys in order, which is the caller's care. A buf with a max latches
 *`full`.
 *
 * Reading pulls one value after the other out of borrowed bytes that nobody vouches for. It
 * allocates nothing; a count of elements is checked against the bytes that are left, so memory that
 * a caller takes per element is bounded by the input's size. All failures are ERR_CORRUPT and name
 * `what` and the offset.
 *
 *	struct mp_reader r = mp_reader("cache record", p, n);
 *	struct mp_map m;
 *	struct mp_text key;
 *
 *	r_ = mp_get_map(&r, &m, err);
 *	while ((r_ = mp_map_next(&r, &m, &key, err)) > 0)
 *		r_ = mp_text_is(key, "version") ? mp_get_uint(&r, 255, &version, err)
 *					       : mp_skip(&r, err);
 *	r_ = mp_finish(&r, err);
 */
#ifndef KILN_BASE_MP_H
#define KILN_BASE_MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

#define MP_DEPTH_MAX 32 /* nesting that mp_skip follows */

void mp_put_nil(struct buf *b);
void mp_put_bool(struct buf *b, bool v);
void mp_put_uint(struct buf *b, uint64_t v);
void mp_put_int(struct buf *b, int64_t v);
void mp_put_str(struct buf *b, const char *s); /* NULL writes "" */
void mp_put_strn(struct buf *b, const char *s, size_t n);
void mp_put_bin(struct buf *b, const void *p, size_t n);
void mp_put_digest(struct buf *b, const struct digest *d); /* bin of 32 bytes */
void mp_put_array(struct buf *b, size_t n);
void mp_put_map(struct buf *b, size_t n);
#define mp_put_key(b, key) mp_put_str((b), (key))

struct mp_reader {
	const char *what;
	const uint8_t *start, *p, *end;
};

struct mp_text {
	const char *p; /* borrowed, not NUL-terminated */
	size_t n;
};

struct mp_map {
	size_t left;
	struct mp_text last;
};

struct mp_reader mp_reader(const char *what, const void *p, size_t n);

enum mp_type {
	MP_END,
	MP_NIL,
	MP_BOOL,
	MP_UINT,
	MP_INT,
	MP_STR,
	MP_BIN,
	MP_ARRAY,
	MP_MAP,
	MP_OTHER
};
/* What comes next; MP_END where nothing does, MP_OTHER for what no reader here accepts. */
enum mp_type mp_peek(const struct mp_reader *r);

int mp_get_nil(struct mp_reader *r, bool *ret_nil,
	       struct error **err) _must_check_; /* takes a nil if one is next */
int mp_get_bool(struct mp_reader *r, bool *ret, struct error **err) _must_check_;
int mp_get_uint(struct mp_reader *r, uint64_t max, uint64_t *ret, struct error **err) _must_check_;
int mp_get_int(struct mp_reader *r, int64_t *ret, struct error **err) _must_check_;
int mp_get_str(struct mp_reader *r, size_t max, struct mp_text *ret,
	       struct error **err) _must_check_;
/* A heap copy; a NUL inside is ERR_CORRUPT. */
int mp_get_string(struct mp_reader *r, size_t max, char **ret, struct error **err) _must_check_;
int mp_get_bin(struct mp_reader *r, size_t max, const void **ret, size_t *ret_n,
	       struct error **err) _must_check_;
int mp_get_digest(struct mp_reader *r, struct digest *ret, struct error **err) _must_check_;
int mp_get_array(struct mp_reader *r, size_t *ret_n, struct error **err) _must_check_;
int mp_get_map(struct mp_reader *r, struct mp_map *ret, struct error **err) _must_check_;
/* 1 and the next key (its value must be read before the next call), 0 after the last. */
int mp_map_next(struct mp_reader *r, struct mp_map *m, struct mp_text *ret_key,
		struct error **err) _must_check_;
bool mp_text_is(struct mp_text t, const char *s);
/* Steps over one value, checking that it is canonical. */
int mp_skip(struct mp_reader *r, struct error **err) _must_check_;
/* Nothing may be left. */
int mp_finish(const struct mp_reader *r, struct error **err) _must_check_;

#endif
