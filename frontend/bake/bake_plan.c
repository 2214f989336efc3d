/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/bake/bake_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/pattern.h"
#include "base/suggest.h"

struct planner {
	struct bake_config *config;
	struct bake_plan *plan;
	struct error **err;
	VEC(const char *) visiting; /* targets whose inheritance is being followed */
};

/* --- names --- */

static void push_once(struct strv *list, const char *name)
{
	if (!strv_contains(list, name))
		strv_push(list, name);
}

/* Names with * and the like are those that fit. */
static int expand_names(struct planner *p, const struct strv *names, struct strv *ret)
{
	for (size_t i = 0; i < names->n; i++) {
		_cleanup_free_ char *name = xstrdup(names->v[i]);
		size_t before = ret->n;

		/* Services of compose files may have dots. */
		for (char *dot = name; (dot = strchr(dot, '.'));)
			*dot = '_';
		if (!strpbrk(name, "*?[]")) {
			push_once(ret, name);
			continue;
		}
		for (size_t k = 0; k < p->config->groups.n; k++)
			if (glob_match(name, p->config->groups.v[k].name, NULL) > 0)
				push_once(ret, p->config->groups.v[k].name);
		for (size_t k = 0; k < p->config->targets.n; k++)
			if (glob_match(name, p->config->targets.v[k].name, NULL) > 0)
				push_once(ret, p->config->targets.v[k].name);
		if (ret->n == before)
			return error_new(p->err, ERR_NOTFOUND, 0, "no target is called \"%s\"",
					 name);
	}
	return 0;
}

/* Adds the targets of a group, and the groups that it has in it. */
static void expand_group(struct planner *p, const char *name, struct strv *targets,
			 struct strv *groups)
{
	const struct bake_group *g = bake_config_group(p->config, name);

	if (!g) {
		push_once(targets, name);
		return;
	}
	if (strv_contains(groups, name))
		return;
	strv_push(groups, name);
	for (size_t i = 0; i < g->targets.n; i++)
		expand_group(p, g->targets.v[i], targets, groups);
}

/* --- one target --- */

static int no_target(struct planner *p, const char *name)
{
	const char **names = xcalloc(p->config->targets.n + 1, sizeof(*names)), *near;
	int r;

	for (size_t i = 0; i < p->config->targets.n; i++)
		names[i] = p->config->targets.v[i].name;
	near = suggest(name, names, p->config->targets.n, true);
	r = error_new(p->err, ERR_NOTFOUND, 0, "there is no target \"%s\"", name);
	if (near)
		r = error_hint(p->err, r, "did you mean \"%s\"?", near);
	else if (strcmp(name, "default") == 0)
		r = error_hint(
			p->err, r,
			"name the targets to build, or define a target or group \"default\"");
	free(names);
	return r;
}

/* With what it inherits. *ret_found is false where it is being followed already. */
static int inherit(struct planner *p, const char *name, struct bake_target *ret, bool *ret_found)
{
	const struct bake_target *own = bake_config_target(p->config, name);
	struct bake_target t = {.name = own ? own->name : NULL};
	_cleanup_strv_ struct strv parents = {0};
	int r = 0;

	*ret_found = false;
	for (size_t i = 0; i < p->visiting.n; i++)
		if (strcmp(p->visiting.v[i], name) == 0)
			return 0;
	if (!own)
		return no_target(p, name);
	vec_push(&p->visiting, own->name);
	bake_target_list(own, BAKE_INHERITS, &parents);
	for (size_t i = 0; i < parents.n && r == 0; i++) {
		struct bake_target parent;
		bool found;

		r = inherit(p, parents.v[i], &parent, &found);
		if (r == 0 && found)
			bake_target_merge(p->plan->arena, &t, &parent);
	}
	(void)vec_pop(&p->visiting);
	if (r < 0)
		return r;
	bake_target_merge(p->plan->arena, &t, own);
	r = bake_overrides_apply(p->plan, &t, p->err);
	bake_target_normalize(p->plan->arena, &t);
	*ret_found = true;
	*ret = t;
	return r;
}

static bool is_url(const char *s)
{
	return strstr(s, "://") || strncmp(s, "git@", 4) == 0;
}

