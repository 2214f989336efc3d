/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as JSON, in buildx's form: a plan can be given as a bake file again. */
#include <string.h>

#include "base/attrs.h"
#include "frontend/bake/bake_plan.h"

/* Text that a bake file would evaluate. */
static json_t *escaped(const char *s)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (; *s; s++) {
		if ((*s == '$' || *s == '%') && s[1] == '{')
			buf_addc(&b, *s);
		buf_addc(&b, *s);
	}
	return json_stringn_nocheck(b.p, b.n);
}

static json_t *text(const char *s)
{
	return json_stringn_nocheck(s, strlen(s));
}

static bool is_evaluated(enum bake_field field)
{
	return field == BAKE_ANNOTATIONS || field == BAKE_DOCKERFILE_INLINE ||
	       field == BAKE_LABELS || field == BAKE_ARGS || field == BAKE_EXTRA_HOSTS;
}

static json_t *value_json(enum bake_field field, const struct bake_value *v)
{
	int64_t n;
	json_t *j;

	if (bake_is_sequence(v)) {
		j = json_array();
		for (size_t i = 0; i < v->n; i++)
			json_array_append_new(j, value_json(field, v->v[i]));
		return j;
	}
	if (bake_is_mapping(v)) {
		j = json_object();
		for (size_t i = 0; i < v->n; i++)
			json_object_set_new_nocheck(j, v->names[i], value_json(field, v->v[i]));
		return j;
	}
	if (v->kind == BAKE_BOOL)
		return json_boolean(v->b);
	if (v->kind == BAKE_NUMBER && bake_to_int(v, &n))
		return json_integer(n);
	return is_evaluated(field) ? escaped(v->s) : text(v->s);
}

/* Members in this order, not in that of their names. */
static json_t *ordered(enum bake_field field, const struct bake_value *v, const char *const *names)
{
	json_t *j = json_object();

	for (; *names; names++) {
		const struct bake_value *m = bake_member(v, *names);

		if (m)
			json_object_set_new_nocheck(j, *names, value_json(field, m));
	}
	return j;
}

static json_t *attest_json(const struct bake_value *e)
{
	json_t *j = json_object();

	for (size_t i = 0; i < e->n; i++) {
		bool on = false;

		if (strcmp(e->names[i], "disabled") != 0)
			json_object_set_new_nocheck(j, e->names[i], text(e->v[i]->s));
		else if (attrs_bool("disabled", e->v[i]->s, &on, NULL) == 0 && on)
			json_object_set_new(j, "disabled", json_true());
	}
	return j;
}

/* An empty destination does not count. */
static json_t *output_json(const struct bake_value *e)
{
	json_t *j = json_object();

	for (size_t i = 0; i < e->n; i++)
		if (strcmp(e->names[i], "dest") != 0 || *e->v[i]->s)
			json_object_set_new_nocheck(j, e->names[i], text(e->v[i]->s));
	return j;
}

static json_t *field_json(enum bake_field field, const struct bake_value *v)
{
	static const char *const secret[] = {"id", "src", "env", NULL};
	static const char *const resources[] = {"memory",      "memory-swap", "cpu-shares",
						"cpu-period",  "cpu-quota",   "cpuset-cpus",
						"cpuset-mems", NULL};
	json_t *j;

	if (field == BAKE_RESOURCES)
		return ordered(field, v, resources);
	if (field != BAKE_SECRET && field != BAKE_ATTEST && field != BAKE_OUTPUT)
		return value_json(field, v);
	j = json_array();
	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(j, field == BAKE_SECRET	? ordered(field, v->v[i], secret)
					 : field == BAKE_OUTPUT ? output_json(v->v[i])
								: attest_json(v->v[i]));
	return j;
}

json_t *bake_target_json(const struct bake_target *t)
{
	json_t *j = json_object();

	for (unsigned i = 0; i < BAKE_FIELDS; i++) {
		const struct bake_value *v = t->field[i];
		bool empty = v && (bake_is_sequence(v) || bake_is_mapping(v)) && v->n == 0 &&
			     i != BAKE_RESOURCES;

		if (v && !empty)
			json_object_set_new(j, bake_fields[i].name,
					    field_json((enum bake_field)i, v));
	}
	return j;
}

json_t *bake_plan_json(const struct bake_plan *p)
{
	json_t *plan = json_object(), *groups = json_object(), *targets = json_object();

	for (size_t i = 0; i < p->groups.n; i++) {
		const struct bake_group *g = &p->groups.v[i];
		json_t *j = json_object(), *names = json_array();

		if (g->description && *g->description)
			json_object_set_new(j, "description", text(g->description));
		for (size_t k = 0; k < g->targets.n; k++)
			json_array_append_new(names, text(g->targets.v[k]));
		json_object_set_new(j, "targets", names);
		json_object_set_new(groups, g->name, j);
	}
	for (size_t i = 0; i < p->targets.n; i++)
		json_object_set_new(targets, p->targets.v[i].name,
				    bake_target_json(&p->targets.v[i]));
	if (json_object_size(groups) > 0)
		json_object_set_new(plan, "group", groups);
	else
		json_decref(groups);
	json_object_set_new(plan, "target", targets);
	return plan;
}
