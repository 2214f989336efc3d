/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mp_parse.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* msgpack-c's parser is a template that calls what it is given. The library's own use of it builds
 * objects, and allocates what the head of a list announces; this one ends at such a head, so that
 * it neither allocates nor nests. */

enum { PARSE_ENDS = 1, SEEN = -100, REFUSED = -101 }; /* apart from the library's own results */

/* Nothing of the parser's state is ours. */
struct no_user {
	char unused;
};

static int see(struct mp_value *v, enum mp_type type, uint64_t u)
{
	*v = (struct mp_value){.type = type, .u = u};
	return 0;
}

static struct mp_value see_root(const struct no_user *user)
{
	(void)user;
	return (struct mp_value){0};
}

static int see_nil(const struct no_user *user, struct mp_value *v)
{
	(void)user;
	return see(v, MP_NIL, 0);
}

static int see_true(const struct no_user *user, struct mp_value *v)
{
	(void)user;
	return see(v, MP_BOOL, 1);
}

static int see_false(const struct no_user *user, struct mp_value *v)
{
	(void)user;
	return see(v, MP_BOOL, 0);
}

static int see_unsigned(const struct no_user *user, uint64_t u, struct mp_value *v)
{
	(void)user;
	return see(v, MP_UINT, u);
}

static int see_signed(const struct no_user *user, int64_t i, struct mp_value *v)
{
	(void)user;
	*v = i < 0 ? (struct mp_value){.type = MP_INT, .i = i}
		   : (struct mp_value){.type = MP_UINT, .u = (uint64_t)i};
	return 0;
}

static int see_float(const struct no_user *user, double d, const struct mp_value *v)
{
	(void)user, (void)d, (void)v;
	return REFUSED;
}

/* The body is there whole, or the parser would not have come here. */
static int see_str(const struct no_user *user, const char *base, const char *body, unsigned n,
		   struct mp_value *v)
{
	(void)user, (void)base, (void)body;
	return see(v, MP_STR, n);
}

static int see_bin(const struct no_user *user, const char *base, const char *body, unsigned n,
		   struct mp_value *v)
{
	(void)user, (void)base, (void)body;
	return see(v, MP_BIN, n);
}

static int see_ext(const struct no_user *user, const char *base, const char *body, unsigned n,
		   const struct mp_value *v)
{
	(void)user, (void)base, (void)body, (void)n, (void)v;
	return REFUSED;
}

static int see_array(const struct no_user *user, unsigned n, struct mp_value *v)
{
	(void)user;
	see(v, MP_ARRAY, n);
	return SEEN;
}

static int see_map(const struct no_user *user, unsigned n, struct mp_value *v)
{
	(void)user;
	see(v, MP_MAP, n);
	return SEEN;
}

/* Never reached: the parser ended at the head. */
static int see_array_item(const struct no_user *user, const struct mp_value *list,
			  struct mp_value item)
{
	(void)user, (void)list, (void)item;
	return REFUSED;
}

static int see_map_item(const struct no_user *user, const struct mp_value *map, struct mp_value key,
			struct mp_value item)
{
	(void)user, (void)map, (void)key, (void)item;
	return REFUSED;
}

#define see_uint8 see_unsigned
#define see_uint16 see_unsigned
#define see_uint32 see_unsigned
#define see_uint64 see_unsigned
#define see_int8 see_signed
#define see_int16 see_signed
#define see_int32 see_signed
#define see_int64 see_signed
#define see_double see_float

#define MSGPACK_EMBED_STACK_SIZE 1 /* of which only the bottom is used */
#define msgpack_unpack_struct(name) struct parser##name
#define msgpack_unpack_func(type, name) static type parser##name
#define msgpack_unpack_callback(name) see##name
#define msgpack_unpack_object struct mp_value
#define msgpack_unpack_user struct no_user

/* The order matters: the template needs what the first two define. */
// clang-format off
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>
#include <msgpack/unpack_template.h>
// clang-format on

enum mp_parsed mp_parse(const void *p, size_t n, struct mp_value *ret)
{
	struct parser_context parser;
	size_t end = 0;
	int res;

	parser_init(&parser);
	res = parser_execute(&parser, p, n, &end);
	*ret = parser_data(&parser);
	if (res == MSGPACK_UNPACK_CONTINUE)
		return MP_PARSED_SHORT;
	return res == PARSE_ENDS || res == SEEN ? MP_PARSED : MP_PARSED_OTHER;
}
