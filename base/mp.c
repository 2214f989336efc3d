/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mp.h"

#include <msgpack/pack.h>
#include <string.h>

#include "base/mp_parse.h"

/* Writing: msgpack-c's packer chooses the shortest form, and writes what is not negative in the
 * unsigned forms: one encoding a value. */

static int append(void *to, const char *p, size_t n)
{
	buf_add(to, p, n);
	return 0;
}

static msgpack_packer appender(struct buf *b)
{
	return (msgpack_packer){.data = b, .callback = append};
}

void mp_put_nil(struct buf *b)
{
	msgpack_packer to = appender(b);

	msgpack_pack_nil(&to);
}

void mp_put_bool(struct buf *b, bool v)
{
	msgpack_packer to = appender(b);

	v ? msgpack_pack_true(&to) : msgpack_pack_false(&to);
}

void mp_put_uint(struct buf *b, uint64_t v)
{
	msgpack_packer to = appender(b);

	msgpack_pack_uint64(&to, v);
}

void mp_put_int(struct buf *b, int64_t v)
{
	msgpack_packer to = appender(b);

	msgpack_pack_int64(&to, v);
}

void mp_put_str(struct buf *b, const char *s)
{
	mp_put_strn(b, s, s ? strlen(s) : 0);
}

void mp_put_strn(struct buf *b, const char *s, size_t n)
{
	msgpack_packer to = appender(b);

	msgpack_pack_str_with_body(&to, s, n);
}

void mp_put_bin(struct buf *b, const void *p, size_t n)
{
	msgpack_packer to = appender(b);

	msgpack_pack_bin_with_body(&to, p, n);
}

void mp_put_digest(struct buf *b, const struct digest *d)
{
	mp_put_bin(b, d->b, DIGEST_SIZE);
}

void mp_put_array(struct buf *b, size_t n)
{
	msgpack_packer to = appender(b);

	msgpack_pack_array(&to, n);
}

void mp_put_map(struct buf *b, size_t n)
{
	msgpack_packer to = appender(b);

	msgpack_pack_map(&to, n);
}

/* Reading: the library's parser says what a value is (mp_parse.h). Its packer then says how that is
 * written, and whatever else was found is refused. */

/* What announces a value, or is all of it. */
struct head {
	char bytes[9];
	size_t n;
};

static int put_head(void *to, const char *p, size_t n)
{
	struct head *h = to;

	memcpy(h->bytes, p, n);
	h->n = n;
	return 0;
}

static struct head head_of(const struct mp_value *v)
{
	struct head h = {0};
	msgpack_packer to = {.data = &h, .callback = put_head};

	switch (v->type) {
	case MP_NIL:
		msgpack_pack_nil(&to);
		break;
	case MP_BOOL:
		v->u ? msgpack_pack_true(&to) : msgpack_pack_false(&to);
		break;
	case MP_UINT:
		msgpack_pack_uint64(&to, v->u);
		break;
	case MP_INT:
		msgpack_pack_int64(&to, v->i);
		break;
	case MP_STR:
		msgpack_pack_str(&to, v->u);
		break;
	case MP_BIN:
		msgpack_pack_bin(&to, v->u);
		break;
	case MP_ARRAY:
		msgpack_pack_array(&to, v->u);
		break;
	case MP_MAP:
		msgpack_pack_map(&to, v->u);
		break;
	case MP_END:
	case MP_OTHER:
		break;
	}
	return h;
}

