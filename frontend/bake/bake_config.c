/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/bake/bake_config.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/bake/bake_variables.h"
#include "frontend/dockerfile/df_check.h"

enum { MATRIX_MAX = 10000 }; /* targets that one block makes */

/* --- targets and groups of the files --- */

/* A name that --set and groups can tell. */
static bool is_name(const char *name)
{
	return *name &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       strlen(name);
}

static int check_name(const struct bake_place *at, const char *name, struct error **err)
{
	if (is_name(name))
		return 0;
	return bake_error(err, at,
			  "\"%s\" cannot be the name of a target or group: it may hold letters, "
			  "digits, - and _",
			  name);
}

static int name_instance(struct bake_reader *r, const struct bake_attr *attr,
			 struct bake_instance *in, struct error **err)
{
	const struct bake_value *v =
		bake_evaluate_as(&r->eval, attr->expr, in->scope, &bake_type_string);

	if (!v)
		return -ERR_INVALID;
	if (v->kind == BAKE_NULL)
		return bake_error(err, &attr->expr->at, "the name is null");
	in->name = v->s;
	return check_name(&attr->expr->at, in->name, err);
}

static int add_instance(struct bake_reader *r, const struct bake_block *b,
			const struct bake_scope *scope, size_t first, struct error **err)
{
	const struct bake_attr *name = bake_body_attr(&b->body, "name");
	struct bake_instance in = {.type = b->type, .name = b->label, .block = b, .scope = scope};
	int status = name ? name_instance(r, name, &in, err) : 0;

	for (size_t i = first; i < r->instances.n && status == 0; i++)
		if (strcmp(r->instances.v[i].name, in.name) == 0)
			status = bake_error(
				err, &b->at,
				"the matrix makes two targets called \"%s\"; give it a name "
				"that depends on its variables",
				in.name);
	if (status == 0)
		vec_push(&r->instances, in);
	return status;
}

static const struct bake_value *read_matrix(struct bake_reader *r, const struct bake_attr *attr,
					    struct error **err)
{
	const struct bake_value *v = bake_evaluate(&r->eval, attr->expr, NULL);
	size_t total = 1;

	if (!v)
		return NULL;
	if (!bake_is_mapping(v)) {
		(void)bake_error(err, &attr->expr->at, "matrix is a map of lists");
		return NULL;
	}
	for (size_t i = 0; i < v->n; i++) {
		if (!bake_is_sequence(v->v[i]) && !bake_is_mapping(v->v[i])) {
			(void)bake_error(err, &attr->expr->at, "matrix: \"%s\" is not a list",
					 v->names[i]);
			return NULL;
		}
		if (__builtin_mul_overflow(total, v->v[i]->n, &total) || total > MATRIX_MAX) {
			(void)bake_error(err, &attr->expr->at,
					 "the matrix makes more than %d targets", MATRIX_MAX);
			return NULL;
		}
	}
	return v;
}

/* Every combination of the matrix's values; the first name turns fastest. */
static int add_matrix(struct bake_reader *r, const struct bake_block *b,
		      const struct bake_attr *attr, struct error **err)
{
	const struct bake_value *matrix = read_matrix(r, attr, err);
	size_t first = r->instances.n, total = 1;
	int status = matrix ? 0 : -ERR_INVALID;

	for (size_t i = 0; matrix && i < matrix->n; i++)
		total *= matrix->v[i]->n;
	for (size_t k = 0; k < total && status == 0; k++) {
		const struct bake_scope *scope = NULL;
		size_t rest = k;

		for (size_t i = 0; i < matrix->n; i++) {
			struct bake_scope *s = ARENA_NEW(r->arena, struct bake_scope);

			*s = (struct bake_scope){.up = scope,
						 .name = matrix->names[i],
						 .value = matrix->v[i]->v[rest % matrix->v[i]->n]};
			rest /= matrix->v[i]->n;
			scope = s;
		}
		status = add_instance(r, b, scope, first, err);
	}
	return status;
}

