/* SPDX-License-Identifier: Apache-2.0 */
/* Types, and values made into ones of a type. */
#include <string.h>

#include "base/attrs.h"
#include "frontend/bake/bake_value.h"

const struct bake_type bake_type_string = {.kind = TYPE_STRING},
		       bake_type_number = {.kind = TYPE_NUMBER},
		       bake_type_bool = {.kind = TYPE_BOOL}, bake_type_any = {.kind = TYPE_ANY};

const char *bake_type_name(struct arena *a, const struct bake_type *t)
{
	switch (t->kind) {
	case TYPE_ANY:
		return "any type";
	case TYPE_STRING:
		return "string";
	case TYPE_NUMBER:
		return "number";
	case TYPE_BOOL:
		return "bool";
	case TYPE_LIST:
		return arena_printf(a, "list of %s", bake_type_name(a, t->v[0]));
	case TYPE_SET:
		return arena_printf(a, "set of %s", bake_type_name(a, t->v[0]));
	case TYPE_MAP:
		return arena_printf(a, "map of %s", bake_type_name(a, t->v[0]));
	case TYPE_TUPLE:
		return "tuple";
	case TYPE_OBJECT:
		return "object";
	}
	return "";
}

static const struct bake_value *refuse(struct arena *a, const struct bake_value *v,
				       const struct bake_type *t, const char **why)
{
	*why = arena_printf(a, "%s required, not %s", bake_type_name(a, t), bake_kind_name(v));
	return NULL;
}

static const struct bake_value *to_primitive(struct arena *a, const struct bake_value *v,
					     const struct bake_type *t, const char **why)
{
	const struct bake_value *number;

	switch (t->kind) {
	case TYPE_STRING:
		if (v->kind == BAKE_STRING)
			return v;
		return bake_text(v) ? bake_string(a, bake_text(v)) : refuse(a, v, t, why);
	case TYPE_NUMBER:
		if (v->kind == BAKE_NUMBER)
			return v;
		number = v->kind == BAKE_STRING ? bake_number(a, v->s) : NULL;
		return number ? number : refuse(a, v, t, why);
	default:
		if (v->kind == BAKE_BOOL)
			return v;
		if (v->kind == BAKE_STRING && (strcmp(v->s, "true") == 0 || strcmp(v->s, "1") == 0))
			return bake_bool(true);
		if (v->kind == BAKE_STRING &&
		    (strcmp(v->s, "false") == 0 || strcmp(v->s, "0") == 0))
			return bake_bool(false);
		return refuse(a, v, t, why);
	}
}

static const struct bake_value *to_sequence(struct arena *a, const struct bake_value *v,
					    const struct bake_type *t, const char **why)
{
	struct bake_builder b = {.arena = a};

	if (!bake_is_sequence(v) || (t->kind == TYPE_TUPLE && v->n != t->n))
		return refuse(a, v, t, why);
	for (size_t i = 0; i < v->n; i++) {
		const struct bake_value *element =
			bake_convert(a, v->v[i], t->v[t->kind == TYPE_TUPLE ? i : 0], why);

		if (!element)
			return NULL;
		bake_push(&b, element);
	}
	return bake_sequence(&b, t->kind == TYPE_LIST  ? BAKE_LIST
				 : t->kind == TYPE_SET ? BAKE_SET
						       : BAKE_TUPLE);
}

static const struct bake_value *to_map(struct arena *a, const struct bake_value *v,
				       const struct bake_type *t, const char **why)
{
	struct bake_builder b = {.arena = a};

	if (!bake_is_mapping(v))
		return refuse(a, v, t, why);
	for (size_t i = 0; i < v->n; i++) {
		const struct bake_value *element = bake_convert(a, v->v[i], t->v[0], why);

		if (!element)
			return NULL;
		bake_put(&b, v->names[i], element);
	}
	return bake_mapping(&b, BAKE_MAP);
}

static const struct bake_value *to_object(struct arena *a, const struct bake_value *v,
					  const struct bake_type *t, const char **why)
{
	struct bake_builder b = {.arena = a};

	if (!bake_is_mapping(v))
		return refuse(a, v, t, why);
	for (size_t i = 0; i < t->n; i++) {
		const struct bake_value *element = bake_member(v, t->names[i]);

		if (!element && !t->optional[i]) {
			*why = arena_printf(a, "attribute \"%s\" is required", t->names[i]);
			return NULL;
		}
		element = element ? bake_convert(a, element, t->v[i], why) : bake_null();
		if (!element)
			return NULL;
		bake_put(&b, t->names[i], element);
	}
	return bake_mapping(&b, BAKE_OBJECT);
}

