/* SPDX-License-Identifier: Apache-2.0 */
/* One compose file laid over another. */
#include <string.h>

#include "frontend/compose/compose.h"

typedef const struct bake_value *value;

const struct bake_value *compose_get(const struct bake_value *v, const char *name)
{
	value m = v && bake_is_mapping(v) ? bake_member(v, name) : NULL;

	return m && m->kind != BAKE_NULL ? m : NULL;
}

const struct bake_value *compose_with(struct arena *a, const struct bake_value *map,
				      const char *name, const struct bake_value *v)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; map && bake_is_mapping(map) && i < map->n; i++)
		bake_put(&b, map->names[i], map->v[i]);
	bake_put(&b, name, v);
	return bake_mapping(&b, BAKE_MAP);
}

const struct bake_value *compose_without(struct arena *a, const struct bake_value *map,
					 const char *name)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->names[i], name) != 0)
			bake_put(&b, map->names[i], map->v[i]);
	return bake_mapping(&b, BAKE_MAP);
}

/* How what stands at a place is merged. */
enum rule { RULE_DEEP, RULE_REPLACE, RULE_PAIRS, RULE_SEQUENCE, RULE_NAMES, RULE_BUILD };

/* "services.*.build.args" against "services.web.build.args" */
static bool fits(const char *pattern, const char *path)
{
	while (*pattern && *path) {
		size_t n = strcspn(pattern, "."), k = strcspn(path, ".");

		if (!(n == 1 && *pattern == '*') && (n != k || strncmp(pattern, path, n) != 0))
			return false;
		pattern += n + (pattern[n] == '.');
		path += k + (path[k] == '.');
	}
	return !*pattern && !*path;
}

static enum rule rule_of(const char *path)
{
	static const struct {
		const char *pattern;
		enum rule rule;
	} rules[] = {
		{"networks.*.labels", RULE_PAIRS},
		{"volumes.*.labels", RULE_PAIRS},
		{"services.*.annotations", RULE_PAIRS},
		{"services.*.build", RULE_BUILD},
		{"services.*.build.args", RULE_PAIRS},
		{"services.*.build.additional_contexts", RULE_PAIRS},
		{"services.*.build.extra_hosts", RULE_SEQUENCE},
		{"services.*.build.labels", RULE_PAIRS},
		{"services.*.command", RULE_REPLACE},
		{"services.*.depends_on", RULE_NAMES},
		{"services.*.deploy.labels", RULE_PAIRS},
		{"services.*.dns", RULE_SEQUENCE},
		{"services.*.dns_opt", RULE_SEQUENCE},
		{"services.*.dns_search", RULE_SEQUENCE},
		{"services.*.entrypoint", RULE_REPLACE},
		{"services.*.env_file", RULE_SEQUENCE},
		{"services.*.environment", RULE_PAIRS},
		{"services.*.extra_hosts", RULE_SEQUENCE},
		{"services.*.healthcheck.test", RULE_REPLACE},
		{"services.*.labels", RULE_PAIRS},
		{"services.*.networks", RULE_NAMES},
		{"services.*.sysctls", RULE_PAIRS},
		{"services.*.tmpfs", RULE_SEQUENCE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (fits(rules[i].pattern, path))
			return rules[i].rule;
	return RULE_DEEP;
}

static void push_once(struct bake_builder *b, value v)
{
	for (size_t i = 0; i < b->n; i++)
		if (bake_equal(b->v[i], v))
			return;
	bake_push(b, v);
}

/* {A: 1} as [A=1]. */
static void add_sequence(struct arena *a, value v, struct bake_builder *b)
{
	if (bake_is_sequence(v)) {
		for (size_t i = 0; i < v->n; i++)
			bake_push(b, v->v[i]);
	} else if (bake_is_mapping(v)) {
		for (size_t i = 0; i < v->n; i++) {
			const char *text = bake_text(v->v[i]);

			if (bake_is_sequence(v->v[i]))
				for (size_t k = 0; k < v->v[i]->n; k++)
					bake_push(b, bake_string(
							     a, arena_printf(
									a, "%s=%s", v->names[i],
									bake_text(v->v[i]->v[k]))));
			else
				bake_push(b, bake_string(a, text ? arena_printf(a, "%s=%s",
										v->names[i], text)
								 : v->names[i]));
		}
	} else if (v->kind == BAKE_STRING) {
		bake_push(b, v);
	}
}

static value merge_sequences(struct arena *a, value base, value over)
{
	struct bake_builder x = {.arena = a}, y = {.arena = a}, b = {.arena = a};

	add_sequence(a, base, &x);
	add_sequence(a, over, &y);
	for (size_t i = 0; i < x.n; i++)
		bake_push(&b, x.v[i]);
	for (size_t i = 0; i < y.n; i++)
		push_once(&b, y.v[i]);
	return bake_sequence(&b, BAKE_LIST);
}

/* NAME=VALUE lists: the last one of a name counts, where the first stood. */
static value merge_pairs(struct arena *a, value base, value over)
{
	struct bake_builder all = {.arena = a}, b = {.arena = a};

	add_sequence(a, base, &all);
	add_sequence(a, over, &all);
	for (size_t i = 0; i < all.n; i++) {
		const char *text = bake_text(all.v[i]) ? bake_text(all.v[i]) : "";
		size_t n = strcspn(text, "="), k = 0;

		for (; k < b.n; k++) {
			const char *old = bake_text(b.v[k]) ? bake_text(b.v[k]) : "";

			if (strcspn(old, "=") == n && strncmp(old, text, n) == 0)
				break;
		}
		if (k < b.n)
			b.v[k] = all.v[i];
		else
			bake_push(&b, all.v[i]);
	}
	return bake_sequence(&b, BAKE_LIST);
}

/* [db] as {db: ...}. */
static value to_names(struct arena *a, value v, bool dependencies)
{
	struct bake_builder b = {.arena = a}, entry = {.arena = a};

	if (!bake_is_sequence(v))
		return v->kind == BAKE_NULL ? bake_mapping(&b, BAKE_MAP) : v;
	bake_put(&entry, "condition", bake_string(a, "service_started"));
	bake_put(&entry, "required", bake_bool(true));
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i]->kind == BAKE_STRING)
			bake_put(&b, v->v[i]->s,
				 dependencies ? bake_mapping(&entry, BAKE_MAP) : bake_null());
	return bake_mapping(&b, BAKE_MAP);
}

