/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/bake/bake_target.h"

#include <string.h>

const struct bake_field_info bake_fields[BAKE_FIELDS] = {
	[BAKE_DESCRIPTION] = {"description", FORM_TEXT, false},
	[BAKE_INHERITS] = {"inherits", FORM_LIST, true},
	[BAKE_ANNOTATIONS] = {"annotations", FORM_LIST, true},
	[BAKE_ATTEST] = {"attest", FORM_ENTRIES, true},
	[BAKE_CONTEXT] = {"context", FORM_TEXT, false},
	[BAKE_CONTEXTS] = {"contexts", FORM_MAP, true},
	[BAKE_DOCKERFILE] = {"dockerfile", FORM_TEXT, false},
	[BAKE_DOCKERFILE_INLINE] = {"dockerfile-inline", FORM_TEXT, false},
	[BAKE_ARGS] = {"args", FORM_MAP, true},
	[BAKE_LABELS] = {"labels", FORM_MAP, true},
	[BAKE_TAGS] = {"tags", FORM_LIST, false},
	[BAKE_CACHE_FROM] = {"cache-from", FORM_ENTRIES, true},
	[BAKE_CACHE_TO] = {"cache-to", FORM_ENTRIES, false},
	[BAKE_TARGET] = {"target", FORM_TEXT, false},
	[BAKE_SECRET] = {"secret", FORM_ENTRIES, true},
	[BAKE_SSH] = {"ssh", FORM_ENTRIES, true},
	[BAKE_PLATFORMS] = {"platforms", FORM_LIST, false},
	[BAKE_OUTPUT] = {"output", FORM_ENTRIES, false},
	[BAKE_PULL] = {"pull", FORM_TRUTH, false},
	[BAKE_NO_CACHE] = {"no-cache", FORM_TRUTH, false},
	[BAKE_NETWORK] = {"network", FORM_TEXT, false},
	[BAKE_NO_CACHE_FILTER] = {"no-cache-filter", FORM_LIST, true},
	[BAKE_SHM_SIZE] = {"shm-size", FORM_TEXT, false},
	[BAKE_ULIMITS] = {"ulimits", FORM_LIST, true},
	[BAKE_RESOURCES] = {"resources", FORM_RESOURCES, true},
	[BAKE_CALL] = {"call", FORM_TEXT, false},
	[BAKE_ENTITLEMENTS] = {"entitlements", FORM_LIST, true},
	[BAKE_EXTRA_HOSTS] = {"extra-hosts", FORM_MAP, true},
};

enum bake_field bake_field_find(const char *name)
{
	unsigned i = 0;

	while (i < BAKE_FIELDS && strcmp(bake_fields[i].name, name) != 0)
		i++;
	return (enum bake_field)i;
}

/* --- from values --- */

static const struct bake_type *const string_type = &bake_type_string;
static const struct bake_type strings_type = {
	.kind = TYPE_LIST, .n = 1, .v = (const struct bake_type **)(uintptr_t)&string_type};

static const struct bake_value *to_list(struct arena *a, const struct bake_value *v,
					const char **why)
{
	v = bake_convert(a, v, &strings_type, why);
	for (size_t i = 0; v && i < v->n; i++) {
		if (v->v[i]->kind == BAKE_NULL) {
			*why = "an element is null";
			return NULL;
		}
	}
	return v;
}

static const struct bake_value *to_map(struct arena *a, const struct bake_value *v,
				       const char **why)
{
	struct bake_builder b = {.arena = a};

	if (!bake_is_mapping(v)) {
		*why = arena_printf(a, "map of string required, not %s", bake_kind_name(v));
		return NULL;
	}
	for (size_t i = 0; i < v->n; i++) {
		const struct bake_value *s = bake_convert(a, v->v[i], &bake_type_string, why);

		if (!s)
			return NULL;
		/* null: as if it were not there */
		if (s->kind != BAKE_NULL)
			bake_put(&b, v->names[i], s);
	}
	return bake_mapping(&b, BAKE_MAP);
}

