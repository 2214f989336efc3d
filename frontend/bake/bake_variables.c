/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/bake/bake_variables.h"

#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/csv.h"

/* --- what the files define --- */

static struct bake_variable *find(struct bake_reader *r, const char *name)
{
	for (size_t i = 0; i < r->variables.n; i++)
		if (strcmp(r->variables.v[i].name, name) == 0)
			return &r->variables.v[i];
	return NULL;
}

struct bake_function *bake_variables_function(struct bake_reader *r, const char *name)
{
	for (size_t i = 0; i < r->functions.n; i++)
		if (strcmp(r->functions.v[i].name, name) == 0)
			return &r->functions.v[i];
	return NULL;
}

/* A later definition takes the place of an earlier one. */
static void define(struct bake_reader *r, struct bake_variable v)
{
	struct bake_variable *old = find(r, v.name);

	/* An argument at the top of a file goes before a variable of its name. */
	if (old && v.block && !old->block)
		return;
	if (old)
		*old = v;
	else
		vec_push(&r->variables, v);
}

static int define_variable(struct bake_reader *r, const struct bake_block *b, struct error **err)
{
	const struct bake_attr *value = bake_body_attr(&b->body, "default");

	if (!b->label)
		return bake_error(err, &b->at, "a variable needs a name");
	if (env_get(&r->in->builtins, b->label))
		return 0;
	define(r, (struct bake_variable){
			  .name = b->label, .block = b, .expr = value ? value->expr : NULL});
	return 0;
}

static int read_params(struct bake_reader *r, const struct bake_expr *list, struct bake_function *f,
		       struct error **err)
{
	if (list->kind != EXPR_TUPLE)
		return bake_error(err, &list->at, "params is a list of names");
	f->params = arena_alloc(r->arena, (list->n_args + 1) * sizeof(*f->params));
	for (size_t i = 0; i < list->n_args; i++) {
		f->params[i] = bake_expr_name(list->args[i]);
		if (!f->params[i])
			return bake_error(err, &list->args[i]->at, "a parameter is a name");
	}
	f->n_params = list->n_args;
	return 0;
}

static int define_function(struct bake_reader *r, const struct bake_block *b, struct error **err)
{
	const struct bake_attr *params = bake_body_attr(&b->body, "params");
	const struct bake_attr *rest = bake_body_attr(&b->body, "variadic_params");
	const struct bake_attr *result = bake_body_attr(&b->body, "result");
	struct bake_function f = {.name = b->label}, *old;
	int status;

	if (!b->label)
		return bake_error(err, &b->at, "a function needs a name");
	if (!params || !result)
		return bake_error(err, &b->at, "the function \"%s\" needs %s", b->label,
				  params ? "result" : "params");
	status = read_params(r, params->expr, &f, err);
	if (status < 0)
		return status;
	f.variadic = rest ? bake_expr_name(rest->expr) : NULL;
	if (rest && !f.variadic)
		return bake_error(err, &rest->at, "variadic_params is a name");
	f.result = result->expr;
	old = bake_variables_function(r, f.name);
	if (old)
		*old = f;
	else
		vec_push(&r->functions, f);
	return 0;
}

int bake_variables_collect(struct bake_reader *r, struct error **err)
{
	int status = 0;

	for (size_t i = 0; i < r->in->builtins.n; i++) {
		const char *pair = r->in->builtins.v[i], *equals = strchr(pair, '=');

		define(r, (struct bake_variable){
				  .name = arena_strndup(r->arena, pair, (size_t)(equals - pair)),
				  .value = bake_string(r->arena, equals + 1),
				  .state = STATE_DONE});
	}
	for (size_t i = 0; i < r->bodies.n && status == 0; i++) {
		const struct bake_body *body = &r->bodies.v[i];

		for (size_t k = 0; k < body->n_attrs; k++)
			if (!env_get(&r->in->builtins, body->attrs[k].name))
				define(r, (struct bake_variable){.name = body->attrs[k].name,
								 .expr = body->attrs[k].expr});
		for (size_t k = 0; k < body->n_blocks && status == 0; k++) {
			if (strcmp(body->blocks[k].type, "variable") == 0)
				status = define_variable(r, &body->blocks[k], err);
			else if (strcmp(body->blocks[k].type, "function") == 0)
				status = define_function(r, &body->blocks[k], err);
		}
	}
	return status;
}

/* --- values from outside --- */

static const char *from_outside(const struct bake_reader *r, const char *name)
{
	const char *v = env_get(&r->in->vars, name);

	return !v && r->in->environment ? getenv(name) : v;
}

/* NAME, or NAME_JSON where no variable of its own has that name. */
static const char *override_of(struct bake_reader *r, const char *name, bool typed, bool *is_json)
{
	const char *plain = from_outside(r, name), *json = NULL, *json_name;

	*is_json = false;
	if (plain && !typed)
		return plain;
	json_name = arena_printf(r->arena, "%s_JSON", name);
	if (!find(r, json_name))
		json = from_outside(r, json_name);
	*is_json = json != NULL;
	return json ? json : plain;
}

