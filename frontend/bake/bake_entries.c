/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that are written as text, as the options of `build` have them. */
#include <ctype.h>
#include <string.h>

#include "base/attrs.h"
#include "base/csv.h"
#include "frontend/bake/bake_target.h"

static char *lower(struct arena *a, const char *text, size_t n)
{
	char *copy = arena_strndup(a, text, n);

	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

struct fields {
	struct arena *arena;
	struct strv list;
	const char **why;
};

static bool split(struct fields *f, const char *text)
{
	if (csv_split(text, &f->list, NULL) == 0)
		return true;
	*f->why = arena_printf(f->arena, "quotes are not as they should be in \"%s\"", text);
	return false;
}

/* KEY=VALUE; keys in lower case. */
static bool cut(struct fields *f, size_t i, const char **key, const char **value)
{
	const char *equals = strchr(f->list.v[i], '=');

	if (!equals) {
		*f->why = arena_printf(f->arena, "\"%s\" is not KEY=VALUE", f->list.v[i]);
		return false;
	}
	*key = lower(f->arena, f->list.v[i], (size_t)(equals - f->list.v[i]));
	*value = arena_strdup(f->arena, equals + 1);
	return true;
}

static const struct bake_value *one(struct arena *a, const char *key, const char *value,
				    const char *key2, const char *value2)
{
	struct bake_builder b = {.arena = a};

	bake_put(&b, key, bake_string(a, value));
	bake_put(&b, key2, bake_string(a, value2));
	return bake_mapping(&b, BAKE_MAP);
}

/* type=..., and what else it says */
static const struct bake_value *typed(struct fields *f, const char *text)
{
	struct bake_builder b = {.arena = f->arena};
	const struct bake_value *v;

	for (size_t i = 0; i < f->list.n; i++) {
		const char *key, *value;

		if (!cut(f, i, &key, &value))
			return NULL;
		while (*key == ' ' || *key == '\t')
			key++;
		bake_put(&b, key, bake_string(f->arena, value));
	}
	v = bake_mapping(&b, BAKE_MAP);
	if (bake_member(v, "type") && *bake_member(v, "type")->s)
		return v;
	*f->why = arena_printf(f->arena, "\"type\" is missing in \"%s\"", text);
	return NULL;
}

static const struct bake_value *parse_output(struct fields *f, const char *text)
{
	/* A folder, or - for an archive on stdout. */
	if (f->list.n == 1 && strcmp(f->list.v[0], text) == 0 && strncmp(text, "type=", 5) != 0)
		return one(f->arena, "type", strcmp(text, "-") == 0 ? "tar" : "local", "dest",
			   text);
	return typed(f, text);
}

static const struct bake_value *parse_cache(struct fields *f, const char *text)
{
	struct bake_builder b = {.arena = f->arena};

	if (strchr(text, '='))
		return typed(f, text);
	for (size_t i = 0; i < f->list.n; i++)
		bake_push(&b, one(f->arena, "type", "registry", "ref", f->list.v[i]));
	return bake_sequence(&b, BAKE_LIST);
}

static const struct bake_value *parse_attest(struct fields *f, const char *text)
{
	const struct bake_value *v = typed(f, text),
				*disabled = v ? bake_member(v, "disabled") : NULL;
	struct bake_builder b = {.arena = f->arena};
	bool on = false;

	if (!disabled)
		return v;
	if (attrs_bool("disabled", disabled->s, &on, NULL) < 0) {
		*f->why = arena_printf(f->arena, "\"%s\" is not true or false", disabled->s);
		return NULL;
	}
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->names[i], "disabled") != 0)
			bake_put(&b, v->names[i], v->v[i]);
	if (on)
		bake_put(&b, "disabled", bake_string(f->arena, "true"));
	return bake_mapping(&b, BAKE_MAP);
}