static const struct bake_value *to_resources(struct arena *a, const struct bake_value *v,
					     const char **why)
{
	static const char *const names[] = {"memory",	 "memory-swap", "cpu-shares", "cpu-period",
					    "cpu-quota", "cpuset-cpus", "cpuset-mems"};
	struct bake_builder b = {.arena = a};
	int64_t n;

	if (!bake_is_mapping(v)) {
		*why = arena_printf(a, "map required, not %s", bake_kind_name(v));
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		bool number = i >= 2 && i <= 4;
		const struct bake_value *member = bake_member(v, names[i]);

		if (!member || member->kind == BAKE_NULL)
			continue;
		member = bake_convert(a, member, number ? &bake_type_number : &bake_type_string,
				      why);
		if (!member)
			return NULL;
		if (number && !bake_to_int(member, &n)) {
			*why = arena_printf(a, "\"%s\" is a whole number, not %s", names[i],
					    member->s);
			return NULL;
		}
		bake_put(&b, names[i], member);
	}
	return bake_mapping(&b, BAKE_OBJECT);
}

static const struct bake_value *to_entries(struct arena *a, enum bake_field field,
					   const struct bake_value *v, const char **why);

const struct bake_value *bake_field_convert(struct arena *a, enum bake_field field,
					    const struct bake_value *v, const char **why)
{
	if (v->kind == BAKE_NULL)
		return v;
	switch (bake_fields[field].form) {
	case FORM_TEXT:
		return bake_convert(a, v, &bake_type_string, why);
	case FORM_TRUTH:
		return bake_convert(a, v, &bake_type_bool, why);
	case FORM_LIST:
		return to_list(a, v, why);
	case FORM_MAP:
		return to_map(a, v, why);
	case FORM_ENTRIES:
		return to_entries(a, field, v, why);
	case FORM_RESOURCES:
		return to_resources(a, v, why);
	}
	return NULL;
}

/* One entry that is written as a map. */
static const struct bake_value *entry_of_map(struct arena *a, enum bake_field field,
					     const struct bake_value *v, const char **why)
{
	struct bake_builder b = {.arena = a};

	if (!bake_is_mapping(v)) {
		*why = arena_printf(a, "text or a map required, not %s", bake_kind_name(v));
		return NULL;
	}
	for (size_t i = 0; i < v->n; i++) {
		bool paths = field == BAKE_SSH && strcmp(v->names[i], "paths") == 0;
		const struct bake_value *s =
			paths ? to_list(a, v->v[i], why)
			      : bake_convert(a, v->v[i], &bake_type_string, why);

		if (!s)
			return NULL;
		if (s->kind == BAKE_NULL)
			continue;
		if (!paths && !*s->s && (field == BAKE_SECRET || field == BAKE_SSH))
			continue;
		/* Members that the types of secrets and agents do not have. */
		if ((field == BAKE_SSH && !paths && strcmp(v->names[i], "id") != 0) ||
		    (field == BAKE_SECRET && strcmp(v->names[i], "id") != 0 &&
		     strcmp(v->names[i], "src") != 0 && strcmp(v->names[i], "env") != 0))
			continue;
		bake_put(&b, v->names[i], s);
	}
	v = bake_mapping(&b, BAKE_MAP);
	if (field != BAKE_SECRET && field != BAKE_SSH &&
	    (!bake_member(v, "type") || !*bake_member(v, "type")->s)) {
		*why = "\"type\" is missing";
		return NULL;
	}
	return v;
}

static const struct bake_value *to_entries(struct arena *a, enum bake_field field,
					   const struct bake_value *v, const char **why)
{
	struct bake_builder b = {.arena = a};

	if (!bake_is_sequence(v)) {
		*why = arena_printf(a, "list required, not %s", bake_kind_name(v));
		return NULL;
	}
	for (size_t i = 0; i < v->n; i++) {
		const struct bake_value *e = v->v[i];

		if (e->kind == BAKE_NULL || (e->kind == BAKE_STRING && !*e->s))
			continue;
		e = e->kind == BAKE_STRING ? bake_entries_parse(a, field, e->s, why)
					   : entry_of_map(a, field, e, why);
		if (!e)
			return NULL;
		for (size_t k = 0; bake_is_sequence(e) && k < e->n; k++)
			bake_push(&b, e->v[k]);
		if (bake_is_mapping(e))
			bake_push(&b, e);
	}
	return bake_sequence(&b, BAKE_LIST);
}

/* --- merging --- */

/* What makes two entries one, of which the later holds: NULL: all that is in them. */
static const char *entry_key(enum bake_field field)
{
	if (field == BAKE_SECRET || field == BAKE_SSH)
		return "id";
	return field == BAKE_ATTEST ? "type" : NULL;
}

static const char *key_of(const struct bake_value *entry, const char *name)
{
	const struct bake_value *v = bake_member(entry, name);

	return v ? v->s : "";
}

