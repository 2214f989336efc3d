#include "base/mp.h"

#include <string.h>

enum { HEAD_MAX = 9 };

/* What announces a value: its type, and a number of `size` bytes, high ones first. `body` bytes
 * follow. */
static void put_head(struct buf *b, uint8_t type, uint64_t v, size_t size, const void *body,
		     size_t n)
{
	char *to = n < SIZE_MAX - HEAD_MAX ? buf_reserve(b, 1 + size + n) : NULL;

	if (!to)
		return;
	to[0] = (char)type;
	for (size_t i = size; i > 0; i--, v >>= 8)
		to[i] = (char)(uint8_t)v;
	if (n > 0)
		memcpy(to + 1 + size, body, n);
	buf_commit(b, 1 + size + n);
}

static void put_number(struct buf *b, uint8_t type, uint64_t v, size_t size)
{
	put_head(b, type, v, size, NULL, 0);
}

void mp_put_nil(struct buf *b)
{
	put_number(b, 0xc0, 0, 0);
}

void mp_put_bool(struct buf *b, bool v)
{
	put_number(b, v ? 0xc3 : 0xc2, 0, 0);
}

void mp_put_uint(struct buf *b, uint64_t v)
{
	if (v < 0x80)
		put_number(b, (uint8_t)v, 0, 0);
	else if (v <= UINT8_MAX)
		put_number(b, 0xcc, v, 1);
	else if (v <= UINT16_MAX)
		put_number(b, 0xcd, v, 2);
	else if (v <= UINT32_MAX)
		put_number(b, 0xce, v, 4);
	else
		put_number(b, 0xcf, v, 8);
}

/* What is not negative is written in the unsigned forms: one encoding a value. */
void mp_put_int(struct buf *b, int64_t v)
{
	if (v >= 0)
		mp_put_uint(b, (uint64_t)v);
	else if (v >= -32)
		put_number(b, (uint8_t)v, 0, 0);
	else if (v >= INT8_MIN)
		put_number(b, 0xd0, (uint64_t)v, 1);
	else if (v >= INT16_MIN)
		put_number(b, 0xd1, (uint64_t)v, 2);
	else if (v >= INT32_MIN)
		put_number(b, 0xd2, (uint64_t)v, 4);
	else
		put_number(b, 0xd3, (uint64_t)v, 8);
}

void mp_put_str(struct buf *b, const char *s)
{
	mp_put_strn(b, s, s ? strlen(s) : 0);
}

void mp_put_strn(struct buf *b, const char *s, size_t n)
{
	if (n < 32)
		put_head(b, (uint8_t)(0xa0 | n), 0, 0, s, n);
	else if (n <= UINT8_MAX)
		put_head(b, 0xd9, n, 1, s, n);
	else if (n <= UINT16_MAX)
		put_head(b, 0xda, n, 2, s, n);
	else
		put_head(b, 0xdb, n, 4, s, n);
}

void mp_put_bin(struct buf *b, const void *p, size_t n)
{
	if (n <= UINT8_MAX)
		put_head(b, 0xc4, n, 1, p, n);
	else if (n <= UINT16_MAX)
		put_head(b, 0xc5, n, 2, p, n);
	else
		put_head(b, 0xc6, n, 4, p, n);
}

void mp_put_digest(struct buf *b, const struct digest *d)
{
	mp_put_bin(b, d->b, DIGEST_SIZE);
}

/* Lists and maps: a count of less than 16 is part of the type. */
static void put_count(struct buf *b, uint8_t few, uint8_t many, size_t n)
{
	if (n < 16)
		put_number(b, (uint8_t)(few | n), 0, 0);
	else if (n <= UINT16_MAX)
		put_number(b, many, n, 2);
	else
		put_number(b, (uint8_t)(many + 1), n, 4);
}

void mp_put_array(struct buf *b, size_t n)
{
	put_count(b, 0x90, 0xdc, n);
}

void mp_put_map(struct buf *b, size_t n)
{
	put_count(b, 0x80, 0xde, n);
}

/* Reading. A cursor: nothing that a header announces is allocated before it is seen to be there. */

enum value_kind {
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_UINT,
	VALUE_NEGATIVE,
	VALUE_STR,
	VALUE_BIN,
	VALUE_ARRAY,
	VALUE_MAP,
};

