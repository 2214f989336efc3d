/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/bake/bake_functions.h"

#include <stdlib.h>
#include <string.h>

const struct bake_value *bake_call_fail(struct bake_call *c, const char *fmt, ...)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	(void)bake_error(c->eval->err, c->at, "%s(): %s", c->name, b.p);
	return NULL;
}

const struct bake_value *bake_call_string(struct bake_call *c, const struct buf *b)
{
	if (strlen(b->p) != b->n)
		return bake_call_fail(c, "the result holds a NUL byte");
	return bake_stringn(c->arena, b->p, b->n);
}

bool bake_call_int(struct bake_call *c, size_t i, int64_t min, int64_t max, int64_t *ret)
{
	if (bake_to_int(c->v[i], ret) && *ret >= min && *ret <= max)
		return true;
	(void)bake_call_fail(c, "argument %zu is a whole number from %lld to %lld, not %s", i + 1,
			     (long long)min, (long long)max, c->v[i]->s);
	return false;
}

static const struct bake_builtin *find_in(const struct bake_builtin *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

const struct bake_builtin *bake_builtin_find(const char *name)
{
	static const struct bake_builtin *const tables[] = {
		bake_functions_numbers,	 bake_functions_strings,  bake_functions_lists,
		bake_functions_maps,	 bake_functions_codecs,	  bake_functions_times,
		bake_functions_networks, bake_functions_patterns,
	};
	const struct bake_builtin *f = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(tables) && !f; i++)
		f = find_in(tables[i], name);
	return f;
}

/* How many arguments there may be: at least *min, at most *max. */
static void count_params(const char *params, size_t *min, size_t *max)
{
	size_t n = strlen(params);
	bool many = n > 0 && params[n - 1] == '*';

	*min = many ? n - 2 : n;
	*max = many ? SIZE_MAX : n;
}

static const struct bake_value *convert_argument(struct bake_call *c, size_t i, char param)
{
	static const struct bake_type *const string = &bake_type_string;
	static const struct bake_type strings = {
		.kind = TYPE_LIST, .n = 1, .v = (const struct bake_type **)(uintptr_t)&string};
	const struct bake_value *v = c->v[i];
	const char *why = NULL;

	if (param == '?')
		return v;
	if (v->kind == BAKE_NULL)
		return bake_call_fail(c, "argument %zu is null", i + 1);
	switch (param) {
	case 's':
		v = bake_convert(c->arena, v, &bake_type_string, &why);
		break;
	case 'n':
		v = bake_convert(c->arena, v, &bake_type_number, &why);
		break;
	case 'b':
		v = bake_convert(c->arena, v, &bake_type_bool, &why);
		break;
	case 'S':
		v = bake_convert(c->arena, v, &strings, &why);
		break;
	case 'l':
		why = "a list required";
		v = bake_is_sequence(v) ? v : NULL;
		break;
	case 'm':
		why = "a map required";
		v = bake_is_mapping(v) ? v : NULL;
		break;
	default:
		break;
	}
	return v ? v : bake_call_fail(c, "argument %zu: %s", i + 1, why);
}

const struct bake_value *bake_builtin_call(const struct bake_builtin *f, struct bake_call *c)
{
	const struct bake_value **given = c->v, **v;
	size_t min, max, last = strlen(f->params);

	count_params(f->params, &min, &max);
	if (c->n < min || c->n > max)
		return bake_call_fail(c, "it takes %zu%s arguments, got %zu", min,
				      max > min ? " or more" : "", c->n);
	v = arena_alloc(c->arena, (c->n + 1) * sizeof(*v));
	for (size_t i = 0; i < c->n; i++) {
		char param =
			f->params[last > 0 && f->params[last - 1] == '*' && i > last - 2 ? last - 2
											 : i];

		c->v = given;
		v[i] = convert_argument(c, i, param);
		if (!v[i])
			return NULL;
	}
	c->v = v;
	return f->call(c);
}
