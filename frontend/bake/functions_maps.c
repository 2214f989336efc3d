/* SPDX-License-Identifier: Apache-2.0 */
/* Maps and objects, and what takes a map or a list. */
#include <string.h>

#include "frontend/bake/bake_functions.h"

typedef const struct bake_value *value;

static value keys(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = 0; i < c->v[0]->n; i++)
		bake_push(&b, bake_string(c->arena, c->v[0]->names[i]));
	return bake_sequence(&b, c->v[0]->kind == BAKE_MAP ? BAKE_LIST : BAKE_TUPLE);
}

static value values(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = 0; i < c->v[0]->n; i++)
		bake_push(&b, c->v[0]->v[i]);
	return bake_sequence(&b, c->v[0]->kind == BAKE_MAP ? BAKE_LIST : BAKE_TUPLE);
}

static value merge(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};
	bool maps = true;

	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i]->kind == BAKE_NULL)
			continue;
		if (!bake_is_mapping(c->v[i]))
			return bake_call_fail(c, "argument %zu is a map, not %s", i + 1,
					      bake_kind_name(c->v[i]));
		maps = maps && c->v[i]->kind == BAKE_MAP;
		for (size_t k = 0; k < c->v[i]->n; k++)
			bake_put(&b, c->v[i]->names[k], c->v[i]->v[k]);
	}
	return bake_mapping(&b, maps && c->n > 0 ? BAKE_MAP : BAKE_OBJECT);
}

static value zipmap(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	if (c->v[0]->n != c->v[1]->n)
		return bake_call_fail(c, "there are %zu keys for %zu values", c->v[0]->n,
				      c->v[1]->n);
	for (size_t i = 0; i < c->v[0]->n; i++) {
		if (c->v[0]->v[i]->kind != BAKE_STRING)
			return bake_call_fail(c, "a key is null");
		bake_put(&b, c->v[0]->v[i]->s, c->v[1]->v[i]);
	}
	return bake_mapping(&b, c->v[1]->kind == BAKE_TUPLE ? BAKE_OBJECT : BAKE_MAP);
}

static value lookup(struct bake_call *c)
{
	value v;

	if (c->n > 3)
		return bake_call_fail(c, "it takes a map, a key and a default");
	v = bake_member(c->v[0], c->v[1]->s ? c->v[1]->s : "");
	if (!v && c->n == 3)
		v = c->v[2];
	return v ? v : bake_call_fail(c, "there is no key \"%s\"", c->v[1]->s);
}

/* An element by its index or key; NULL without an error if there is none. */
static value at(struct bake_call *c)
{
	int64_t i;
	const char *why;
	value number;

	if (bake_is_mapping(c->v[0]))
		return bake_text(c->v[1]) ? bake_member(c->v[0], bake_text(c->v[1])) : NULL;
	if (c->v[0]->kind != BAKE_LIST && c->v[0]->kind != BAKE_TUPLE)
		return NULL;
	number = bake_convert(c->arena, c->v[1], &bake_type_number, &why);
	return number && bake_to_int(number, &i) && i >= 0 && (uint64_t)i < c->v[0]->n
		       ? c->v[0]->v[i]
		       : NULL;
}

static value index_of(struct bake_call *c)
{
	value v = at(c);

	return v ? v : bake_call_fail(c, "there is no such element");
}

static value has_index(struct bake_call *c)
{
	if (!bake_is_mapping(c->v[0]) && !bake_is_sequence(c->v[0]))
		return bake_call_fail(c, "argument 1 is a list or a map, not %s",
				      bake_kind_name(c->v[0]));
	return bake_bool(at(c) != NULL);
}

const struct bake_builtin bake_functions_maps[] = {
	{"hasindex", "aa", has_index}, {"index", "aa", index_of},
	{"keys", "m", keys},	       {"lookup", "ms?*", lookup},
	{"merge", "?*", merge},	       {"values", "m", values},
	{"zipmap", "Sl", zipmap},      {0},
};