static const char *const kind_names[] = {
	"nil", "a boolean", "an integer", "a negative integer", "text", "bytes", "a list", "a map",
};

struct value {
	enum value_kind kind;
	uint64_t u; /* number, length or count; 0 or 1 for a boolean */
	int64_t i;  /* VALUE_NEGATIVE */
	const uint8_t *p;
};

struct mp_reader mp_reader(const char *what, const void *p, size_t n)
{
	/* An empty input may come as NULL, which must not enter pointer arithmetic. */
	const uint8_t *start = p ? p : (const uint8_t *)"";

	return (struct mp_reader){.what = what, .start = start, .p = start, .end = start + n};
}

static size_t left(const struct mp_reader *r)
{
	return (size_t)(r->end - r->p);
}

static int bad(const struct mp_reader *r, struct error **err, const char *why)
{
	return error_new(err, ERR_CORRUPT, 0, "%s: %s at offset %zu", r->what, why,
			 (size_t)(r->p - r->start));
}

/* Reads a big-endian number of `size` bytes that must be at least `min` (else a shorter form
 * existed). */
static int get_be(struct mp_reader *r, size_t size, uint64_t min, uint64_t *ret, struct error **err)
{
	uint64_t v = 0;

	if (left(r) < size)
		return bad(r, err, "ends early");
	for (size_t i = 0; i < size; i++)
		v = v << 8 | r->p[i];
	if (v < min)
		return bad(r, err, "a number is not in its shortest form");
	r->p += size;
	*ret = v;
	return 0;
}

static int get_negative(struct mp_reader *r, unsigned log_size, int64_t *ret, struct error **err)
{
	static const int64_t above[] = {-32, INT8_MIN, INT16_MIN, INT32_MIN};
	size_t size = (size_t)1 << log_size;
	uint64_t v;
	int64_t i;
	int res;

	res = get_be(r, size, 0, &v, err);
	if (res < 0)
		return res;
	if (size < 8 && v >> (8 * size - 1))
		v |= UINT64_MAX << (8 * size);
	memcpy(&i, &v, sizeof(i));
	if (i >= above[log_size])
		return bad(r, err, "a number is not in its shortest form");
	*ret = i;
	return 0;
}

static int get_sized(struct mp_reader *r, struct value *v, enum value_kind kind, size_t size,
		     uint64_t min, struct error **err)
{
	v->kind = kind;
	return get_be(r, size, min, &v->u, err);
}

static int get_head(struct mp_reader *r, struct value *v, struct error **err)
{
	uint8_t c;

	if (left(r) == 0)
		return bad(r, err, "ends early");
	c = *r->p++;
	if (c < 0x80 || (c & 0xf0) == 0x80 || (c & 0xf0) == 0x90 || (c & 0xe0) == 0xa0) {
		v->kind = c < 0x80   ? VALUE_UINT
			  : c < 0x90 ? VALUE_MAP
			  : c < 0xa0 ? VALUE_ARRAY
				     : VALUE_STR;
		v->u = c < 0x80 ? c : c < 0xa0 ? c & 0x0f : c & 0x1f;
		return 0;
	}
	if (c >= 0xe0) {
		v->kind = VALUE_NEGATIVE;
		v->i = (int64_t)c - 0x100;
		return 0;
	}
	switch (c) {
	case 0xc0:
		v->kind = VALUE_NIL;
		return 0;
	case 0xc2:
	case 0xc3:
		v->kind = VALUE_BOOL;
		v->u = c & 1;
		return 0;
	case 0xc4:
		return get_sized(r, v, VALUE_BIN, 1, 0, err);
	case 0xc5:
		return get_sized(r, v, VALUE_BIN, 2, 0x100, err);
	case 0xc6:
		return get_sized(r, v, VALUE_BIN, 4, 0x10000, err);
	case 0xcc:
		return get_sized(r, v, VALUE_UINT, 1, 0x80, err);
	case 0xcd:
		return get_sized(r, v, VALUE_UINT, 2, 0x100, err);
	case 0xce:
		return get_sized(r, v, VALUE_UINT, 4, 0x10000, err);
	case 0xcf:
		return get_sized(r, v, VALUE_UINT, 8, 0x100000000, err);
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		v->kind = VALUE_NEGATIVE;
		return get_negative(r, (unsigned)(c - 0xd0), &v->i, err);
	case 0xd9:
		return get_sized(r, v, VALUE_STR, 1, 0x20, err);
	case 0xda:
		return get_sized(r, v, VALUE_STR, 2, 0x100, err);
	case 0xdb:
		return get_sized(r, v, VALUE_STR, 4, 0x10000, err);
	case 0xdc:
		return get_sized(r, v, VALUE_ARRAY, 2, 0x10, err);
	case 0xdd:
		return get_sized(r, v, VALUE_ARRAY, 4, 0x10000, err);
	case 0xde:
		return get_sized(r, v, VALUE_MAP, 2, 0x10, err);
	case 0xdf:
		return get_sized(r, v, VALUE_MAP, 4, 0x10000, err);
	default: /* floats, extensions, the unused byte */
		r->p--;
		return bad(r, err, "a type that is not used here");
	}
}