static const struct bake_value *primitive(struct bake_reader *r, const char *text,
					  const struct bake_type *t, const char **why)
{
	const struct bake_value *v;
	bool b = false;

	if (t->kind == TYPE_STRING)
		return bake_string(r->arena, text);
	if (t->kind == TYPE_BOOL) {
		if (attrs_bool("", text, &b, NULL) == 0)
			return bake_bool(b);
		*why = arena_printf(r->arena, "\"%s\" is not true or false", text);
		return NULL;
	}
	v = bake_number(r->arena, text);
	if (!v)
		*why = arena_printf(r->arena, "\"%s\" is not a number", text);
	return v;
}

static bool is_primitive(const struct bake_type *t)
{
	return t->kind == TYPE_STRING || t->kind == TYPE_NUMBER || t->kind == TYPE_BOOL;
}

/* "a,b" of a list, "k:v,k:v" of a map */
static const struct bake_value *from_csv(struct bake_reader *r, const char *text,
					 const struct bake_type *t, const char **why)
{
	_cleanup_strv_ struct strv fields = {0};
	struct bake_builder b = {.arena = r->arena};

	if (csv_split(text, &fields, NULL) < 0) {
		*why = arena_printf(r->arena, "quotes are not as they should be in \"%s\"", text);
		return NULL;
	}
	if (t->kind == TYPE_TUPLE && t->n != fields.n) {
		*why = arena_printf(r->arena, "%zu elements are needed, \"%s\" has %zu", t->n, text,
				    fields.n);
		return NULL;
	}
	for (size_t i = 0; i < fields.n; i++) {
		const struct bake_type *element = t->v[t->kind == TYPE_TUPLE ? i : 0];
		const char *colon = strchr(fields.v[i], ':'), *of = fields.v[i];
		const struct bake_value *v;

		if (!is_primitive(element)) {
			*why = arena_printf(r->arena, "a %s can only be given as JSON",
					    bake_type_name(r->arena, t));
			return NULL;
		}
		if (t->kind == TYPE_MAP && (!colon || strchr(colon + 1, ':'))) {
			*why = arena_printf(r->arena, "\"%s\" is not KEY:VALUE", of);
			return NULL;
		}
		v = primitive(r, t->kind == TYPE_MAP ? colon + 1 : of, element, why);
		if (!v)
			return NULL;
		if (t->kind == TYPE_MAP)
			bake_put(&b, arena_strndup(r->arena, of, (size_t)(colon - of)), v);
		else
			bake_push(&b, v);
	}
	if (t->kind == TYPE_MAP)
		return bake_mapping(&b, BAKE_MAP);
	return bake_sequence(&b, t->kind == TYPE_LIST  ? BAKE_LIST
				 : t->kind == TYPE_SET ? BAKE_SET
						       : BAKE_TUPLE);
}

/* What the text of the environment means for a variable whose default is `v` (NULL: it has none). */
static const struct bake_value *from_text(struct bake_reader *r, const struct bake_variable *var,
					  const char *text, bool is_json,
					  const struct bake_value *v, const char **why)
{
	const struct bake_type *t = var->type;
	struct error *failed = NULL;

	if (t && is_json) {
		if (bake_parse_json_value(r->arena, "JSON", text, &v, &failed) < 0) {
			*why = arena_strdup(r->arena, error_text(failed));
			error_free(failed);
			return NULL;
		}
		return bake_convert(r->arena, v, t, why);
	}
	if (t && (t->kind == TYPE_LIST || t->kind == TYPE_SET || t->kind == TYPE_MAP ||
		  t->kind == TYPE_TUPLE))
		return from_csv(r, text, t, why);
	if (t && is_primitive(t))
		return primitive(r, text, t, why);
	if (t && t->kind != TYPE_ANY) {
		*why = arena_printf(r->arena, "an %s can only be given as JSON, in %s_JSON",
				    bake_type_name(r->arena, t), var->name);
		return NULL;
	}
	if (!v || v->kind == BAKE_NULL || v->kind == BAKE_STRING)
		return bake_string(r->arena, text);
	if (v->kind == BAKE_BOOL || v->kind == BAKE_NUMBER)
		return primitive(r, text,
				 v->kind == BAKE_BOOL ? &bake_type_bool : &bake_type_number, why);
	*why = arena_printf(r->arena, "a %s without a type cannot be given from outside",
			    bake_kind_name(v));
	return NULL;
}

/* --- evaluation --- */

static const struct bake_place *place_of(const struct bake_variable *v)
{
	return v->expr ? &v->expr->at : &v->block->at;
}

static int read_type(struct bake_reader *r, struct bake_variable *v, struct error **err)
{
	const struct bake_attr *type = v->block ? bake_body_attr(&v->block->body, "type") : NULL;

	return type ? bake_type_parse(&r->eval, type->expr, &v->type, err) : 0;
}

static int compute(struct bake_reader *r, struct bake_variable *v, const struct bake_value **ret,
		   struct error **err)
{
	struct error **old = r->eval.err;
	const struct bake_value *value = NULL;
	const char *text, *why = NULL;
	bool is_json;
	int status = read_type(r, v, err);

