/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, sets and tuples. */
#include <stdlib.h>
#include <string.h>

#include "frontend/bake/bake_functions.h"

enum { LIST_MAX = 1000 * 1000 }; /* elements of a list that a function makes */

typedef const struct bake_value *value;

/* What a list of lists and tuples becomes: a tuple if any is one. */
static enum bake_kind kind_of(struct bake_call *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->kind == BAKE_TUPLE)
			return BAKE_TUPLE;
	return BAKE_LIST;
}

static value slice_of(struct bake_call *c, value list, size_t from, size_t to)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = from; i < to; i++)
		bake_push(&b, list->v[i]);
	return bake_sequence(&b, list->kind == BAKE_TUPLE ? BAKE_TUPLE : BAKE_LIST);
}

static value length(struct bake_call *c)
{
	if (!bake_is_sequence(c->v[0]) && !bake_is_mapping(c->v[0]))
		return bake_call_fail(c, "the argument is a list or a map, not %s",
				      bake_kind_name(c->v[0]));
	return bake_int(c->arena, (int64_t)c->v[0]->n);
}

static value concat(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->v[i]->n; k++)
			bake_push(&b, c->v[i]->v[k]);
	return bake_sequence(&b, kind_of(c));
}

static value contains(struct bake_call *c)
{
	for (size_t i = 0; i < c->v[0]->n; i++)
		if (bake_equal(c->v[0]->v[i], c->v[1]))
			return bake_bool(true);
	return bake_bool(false);
}

static value index_of(struct bake_call *c)
{
	if (c->v[0]->n == 0)
		return bake_call_fail(c, "the list is empty");
	for (size_t i = 0; i < c->v[0]->n; i++)
		if (bake_equal(c->v[0]->v[i], c->v[1]))
			return bake_int(c->arena, (int64_t)i);
	return bake_call_fail(c, "the list has no such element");
}

static value coalesce(struct bake_call *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->kind != BAKE_NULL)
			return c->v[i];
	return bake_call_fail(c, "all arguments are null");
}

static value coalesce_list(struct bake_call *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->n > 0)
			return c->v[i];
	return bake_call_fail(c, "all lists are empty");
}

static value compact(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = 0; i < c->v[0]->n; i++)
		if (c->v[0]->v[i]->kind == BAKE_STRING && *c->v[0]->v[i]->s)
			bake_push(&b, c->v[0]->v[i]);
	return bake_sequence(&b, BAKE_LIST);
}

static value distinct(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = 0; i < c->v[0]->n; i++) {
		bool seen = false;

		for (size_t k = 0; k < b.n && !seen; k++)
			seen = bake_equal(b.v[k], c->v[0]->v[i]);
		if (!seen)
			bake_push(&b, c->v[0]->v[i]);
	}
	return bake_sequence(&b, BAKE_LIST);
}

static value chunk_list(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};
	value list = c->v[0];
	int64_t size;

	if (!bake_call_int(c, 1, 0, INT64_MAX, &size))
		return NULL;
	if (size == 0 || (uint64_t)size > list->n)
		size = list->n > 0 ? (int64_t)list->n : 1;
	for (size_t i = 0; i < list->n; i += (size_t)size)
		bake_push(&b, slice_of(c, list, i,
				       i + (size_t)size < list->n ? i + (size_t)size : list->n));
	return bake_sequence(&b, BAKE_LIST);
}

/* The index wraps around. */
static value element(struct bake_call *c)
{
	int64_t i, n = (int64_t)c->v[0]->n;

	if (n == 0)
		return bake_call_fail(c, "the list is empty");
	if (!bake_call_int(c, 1, INT64_MIN + 1, INT64_MAX, &i))
		return NULL;
	return c->v[0]->v[((i % n) + n) % n];
}

static void flatten_into(struct bake_builder *b, value list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (bake_is_sequence(list->v[i]))
			flatten_into(b, list->v[i]);
		else
			bake_push(b, list->v[i]);
	}
}

static value flatten(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	flatten_into(&b, c->v[0]);
	return bake_sequence(&b, BAKE_TUPLE);
}

static value range_of(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};
	value zero = bake_int(c->arena, 0), at = c->n > 1 ? c->v[0] : zero;
	value end = c->n > 1 ? c->v[1] : c->v[0], step;
	int direction;

	if (c->n > 3)
		return bake_call_fail(c, "it takes one to three numbers");
	direction = bake_number_compare(end->s, at->s) >= 0 ? 1 : -1;
	step = c->n > 2 ? c->v[2] : bake_int(c->arena, direction);
	if (strcmp(step->s, "0") == 0)
		return bake_call_fail(c, "the step is 0");
	if (c->n > 2)
		direction = *step->s == '-' ? -1 : 1;
	while (at && bake_number_compare(end->s, at->s) * direction > 0) {
		if (b.n == 1024)
			return bake_call_fail(c, "there would be more than 1024 numbers");
		bake_push(&b, at);
		at = bake_arithmetic(c->arena, OP_ADD, at, step);
	}
	return bake_sequence(&b, BAKE_LIST);
}

