/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_mount.h"

#include <errno.h>
#include <string.h>

#include "base/number.h"
#include "base/suggest.h"
#include "base/times.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_split.h"

enum key {
	KEY_TYPE,
	KEY_FROM,
	KEY_SOURCE,
	KEY_TARGET,
	KEY_READONLY,
	KEY_READWRITE,
	KEY_REQUIRED,
	KEY_SIZE,
	KEY_ID,
	KEY_SHARING,
	KEY_MODE,
	KEY_UID,
	KEY_GID,
	KEY_ENV,
};

static const struct {
	const char *name;
	enum key key;
} keys[] = {
	{"type", KEY_TYPE},	  {"from", KEY_FROM},	      {"source", KEY_SOURCE},
	{"target", KEY_TARGET},	  {"readonly", KEY_READONLY}, {"id", KEY_ID},
	{"sharing", KEY_SHARING}, {"required", KEY_REQUIRED}, {"size", KEY_SIZE},
	{"mode", KEY_MODE},	  {"uid", KEY_UID},	      {"gid", KEY_GID},
	{"src", KEY_SOURCE},	  {"dst", KEY_TARGET},	      {"destination", KEY_TARGET},
	{"ro", KEY_READONLY},	  {"rw", KEY_READWRITE},      {"readwrite", KEY_READWRITE},
	{"env", KEY_ENV},
};

static const char *const types[] = {"bind", "cache", "tmpfs", "secret", "ssh"};
static const char *const sharings[] = {"", "shared", "private", "locked"};

int df_mount_parse_bool(const char *text, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*ret = strcmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

static int with_suggestion(struct error **err, const char *what, const char *word,
			   const char *const *candidates, size_t n)
{
	const char *match = suggest(word, candidates, n, true);

	if (!match)
		return error_new(err, ERR_INVALID, 0, "%s", what);
	return error_new(err, ERR_INVALID, 0, "%s (did you mean %s?)", what, match);
}

/* Index of a word in a list without regard to case, -1 if it is not there. */
static int find_word(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (*list[i] && df_equal_fold(list[i], word))
			return (int)i;
	return -1;
}

static int unknown_key(struct arena *a, const char *key, const char *field, struct error **err)
{
	const char *names[ARRAY_SIZE(keys)];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	return with_suggestion(err, arena_printf(a, "unexpected key '%s' in '%s'", key, field), key,
			       names, ARRAY_SIZE(names));
}

static int wrong_type(const struct df_mount *m, const char *key, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "unexpected key '%s' for mount type '%s'", key,
			 types[m->type]);
}

static int bad_value(const char *key, const char *value, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "invalid value for %s: %s", key, value);
}

static int parse_number(const char *key, const char *value, unsigned base, uint32_t *ret,
			bool *ret_has, struct error **err)
{
	uint64_t n;

	if (number_parse(value, base, UINT32_MAX, &n) < 0)
		return error_new(err, ERR_INVALID, 0, "invalid value %s for %s", value, key);
	*ret = (uint32_t)n;
	*ret_has = true;
	return 0;
}

static int set_type(struct arena *a, struct df_mount *m, const char *value, struct error **err)
{
	int i = find_word(types, ARRAY_SIZE(types), value);

	if (i < 0)
		return with_suggestion(
			err, arena_printf(a, "unsupported mount type %s", df_quote(a, value)),
			value, types, ARRAY_SIZE(types));
	m->type = (enum df_mount_type)i;
	return 0;
}

static int set_sharing(struct arena *a, struct df_mount *m, const char *value, struct error **err)
{
	int i = find_word(sharings, ARRAY_SIZE(sharings), value);

	if (i < 0)
		return with_suggestion(
			err, arena_printf(a, "unsupported sharing value %s", df_quote(a, value)),
			value, sharings + 1, ARRAY_SIZE(sharings) - 1);
	m->sharing = (enum df_sharing)i;
	return 0;
}

static int set_required(struct df_mount *m, const char *key, const char *value, struct error **err)
{
	if (m->type != DF_MOUNT_SECRET && m->type != DF_MOUNT_SSH)
		return wrong_type(m, key, err);
	m->required = true;
	if (value && df_mount_parse_bool(value, &m->required) < 0)
		return bad_value(key, value, err);
	return 0;
}

static int set_access(struct df_mount *m, bool *access_given, bool readonly, const char *key,
		      const char *value, struct error **err)
{
	bool yes = true;

	if (value && df_mount_parse_bool(value, &yes) < 0)
		return bad_value(key, value, err);
	m->readonly = yes == readonly;
	*access_given = true;
	return 0;
}

static int set_size(struct df_mount *m, const char *key, const char *value, struct error **err)
{
	if (m->type != DF_MOUNT_TMPFS)
		return wrong_type(m, key, err);
	if (times_parse_size(value, &m->size) < 0)
		return bad_value(key, value, err);
	return 0;
}

