/* SPDX-License-Identifier: Apache-2.0 */
/* --set PATTERN.KEY[+]=VALUE */
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/number.h"
#include "base/pattern.h"
#include "frontend/bake/bake_plan.h"

/* How a key takes its value. */
enum override_form { OVERRIDE_TEXT, OVERRIDE_LIST, OVERRIDE_NAMED };

static const struct override_key {
	const char *name;
	enum bake_field field;
	enum override_form form;
	bool appends; /* always, with or without a plus */
} keys[] = {
	{"annotations", BAKE_ANNOTATIONS, OVERRIDE_LIST, true},
	{"args", BAKE_ARGS, OVERRIDE_NAMED, false},
	{"attest", BAKE_ATTEST, OVERRIDE_LIST, true},
	{"cache-from", BAKE_CACHE_FROM, OVERRIDE_LIST, false},
	{"cache-to", BAKE_CACHE_TO, OVERRIDE_LIST, false},
	{"call", BAKE_CALL, OVERRIDE_TEXT, false},
	{"context", BAKE_CONTEXT, OVERRIDE_TEXT, false},
	{"contexts", BAKE_CONTEXTS, OVERRIDE_NAMED, false},
	{"dockerfile", BAKE_DOCKERFILE, OVERRIDE_TEXT, false},
	{"entitlements", BAKE_ENTITLEMENTS, OVERRIDE_LIST, true},
	{"extra-hosts", BAKE_EXTRA_HOSTS, OVERRIDE_NAMED, false},
	{"labels", BAKE_LABELS, OVERRIDE_NAMED, false},
	{"load", BAKE_FIELDS, OVERRIDE_TEXT, false},
	{"network", BAKE_NETWORK, OVERRIDE_TEXT, false},
	{"no-cache", BAKE_NO_CACHE, OVERRIDE_TEXT, false},
	{"no-cache-filter", BAKE_NO_CACHE_FILTER, OVERRIDE_LIST, false},
	{"output", BAKE_OUTPUT, OVERRIDE_LIST, false},
	{"platform", BAKE_PLATFORMS, OVERRIDE_LIST, false},
	{"pull", BAKE_PULL, OVERRIDE_TEXT, false},
	{"push", BAKE_FIELDS, OVERRIDE_TEXT, false},
	{"resources", BAKE_RESOURCES, OVERRIDE_NAMED, false},
	{"secret", BAKE_SECRET, OVERRIDE_NAMED, false},
	{"secrets", BAKE_SECRET, OVERRIDE_LIST, false},
	{"shm-size", BAKE_SHM_SIZE, OVERRIDE_TEXT, false},
	{"ssh", BAKE_SSH, OVERRIDE_LIST, false},
	{"tags", BAKE_TAGS, OVERRIDE_LIST, false},
	{"target", BAKE_TARGET, OVERRIDE_TEXT, false},
	{"ulimits", BAKE_ULIMITS, OVERRIDE_LIST, false},
};

static const struct override_key *find_key(const char *key)
{
	size_t n = strcspn(key, ".");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strncmp(keys[i].name, key, n) == 0 && keys[i].name[n] == '\0')
			return &keys[i];
	return NULL;
}

/* --- reading --- */

static void add(struct bake_plan *p, const char *target, const char *key, const char *value,
		bool append)
{
	struct bake_override o = {.target = target, .key = key, .append = append};
	bool list = find_key(key)->form == OVERRIDE_LIST;

	for (size_t i = 0; i < p->overrides.n; i++) {
		struct bake_override *old = &p->overrides.v[i];

		if (strcmp(old->target, target) != 0 || strcmp(old->key, key) != 0)
			continue;
		/* What a list was given before stays, whatever the later one says. */
		if (!list)
			strv_release(&old->values);
		strv_push(&old->values, value);
		old->append = append;
		return;
	}
	strv_push(&o.values, value);
	vec_push(&p->overrides, o);
}