static int add_block(struct bake_reader *r, const struct bake_block *b, struct error **err)
{
	const struct bake_attr *matrix = bake_body_attr(&b->body, "matrix"),
			       *name = bake_body_attr(&b->body, "name");
	int status;

	if (!b->label)
		return bake_error(err, &b->at, "a %s needs a name", b->type);
	status = check_name(&b->at, b->label, err);
	if (status < 0)
		return status;
	if (strcmp(b->type, "group") == 0 && (matrix || name))
		return bake_error(err, matrix ? &matrix->at : &name->at, "a group has no %s",
				  matrix ? "matrix" : "name");
	if (name && !matrix)
		return bake_error(err, &name->at, "name is of use with a matrix only");
	return matrix ? add_matrix(r, b, matrix, err)
		      : add_instance(r, b, NULL, r->instances.n, err);
}

static int collect(struct bake_reader *r, struct error **err)
{
	int status = 0;

	for (size_t i = 0; i < r->bodies.n && status == 0; i++) {
		const struct bake_body *body = &r->bodies.v[i];

		for (size_t k = 0; k < body->n_blocks && status == 0; k++)
			if (strcmp(body->blocks[k].type, "target") == 0 ||
			    strcmp(body->blocks[k].type, "group") == 0)
				status = add_block(r, &body->blocks[k], err);
	}
	return status;
}

/* --- fields --- */

static int compute_field(struct bake_reader *r, size_t at, enum bake_field field,
			 const struct bake_value **ret, struct error **err)
{
	const struct bake_instance *in = &r->instances.v[at];
	const struct bake_attr *attr = bake_body_attr(&in->block->body, bake_fields[field].name);
	struct error **old = r->eval.err;
	const struct bake_value *v;
	const char *why = NULL;

	*ret = NULL;
	if (!attr)
		return 0;
	r->eval.err = err;
	v = bake_evaluate(&r->eval, attr->expr, in->scope);
	r->eval.err = old;
	if (!v)
		return -ERR_INVALID;
	v = bake_field_convert(r->arena, field, v, &why);
	if (!v)
		return bake_error(err, &attr->expr->at, "%s: %s", attr->name, why);
	*ret = v->kind == BAKE_NULL ? NULL : v;
	return 0;
}

static int field_of(struct bake_reader *r, size_t at, enum bake_field field, struct error **err)
{
	struct bake_instance *in = &r->instances.v[at];
	int status;

	if (in->state[field] == STATE_DONE)
		return 0;
	if (in->state[field] == STATE_BUSY)
		return bake_error(err, &in->block->at, "%s.%s.%s needs its own value", in->type,
				  in->name, bake_fields[field].name);
	in->state[field] = STATE_BUSY;
	status = compute_field(r, at, field, &in->field[field], err);
	in->state[field] = status == 0 ? STATE_DONE : STATE_NEW;
	return status;
}

/* What is not set, as others see it. */
static const struct bake_value *unset(struct bake_reader *r, enum bake_field field)
{
	struct bake_builder none = {.arena = r->arena};

	if (bake_fields[field].form == FORM_ENTRIES)
		return bake_sequence(&none, BAKE_LIST);
	return field == BAKE_DESCRIPTION ? bake_string(r->arena, "") : bake_null();
}

static int resolve_block(void *data, const char *type, const char *name, const char *attr,
			 const struct bake_value **ret, struct error **err)
{
	struct bake_reader *r = data;
	struct bake_builder b = {.arena = r->arena};
	size_t at = r->instances.n;
	int status = 0;

	/* The last of several that are merged. */
	while (at > 0 && (strcmp(r->instances.v[at - 1].name, name) != 0 ||
			  strcmp(r->instances.v[at - 1].type, type) != 0))
		at--;
	if (at-- == 0)
		return 0;
	for (unsigned i = 0; i < BAKE_FIELDS && status == 0; i++) {
		if (attr && strcmp(attr, bake_fields[i].name) != 0)
			continue;
		status = field_of(r, at, (enum bake_field)i, err);
		bake_put(&b, bake_fields[i].name,
			 r->instances.v[at].field[i] ? r->instances.v[at].field[i]
						     : unset(r, (enum bake_field)i));
	}
	bake_put(&b, "name", bake_string(r->arena, name));
	*ret = status == 0 ? bake_mapping(&b, BAKE_OBJECT) : NULL;
	return status;
}

static int resolve_variable(void *data, const char *name, const struct bake_value **ret,
			    struct error **err)
{
	return bake_variables_value(data, name, ret, err);
}

static struct bake_function *resolve_function(void *data, const char *name)
{
	return bake_variables_function(data, name);
}