/* One value; of lists and maps only the head. */
static int get_value(struct mp_reader *r, struct value *v, struct error **err)
{
	int res;

	*v = (struct value){0};
	res = get_head(r, v, err);
	if (res < 0)
		return res;
	if (v->kind == VALUE_STR || v->kind == VALUE_BIN) {
		if (v->u > left(r))
			return bad(r, err, "ends early");
		v->p = r->p;
		r->p += v->u;
	} else if ((v->kind == VALUE_ARRAY && v->u > left(r)) ||
		   (v->kind == VALUE_MAP && v->u > left(r) / 2)) {
		return bad(r, err, "announces more elements than there are bytes");
	}
	return 0;
}

static int get_kind(struct mp_reader *r, enum value_kind kind, struct value *v, struct error **err)
{
	struct mp_reader before = *r;
	int res;

	res = get_value(r, v, err);
	if (res < 0)
		return res;
	if (v->kind != kind)
		return error_new(err, ERR_CORRUPT, 0, "%s: expected %s but found %s at offset %zu",
				 r->what, kind_names[kind], kind_names[v->kind],
				 (size_t)(before.p - before.start));
	return 0;
}

int mp_get_nil(struct mp_reader *r, bool *ret_nil, struct error **err)
{
	if (left(r) == 0)
		return bad(r, err, "ends early");
	*ret_nil = *r->p == 0xc0;
	if (*ret_nil)
		r->p++;
	return 0;
}

int mp_get_bool(struct mp_reader *r, bool *ret, struct error **err)
{
	struct value v;
	int res;

	res = get_kind(r, VALUE_BOOL, &v, err);
	if (res < 0)
		return res;
	*ret = v.u != 0;
	return 0;
}

int mp_get_uint(struct mp_reader *r, uint64_t max, uint64_t *ret, struct error **err)
{
	struct value v;
	int res;

	res = get_kind(r, VALUE_UINT, &v, err);
	if (res < 0)
		return res;
	if (v.u > max)
		return bad(r, err, "a number is too big");
	*ret = v.u;
	return 0;
}

int mp_get_int(struct mp_reader *r, int64_t *ret, struct error **err)
{
	struct value v;
	int res;

	res = get_value(r, &v, err);
	if (res < 0)
		return res;
	if (v.kind == VALUE_UINT && v.u <= INT64_MAX) {
		*ret = (int64_t)v.u;
		return 0;
	}
	if (v.kind != VALUE_NEGATIVE)
		return bad(r, err, "expected an integer of 64 bits");
	*ret = v.i;
	return 0;
}

int mp_get_str(struct mp_reader *r, size_t max, struct mp_text *ret, struct error **err)
{
	struct value v;
	int res;

	res = get_kind(r, VALUE_STR, &v, err);
	if (res < 0)
		return res;
	if (v.u > max)
		return bad(r, err, "text is too long");
	*ret = (struct mp_text){.p = (const char *)v.p, .n = (size_t)v.u};
	return 0;
}

int mp_get_string(struct mp_reader *r, size_t max, char **ret, struct error **err)
{
	struct mp_text t;
	int res;

	res = mp_get_str(r, max, &t, err);
	if (res < 0)
		return res;
	if (memchr(t.p, '\0', t.n))
		return bad(r, err, "text holds a NUL");
	*ret = xstrndup(t.p, t.n);
	return 0;
}