const struct bake_value *bake_convert(struct arena *a, const struct bake_value *v,
				      const struct bake_type *t, const char **why)
{
	if (t->kind == TYPE_ANY || v->kind == BAKE_NULL)
		return v;
	switch (t->kind) {
	case TYPE_LIST:
	case TYPE_SET:
	case TYPE_TUPLE:
		return to_sequence(a, v, t, why);
	case TYPE_MAP:
		return to_map(a, v, t, why);
	case TYPE_OBJECT:
		return to_object(a, v, t, why);
	default:
		return to_primitive(a, v, t, why);
	}
}

/* --- what two values have in common --- */

static bool unify_elements(struct arena *a, const struct bake_value *v, bool named,
			   const struct bake_value **ret)
{
	struct bake_builder b = {.arena = a};
	bool strings = false, mixed = false;

	for (size_t i = 0; i < v->n; i++) {
		strings |= v->v[i]->kind == BAKE_STRING;
		mixed |= v->v[i]->kind != v->v[0]->kind && v->v[i]->kind != BAKE_NULL;
	}
	for (size_t i = 0; i < v->n; i++) {
		const struct bake_value *element = v->v[i];
		const char *why;

		if (mixed && strings &&
		    !(element = bake_convert(a, element, &bake_type_string, &why)))
			return false;
		if (named)
			bake_put(&b, v->names[i], element);
		else
			bake_push(&b, element);
	}
	*ret = named ? bake_mapping(&b, BAKE_MAP)
		     : bake_sequence(&b, v->kind == BAKE_SET ? BAKE_SET : BAKE_LIST);
	return true;
}

static bool same_names(const struct bake_value *x, const struct bake_value *y)
{
	for (size_t i = 0; x->n == y->n && i < x->n; i++)
		if (strcmp(x->names[i], y->names[i]) != 0)
			return false;
	return x->n == y->n;
}

/* Tuples of one shape and objects of the same names: element by element. */
static bool unify_each(struct arena *a, const struct bake_value **x, const struct bake_value **y)
{
	struct bake_builder p = {.arena = a}, q = {.arena = a};
	bool named = bake_is_mapping(*x);

	for (size_t i = 0; i < (*x)->n; i++) {
		const struct bake_value *e = (*x)->v[i], *f = (*y)->v[i];

		if (!bake_unify(a, &e, &f))
			return false;
		if (named) {
			bake_put(&p, (*x)->names[i], e);
			bake_put(&q, (*x)->names[i], f);
		} else {
			bake_push(&p, e);
			bake_push(&q, f);
		}
	}
	*x = named ? bake_mapping(&p, (*x)->kind) : bake_sequence(&p, (*x)->kind);
	*y = named ? bake_mapping(&q, (*y)->kind) : bake_sequence(&q, (*y)->kind);
	return true;
}

bool bake_unify(struct arena *a, const struct bake_value **x, const struct bake_value **y)
{
	enum bake_kind k = (*x)->kind, l = (*y)->kind;
	const char *why;

	if (k == BAKE_NULL || l == BAKE_NULL)
		return true;
	if (bake_text(*x) && bake_text(*y)) {
		if (k == l)
			return true;
		if (k != BAKE_STRING && l != BAKE_STRING)
			return false;
		*x = bake_convert(a, *x, &bake_type_string, &why);
		*y = bake_convert(a, *y, &bake_type_string, &why);
		return true;
	}
	if (bake_is_sequence(*x) && bake_is_sequence(*y)) {
		if (k == l && (*x)->n == (*y)->n)
			return unify_each(a, x, y);
		return unify_elements(a, *x, false, x) && unify_elements(a, *y, false, y);
	}
	if (bake_is_mapping(*x) && bake_is_mapping(*y)) {
		if (k == l && same_names(*x, *y))
			return unify_each(a, x, y);
		return unify_elements(a, *x, true, x) && unify_elements(a, *y, true, y);
	}
	return false;
}
