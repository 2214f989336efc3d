/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/bake/bake_value.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

const struct bake_value *bake_null(void)
{
	static const struct bake_value null = {.kind = BAKE_NULL};

	return &null;
}

const struct bake_value *bake_bool(bool b)
{
	static const struct bake_value yes = {.kind = BAKE_BOOL, .b = true},
				       no = {.kind = BAKE_BOOL};

	return b ? &yes : &no;
}

const struct bake_value *bake_stringn(struct arena *a, const char *s, size_t n)
{
	struct bake_value *v = ARENA_NEW(a, struct bake_value);

	v->kind = BAKE_STRING;
	v->s = arena_strndup(a, s, n);
	return v;
}

const struct bake_value *bake_string(struct arena *a, const char *s)
{
	return bake_stringn(a, s, strlen(s));
}

static void grow(struct bake_builder *b)
{
	size_t cap = b->cap ? 2 * b->cap : 8;
	const struct bake_value **v;
	const char **names;

	if (b->n < b->cap)
		return;
	v = arena_alloc(b->arena, cap * sizeof(*v));
	names = arena_alloc(b->arena, cap * sizeof(*names));
	if (b->n > 0) {
		memcpy(v, b->v, b->n * sizeof(*v));
		memcpy(names, b->names, b->n * sizeof(*names));
	}
	b->v = v;
	b->names = names;
	b->cap = cap;
}

void bake_push(struct bake_builder *b, const struct bake_value *v)
{
	grow(b);
	b->names[b->n] = NULL;
	b->v[b->n++] = v;
}

/* Where a name is, or would be. */
static size_t find_name(const char *const *names, size_t n, const char *name, bool *found)
{
	size_t low = 0, high = n;

	*found = false;
	while (low < high && !*found) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(names[middle], name);

		*found = order == 0;
		if (order == 0)
			low = middle;
		else if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void bake_put(struct bake_builder *b, const char *name, const struct bake_value *v)
{
	bool found;
	size_t at = find_name(b->names, b->n, name, &found);

	if (!found) {
		grow(b);
		memmove(b->v + at + 1, b->v + at, (b->n - at) * sizeof(*b->v));
		memmove(b->names + at + 1, b->names + at, (b->n - at) * sizeof(*b->names));
		b->names[at] = name;
		b->n++;
	}
	b->v[at] = v;
}

static int compare_elements(const void *a, const void *b)
{
	return bake_compare(*(const struct bake_value *const *)a,
			    *(const struct bake_value *const *)b);
}

static const struct bake_value *build(struct bake_builder *b, enum bake_kind kind)
{
	struct bake_value *v = ARENA_NEW(b->arena, struct bake_value);

	v->kind = kind;
	v->n = b->n;
	v->v = b->v;
	v->names = b->names;
	return v;
}

const struct bake_value *bake_sequence(struct bake_builder *b, enum bake_kind kind)
{
	size_t kept = 0;

	if (kind == BAKE_SET && b->n > 1) {
		qsort(b->v, b->n, sizeof(*b->v), compare_elements);
		for (size_t i = 1; i < b->n; i++)
			if (!bake_equal(b->v[kept], b->v[i]))
				b->v[++kept] = b->v[i];
		b->n = kept + 1;
	}
	return build(b, kind);
}

const struct bake_value *bake_mapping(struct bake_builder *b, enum bake_kind kind)
{
	return build(b, kind);
}

bool bake_is_sequence(const struct bake_value *v)
{
	return v->kind == BAKE_LIST || v->kind == BAKE_SET || v->kind == BAKE_TUPLE;
}

bool bake_is_mapping(const struct bake_value *v)
{
	return v->kind == BAKE_MAP || v->kind == BAKE_OBJECT;
}

const struct bake_value *bake_member(const struct bake_value *v, const char *name)
{
	bool found;
	size_t at = find_name(v->names, v->n, name, &found);

	return found ? v->v[at] : NULL;
}

int bake_compare(const struct bake_value *a, const struct bake_value *b)
{
	size_t n = a->n < b->n ? a->n : b->n;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == BAKE_BOOL)
		return (int)a->b - (int)b->b;
	if (a->kind == BAKE_STRING)
		return strcmp(a->s, b->s);
	if (a->kind == BAKE_NUMBER)
		return strcmp(a->s, b->s) == 0 ? 0 : bake_number_compare(a->s, b->s);
	for (size_t i = 0; i < n; i++) {
		int order = bake_is_mapping(a) ? strcmp(a->names[i], b->names[i]) : 0;

		if (order == 0)
			order = bake_compare(a->v[i], b->v[i]);
		if (order != 0)
			return order;
	}
	return a->n == b->n ? 0 : a->n < b->n ? -1 : 1;
}

bool bake_equal(const struct bake_value *a, const struct bake_value *b)
{
	return bake_compare(a, b) == 0;
}

const char *bake_text(const struct bake_value *v)
{
	if (v->kind == BAKE_STRING || v->kind == BAKE_NUMBER)
		return v->s;
	if (v->kind == BAKE_BOOL)
		return v->b ? "true" : "false";
	return NULL;
}

const char *bake_kind_name(const struct bake_value *v)
{
	static const char *const names[] = {
		[BAKE_NULL] = "null",	  [BAKE_BOOL] = "bool", [BAKE_NUMBER] = "number",
		[BAKE_STRING] = "string", [BAKE_LIST] = "list", [BAKE_SET] = "set",
		[BAKE_TUPLE] = "tuple",	  [BAKE_MAP] = "map",	[BAKE_OBJECT] = "object",
	};

	return names[v->kind];
}

static void add_json_string(const char *s, struct buf *b)
{
	_cleanup_json_ json_t *text = json_string(s);

	if (text)
		js_dump_go(text, 0, false, b);
	else
		buf_adds(b, "\"\"");
}

void bake_to_json(const struct bake_value *v, struct buf *b)
{
	bool named = bake_is_mapping(v);

	if (v->kind == BAKE_STRING) {
		add_json_string(v->s, b);
	} else if (v->kind == BAKE_NULL) {
		buf_adds(b, "null");
	} else if (bake_text(v)) {
		buf_adds(b, bake_text(v));
	} else {
		buf_addc(b, named ? '{' : '[');
		for (size_t i = 0; i < v->n; i++) {
			if (i > 0)
				buf_addc(b, ',');
			if (named) {
				add_json_string(v->names[i], b);
				buf_addc(b, ':');
			}
			bake_to_json(v->v[i], b);
		}
		buf_addc(b, named ? '}' : ']');
	}
}