/* Paths in their shortest form; cwd:// is what a path is anyway, but for bakes from elsewhere. */
static const struct bake_value *clean_path(struct arena *a, const char *text)
{
	_cleanup_free_ char *clean = NULL;

	if (strncmp(text, "cwd://", 6) == 0)
		clean = path_clean(text + 6);
	else
		clean = is_url(text) ? xstrdup(text) : path_clean(text);
	return bake_string(a, clean);
}

static int resolve(struct planner *p, const char *name, struct bake_target *ret)
{
	struct arena *a = p->plan->arena;
	const char *dockerfile, *context;
	bool found;
	int r = inherit(p, name, ret, &found);

	if (r < 0)
		return r;
	ret->field[BAKE_INHERITS] = NULL;
	context = bake_target_text(ret, BAKE_CONTEXT);
	dockerfile = bake_target_text(ret, BAKE_DOCKERFILE);
	if (context && strcmp(context, "-") == 0)
		return error_new(p->err, ERR_INVALID, 0,
				 "target %s: standard input cannot be the context of a target",
				 name);
	if (dockerfile && strcmp(dockerfile, "-") == 0)
		return error_new(p->err, ERR_INVALID, 0,
				 "target %s: standard input cannot be the Dockerfile of a target",
				 name);
	ret->field[BAKE_CONTEXT] = clean_path(a, context ? context : ".");
	if (!dockerfile || !*dockerfile)
		ret->field[BAKE_DOCKERFILE] = bake_string(a, "Dockerfile");
	return 0;
}

/* --- links --- */