static const struct bake_value *parse_secret(struct fields *f)
{
	const char *id = NULL, *src = NULL, *env = NULL, *type = "";
	struct bake_builder b = {.arena = f->arena};

	for (size_t i = 0; i < f->list.n; i++) {
		const char *key, *value;

		if (!cut(f, i, &key, &value))
			return NULL;
		if (strcmp(key, "id") == 0)
			id = value;
		else if (strcmp(key, "src") == 0 || strcmp(key, "source") == 0)
			src = value;
		else if (strcmp(key, "env") == 0)
			env = value;
		else if (strcmp(key, "type") == 0 &&
			 (strcmp(value, "file") == 0 || strcmp(value, "env") == 0))
			type = value;
		else {
			*f->why = arena_printf(f->arena,
					       "\"%s\" is not id, src, env or type=file|env",
					       f->list.v[i]);
			return NULL;
		}
	}
	if (strcmp(type, "env") == 0 && !env) {
		env = src;
		src = NULL;
	}
	if (id && *id)
		bake_put(&b, "id", bake_string(f->arena, id));
	if (src && *src)
		bake_put(&b, "src", bake_string(f->arena, src));
	if (env && *env)
		bake_put(&b, "env", bake_string(f->arena, env));
	return bake_mapping(&b, BAKE_MAP);
}

/* ID or ID=PATH,PATH */
static const struct bake_value *parse_ssh(struct arena *a, const char *text)
{
	const char *equals = strchr(text, '='), *p = equals ? equals + 1 : NULL;
	struct bake_builder b = {.arena = a}, paths = {.arena = a};

	bake_put(&b, "id", bake_stringn(a, text, strcspn(text, "=")));
	while (p) {
		size_t n = strcspn(p, ",");

		bake_push(&paths, bake_stringn(a, p, n));
		p = p[n] ? p + n + 1 : NULL;
	}
	if (paths.n > 0)
		bake_put(&b, "paths", bake_sequence(&paths, BAKE_LIST));
	return bake_mapping(&b, BAKE_MAP);
}

const struct bake_value *bake_entries_parse(struct arena *a, enum bake_field field,
					    const char *text, const char **why)
{
	struct fields f = {.arena = a, .why = why};
	const struct bake_value *v = NULL;

	if (field == BAKE_SSH)
		return parse_ssh(a, text);
	if (split(&f, text)) {
		if (field == BAKE_OUTPUT)
			v = parse_output(&f, text);
		else if (field == BAKE_CACHE_FROM || field == BAKE_CACHE_TO)
			v = parse_cache(&f, text);
		else if (field == BAKE_ATTEST)
			v = parse_attest(&f, text);
		else
			v = parse_secret(&f);
	}
	strv_release(&f.list);
	return v;
}

/* --- back to text --- */

static void add_field(struct buf *b, const char *key, const char *value)
{
	_cleanup_free_ char *pair = xasprintf("%s=%s", key, value);

	if (b->n > 0)
		buf_addc(b, ',');
	if (!strpbrk(pair, ",\"\n")) {
		buf_adds(b, pair);
		return;
	}
	buf_addc(b, '"');
	for (const char *p = pair; *p; p++) {
		if (*p == '"')
			buf_addc(b, '"');
		buf_addc(b, *p);
	}
	buf_addc(b, '"');
}

char *bake_entry_text(enum bake_field field, const struct bake_value *entry)
{
	struct buf b = BUF_INIT;

	if (field == BAKE_SSH) {
		const struct bake_value *id = bake_member(entry, "id"),
					*paths = bake_member(entry, "paths");

		buf_adds(&b, id ? id->s : "");
		for (size_t i = 0; paths && i < paths->n; i++)
			buf_addf(&b, "%s%s", i == 0 ? "=" : ",", paths->v[i]->s);
		return buf_take(&b);
	}
	/* The type comes first. */
	if (bake_member(entry, "type"))
		add_field(&b, "type", bake_member(entry, "type")->s);
	for (size_t i = 0; i < entry->n; i++)
		if (strcmp(entry->names[i], "type") != 0)
			add_field(&b, entry->names[i], entry->v[i]->s);
	return buf_take(&b);
}
