/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/bake/bake_eval.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/bake/bake_functions.h"

typedef const struct bake_value *value;

static value fail(struct bake_eval *e, const struct bake_place *at, const char *fmt, ...)
	_printf_(3, 4);
static value fail(struct bake_eval *e, const struct bake_place *at, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = error_vnew(e->err, ERR_INVALID, 0, fmt, ap);
	va_end(ap);
	(void)error_at(e->err, r, at->file->name, at->span);
	return NULL;
}

static value evaluate(struct bake_eval *e, const struct bake_expr *x,
		      const struct bake_scope *scope);

/* A try: what it fails with is of no interest, but for a limit that was reached. */
static value attempt(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	struct error **err = e->err, *failed = NULL;
	unsigned depth = e->depth;
	value v;

	e->err = &failed;
	v = evaluate(e, x, scope);
	e->err = err;
	e->depth = depth;
	error_free(failed);
	return v;
}

/* --- names --- */

static value look_up(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	value v = NULL;

	for (const struct bake_scope *s = scope; s; s = s->up)
		if (strcmp(s->name, x->text) == 0)
			return s->value;
	if (e->resolver->variable(e->resolver->data, x->text, &v, e->err) < 0) {
		(void)error_at(e->err, -ERR_INVALID, x->at.file->name, x->at.span);
		return NULL;
	}
	if (!v)
		return fail(e, &x->at, "there is no variable \"%s\"", x->text);
	return v;
}

static bool in_scope(const struct bake_scope *scope, const char *name)
{
	for (; scope; scope = scope->up)
		if (strcmp(scope->name, name) == 0)
			return true;
	return false;
}

static value each_of(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	for (const struct bake_scope *s = scope; s; s = s->up)
		if (strcmp(s->name, "*") == 0)
			return s->value;
	return fail(e, &x->at, "\"*\" stands outside of a list");
}

/* --- members --- */

static value member(struct bake_eval *e, const struct bake_expr *x, value of, const char *name)
{
	value v;

	if (of->kind == BAKE_NULL)
		return fail(e, &x->at, "null has no \"%s\"", name);
	if (!bake_is_mapping(of))
		return fail(e, &x->at, "a value of type %s has no \"%s\"", bake_kind_name(of),
			    name);
	v = bake_member(of, name);
	return v ? v : fail(e, &x->at, "there is no \"%s\" in this %s", name, bake_kind_name(of));
}

/* target.NAME, and target.NAME.ATTR: only that is evaluated. 1: it is one. */
static int block_member(struct bake_eval *e, const struct bake_expr *x,
			const struct bake_scope *scope, value *ret)
{
	const struct bake_expr *root = x->a, *name = x;
	const char *attr = NULL;

	if (x->kind != EXPR_ATTR)
		return 0;
	if (root->kind == EXPR_ATTR && root->a->kind == EXPR_NAME) {
		attr = x->text;
		name = root;
		root = root->a;
	}
	if (root->kind != EXPR_NAME || in_scope(scope, root->text) ||
	    (strcmp(root->text, "target") != 0 && strcmp(root->text, "group") != 0))
		return 0;
	*ret = NULL;
	if (e->resolver->block(e->resolver->data, root->text, name->text, attr, ret, e->err) < 0) {
		(void)error_at(e->err, -ERR_INVALID, x->at.file->name, x->at.span);
		return 1;
	}
	if (!*ret)
		(void)fail(e, &x->at, "there is no %s \"%s\"", root->text, name->text);
	else if (attr)
		*ret = member(e, x, *ret, attr);
	return 1;
}

static value attribute(struct bake_eval *e, const struct bake_expr *x,
		       const struct bake_scope *scope)
{
	value of = NULL;

	if (block_member(e, x, scope, &of))
		return of;
	of = evaluate(e, x->a, scope);
	return of ? member(e, x, of, x->text) : NULL;
}

