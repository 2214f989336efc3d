/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/csv.h"
#include "engine/remote_cache/remote_backend.h"

static void spec_release(struct remote_spec *s)
{
	free(s->type);
	attrs_release(&s->attrs);
	strv_release(&s->mounts);
}

void remote_specs_release(remote_specs *s)
{
	for (size_t i = 0; i < s->n; i++)
		spec_release(&s->v[i]);
	vec_release(s);
}

bool remote_spec_is_inline(const struct remote_spec *s)
{
	return strcmp(s->type, "inline") == 0;
}

static struct remote_spec new_spec(enum remote_use use, const char *type)
{
	return (struct remote_spec){
		.use = use,
		.type = xstrdup(type),
		.compression = {.type = COMPRESS_GZIP, .level = COMPRESS_LEVEL_DEFAULT},
	};
}

void remote_spec_add_inline(remote_specs *ret)
{
	vec_push(ret, new_spec(REMOTE_EXPORT, "inline"));
}

static void add_attr(struct remote_spec *s, const char *key, const char *value)
{
	attrs_add(&s->attrs, key, value);
}

static int set_mode(struct remote_spec *s, const char *value, struct error **err)
{
	s->max = strcmp(value, "max") == 0;
	if (s->max || strcmp(value, "min") == 0)
		return 0;
	return error_new(err, ERR_INVALID, 0, "invalid mode '%s': expected min or max", value);
}

/* What every export has; *ret_done = false for other keys. */
static int set_export(struct remote_spec *s, const char *key, const char *value, bool *ret_done,
		      struct error **err)
{
	bool accepted;

	*ret_done = true;
	if (strcmp(key, "mode") == 0)
		return set_mode(s, value, err);
	if (strcmp(key, "ignore-error") == 0)
		return attrs_bool(key, value, &s->ignore_error, err);
	if (strcmp(key, "force-compression") == 0)
		return attrs_bool(key, value, &s->force_compression, err);
	if (strcmp(key, "compression") == 0)
		return compress_parse(value, &s->compression.type, err);
	if (strcmp(key, "compression-level") == 0)
		return compress_parse_level(value, &s->compression.level, err);
	/* What kiln writes is always an OCI image manifest. */
	if (strcmp(key, "image-manifest") == 0 || strcmp(key, "oci-mediatypes") == 0)
		return attrs_bool(key, value, &accepted, err);
	*ret_done = false;
	return 0;
}

static bool is_listed(const char *const *keys, const char *key)
{
	for (; keys && *keys; keys++)
		if (strcmp(**keys == '!' ? *keys + 1 : *keys, key) == 0)
			return true;
	return false;
}

static const char *const *keys_of(const struct remote_ops *ops, enum remote_use use)
{
	if (!ops)
		return NULL;
	return use == REMOTE_IMPORT ? ops->import_attrs : ops->export_attrs;
}

static int set(struct remote_spec *s, const struct remote_ops *ops, const char *key,
	       const char *value, struct error **err)
{
	bool done = false;
	int r = 0;

	if (strcmp(key, "type") == 0)
		return 0;
	if (strcmp(key, "mounts") == 0 && ops) {
		csv_names(value, &s->mounts);
		return 0;
	}
	if (s->use == REMOTE_EXPORT)
		r = set_export(s, key, value, &done, err);
	if (r < 0 || done)
		return r;
	if (!is_listed(keys_of(ops, s->use), key))
		return error_new(err, ERR_INVALID, 0, "unknown attribute '%s'", key);
	add_attr(s, key, value);
	return 0;
}

static int check(const struct remote_spec *s, const struct remote_ops *ops, struct error **err)
{
	for (const char *const *key = keys_of(ops, s->use); key && *key; key++) {
		const char *value = **key == '!' ? attrs_get(&s->attrs, *key + 1) : "given";

		if (!value || !*value)
			return error_new(err, ERR_INVALID, 0, "%s is required for type=%s",
					 *key + 1, s->type);
	}
	return compress_check_level(&s->compression, err);
}

static const char *type_of(const struct strv *fields)
{
	const char *type = NULL;

	for (size_t i = 0; i < fields->n; i++)
		if (strncmp(fields->v[i], "type=", 5) == 0)
			type = fields->v[i] + 5;
	return type;
}

static int set_fields(struct remote_spec *s, const struct remote_ops *ops,
		      const struct strv *fields, struct error **err)
{
	bool in_mounts = false;

	for (size_t i = 0; i < fields->n; i++) {
		char *field = fields->v[i], *equals = strchr(field, '=');
		int r;

		/* mounts=a,b needs no quotes. */
		if (!equals && in_mounts) {
			csv_names(field, &s->mounts);
			continue;
		}
		if (!equals)
			return error_new(err, ERR_INVALID, 0,
					 "invalid field '%s': expected key=value", field);
		*equals = '\0';
		in_mounts = strcmp(field, "mounts") == 0;
		r = set(s, ops, field, equals + 1, err);
		if (r < 0)
			return r;
	}
	return check(s, ops, err);
}

static int unknown_type(const char *type, struct error **err)
{
	_cleanup_free_ char *types = remote_backend_types();

	if (strcmp(type, "inline") == 0)
		return error_new(err, ERR_INVALID, 0,
				 "an inline cache is imported as type=registry,ref=IMAGE");
	return error_hint(err, error_new(err, ERR_INVALID, 0, "unknown type '%s'", type),
			  "the types are %s", types);
}

static int parse_fields(const struct strv *fields, enum remote_use use, remote_specs *ret,
			struct error **err)
{
	const char *type = type_of(fields);
	const struct remote_ops *ops = type ? remote_backend_find(type) : NULL;
	struct remote_spec s;
	int r;

	if (!type)
		return error_new(err, ERR_INVALID, 0, "type is required");
	if (!ops && (strcmp(type, "inline") != 0 || use == REMOTE_IMPORT))
		return unknown_type(type, err);
	s = new_spec(use, type);
	r = set_fields(&s, ops, fields, err);
	if (r < 0)
		spec_release(&s);
	else
		vec_push(ret, s);
	return r;
}

static bool are_references(const struct strv *fields)
{
	for (size_t i = 0; i < fields->n; i++)
		if (strchr(fields->v[i], '='))
			return false;
	return true;
}

/* How much of an option's text a message may show: nothing from a secret value on. */
static size_t shown_length(const char *text)
{
	static const char *const secrets[] = {"secret_access_key=", "session_token="};
	size_t n = strlen(text);

	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		const char *at = strstr(text, secrets[i]);

		if (at && (size_t)(at - text) + strlen(secrets[i]) < n)
			n = (size_t)(at - text) + strlen(secrets[i]);
	}
	return n;
}

int remote_spec_parse(const char *text, enum remote_use use, remote_specs *ret, struct error **err)
{
	const char *option = use == REMOTE_IMPORT ? "--cache-from" : "--cache-to";
	_cleanup_strv_ struct strv fields = {0};
	int r = csv_split(text, &fields, err);

	if (r == 0 && !are_references(&fields))
		r = parse_fields(&fields, use, ret, err);
	else if (r == 0)
		for (size_t i = 0; i < fields.n && r == 0; i++) {
			_cleanup_strv_ struct strv one = {0};

			strv_push(&one, "type=registry");
			strv_pushf(&one, "ref=%s", fields.v[i]);
			r = parse_fields(&one, use, ret, err);
		}
	if (r < 0) {
		size_t n = shown_length(text);

		return error_wrap(err, r, "%s \"%.*s%s\"", option, (int)n, text,
				  text[n] ? "..." : "");
	}
	return 0;
}