int mp_get_bin(struct mp_reader *r, size_t max, const void **ret, size_t *ret_n, struct error **err)
{
	struct value v;
	int res;

	res = get_kind(r, VALUE_BIN, &v, err);
	if (res < 0)
		return res;
	if (v.u > max)
		return bad(r, err, "too many bytes");
	*ret = v.p;
	*ret_n = (size_t)v.u;
	return 0;
}

int mp_get_digest(struct mp_reader *r, struct digest *ret, struct error **err)
{
	const void *p;
	size_t n;
	int res;

	res = mp_get_bin(r, DIGEST_SIZE, &p, &n, err);
	if (res < 0)
		return res;
	if (n != DIGEST_SIZE)
		return bad(r, err, "a digest is too short");
	memcpy(ret->b, p, DIGEST_SIZE);
	return 0;
}

int mp_get_array(struct mp_reader *r, size_t *ret_n, struct error **err)
{
	struct value v;
	int res;

	res = get_kind(r, VALUE_ARRAY, &v, err);
	if (res < 0)
		return res;
	*ret_n = (size_t)v.u;
	return 0;
}

int mp_get_map(struct mp_reader *r, struct mp_map *ret, struct error **err)
{
	struct value v;
	int res;

	res = get_kind(r, VALUE_MAP, &v, err);
	if (res < 0)
		return res;
	*ret = (struct mp_map){.left = (size_t)v.u};
	return 0;
}

static int text_compare(struct mp_text a, struct mp_text b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

int mp_map_next(struct mp_reader *r, struct mp_map *m, struct mp_text *ret_key, struct error **err)
{
	struct mp_text key;
	int res;

	if (m->left == 0)
		return 0;
	res = mp_get_str(r, SIZE_MAX, &key, err);
	if (res < 0)
		return res;
	if (m->last.p && text_compare(m->last, key) >= 0)
		return bad(r, err, "map keys are not in order");
	m->last = key;
	m->left--;
	*ret_key = key;
	return 1;
}

bool mp_text_is(struct mp_text t, const char *s)
{
	return strlen(s) == t.n && memcmp(t.p, s, t.n) == 0;
}

static int skip(struct mp_reader *r, unsigned depth, struct error **err)
{
	struct mp_map m = {0};
	struct mp_text key;
	struct value v;
	int res;

	res = get_value(r, &v, err);
	if (res < 0 || (v.kind != VALUE_ARRAY && v.kind != VALUE_MAP))
		return res;
	if (depth == MP_DEPTH_MAX)
		return bad(r, err, "nested too deeply");
	m.left = v.kind == VALUE_MAP ? (size_t)v.u : 0;
	for (uint64_t i = 0; i < v.u; i++) {
		if (v.kind == VALUE_MAP) {
			res = mp_map_next(r, &m, &key, err);
			if (res < 0)
				return res;
		}
		res = skip(r, depth + 1, err);
		if (res < 0)
			return res;
	}
	return 0;
}

int mp_skip(struct mp_reader *r, struct error **err)
{
	return skip(r, 0, err);
}

int mp_finish(const struct mp_reader *r, struct error **err)
{
	return left(r) == 0 ? 0 : bad(r, err, "unexpected bytes");
}

enum mp_type mp_peek(const struct mp_reader *r)
{
	uint8_t b = r->p < r->end ? *r->p : 0;

	if (r->p >= r->end)
		return MP_END;
	if (b < 0x80 || (b >= 0xcc && b <= 0xcf))
		return MP_UINT;
	if (b < 0x90 || b == 0xde || b == 0xdf)
		return MP_MAP;
	if (b < 0xa0 || b == 0xdc || b == 0xdd)
		return MP_ARRAY;
	if (b < 0xc0 || (b >= 0xd9 && b <= 0xdb))
		return MP_STR;
	if (b >= 0xe0 || (b >= 0xd0 && b <= 0xd3))
		return MP_INT;
	if (b >= 0xc4 && b <= 0xc6)
		return MP_BIN;
	if (b == 0xc0)
		return MP_NIL;
	return b == 0xc2 || b == 0xc3 ? MP_BOOL : MP_OTHER;
}