static value index_of(struct bake_eval *e, const struct bake_expr *x,
		      const struct bake_scope *scope)
{
	value of = evaluate(e, x->a, scope), at = of ? evaluate(e, x->b, scope) : NULL;
	const char *why;
	int64_t i;

	if (!of || !at)
		return NULL;
	if (bake_is_mapping(of) && bake_text(at))
		return member(e, x, of, bake_text(at));
	if (of->kind != BAKE_LIST && of->kind != BAKE_TUPLE)
		return fail(e, &x->at, "a value of type %s has no elements", bake_kind_name(of));
	at = bake_convert(e->arena, at, &bake_type_number, &why);
	if (!at || !bake_to_int(at, &i))
		return fail(e, &x->at, "the index of a %s is a whole number", bake_kind_name(of));
	if (i < 0 || (uint64_t)i >= of->n)
		return fail(e, &x->at, "there is no element %s: there are %zu", at->s, of->n);
	return of->v[i];
}

static value splat(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	struct bake_builder b = {.arena = e->arena};
	struct bake_scope each = {.up = scope, .name = "*"};
	value of = evaluate(e, x->a, scope), one;

	if (!of)
		return NULL;
	for (size_t i = 0; i < (bake_is_sequence(of) ? of->n : of->kind != BAKE_NULL); i++) {
		each.value = bake_is_sequence(of) ? of->v[i] : of;
		one = evaluate(e, x->b, &each);
		if (!one)
			return NULL;
		bake_push(&b, one);
	}
	return bake_sequence(&b, of->kind == BAKE_LIST || of->kind == BAKE_SET ? BAKE_LIST
									       : BAKE_TUPLE);
}

/* --- templates --- */

static bool add_text(struct bake_eval *e, const struct bake_expr *part, value v, struct buf *b)
{
	const char *text = v ? bake_text(v) : NULL;

	if (text)
		buf_adds(b, text);
	else if (v)
		(void)fail(e, &part->at, "a value of type %s cannot stand in text",
			   bake_kind_name(v));
	if (b->n > BAKE_MEMORY_MAX / 4)
		(void)fail(e, &part->at, "the text gets too long");
	return text && b->n <= BAKE_MEMORY_MAX / 4;
}

static value template(struct bake_eval *e, const struct bake_expr *x,
		      const struct bake_scope *scope)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	/* "${x}" is x itself. */
	if (x->n_args == 1 && x->args[0]->kind != EXPR_LITERAL && x->args[0]->kind != EXPR_IF &&
	    !(x->args[0]->kind == EXPR_FOR && x->args[0]->loop->template))
		return evaluate(e, x->args[0], scope);
	for (size_t i = 0; i < x->n_args; i++)
		if (!add_text(e, x->args[i], evaluate(e, x->args[i], scope), &b))
			return NULL;
	return bake_stringn(e->arena, b.p, b.n);
}

static bool truth(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope,
		  bool *ret)
{
	value v = evaluate(e, x, scope);
	const char *why;

	if (!v)
		return false;
	if (v->kind == BAKE_NULL || !(v = bake_convert(e->arena, v, &bake_type_bool, &why))) {
		(void)fail(e, &x->at, "a condition is true or false");
		return false;
	}
	*ret = v->b;
	return true;
}

static value template_if(struct bake_eval *e, const struct bake_expr *x,
			 const struct bake_scope *scope)
{
	bool yes;

	if (!truth(e, x->a, scope, &yes))
		return NULL;
	if (!yes && !x->c)
		return bake_string(e->arena, "");
	return evaluate(e, yes ? x->b : x->c, scope);
}

/* --- operators --- */

static value unary(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	const struct bake_type *t = *x->text == '!' ? &bake_type_bool : &bake_type_number;
	value v = bake_evaluate_as(e, x->a, scope, t);

	if (!v)
		return NULL;
	if (v->kind == BAKE_NULL)
		return fail(e, &x->at, "\"%s\" needs a value, not null", x->text);
	if (*x->text == '!')
		return bake_bool(!v->b);
	return bake_arithmetic(e->arena, OP_SUB, bake_int(e->arena, 0), v);
}

static value arithmetic(struct bake_eval *e, const struct bake_expr *x, value a, value b)
{
	static const char ops[] = "+-*/%";
	value v = bake_arithmetic(e->arena, (enum bake_op)(strchr(ops, *x->text) - ops), a, b);

	if (v)
		return v;
	return fail(e, &x->at,
		    strcmp(b->s, "0") == 0 ? "division by zero" : "the number gets too long");
}

static value compare(const struct bake_expr *x, value a, value b)
{
	int order = bake_number_compare(a->s, b->s);
	bool equal = x->text[1] == '=' && order == 0;

	return bake_bool(equal || (*x->text == '<' ? order < 0 : order > 0));
}