	if (status < 0)
		return status;
	text = v->block ? override_of(r, v->name, v->type != NULL, &is_json) : NULL;
	if (v->expr) {
		r->eval.err = err;
		value = bake_evaluate(&r->eval, v->expr, NULL);
		r->eval.err = old;
		if (!value)
			return -ERR_INVALID;
		if (v->type && !(value = bake_convert(r->arena, value, v->type, &why)))
			return bake_error(err, &v->expr->at,
					  "the default of the variable \"%s\": %s", v->name, why);
	}
	if (text) {
		value = from_text(r, v, text, is_json, value, &why);
		if (!value)
			return bake_error(err, place_of(v),
					  "the variable \"%s\" has a value from outside: %s",
					  v->name, why);
	}
	/* Without anything: text without a type, else nothing. */
	if (!value)
		value = v->type ? bake_null() : bake_string(r->arena, "");
	*ret = value;
	return 0;
}

int bake_variables_value(struct bake_reader *r, const char *name, const struct bake_value **ret,
			 struct error **err)
{
	struct bake_variable *v = find(r, name);
	const struct bake_value *value = NULL;
	size_t at;
	int status;

	if (!v)
		return 0;
	if (v->state == STATE_BUSY)
		return bake_error(err, place_of(v), "the variable \"%s\" needs its own value",
				  name);
	if (v->state == STATE_NEW) {
		v->state = STATE_BUSY;
		at = (size_t)(v - r->variables.v);
		status = compute(r, v, &value, err);
		v = &r->variables.v[at];
		v->state = status == 0 ? STATE_DONE : STATE_NEW;
		if (status < 0)
			return status;
		v->value = value;
	}
	*ret = v->value;
	return 0;
}

static int validate_one(struct bake_reader *r, const struct bake_block *rule, struct error **err)
{
	const struct bake_attr *condition = bake_body_attr(&rule->body, "condition");
	const struct bake_attr *message = bake_body_attr(&rule->body, "error_message");
	const struct bake_value *v;

	if (!condition || !message)
		return bake_error(err, &rule->at, "a validation needs condition and error_message");
	v = bake_evaluate_as(&r->eval, condition->expr, NULL, &bake_type_bool);
	if (!v)
		return -ERR_INVALID;
	if (v->kind == BAKE_NULL)
		return bake_error(err, &condition->expr->at,
				  "the condition is neither true nor false, but null");
	if (v->b)
		return 0;
	v = bake_evaluate_as(&r->eval, message->expr, NULL, &bake_type_string);
	if (!v)
		return -ERR_INVALID;
	return bake_error(err, &condition->expr->at, "%s",
			  v->kind == BAKE_NULL ? "the value of the variable is not valid" : v->s);
}

static int validate(struct bake_reader *r, const struct bake_variable *v, struct error **err)
{
	int status = 0;

	for (size_t i = 0; v->block && i < v->block->body.n_blocks && status == 0; i++)
		if (strcmp(v->block->body.blocks[i].type, "validation") == 0)
			status = validate_one(r, &v->block->body.blocks[i], err);
	return status;
}

static int compare_info(const void *a, const void *b)
{
	return strcmp(((const struct bake_variable_info *)a)->name,
		      ((const struct bake_variable_info *)b)->name);
}

static int list_one(struct bake_reader *r, const struct bake_variable *v, struct error **err)
{
	struct bake_variable_info info = {.name = v->name, .type = "", .description = ""};
	const struct bake_attr *description = bake_body_attr(&v->block->body, "description");
	const struct bake_value *text;

	if (v->type)
		info.type =
			v->type->kind == TYPE_ANY ? "any type" : bake_type_name(r->arena, v->type);
	if (bake_text(v->value)) {
		info.value = bake_text(v->value);
	} else if (v->value->kind != BAKE_NULL) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		bake_to_json(v->value, &b);
		info.value = arena_strndup(r->arena, b.p, b.n);
	}
	if (description) {
		text = bake_evaluate_as(&r->eval, description->expr, NULL, &bake_type_string);
		if (!text)
			return -ERR_INVALID;
		info.description = text->kind == BAKE_NULL ? "" : text->s;
	}
	(void)err;
	vec_push(&r->config->variables, info);
	return 0;
}

int bake_variables_finish(struct bake_reader *r, struct error **err)
{
	const struct bake_value *v;
	int status = 0;

	for (size_t i = 0; i < r->variables.n && status == 0; i++)
		status = bake_variables_value(r, r->variables.v[i].name, &v, err);
	for (size_t i = 0; i < r->variables.n && status == 0; i++)
		status = validate(r, &r->variables.v[i], err);
	for (size_t i = 0; i < r->variables.n && status == 0; i++)
		if (r->variables.v[i].block)
			status = list_one(r, &r->variables.v[i], err);
	if (r->config->variables.n > 1)
		qsort(r->config->variables.v, r->config->variables.n,
		      sizeof(*r->config->variables.v), compare_info);
	return status;
}