static bool is_subset(const struct bake_value *x, const struct bake_value *y)
{
	for (size_t i = 0; i < x->n; i++) {
		bool found = false;

		for (size_t k = 0; k < y->n && !found; k++)
			found = strcmp(x->v[i]->s, y->v[k]->s) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* The platforms of both, and what `from` may do `to` may do. */
static int join(struct planner *p, struct bake_target *to, const struct bake_target *from)
{
	const struct bake_value *x = to->field[BAKE_PLATFORMS], *y = from->field[BAKE_PLATFORMS];
	struct bake_target given = {0};

	given.field[BAKE_ENTITLEMENTS] = from->field[BAKE_ENTITLEMENTS];
	bake_target_merge(p->plan->arena, to, &given);
	bake_target_normalize(p->plan->arena, to);
	if (x && y && x->n > 1 && y->n > 1 && !is_subset(x, y))
		return error_new(
			p->err, ERR_INVALID, 0,
			"target %s is built for platforms that %s, which it uses, is not built for",
			to->name, from->name);
	return 0;
}

static int link_target(struct planner *p, const char *name, size_t *ret)
{
	struct bake_target t;
	struct bake_builder b = {.arena = p->plan->arena}, own = {.arena = p->plan->arena};
	int r = 0;

	for (size_t i = 0; i < p->plan->targets.n; i++) {
		*ret = i;
		if (strcmp(p->plan->targets.v[i].name, name) == 0)
			return 0;
	}
	r = resolve(p, name, &t);
	if (r < 0)
		return r;
	bake_put(&own, "type", bake_string(p->plan->arena, "cacheonly"));
	bake_push(&b, bake_mapping(&own, BAKE_MAP));
	t.field[BAKE_OUTPUT] = bake_sequence(&b, BAKE_LIST);
	t.linked = true;
	*ret = p->plan->targets.n;
	vec_push(&p->plan->targets, t);
	return 0;
}

static int load_links(struct planner *p, size_t at)
{
	const struct bake_value *contexts = p->plan->targets.v[at].field[BAKE_CONTEXTS];
	const char *name = p->plan->targets.v[at].name;
	int r = 0;

	vec_push(&p->visiting, name);
	for (size_t i = 0; contexts && i < contexts->n && r == 0; i++) {
		const char *other = contexts->v[i]->s;
		size_t to = 0;

		if (strncmp(other, "target:", 7) != 0)
			continue;
		other += 7;
		for (size_t k = 0; k < p->visiting.n && r == 0; k++)
			if (strcmp(p->visiting.v[k], other) == 0)
				r = error_new(p->err, ERR_INVALID, 0,
					      "target %s needs itself, by its context \"%s\"",
					      other, contexts->names[i]);
		if (r == 0)
			r = link_target(p, other, &to);
		if (r == 0)
			r = load_links(p, to);
		if (r == 0)
			r = join(p, &p->plan->targets.v[at], &p->plan->targets.v[to]);
	}
	(void)vec_pop(&p->visiting);
	return r;
}

/* --- all --- */

static int compare_targets(const void *a, const void *b)
{
	return strcmp(((const struct bake_target *)a)->name, ((const struct bake_target *)b)->name);
}

static int compare_groups(const void *a, const void *b)
{
	return strcmp(((const struct bake_group *)a)->name, ((const struct bake_group *)b)->name);
}

static struct bake_group *put_group(struct bake_plan *p, const char *name)
{
	for (size_t i = 0; i < p->groups.n; i++)
		if (strcmp(p->groups.v[i].name, name) == 0)
			return &p->groups.v[i];
	vec_push(&p->groups, (struct bake_group){.name = name});
	return &vec_last(&p->groups);
}

/* What was asked for is the plan's default. */
static void add_groups(struct planner *p, const struct strv *asked, const struct strv *groups)
{
	struct bake_group *d;

	for (size_t i = 0; i < groups->n; i++) {
		const struct bake_group *from = bake_config_group(p->config, groups->v[i]);
		struct bake_group *to = put_group(p->plan, from->name);

		to->description = from->description;
		strv_copy(&to->targets, &from->targets);
	}
	for (size_t i = 0; i < asked->n; i++) {
		bool has = strv_contains(groups, "default");

		if (has && strcmp(asked->v[i], "default") == 0)
			continue;
		push_once(&put_group(p->plan, "default")->targets, asked->v[i]);
	}
	d = put_group(p->plan, "default");
	strv_sort(&d->targets);
	if (p->plan->groups.n > 1)
		qsort(p->plan->groups.v, p->plan->groups.n, sizeof(*p->plan->groups.v),
		      compare_groups);
}

static int plan(struct planner *p, const struct strv *names)
{
	_cleanup_strv_ struct strv asked = {0}, targets = {0}, groups = {0};
	size_t n;
	int r = expand_names(p, names, &asked);

	for (size_t i = 0; i < asked.n && r == 0; i++)
		expand_group(p, asked.v[i], &targets, &groups);
	for (size_t i = 0; i < targets.n && r == 0; i++) {
		struct bake_target t;

		r = resolve(p, targets.v[i], &t);
		if (r == 0)
			vec_push(&p->plan->targets, t);
	}
	if (r < 0)
		return r;
	add_groups(p, &asked, &groups);
	n = p->plan->targets.n;
	for (size_t i = 0; i < n && r == 0; i++)
		r = load_links(p, i);
	if (p->plan->targets.n > 1)
		qsort(p->plan->targets.v, p->plan->targets.n, sizeof(*p->plan->targets.v),
		      compare_targets);
	return r;
}

int bake_plan_make(struct bake_config *c, const struct strv *names, const struct strv *sets,
		   struct bake_plan *ret, struct error **err)
{
	struct planner p = {.config = c, .plan = ret, .err = err};
	_cleanup_strv_ struct strv standard = {0};
	int r;

	*ret = (struct bake_plan){.arena = &c->arena};
	strv_push(&standard, "default");
	r = bake_overrides_parse(c, sets, ret, err);
	if (r == 0)
		r = plan(&p, names->n > 0 ? names : &standard);
	vec_release(&p.visiting);
	return r;
}

struct bake_target *bake_plan_target(const struct bake_plan *p, const char *name)
{
	for (size_t i = 0; i < p->targets.n; i++)
		if (strcmp(p->targets.v[i].name, name) == 0)
			return &p->targets.v[i];
	return NULL;
}

void bake_plan_release(struct bake_plan *p)
{
	for (size_t i = 0; i < p->groups.n; i++)
		strv_release(&p->groups.v[i].targets);
	for (size_t i = 0; i < p->overrides.n; i++)
		strv_release(&p->overrides.v[i].values);
	vec_release(&p->groups);
	vec_release(&p->targets);
	vec_release(&p->overrides);
	strv_release(&p->read);
	strv_release(&p->write);
}