static value logic(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	bool first, second, stop = *x->text == '|';

	if (!truth(e, x->a, scope, &first))
		return NULL;
	if (first == stop)
		return bake_bool(stop);
	return truth(e, x->b, scope, &second) ? bake_bool(second) : NULL;
}

static value binary(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	bool equality = strcmp(x->text, "==") == 0 || strcmp(x->text, "!=") == 0;
	const struct bake_type *t = equality ? &bake_type_any : &bake_type_number;
	value a, b;

	if (strcmp(x->text, "&&") == 0 || strcmp(x->text, "||") == 0)
		return logic(e, x, scope);
	a = bake_evaluate_as(e, x->a, scope, t);
	b = a ? bake_evaluate_as(e, x->b, scope, t) : NULL;
	if (!a || !b)
		return NULL;
	if (equality)
		return bake_bool(bake_equal(a, b) == (*x->text == '='));
	if (a->kind == BAKE_NULL || b->kind == BAKE_NULL)
		return fail(e, &x->at, "\"%s\" needs two values, one is null", x->text);
	if (*x->text == '<' || *x->text == '>')
		return compare(x, a, b);
	return arithmetic(e, x, a, b);
}

static value condition(struct bake_eval *e, const struct bake_expr *x,
		       const struct bake_scope *scope)
{
	value a, b;
	bool yes;

	if (!truth(e, x->a, scope, &yes))
		return NULL;
	a = yes ? evaluate(e, x->b, scope) : attempt(e, x->b, scope);
	b = yes ? attempt(e, x->c, scope) : evaluate(e, x->c, scope);
	if (!(yes ? a : b))
		return NULL;
	/* Both results have one type, whichever is taken. */
	if (a && b && !bake_unify(e->arena, &a, &b))
		return fail(e, &x->at,
			    "the results of a condition have no type in common: %s and %s",
			    bake_kind_name(a), bake_kind_name(b));
	return yes ? a : b;
}

/* --- lists and objects --- */

static value tuple(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	struct bake_builder b = {.arena = e->arena};

	for (size_t i = 0; i < x->n_args; i++) {
		value v = evaluate(e, x->args[i], scope);

		if (!v)
			return NULL;
		bake_push(&b, v);
	}
	return bake_sequence(&b, BAKE_TUPLE);
}

static value object(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	struct bake_builder b = {.arena = e->arena};

	for (size_t i = 0; i < x->n_args; i += 2) {
		value key = evaluate(e, x->args[i], scope),
		      v = key ? evaluate(e, x->args[i + 1], scope) : NULL;

		if (!v)
			return NULL;
		if (!bake_text(key))
			return fail(e, &x->args[i]->at, "a key of an object is text, not %s",
				    bake_kind_name(key));
		bake_put(&b, bake_text(key), v);
	}
	return bake_mapping(&b, BAKE_OBJECT);
}

struct looping {
	const struct bake_for *loop;
	struct bake_builder values;
	struct buf *text; /* of %{for} */
};

static bool add_grouped(struct bake_eval *e, struct looping *l, const char *key, value v)
{
	struct bake_builder b = {.arena = e->arena};
	value old = NULL;

	for (size_t i = 0; i < l->values.n; i++)
		if (strcmp(l->values.names[i], key) == 0)
			old = l->values.v[i];
	for (size_t i = 0; old && i < old->n; i++)
		bake_push(&b, old->v[i]);
	bake_push(&b, v);
	bake_put(&l->values, key, bake_sequence(&b, BAKE_TUPLE));
	return true;
}

static bool add_result(struct bake_eval *e, struct looping *l, const struct bake_scope *scope)
{
	const struct bake_for *loop = l->loop;
	value key = loop->new_key ? evaluate(e, loop->new_key, scope) : NULL, v;
	const char *text;

	if (loop->new_key && !key)
		return false;
	v = evaluate(e, loop->value, scope);
	if (!v)
		return false;
	if (loop->template)
		return add_text(e, loop->value, v, l->text);
	if (!loop->new_key) {
		bake_push(&l->values, v);
		return true;
	}
	text = bake_text(key);
	if (!text)
		return fail(e, &loop->new_key->at, "a key of an object is text, not %s",
			    bake_kind_name(key)) != NULL;
	if (loop->group)
		return add_grouped(e, l, text, v);
	for (size_t i = 0; i < l->values.n; i++)
		if (strcmp(l->values.names[i], text) == 0)
			return fail(e, &loop->new_key->at,
				    "the key \"%s\" comes twice; \"...\" behind the value collects "
				    "them",
				    text) != NULL;
	bake_put(&l->values, text, v);
	return true;
}