static value reverse_list(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = c->v[0]->n; i > 0; i--)
		bake_push(&b, c->v[0]->v[i - 1]);
	return bake_sequence(&b, c->v[0]->kind == BAKE_TUPLE ? BAKE_TUPLE : BAKE_LIST);
}

static value slice(struct bake_call *c)
{
	int64_t from, to;

	if (!bake_call_int(c, 1, 0, (int64_t)c->v[0]->n, &from) ||
	    !bake_call_int(c, 2, from, (int64_t)c->v[0]->n, &to))
		return NULL;
	return slice_of(c, c->v[0], (size_t)from, (size_t)to);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp((*(const value *)a)->s, (*(const value *)b)->s);
}

static value sort(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = 0; i < c->v[0]->n; i++) {
		if (c->v[0]->v[i]->kind != BAKE_STRING)
			return bake_call_fail(c, "a null cannot be sorted");
		bake_push(&b, c->v[0]->v[i]);
	}
	if (b.n > 1)
		qsort(b.v, b.n, sizeof(*b.v), compare_strings);
	return bake_sequence(&b, BAKE_LIST);
}

/* --- sets --- */

static bool has(value list, value v)
{
	for (size_t i = 0; i < list->n; i++)
		if (bake_equal(list->v[i], v))
			return true;
	return false;
}

static value set_has(struct bake_call *c)
{
	return bake_bool(has(c->v[0], c->v[1]));
}

static value set_union(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->v[i]->n; k++)
			bake_push(&b, c->v[i]->v[k]);
	return bake_sequence(&b, BAKE_SET);
}

static value set_intersection(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	for (size_t k = 0; k < c->v[0]->n; k++) {
		bool everywhere = true;

		for (size_t i = 1; i < c->n; i++)
			everywhere = everywhere && has(c->v[i], c->v[0]->v[k]);
		if (everywhere)
			bake_push(&b, c->v[0]->v[k]);
	}
	return bake_sequence(&b, BAKE_SET);
}

static void add_difference(struct bake_builder *b, value from, value without)
{
	for (size_t i = 0; i < from->n; i++)
		if (!has(without, from->v[i]))
			bake_push(b, from->v[i]);
}

static value set_subtract(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};

	add_difference(&b, c->v[0], c->v[1]);
	return bake_sequence(&b, BAKE_SET);
}

static value set_symmetric_difference(struct bake_call *c)
{
	value result = c->v[0];

	for (size_t i = 1; i < c->n; i++) {
		struct bake_builder b = {.arena = c->arena};

		add_difference(&b, result, c->v[i]);
		add_difference(&b, c->v[i], result);
		result = bake_sequence(&b, BAKE_SET);
	}
	return result;
}

static value set_product(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};
	bool sets = true;
	size_t total = 1;

	for (size_t i = 0; i < c->n; i++) {
		sets = sets && c->v[i]->kind == BAKE_SET;
		if (__builtin_mul_overflow(total, c->v[i]->n, &total) || total > LIST_MAX)
			return bake_call_fail(c, "the product has more than %d elements", LIST_MAX);
	}
	for (size_t k = 0; k < total; k++) {
		struct bake_builder one = {.arena = c->arena};
		size_t rest = k, weight = total;

		for (size_t i = 0; i < c->n; i++) {
			weight /= c->v[i]->n;
			bake_push(&one, c->v[i]->v[rest / weight]);
			rest %= weight;
		}
		bake_push(&b, bake_sequence(&one, BAKE_TUPLE));
	}
	return bake_sequence(&b, sets ? BAKE_SET : BAKE_LIST);
}

const struct bake_builtin bake_functions_lists[] = {
	{"chunklist", "ln", chunk_list},
	{"coalesce", "??*", coalesce},
	{"coalescelist", "ll*", coalesce_list},
	{"compact", "S", compact},
	{"concat", "ll*", concat},
	{"contains", "l?", contains},
	{"distinct", "l", distinct},
	{"element", "ln", element},
	{"flatten", "l", flatten},
	{"indexof", "l?", index_of},
	{"length", "a", length},
	{"range", "nn*", range_of},
	{"reverselist", "l", reverse_list},
	{"sethaselement", "l?", set_has},
	{"setintersection", "ll*", set_intersection},
	{"setproduct", "ll*", set_product},
	{"setsubtract", "ll", set_subtract},
	{"setsymmetricdifference", "ll*", set_symmetric_difference},
	{"setunion", "ll*", set_union},
	{"slice", "lnn", slice},
	{"sort", "S", sort},
	{0},
};