static int check(const char *set, const char *key, const char *value, bool append,
		 struct error **err)
{
	const struct override_key *k = find_key(key);
	bool named = strchr(key, '.') != NULL;

	if (!k)
		return error_new(err, ERR_INVALID, 0,
				 "--set %s: a target has no \"%s\" that can be set", set, key);
	if (k->form == OVERRIDE_NAMED && !named)
		return error_new(err, ERR_INVALID, 0,
				 "--set %s: \"%s\" is followed by a name: %s.NAME=VALUE", set,
				 k->name, k->name);
	if (append && (k->field == BAKE_RESOURCES || (k->field == BAKE_SECRET && named)))
		return error_new(err, ERR_INVALID, 0, "--set %s: nothing can be added to \"%s\"",
				 set, key);
	if (!value && k->field != BAKE_ARGS)
		return error_new(err, ERR_INVALID, 0, "--set %s is not TARGET.KEY=VALUE", set);
	return 0;
}

static int parse_one(struct bake_config *c, const char *set, struct bake_plan *p,
		     struct error **err)
{
	const char *equals = strchr(set, '='), *value = equals ? equals + 1 : NULL, *dot;
	size_t n = equals ? (size_t)(equals - set) : strlen(set);
	bool append = n > 0 && set[n - 1] == '+', found = false;
	char *key = arena_strndup(&c->arena, set, n - append), *pattern;
	int r;

	dot = strchr(key, '.');
	if (!dot)
		return error_new(err, ERR_INVALID, 0, "--set %s is not TARGET.KEY=VALUE", set);
	pattern = arena_strndup(&c->arena, key, (size_t)(dot - key));
	key = arena_strdup(&c->arena, dot + 1);
	r = check(set, key, value, append, err);
	if (r < 0)
		return r;
	/* args.NAME alone: its value comes from the environment. */
	if (!value)
		value = getenv(key + strlen("args."));
	if (bake_config_target(c, pattern)) {
		if (value)
			add(p, pattern, key, value, append);
		return 0;
	}
	for (size_t i = 0; i < c->targets.n; i++) {
		r = glob_match(pattern, c->targets.v[i].name, err);
		if (r < 0)
			return error_wrap(err, r, "--set %s", set);
		found = found || r > 0;
		if (r > 0 && value)
			add(p, c->targets.v[i].name, key, value, append);
	}
	return found ? 0
		     : error_new(err, ERR_NOTFOUND, 0, "--set %s: no target is called \"%s\"", set,
				 pattern);
}

int bake_overrides_parse(struct bake_config *c, const struct strv *sets, struct bake_plan *p,
			 struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < sets->n && r == 0; i++)
		r = parse_one(c, sets->v[i], p, err);
	return r;
}

/* --- applying --- */

static int refuse(const struct bake_override *o, const char *why, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "--set %s.%s=%s: %s", o->target, o->key,
			 o->values.v[o->values.n - 1], why);
}

static const struct bake_value *with_name(struct arena *a, const struct bake_value *map,
					  const char *name, const struct bake_value *v)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; map && i < map->n; i++)
		bake_put(&b, map->names[i], map->v[i]);
	bake_put(&b, name, v);
	return bake_mapping(&b, BAKE_MAP);
}

static int set_resource(struct arena *a, struct bake_target *t, const struct bake_override *o,
			const char *name, struct error **err)
{
	static const char *const names[] = {"cpu-shares",  "cpu-period",  "cpu-quota",	"memory",
					    "memory-swap", "cpuset-cpus", "cpuset-mems"};
	const struct bake_value *v = bake_string(a, o->values.v[0]);
	int64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		if (i < 3 && number_parse_signed(v->s, INT64_MIN, INT64_MAX, &n) < 0)
			return refuse(o, "it is a whole number", err);
		t->field[BAKE_RESOURCES] =
			with_name(a, t->field[BAKE_RESOURCES], name, i < 3 ? bake_int(a, n) : v);
		return 0;
	}
	return refuse(o, "there is no such resource", err);
}