static bool loop_over(struct bake_eval *e, struct looping *l, value in,
		      const struct bake_scope *scope)
{
	const struct bake_for *loop = l->loop;

	for (size_t i = 0; i < in->n; i++) {
		value key = bake_is_mapping(in)	   ? bake_string(e->arena, in->names[i])
			    : in->kind == BAKE_SET ? in->v[i]
						   : bake_int(e->arena, (int64_t)i);
		struct bake_scope outer = {
			.up = scope, .name = loop->key ? loop->key : "", .value = key};
		struct bake_scope inner = {.up = &outer, .name = loop->item, .value = in->v[i]};
		bool wanted = true;

		if (loop->condition && !truth(e, loop->condition, &inner, &wanted))
			return false;
		if (wanted && !add_result(e, l, &inner))
			return false;
	}
	return true;
}

static value each_for(struct bake_eval *e, const struct bake_expr *x,
		      const struct bake_scope *scope)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct looping l = {.loop = x->loop, .values = {.arena = e->arena}, .text = &text};
	value in = evaluate(e, x->loop->in, scope);

	if (!in)
		return NULL;
	if (!bake_is_sequence(in) && !bake_is_mapping(in))
		return fail(e, &x->loop->in->at, "for needs a list or a map, not %s",
			    bake_kind_name(in));
	if (!loop_over(e, &l, in, scope))
		return NULL;
	if (x->loop->template)
		return bake_stringn(e->arena, text.p, text.n);
	return x->loop->new_key ? bake_mapping(&l.values, BAKE_OBJECT)
				: bake_sequence(&l.values, BAKE_TUPLE);
}

/* --- calls --- */

static bool add_arguments(struct bake_eval *e, const struct bake_expr *x,
			  const struct bake_scope *scope, struct bake_builder *b)
{
	for (size_t i = 0; i < x->n_args; i++) {
		value v = evaluate(e, x->args[i], scope);

		if (!v)
			return false;
		if (!x->spread || i + 1 < x->n_args) {
			bake_push(b, v);
			continue;
		}
		if (!bake_is_sequence(v))
			return fail(e, &x->at, "\"...\" stands behind a list, not %s",
				    bake_kind_name(v)) != NULL;
		for (size_t k = 0; k < v->n; k++)
			bake_push(b, v->v[k]);
	}
	return true;
}

static value call_user(struct bake_eval *e, const struct bake_expr *x, struct bake_function *f,
		       const struct bake_builder *args)
{
	struct bake_builder rest = {.arena = e->arena};
	struct bake_scope *scopes = arena_alloc(e->arena, (f->n_params + 1) * sizeof(*scopes));
	const struct bake_scope *scope = NULL;
	value v;

	if (args->n < f->n_params || (args->n > f->n_params && !f->variadic))
		return fail(e, &x->at, "%s() takes %s%zu arguments, got %zu", f->name,
			    f->variadic ? "at least " : "", f->n_params, args->n);
	for (size_t i = 0; i < f->n_params; i++) {
		scopes[i] =
			(struct bake_scope){.up = scope, .name = f->params[i], .value = args->v[i]};
		scope = &scopes[i];
	}
	if (f->variadic) {
		for (size_t i = f->n_params; i < args->n; i++)
			bake_push(&rest, args->v[i]);
		scopes[f->n_params] =
			(struct bake_scope){.up = scope,
					    .name = f->variadic,
					    .value = bake_sequence(&rest, BAKE_TUPLE)};
		scope = &scopes[f->n_params];
	}
	if (f->busy)
		return fail(e, &x->at, "%s() calls itself", f->name);
	f->busy = true;
	v = evaluate(e, f->result, scope);
	f->busy = false;
	return v;
}