/* Sets one key; value NULL if there was no "=". */
static int set_key(struct arena *a, struct df_mount *m, bool *access_given, enum key key,
		   const char *name, const char *value, struct error **err)
{
	switch (key) {
	case KEY_READONLY:
	case KEY_READWRITE:
		return set_access(m, access_given, key == KEY_READONLY, name, value, err);
	case KEY_REQUIRED:
		return set_required(m, name, value, err);
	case KEY_TYPE:
		return set_type(a, m, value, err);
	case KEY_SHARING:
		return set_sharing(a, m, value, err);
	case KEY_SIZE:
		return set_size(m, name, value, err);
	case KEY_MODE:
		return parse_number(name, value, 8, &m->mode, &m->has_mode, err);
	case KEY_UID:
		return parse_number(name, value, 10, &m->uid, &m->has_uid, err);
	case KEY_GID:
		return parse_number(name, value, 10, &m->gid, &m->has_gid, err);
	case KEY_FROM:
		m->from = value;
		return 0;
	case KEY_SOURCE:
		m->source = value;
		return 0;
	case KEY_TARGET:
		m->target = value;
		return 0;
	case KEY_ID:
		m->id = value;
		return 0;
	case KEY_ENV:
		m->env = value;
		return 0;
	}
	return 0;
}

/* `from` names a stage that must be known before variables are: a "$" that begins something is
 * refused. */
static int check_from(const char *value, struct error **err)
{
	const char *dollar = strchr(value, '$');

	if (!dollar || !dollar[1])
		return 0;
	return error_new(err, ERR_INVALID, 0,
			 "'from' doesn't support variable expansion, define alias stage instead");
}

static int parse_field(struct arena *a, const char *field, const struct df_shell *shell,
		       struct df_vars *vars, struct df_mount *m, bool *access_given,
		       struct error **err)
{
	const char *equal = strchr(field, '='), *value = equal ? equal + 1 : NULL;
	const char *name =
		df_lower(a, equal ? arena_strndup(a, field, (size_t)(equal - field)) : field);
	size_t i = 0;
	int r;

	while (i < ARRAY_SIZE(keys) && strcmp(keys[i].name, name) != 0)
		i++;
	if (!shell) {
		if (i < ARRAY_SIZE(keys) && keys[i].key == KEY_FROM && value) {
			m->from = value;
			return check_from(value, err);
		}
		return 0;
	}
	if (!value && (i == ARRAY_SIZE(keys) ||
		       (keys[i].key != KEY_READONLY && keys[i].key != KEY_READWRITE &&
			keys[i].key != KEY_REQUIRED)))
		return error_new(err, ERR_INVALID, 0, "invalid field '%s' must be a key=value pair",
				 field);
	if (value) {
		r = df_expand(shell, a, value, vars, &value, err);
		if (r < 0)
			return r;
	}
	if (i == ARRAY_SIZE(keys))
		return unknown_key(a, name, field, err);
	return set_key(a, m, access_given, keys[i].key, name, value, err);
}

static int check_secret(const struct df_mount *m, struct error **err)
{
	if (*m->from)
		return error_new(err, ERR_INVALID, 0, "secret mount should not have a from");
	if (m->sharing != DF_SHARING_UNSET)
		return error_new(err, ERR_INVALID, 0, "secret mount should not define sharing");
	if (!*m->source && !*m->target && !*m->id)
		return error_new(err, ERR_INVALID, 0,
				 "invalid secret mount. one of source, target required");
	if (*m->source && *m->id)
		return error_new(err, ERR_INVALID, 0, "both source and id can't be set");
	return 0;
}

/* Which keys go with which types. */
static int check_mount(const struct df_mount *m, struct error **err)
{
	bool no_owner = m->type == DF_MOUNT_BIND || m->type == DF_MOUNT_TMPFS;
	const char *extra = m->has_mode ? "mode" : m->has_uid ? "uid" : m->has_gid ? "gid" : NULL;
	int r;

	if (no_owner && extra)
		return error_new(err, ERR_INVALID, 0, "%s not allowed for \"%s\" type mounts",
				 extra, types[m->type]);
	if (m->type == DF_MOUNT_SECRET) {
		r = check_secret(m, err);
		if (r < 0)
			return r;
	}
	if (m->sharing != DF_SHARING_UNSET && m->type != DF_MOUNT_CACHE)
		return error_new(err, ERR_INVALID, 0, "invalid cache sharing set for %s mount",
				 types[m->type]);
	return 0;
}

int df_mount_parse(struct arena *a, const char *value, const struct df_shell *shell,
		   struct df_vars *vars, struct df_mount *ret, struct error **err)
{
	bool access_given = false;
	struct df_strings fields;
	int r;

	*ret = (struct df_mount){
		.type = DF_MOUNT_BIND, .from = "", .source = "", .target = "", .id = ""};
	r = df_split_csv(a, value, &fields, err);
	if (r < 0)
		return error_wrap(err, r, "failed to parse csv mounts");
	for (size_t i = 0; i < fields.n; i++) {
		r = parse_field(a, fields.v[i], shell, vars, ret, &access_given, err);
		if (r < 0)
			return r;
	}
	if (!access_given)
		ret->readonly = ret->type != DF_MOUNT_CACHE && ret->type != DF_MOUNT_TMPFS;
	return shell ? check_mount(ret, err) : 0;
}