static const char *const type_names[] = {
	[MP_NIL] = "nil",
	[MP_BOOL] = "a boolean",
	[MP_UINT] = "an integer",
	[MP_STR] = "text",
	[MP_INT] = "a negative integer",
	[MP_BIN] = "bytes",
	[MP_ARRAY] = "a list",
	[MP_MAP] = "a map",
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

/* One value; of lists and maps only the head. The body of text or bytes ends at r->p then. */
static int get_value(struct mp_reader *r, struct mp_value *v, struct error **err)
{
	enum mp_parsed parsed = mp_parse(r->p, left(r), v);
	struct head head;

	if (parsed == MP_PARSED_SHORT)
		return bad(r, err, "ends early");
	if (parsed != MP_PARSED)
		return bad(r, err, "a type that is not used here");
	head = head_of(v);
	if (head.n > left(r) || memcmp(r->p, head.bytes, head.n) != 0)
		return bad(r, err, "a number is not in its shortest form");
	r->p += head.n;
	if (v->type == MP_STR || v->type == MP_BIN)
		r->p += v->u;
	else if ((v->type == MP_ARRAY && v->u > left(r)) ||
		 (v->type == MP_MAP && v->u > left(r) / 2))
		return bad(r, err, "announces more elements than there are bytes");
	return 0;
}

static int get_kind(struct mp_reader *r, enum mp_type type, struct mp_value *v, struct error **err)
{
	struct mp_reader before = *r;
	int res;

	res = get_value(r, v, err);
	if (res < 0)
		return res;
	if (v->type != type)
		return error_new(err, ERR_CORRUPT, 0, "%s: expected %s but found %s at offset %zu",
				 r->what, type_names[type], type_names[v->type],
				 (size_t)(before.p - before.start));
	return 0;
}

int mp_get_nil(struct mp_reader *r, bool *ret_nil, struct error **err)
{
	struct mp_value v;

	if (left(r) == 0)
		return bad(r, err, "ends early");
	*ret_nil = mp_peek(r) == MP_NIL;
	return *ret_nil ? get_value(r, &v, err) : 0;
}

int mp_get_bool(struct mp_reader *r, bool *ret, struct error **err)
{
	struct mp_value v;
	int res;

	res = get_kind(r, MP_BOOL, &v, err);
	if (res < 0)
		return res;
	*ret = v.u != 0;
	return 0;
}

int mp_get_uint(struct mp_reader *r, uint64_t max, uint64_t *ret, struct error **err)
{
	struct mp_value v;
	int res;

	res = get_kind(r, MP_UINT, &v, err);
	if (res < 0)
		return res;
	if (v.u > max)
		return bad(r, err, "a number is too big");
	*ret = v.u;
	return 0;
}

int mp_get_int(struct mp_reader *r, int64_t *ret, struct error **err)
{
	struct mp_value v;
	int res;

	res = get_value(r, &v, err);
	if (res < 0)
		return res;
	if (v.type == MP_UINT && v.u <= INT64_MAX) {
		*ret = (int64_t)v.u;
		return 0;
	}
	if (v.type != MP_INT)
		return bad(r, err, "expected an integer of 64 bits");
	*ret = v.i;
	return 0;
}

int mp_get_str(struct mp_reader *r, size_t max, struct mp_text *ret, struct error **err)
{
	struct mp_value v;
	int res;

	res = get_kind(r, MP_STR, &v, err);
	if (res < 0)
		return res;
	if (v.u > max)
		return bad(r, err, "text is too long");
	*ret = (struct mp_text){.p = (const char *)r->p - v.u, .n = (size_t)v.u};
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
	struct mp_value v;
	int res;

	res = get_kind(r, MP_BIN, &v, err);
	if (res < 0)
		return res;
	if (v.u > max)
		return bad(r, err, "too many bytes");
	*ret = r->p - v.u;
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
	struct mp_value v;
	int res;

	res = get_kind(r, MP_ARRAY, &v, err);
	if (res < 0)
		return res;
	*ret_n = (size_t)v.u;
	return 0;
}

int mp_get_map(struct mp_reader *r, struct mp_map *ret, struct error **err)
{
	struct mp_value v;
	int res;

	res = get_kind(r, MP_MAP, &v, err);
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
	struct mp_value v;
	int res;

	res = get_value(r, &v, err);
	if (res < 0 || (v.type != MP_ARRAY && v.type != MP_MAP))
		return res;
	if (depth == MP_DEPTH_MAX)
		return bad(r, err, "nested too deeply");
	m.left = v.type == MP_MAP ? (size_t)v.u : 0;
	for (uint64_t i = 0; i < v.u; i++) {
		if (v.type == MP_MAP) {
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
	struct mp_value v;

	if (left(r) == 0)
		return MP_END;
	return mp_parse(r->p, left(r), &v) == MP_PARSED ? v.type : MP_OTHER;
}
