/* SPDX-License-Identifier: Apache-2.0 */
/* Types as bake files write them. */
#include <string.h>

#include "frontend/bake/bake_eval.h"

const char *bake_expr_name(const struct bake_expr *e)
{
	/* A JSON file writes names as strings. */
	if (e->kind == EXPR_NAME || (e->kind == EXPR_LITERAL && e->text))
		return e->text;
	return NULL;
}

static const struct bake_type *simple_type(const char *name)
{
	static const struct {
		const char *name;
		const struct bake_type *type;
	} types[] = {{"string", &bake_type_string},
		     {"number", &bake_type_number},
		     {"bool", &bake_type_bool},
		     {"any", &bake_type_any}};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return NULL;
}

static int parse_tuple(struct bake_eval *e, const struct bake_expr *list, struct bake_type *t,
		       struct error **err)
{
	int r = 0;

	if (list->kind != EXPR_TUPLE)
		return bake_error(err, &list->at,
				  "tuple() takes a list of types: tuple([string, number])");
	t->n = list->n_args;
	t->v = arena_alloc(e->arena, (t->n + 1) * sizeof(*t->v));
	for (size_t i = 0; i < t->n && r == 0; i++)
		r = bake_type_parse(e, list->args[i], &t->v[i], err);
	return r;
}

/* optional(TYPE) or a type. */
static int parse_member(struct bake_eval *e, const struct bake_expr *x, struct bake_type *t,
			size_t i, struct error **err)
{
	if (x->kind != EXPR_CALL || strcmp(x->text, "optional") != 0)
		return bake_type_parse(e, x, &t->v[i], err);
	if (x->n_args != 1)
		return bake_error(err, &x->at, "optional() takes one type");
	t->optional[i] = true;
	return bake_type_parse(e, x->args[0], &t->v[i], err);
}

static int parse_object(struct bake_eval *e, const struct bake_expr *members, struct bake_type *t,
			struct error **err)
{
	int r = 0;

	if (members->kind != EXPR_OBJECT)
		return bake_error(err, &members->at,
				  "object() takes names and types: object({a = string})");
	t->n = members->n_args / 2;
	t->v = arena_alloc(e->arena, (t->n + 1) * sizeof(*t->v));
	t->names = arena_alloc(e->arena, (t->n + 1) * sizeof(*t->names));
	t->optional = arena_alloc(e->arena, t->n + 1);
	for (size_t i = 0; i < t->n && r == 0; i++) {
		const struct bake_expr *key = members->args[2 * i];

		t->names[i] = key->kind == EXPR_LITERAL && key->value->kind == BAKE_STRING
				      ? key->value->s
				      : NULL;
		r = t->names[i] ? parse_member(e, members->args[2 * i + 1], t, i, err)
				: bake_error(err, &key->at, "a name is expected");
	}
	return r;
}

static int parse_call(struct bake_eval *e, const struct bake_expr *x, struct bake_type *t,
		      struct error **err)
{
	if (x->n_args != 1)
		return bake_error(err, &x->at, "%s() takes one type", x->text);
	if (strcmp(x->text, "tuple") == 0) {
		t->kind = TYPE_TUPLE;
		return parse_tuple(e, x->args[0], t, err);
	}
	if (strcmp(x->text, "object") == 0) {
		t->kind = TYPE_OBJECT;
		return parse_object(e, x->args[0], t, err);
	}
	if (strcmp(x->text, "list") == 0)
		t->kind = TYPE_LIST;
	else if (strcmp(x->text, "set") == 0)
		t->kind = TYPE_SET;
	else if (strcmp(x->text, "map") == 0)
		t->kind = TYPE_MAP;
	else
		return bake_error(err, &x->at, "\"%s\" is not list, set, map, tuple or object",
				  x->text);
	t->n = 1;
	t->v = arena_alloc(e->arena, sizeof(*t->v));
	return bake_type_parse(e, x->args[0], &t->v[0], err);
}

int bake_type_parse(struct bake_eval *e, const struct bake_expr *expr, const struct bake_type **ret,
		    struct error **err)
{
	struct bake_expr *inner;
	struct bake_type *t;
	const char *name = bake_expr_name(expr);

	/* "list(string)" of a JSON file */
	if (expr->kind == EXPR_LITERAL && expr->text && strchr(expr->text, '(')) {
		int r = bake_parse_expr(e->arena, &expr->at, expr->text, &inner, err);

		return r < 0 ? r : bake_type_parse(e, inner, ret, err);
	}
	*ret = name ? simple_type(name) : NULL;
	if (*ret)
		return 0;
	if (expr->kind != EXPR_CALL)
		return bake_error(err, &expr->at,
				  "a type is string, number, bool, any, list(), set(), map(), "
				  "tuple() or object()");
	t = ARENA_NEW(e->arena, struct bake_type);
	*ret = t;
	return parse_call(e, expr, t, err);
}