static const struct bake_value *keyed_entries(struct arena *a, const struct bake_value *v,
					      const char *key)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; i < v->n; i++) {
		size_t k = 0;

		while (k < b.n && strcmp(key_of(b.v[k], key), key_of(v->v[i], key)) != 0)
			k++;
		if (k < b.n)
			b.v[k] = v->v[i];
		else
			bake_push(&b, v->v[i]);
	}
	return bake_sequence(&b, BAKE_LIST);
}

/* The last entry takes the place of one that repeats an earlier: the order of buildx. */
static const struct bake_value *distinct_entries(struct arena *a, const struct bake_value *v)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; i < v->n; i++)
		bake_push(&b, v->v[i]);
	for (size_t i = b.n > 1 ? b.n - 1 : 0; i > 0; i--) {
		for (size_t k = i; k < b.n; k++) {
			if (bake_equal(b.v[i - 1], b.v[k])) {
				b.v[k] = b.v[--b.n];
				break;
			}
		}
	}
	return bake_sequence(&b, BAKE_LIST);
}

static const struct bake_value *distinct_strings(struct arena *a, const struct bake_value *v)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; i < v->n; i++) {
		bool seen = !*v->v[i]->s;

		for (size_t k = 0; k < b.n && !seen; k++)
			seen = strcmp(b.v[k]->s, v->v[i]->s) == 0;
		if (!seen)
			bake_push(&b, v->v[i]);
	}
	return bake_sequence(&b, BAKE_LIST);
}

static const struct bake_value *append(struct arena *a, const struct bake_value *x,
				       const struct bake_value *y)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; x && i < x->n; i++)
		bake_push(&b, x->v[i]);
	for (size_t i = 0; i < y->n; i++)
		bake_push(&b, y->v[i]);
	return bake_sequence(&b, BAKE_LIST);
}

static const struct bake_value *overlay(struct arena *a, const struct bake_value *x,
					const struct bake_value *y)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; x && i < x->n; i++)
		bake_put(&b, x->names[i], x->v[i]);
	for (size_t i = 0; i < y->n; i++)
		bake_put(&b, y->names[i], y->v[i]);
	return bake_mapping(&b, BAKE_MAP);
}

void bake_target_merge(struct arena *a, struct bake_target *to, const struct bake_target *from)
{
	for (unsigned i = 0; i < BAKE_FIELDS; i++) {
		const struct bake_value *v = from->field[i];

		if (!v || (i == BAKE_DESCRIPTION && !*v->s))
			continue;
		if (!bake_fields[i].appends)
			to->field[i] = v;
		else if (bake_is_mapping(v))
			to->field[i] = overlay(a, to->field[i], v);
		else
			to->field[i] = append(a, to->field[i], v);
	}
}

static const struct bake_value *without_empty(struct arena *a, const struct bake_value *v)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; i < v->n; i++)
		if (*v->v[i]->s)
			bake_put(&b, v->names[i], v->v[i]);
	return bake_mapping(&b, BAKE_MAP);
}

void bake_target_normalize(struct arena *a, struct bake_target *t)
{
	struct bake_builder host = {.arena = a};
	const char *network = bake_target_text(t, BAKE_NETWORK);

	if (network && strcmp(network, "host") == 0) {
		bake_push(&host, bake_string(a, "network.host"));
		t->field[BAKE_ENTITLEMENTS] =
			append(a, t->field[BAKE_ENTITLEMENTS], bake_sequence(&host, BAKE_LIST));
	}
	for (unsigned i = 0; i < BAKE_FIELDS; i++) {
		const struct bake_value *v = t->field[i];
		const char *key = entry_key((enum bake_field)i);

		if (!v || i == BAKE_INHERITS)
			continue;
		if (bake_fields[i].form == FORM_LIST)
			t->field[i] = distinct_strings(a, v);
		else if (bake_fields[i].form == FORM_ENTRIES)
			t->field[i] = key ? keyed_entries(a, v, key) : distinct_entries(a, v);
		else if (i == BAKE_CONTEXTS)
			t->field[i] = without_empty(a, v);
	}
}

/* --- reading --- */

const char *bake_target_text(const struct bake_target *t, enum bake_field field)
{
	return t->field[field] ? bake_text(t->field[field]) : NULL;
}

bool bake_target_truth(const struct bake_target *t, enum bake_field field)
{
	return t->field[field] && t->field[field]->b;
}

void bake_target_list(const struct bake_target *t, enum bake_field field, struct strv *ret)
{
	const struct bake_value *v = t->field[field];

	for (size_t i = 0; v && i < v->n; i++)
		strv_push(ret, v->v[i]->s);
}