/* try(), can() and convert() look at their arguments themselves. */
static value call_special(struct bake_eval *e, const struct bake_expr *x,
			  const struct bake_scope *scope, bool *special)
{
	const struct bake_type *t;
	value v = NULL;

	*special = true;
	if (strcmp(x->text, "can") == 0 && x->n_args == 1)
		return bake_bool(attempt(e, x->args[0], scope) != NULL);
	if (strcmp(x->text, "try") == 0 && x->n_args > 0) {
		for (size_t i = 0; i < x->n_args && !v; i++)
			v = attempt(e, x->args[i], scope);
		return v ? v : fail(e, &x->at, "try(): none of its arguments could be evaluated");
	}
	if (strcmp(x->text, "convert") == 0 && x->n_args == 2) {
		if (bake_type_parse(e, x->args[1], &t, e->err) < 0)
			return NULL;
		return bake_evaluate_as(e, x->args[0], scope, t);
	}
	*special = false;
	return NULL;
}

static value call(struct bake_eval *e, const struct bake_expr *x, const struct bake_scope *scope)
{
	struct bake_builder args = {.arena = e->arena};
	const struct bake_builtin *builtin = bake_builtin_find(x->text);
	struct bake_function *user;
	bool special;
	value v = call_special(e, x, scope, &special);

	if (special)
		return v;
	user = builtin ? NULL : e->resolver->function(e->resolver->data, x->text);
	if (!builtin && !user)
		return fail(e, &x->at, "there is no function \"%s\"", x->text);
	if (!add_arguments(e, x, scope, &args))
		return NULL;
	if (user)
		return call_user(e, x, user, &args);
	return bake_builtin_call(builtin, &(struct bake_call){.eval = e,
							      .arena = e->arena,
							      .name = x->text,
							      .at = &x->at,
							      .v = args.v,
							      .n = args.n});
}

static value dispatch(struct bake_eval *e, const struct bake_expr *x,
		      const struct bake_scope *scope)
{
	switch (x->kind) {
	case EXPR_LITERAL:
		return x->value;
	case EXPR_TEMPLATE:
		return template(e, x, scope);
	case EXPR_NAME:
		return look_up(e, x, scope);
	case EXPR_EACH:
		return each_of(e, x, scope);
	case EXPR_ATTR:
		return attribute(e, x, scope);
	case EXPR_INDEX:
		return index_of(e, x, scope);
	case EXPR_SPLAT:
		return splat(e, x, scope);
	case EXPR_CALL:
		return call(e, x, scope);
	case EXPR_UNARY:
		return unary(e, x, scope);
	case EXPR_BINARY:
		return binary(e, x, scope);
	case EXPR_CONDITION:
		return condition(e, x, scope);
	case EXPR_TUPLE:
		return tuple(e, x, scope);
	case EXPR_OBJECT:
		return object(e, x, scope);
	case EXPR_FOR:
		return each_for(e, x, scope);
	case EXPR_IF:
		return template_if(e, x, scope);
	}
	return NULL;
}

static value evaluate(struct bake_eval *e, const struct bake_expr *x,
		      const struct bake_scope *scope)
{
	value v;

	/* Once reached, these fail everything that is tried afterwards, too. */
	if (e->depth >= BAKE_EVAL_DEPTH)
		return fail(e, &x->at, "the evaluation is nested deeper than %d levels",
			    BAKE_EVAL_DEPTH);
	if (e->steps >= BAKE_EVAL_STEPS)
		return fail(e, &x->at, "the evaluation takes more than %d steps", BAKE_EVAL_STEPS);
	if (e->arena->total > BAKE_MEMORY_MAX)
		return fail(e, &x->at, "the evaluation takes more than %d MiB of memory",
			    BAKE_MEMORY_MAX >> 20);
	e->steps++;
	e->depth++;
	v = dispatch(e, x, scope);
	e->depth--;
	return v;
}

value bake_evaluate(struct bake_eval *e, const struct bake_expr *expr,
		    const struct bake_scope *scope)
{
	return evaluate(e, expr, scope);
}

value bake_evaluate_as(struct bake_eval *e, const struct bake_expr *expr,
		       const struct bake_scope *scope, const struct bake_type *t)
{
	value v = evaluate(e, expr, scope);
	const char *why;

	if (!v)
		return NULL;
	v = bake_convert(e->arena, v, t, &why);
	return v ? v : fail(e, &expr->at, "%s", why);
}