static value to_build(struct arena *a, value v)
{
	struct bake_builder b = {.arena = a};

	if (v->kind != BAKE_STRING)
		return v;
	bake_put(&b, "context", v);
	return bake_mapping(&b, BAKE_MAP);
}

static value merge_mappings(struct compose_tree *t, value base, value over, const char *path,
			    struct error **err)
{
	struct bake_builder b = {.arena = t->arena};

	for (size_t i = 0; i < base->n; i++)
		bake_put(&b, base->names[i], base->v[i]);
	for (size_t i = 0; i < over->n; i++) {
		value old = bake_member(base, over->names[i]), v = over->v[i];

		if (old) {
			const char *at = arena_printf(t->arena, "%s%s%s", path, *path ? "." : "",
						      over->names[i]);

			v = compose_merge(t, old, v, at, err);
			if (!v)
				return NULL;
		}
		bake_put(&b, over->names[i], v);
	}
	return bake_mapping(&b, BAKE_MAP);
}

static value refuse(const char *path, value base, value over, struct error **err)
{
	(void)error_new(err, ERR_INVALID, 0, "%s: a %s cannot take the place of a %s", path,
			bake_kind_name(over), bake_kind_name(base));
	return NULL;
}

static bool is_replacing(const struct compose_tree *t, value v)
{
	for (size_t i = 0; i < t->replacing.n; i++)
		if (t->replacing.v[i] == v)
			return true;
	return false;
}

const struct bake_value *compose_merge(struct compose_tree *t, const struct bake_value *base,
				       const struct bake_value *over, const char *path,
				       struct error **err)
{
	struct bake_builder b = {.arena = t->arena};
	enum rule rule = rule_of(path);

	if (over == compose_reset() || is_replacing(t, over) || base == compose_reset() ||
	    rule == RULE_REPLACE)
		return over;
	if (rule == RULE_PAIRS)
		return merge_pairs(t->arena, base, over);
	if (rule == RULE_SEQUENCE)
		return merge_sequences(t->arena, base, over);
	if (rule == RULE_NAMES || rule == RULE_BUILD) {
		bool dependencies = rule == RULE_NAMES && fits("services.*.depends_on", path);

		base = rule == RULE_BUILD ? to_build(t->arena, base)
					  : to_names(t->arena, base, dependencies);
		over = rule == RULE_BUILD ? to_build(t->arena, over)
					  : to_names(t->arena, over, dependencies);
	}
	if (over->kind == BAKE_NULL)
		return base;
	if (bake_is_mapping(base))
		return bake_is_mapping(over) ? merge_mappings(t, base, over, path, err)
					     : refuse(path, base, over, err);
	if (!bake_is_sequence(base))
		return over;
	if (!bake_is_sequence(over))
		return refuse(path, base, over, err);
	for (size_t i = 0; i < base->n; i++)
		bake_push(&b, base->v[i]);
	for (size_t i = 0; i < over->n; i++)
		push_once(&b, over->v[i]);
	return bake_sequence(&b, BAKE_LIST);
}

const struct bake_value *compose_without_reset(struct arena *a, const struct bake_value *v)
{
	struct bake_builder b = {.arena = a};

	if (!bake_is_mapping(v) && !bake_is_sequence(v))
		return v;
	for (size_t i = 0; i < v->n; i++) {
		if (v->v[i] == compose_reset())
			continue;
		if (bake_is_mapping(v))
			bake_put(&b, v->names[i], compose_without_reset(a, v->v[i]));
		else
			bake_push(&b, compose_without_reset(a, v->v[i]));
	}
	return bake_is_mapping(v) ? bake_mapping(&b, BAKE_MAP) : bake_sequence(&b, BAKE_LIST);
}