/* secret.ID=src=FILE: where a secret that the target has comes from. */
static int set_secret(struct bake_plan *p, struct bake_target *t, const struct bake_override *o,
		      const char *id, struct error **err)
{
	const struct bake_value *list = t->field[BAKE_SECRET], *next, *member;
	struct bake_builder b = {.arena = p->arena};
	const char *why = NULL;
	bool found = false;

	next = bake_entries_parse(p->arena, BAKE_SECRET, o->values.v[0], &why);
	if (!next)
		return refuse(o, why, err);
	member = bake_member(next, "id");
	if (member && strcmp(member->s, id) != 0)
		return refuse(o, "it names another secret", err);
	next = with_name(p->arena, next, "id", bake_string(p->arena, id));
	for (size_t i = 0; list && i < list->n; i++) {
		member = bake_member(list->v[i], "id");
		bake_push(&b, member && strcmp(member->s, id) == 0 ? next : list->v[i]);
		found |= member && strcmp(member->s, id) == 0;
	}
	if (!found)
		return refuse(o, "the target has no such secret", err);
	if (bake_member(next, "src"))
		strv_push(&p->read, bake_member(next, "src")->s);
	t->field[BAKE_SECRET] = bake_sequence(&b, BAKE_LIST);
	return 0;
}

static int set_named(struct bake_plan *p, struct bake_target *t, const struct bake_override *o,
		     const struct override_key *k, struct error **err)
{
	const char *name = strchr(o->key, '.') + 1;

	if (k->field == BAKE_RESOURCES)
		return set_resource(p->arena, t, o, name, err);
	if (k->field == BAKE_SECRET)
		return set_secret(p, t, o, name, err);
	t->field[k->field] = with_name(p->arena, t->field[k->field], name,
				       bake_string(p->arena, o->values.v[0]));
	return 0;
}

static void allow(struct bake_plan *p, enum bake_field field, const struct bake_value *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct bake_value *e = v->v[i], *m;

		if (field == BAKE_ENTITLEMENTS) {
			p->network_host |= strcmp(e->s, "network.host") == 0;
			p->security_insecure |= strcmp(e->s, "security.insecure") == 0;
		} else if (field == BAKE_OUTPUT && (m = bake_member(e, "dest"))) {
			strv_push(&p->write, m->s);
		} else if (field == BAKE_CACHE_TO && (m = bake_member(e, "dest"))) {
			strv_push(&p->write, m->s);
		} else if ((field == BAKE_CACHE_FROM || field == BAKE_SECRET) &&
			   (m = bake_member(e, "src"))) {
			strv_push(&p->read, m->s);
		} else if (field == BAKE_SSH && (m = bake_member(e, "paths"))) {
			for (size_t k = 0; k < m->n; k++)
				strv_push(&p->read, m->v[k]->s);
		}
	}
}

static int set_list(struct bake_plan *p, struct bake_target *t, const struct bake_override *o,
		    const struct override_key *k, struct error **err)
{
	struct bake_builder b = {.arena = p->arena};
	const struct bake_value *v, *old = t->field[k->field];
	const char *why = NULL;

	for (size_t i = 0; i < o->values.n; i++)
		bake_push(&b, bake_string(p->arena, o->values.v[i]));
	v = bake_field_convert(p->arena, k->field, bake_sequence(&b, BAKE_LIST), &why);
	if (!v)
		return refuse(o, why, err);
	allow(p, k->field, v);
	b = (struct bake_builder){.arena = p->arena};
	for (size_t i = 0; (o->append || k->appends) && old && i < old->n; i++)
		bake_push(&b, old->v[i]);
	for (size_t i = 0; i < v->n; i++)
		bake_push(&b, v->v[i]);
	t->field[k->field] = bake_sequence(&b, BAKE_LIST);
	return 0;
}