/* --- what comes of them --- */

static int check_target(const struct bake_instance *in, struct error **err)
{
	const struct bake_body *body = &in->block->body;

	if (body->n_blocks > 0)
		return bake_error(err, &body->blocks[0].at,
				  "a target has no block \"%s\"; an argument is written %s = ...",
				  body->blocks[0].type, body->blocks[0].type);
	for (size_t i = 0; i < body->n_attrs; i++) {
		const char *name = body->attrs[i].name;

		if (strcmp(name, "policy") == 0)
			return error_at(
				err, error_new(err, ERR_UNSUPPORTED, 0, "policy is not supported"),
				body->attrs[i].at.file->name, body->attrs[i].at.span);
		if (bake_field_find(name) == BAKE_FIELDS && strcmp(name, "matrix") != 0 &&
		    strcmp(name, "name") != 0)
			return bake_error(err, &body->attrs[i].at, "a target has no \"%s\"", name);
	}
	return 0;
}

static int finish_target(struct bake_reader *r, size_t at, struct error **err)
{
	struct bake_target t = {0}, *old;
	int status = check_target(&r->instances.v[at], err);

	for (unsigned i = 0; i < BAKE_FIELDS && status == 0; i++)
		status = field_of(r, at, (enum bake_field)i, err);
	if (status < 0)
		return status;
	t.name = r->instances.v[at].name;
	memcpy(t.field, r->instances.v[at].field, sizeof(t.field));
	old = (struct bake_target *)(uintptr_t)bake_config_target(r->config, t.name);
	if (old)
		bake_target_merge(r->arena, old, &t);
	else
		vec_push(&r->config->targets, t);
	return 0;
}

static void put_group(struct bake_config *c, struct bake_group g)
{
	for (size_t i = 0; i < c->groups.n; i++) {
		if (strcmp(c->groups.v[i].name, g.name) == 0) {
			strv_release(&c->groups.v[i].targets);
			c->groups.v[i] = g;
			return;
		}
	}
	vec_push(&c->groups, g);
}

static int finish_group(struct bake_reader *r, const struct bake_instance *in, struct error **err)
{
	const struct bake_attr *targets = bake_body_attr(&in->block->body, "targets");
	const struct bake_attr *description = bake_body_attr(&in->block->body, "description");
	struct bake_group g = {.name = in->name};
	const struct bake_value *v;
	const char *why = NULL;

	for (size_t i = 0; i < in->block->body.n_attrs; i++) {
		const struct bake_attr *a = &in->block->body.attrs[i];

		if (a != targets && a != description)
			return bake_error(err, &a->at, "a group has no \"%s\"", a->name);
	}
	if (!targets)
		return bake_error(err, &in->block->at, "the group \"%s\" needs targets", in->name);
	v = description ? bake_evaluate_as(&r->eval, description->expr, NULL, &bake_type_string)
			: bake_null();
	if (!v)
		return -ERR_INVALID;
	g.description = v->kind == BAKE_NULL ? NULL : v->s;
	v = bake_evaluate(&r->eval, targets->expr, NULL);
	if (!v)
		return -ERR_INVALID;
	v = bake_field_convert(r->arena, BAKE_TAGS, v, &why);
	if (!v)
		return bake_error(err, &targets->expr->at, "targets: %s", why);
	for (size_t i = 0; i < v->n; i++)
		if (!strv_contains(&g.targets, v->v[i]->s))
			strv_push(&g.targets, v->v[i]->s);
	put_group(r->config, g);
	return 0;
}

/* The label of a matrix is a group of what it makes. */
static void add_matrix_groups(struct bake_reader *r)
{
	for (size_t i = 0; i < r->instances.n; i++) {
		const struct bake_instance *in = &r->instances.v[i];
		struct bake_group g = {.name = in->block->label};

		if (strcmp(in->name, g.name) == 0 || bake_config_group(r->config, g.name))
			continue;
		for (size_t k = i; k < r->instances.n; k++)
			if (strcmp(r->instances.v[k].block->label, g.name) == 0 &&
			    strcmp(r->instances.v[k].type, in->type) == 0 &&
			    !strv_contains(&g.targets, r->instances.v[k].name))
				strv_push(&g.targets, r->instances.v[k].name);
		put_group(r->config, g);
	}
}

