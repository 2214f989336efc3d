/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/attest/attest_options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attrs.h"
#include "base/csv.h"

void attest_options_release(struct attest_options *o)
{
	free(o->builder_id);
	free(o->filename);
	*o = (struct attest_options)ATTEST_OPTIONS_INIT;
}

static int set_mode(struct attest_options *o, const char *value, struct error **err)
{
	/* "full" is what max was called once. */
	o->max = strcmp(value, "max") == 0 || strcmp(value, "full") == 0;
	return o->max || strcmp(value, "min") == 0
		       ? 0
		       : error_hint(err,
				    error_new(err, ERR_INVALID, 0, "invalid mode \"%s\"", value),
				    "use min or max");
}

static int set_version(struct attest_options *o, const char *value, struct error **err)
{
	o->v02 = strcmp(value, "v0.2") == 0;
	return o->v02 || strcmp(value, "v1") == 0
		       ? 0
		       : error_hint(err,
				    error_new(err, ERR_INVALID, 0,
					      "invalid provenance SLSA version: %s", value),
				    "use v1 or v0.2");
}

/* It becomes a file beside those of the image. */
static int set_filename(struct attest_options *o, const char *value, struct error **err)
{
	const char *slash = strrchr(value, '/'), *base = slash ? slash + 1 : value;

	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return error_new(err, ERR_INVALID, 0, "'%s' is not a file name", value);
	free(o->filename);
	o->filename = xstrdup(base);
	return 0;
}

/* What the steps used is not measured. */
static int set_usage(const char *value, struct error **err)
{
	bool on = false;
	int r = attrs_bool("capture-usage", value, &on, err);

	return r < 0 || !on ? r
			    : error_new(err, ERR_UNSUPPORTED, 0,
					"capture-usage: what steps use is not recorded");
}

static int set_provenance(struct attest_options *o, const struct attr *a, struct error **err)
{
	if (strcmp(a->key, "mode") == 0)
		return set_mode(o, a->value, err);
	if (strcmp(a->key, "version") == 0)
		return set_version(o, a->value, err);
	if (strcmp(a->key, "filename") == 0)
		return set_filename(o, a->value, err);
	if (strcmp(a->key, "inline-only") == 0)
		return attrs_bool(a->key, a->value, &o->inline_only, err);
	if (strcmp(a->key, "reproducible") == 0)
		return attrs_bool(a->key, a->value, &o->reproducible, err);
	if (strcmp(a->key, "complete-materials") == 0)
		return attrs_bool(a->key, a->value, &o->complete, err);
	if (strcmp(a->key, "capture-usage") == 0)
		return set_usage(a->value, err);
	if (strcmp(a->key, "builder-id") == 0) {
		free(o->builder_id);
		o->builder_id = xstrdup(a->value);
		return 0;
	}
	return error_hint(
		err, error_new(err, ERR_INVALID, 0, "unknown provenance attribute '%s'", a->key),
		"use mode, version, builder-id, filename, inline-only, reproducible or "
		"complete-materials");
}

static int take_provenance(struct attest_options *o, bool disabled, const attr_list *attrs,
			   struct error **err)
{
	bool old_form = o->old_form;
	int r = 0;

	attest_options_release(o);
	*o = (struct attest_options){.provenance = !disabled,
				     .provenance_given = true,
				     .max = true,
				     .old_form = old_form};
	for (size_t i = 0; r == 0 && !disabled && i < attrs->n; i++)
		r = set_provenance(o, &attrs->v[i], err);
	return r;
}

static int take_sbom(bool disabled, struct error **err)
{
	return disabled ? 0
			: error_hint(err,
				     error_new(err, ERR_UNSUPPORTED, 0,
					       "attestations of type sbom are not supported yet"),
				     "leave out --sbom, or say --sbom=false");
}

/* The fields of one attestation. */
struct spec {
	char *type;
	bool disabled;
	attr_list attrs;
};

static void spec_release(struct spec *s)
{
	free(s->type);
	attrs_release(&s->attrs);
}

static int take_field(struct spec *s, char *field, struct error **err)
{
	char *equals = strchr(field, '=');

	if (!equals)
		return error_new(err, ERR_INVALID, 0, "invalid value %s: expected key=value",
				 field);
	*equals = '\0';
	if (strcasecmp(field, "type") == 0) {
		free(s->type);
		s->type = xstrdup(equals + 1);
		return 0;
	}
	if (strcasecmp(field, "disabled") == 0)
		return attrs_bool(field, equals + 1, &s->disabled, err);
	attrs_add(&s->attrs, field, equals + 1);
	return 0;
}

int attest_options_add(struct attest_options *o, const char *text, struct error **err)
{
	_cleanup_(spec_release) struct spec spec = {0};
	_cleanup_strv_ struct strv fields = {0};
	int r = csv_split(text, &fields, err);

	for (size_t i = 0; r == 0 && i < fields.n; i++)
		r = take_field(&spec, fields.v[i], err);
	if (r == 0 && (!spec.type || !*spec.type))
		r = error_hint(err,
			       error_new(err, ERR_INVALID, 0, "attestation type not specified"),
			       "use type=provenance");
	if (r < 0)
		return r;
	if (strcmp(spec.type, ATTEST_PROVENANCE) == 0)
		return take_provenance(o, spec.disabled, &spec.attrs, err);
	if (strcmp(spec.type, ATTEST_SBOM) == 0)
		return take_sbom(spec.disabled, err);
	return error_hint(
		err, error_new(err, ERR_INVALID, 0, "unknown attestation type \"%s\"", spec.type),
		"use provenance or sbom");
}

int attest_options_add_short(struct attest_options *o, const char *type, const char *text,
			     struct error **err)
{
	_cleanup_free_ char *whole = NULL;
	bool on;

	if (!*text)
		return 0;
	if (attrs_bool(type, text, &on, NULL) == 0)
		whole = xasprintf("type=%s,disabled=%s", type, on ? "false" : "true");
	else
		whole = xasprintf("type=%s,%s", type, text);
	return attest_options_add(o, whole, err);
}

int attest_options_settle(struct attest_options *o, struct error **err)
{
	static const char old_form[] = "BUILDX_NO_DEFAULT_OCI_ARTIFACT";
	const char *value = getenv(old_form);

	return value ? attrs_bool(old_form, value, &o->old_form, err) : 0;
}