static const char *type_of(const struct bake_value *entry)
{
	const struct bake_value *v = bake_member(entry, "type");

	return v ? v->s : "";
}

/* Whether images are pushed, wherever they go else. */
static void set_push(struct arena *a, struct bake_target *t, bool push)
{
	const struct bake_value *old = t->field[BAKE_OUTPUT];
	struct bake_builder b = {.arena = a}, own = {.arena = a};
	bool only_docker = true;

	for (size_t i = 0; old && i < old->n; i++) {
		const struct bake_value *e = old->v[i];

		if (!push && strcmp(type_of(e), "registry") == 0)
			continue;
		only_docker = only_docker && strcmp(type_of(e), "docker") == 0;
		if (strcmp(type_of(e), "image") == 0)
			e = with_name(a, e, "push", bake_string(a, push ? "true" : "false"));
		bake_push(&b, e);
	}
	if (push && only_docker) {
		bake_put(&own, "type", bake_string(a, "image"));
		bake_put(&own, "push", bake_string(a, "true"));
		bake_push(&b, bake_mapping(&own, BAKE_MAP));
	}
	t->field[BAKE_OUTPUT] = bake_sequence(&b, BAKE_LIST);
}

static void set_load(struct arena *a, struct bake_target *t, bool load)
{
	const struct bake_value *old = t->field[BAKE_OUTPUT];
	struct bake_builder b = {.arena = a}, own = {.arena = a};

	for (size_t i = 0; old && i < old->n; i++) {
		const char *type = type_of(old->v[i]);

		if (strcmp(type, "docker") == 0 && !bake_member(old->v[i], "dest"))
			return;
		/* Files alone are wanted. */
		if (strcmp(type, "docker") != 0 && strcmp(type, "image") != 0 &&
		    strcmp(type, "registry") != 0 && strcmp(type, "oci") != 0)
			return;
		bake_push(&b, old->v[i]);
	}
	if (!load)
		return;
	bake_put(&own, "type", bake_string(a, "docker"));
	bake_push(&b, bake_mapping(&own, BAKE_MAP));
	t->field[BAKE_OUTPUT] = bake_sequence(&b, BAKE_LIST);
}

static int set_text(struct bake_plan *p, struct bake_target *t, const struct bake_override *o,
		    const struct override_key *k, struct error **err)
{
	bool truth = k->field == BAKE_FIELDS || bake_fields[k->field].form == FORM_TRUTH,
	     on = false;

	if (truth && attrs_bool("", o->values.v[0], &on, NULL) < 0)
		return refuse(o, "it is true or false", err);
	if (k->field != BAKE_FIELDS)
		t->field[k->field] = truth ? bake_bool(on) : bake_string(p->arena, o->values.v[0]);
	else if (strcmp(k->name, "push") == 0)
		set_push(p->arena, t, on);
	else
		set_load(p->arena, t, on);
	return 0;
}

int bake_overrides_apply(struct bake_plan *p, struct bake_target *t, struct error **err)
{
	int r = 0;

	/* Outputs are set before it is said where their images go. */
	for (unsigned late = 0; late < 2; late++) {
		for (size_t i = 0; i < p->overrides.n && r == 0; i++) {
			const struct bake_override *o = &p->overrides.v[i];
			const struct override_key *k = find_key(o->key);

			if (strcmp(o->target, t->name) != 0 ||
			    (k->field == BAKE_FIELDS ||
			     (k->field == BAKE_SECRET && k->form == OVERRIDE_NAMED)) != late)
				continue;
			r = k->form == OVERRIDE_NAMED  ? set_named(p, t, o, k, err)
			    : k->form == OVERRIDE_LIST ? set_list(p, t, o, k, err)
						       : set_text(p, t, o, k, err);
		}
	}
	return r;
}