static int evaluate(struct bake_reader *r, struct error **err)
{
	int status = bake_variables_collect(r, err);

	if (status == 0)
		status = bake_variables_finish(r, err);
	if (status == 0)
		status = collect(r, err);
	for (size_t i = 0; i < r->instances.n && status == 0; i++)
		status = strcmp(r->instances.v[i].type, "target") == 0
				 ? finish_target(r, i, err)
				 : finish_group(r, &r->instances.v[i], err);
	if (status == 0)
		add_matrix_groups(r);
	return status;
}

/* --- files --- */

void bake_config_add_file(struct bake_config *c, const char *name, const char *text, size_t n)
{
	struct bake_file *f = ARENA_NEW(&c->arena, struct bake_file);
	char *copy = arena_alloc(&c->arena, n + 1);
	const struct bake_file **end = &c->files;

	memcpy(copy, text, n);
	*f = (struct bake_file){.name = arena_strdup(&c->arena, name), .text = copy, .n = n};
	while (*end)
		end = (const struct bake_file **)(uintptr_t) & (*end)->next;
	*end = f;
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n >= k && strcmp(name + n - k, end) == 0;
}

/* By its name; else as HCL, or JSON if only that can be read. */
static int parse(struct arena *a, const struct bake_file *f, struct bake_body *ret,
		 struct error **err)
{
	int status;

	if (ends_in(f->name, ".json"))
		return bake_parse_json(a, f, ret, err);
	status = bake_parse_hcl(a, f, ret, err);
	if (status < 0 && !ends_in(f->name, ".hcl") && bake_parse_json(a, f, ret, NULL) == 0) {
		if (err) {
			error_free(*err);
			*err = NULL;
		}
		status = 0;
	}
	return status;
}

int bake_config_read(struct bake_config *c, const struct bake_input *in, struct error **err)
{
	struct bake_reader r = {.config = c, .in = in, .arena = &c->arena};
	int status = 0;

	r.resolver = (struct bake_resolver){.variable = resolve_variable,
					    .block = resolve_block,
					    .function = resolve_function,
					    .data = &r};
	r.eval = (struct bake_eval){
		.arena = &c->arena, .err = err, .resolver = &r.resolver, .now = in->now};
	for (const struct bake_file *f = c->files; f && status == 0; f = f->next) {
		struct bake_body body;

		status = parse(&c->arena, f, &body, err);
		if (status == 0)
			vec_push(&r.bodies, body);
	}
	if (status == 0)
		status = evaluate(&r, err);
	vec_release(&r.bodies);
	vec_release(&r.variables);
	vec_release(&r.functions);
	vec_release(&r.instances);
	return status;
}

const struct bake_target *bake_config_target(const struct bake_config *c, const char *name)
{
	for (size_t i = 0; i < c->targets.n; i++)
		if (strcmp(c->targets.v[i].name, name) == 0)
			return &c->targets.v[i];
	return NULL;
}

const struct bake_group *bake_config_group(const struct bake_config *c, const char *name)
{
	for (size_t i = 0; i < c->groups.n; i++)
		if (strcmp(c->groups.v[i].name, name) == 0)
			return &c->groups.v[i];
	return NULL;
}

void bake_config_release(struct bake_config *c)
{
	for (size_t i = 0; i < c->groups.n; i++)
		strv_release(&c->groups.v[i].targets);
	vec_release(&c->groups);
	vec_release(&c->targets);
	vec_release(&c->variables);
	arena_release(&c->arena);
}

void bake_config_excerpt(const struct bake_config *c, const struct error *e, struct buf *b)
{
	const struct bake_file *f = error_file(e) ? c->files : NULL;
	VEC(struct df_line) lines = {0};
	struct df_file view;

	while (f && strcmp(f->name, error_file(e)) != 0)
		f = f->next;
	if (!f)
		return;
	for (const char *p = f->text, *end = f->text + f->n; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = stop ? (size_t)(stop - p) : (size_t)(end - p);

		vec_push(&lines, (struct df_line){.p = p, .n = n});
		p += n + 1;
	}
	view = (struct df_file){.name = f->name,
				.data = f->text,
				.size = f->n,
				.lines = lines.v,
				.n_lines = lines.n};
	df_excerpt(&view, error_span(e), b);
	vec_release(&lines);
}
