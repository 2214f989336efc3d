/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of --output, read and checked. */
#include "engine/export/export.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attrs.h"
#include "base/csv.h"

void export_options_init(struct export_options *o)
{
	*o = (struct export_options){
		.type = EXPORT_IMAGE,
		.dest_fd = -1,
		.tar = true,
		.oci_mediatypes = true,
		.layers = {.compression = {.type = COMPRESS_GZIP, .level = COMPRESS_LEVEL_DEFAULT}},
	};
}

void export_options_release(struct export_options *o)
{
	strv_release(&o->names);
	strv_release(&o->notes);
	free(o->dest);
	free(o->attestation_prefix);
	for (size_t i = 0; i < o->annotations.n; i++) {
		free(o->annotations.v[i].platform);
		free(o->annotations.v[i].text);
	}
	vec_release(&o->annotations);
	export_options_init(o);
}

/* --- values --- */

static int parse_type(const char *value, struct export_options *o, struct error **err)
{
	static const struct {
		const char *name;
		enum export_type type;
	} types[] = {
		{"image", EXPORT_IMAGE},    {"oci", EXPORT_OCI},   {"docker", EXPORT_DOCKER},
		{"local", EXPORT_LOCAL},    {"tar", EXPORT_TAR},   {"registry", EXPORT_REGISTRY},
		{"cacheonly", EXPORT_NONE}, {"none", EXPORT_NONE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(value, types[i].name) == 0) {
			o->type = types[i].type;
			return 0;
		}
	return error_hint(err, error_new(err, ERR_INVALID, 0, "unknown output type '%s'", value),
			  "use image, docker, oci, local, tar, registry or cacheonly");
}

static int parse_mode(const char *value, struct export_options *o, struct error **err)
{
	if (strcmp(value, "copy") != 0 && strcmp(value, "delete") != 0)
		return error_new(err, ERR_INVALID, 0, "invalid mode '%s': expected copy or delete",
				 value);
	o->delete_extra = value[0] == 'd';
	return 0;
}

/* --- annotations
 * ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum export_annotated on;
} annotated_names[] = {
	{"manifest", ANNOTATE_MANIFEST},
	{"manifest-descriptor", ANNOTATE_MANIFEST_DESCRIPTOR},
	{"index", ANNOTATE_INDEX},
	{"index-descriptor", ANNOTATE_INDEX_DESCRIPTOR},
};

/* `level` is "manifest", "index[linux/amd64]", ...; n bytes long. */
static int add_annotation(struct export_options *o, const char *level, size_t n, const char *text,
			  struct error **err)
{
	const char *bracket = memchr(level, '[', n);
	size_t n_name = bracket ? (size_t)(bracket - level) : n;
	_cleanup_free_ char *platform = NULL;

	if (bracket) {
		struct platform p;
		char canonical[64];
		int r;

		if (level[n - 1] != ']')
			return error_new(err, ERR_INVALID, 0, "annotation '%.*s': missing ']'",
					 (int)n, level);
		platform = xstrndup(bracket + 1, n - n_name - 2);
		r = platform_parse(platform, &p, err);
		if (r < 0)
			return error_wrap(err, r, "annotation '%.*s'", (int)n, level);
		free(platform);
		platform = xstrdup(platform_format(&p, canonical));
	}
	for (size_t i = 0; i < ARRAY_SIZE(annotated_names); i++)
		if (strlen(annotated_names[i].name) == n_name &&
		    memcmp(annotated_names[i].name, level, n_name) == 0) {
			vec_push(&o->annotations,
				 (struct export_annotation){.on = annotated_names[i].on,
							    .platform = TAKE_PTR(platform),
							    .text = xstrdup(text)});
			return 0;
		}
	return error_new(err, ERR_INVALID, 0, "unknown annotation type '%.*s'", (int)n_name, level);
}

int export_options_annotate(struct export_options *o, const char *text, struct error **err)
{
	const char *equals = strchr(text, '='), *colon = strchr(text, ':'), *bracket;
	size_t n;

	if (!equals || equals == text)
		return error_new(err, ERR_INVALID, 0, "invalid annotation '%s': expected key=value",
				 text);
	/* A colon after the key belongs to it or to the value. */
	for (n = 0; text[n] && strchr("abcdefghijklmnopqrstuvwxyz-,", text[n]); n++)
		;
	bracket = text[n] == '[' ? strchr(text + n, ']') : NULL;
	if (!colon || colon > equals || (text[n] != ':' && !bracket))
		return add_annotation(o, "manifest", strlen("manifest"), text, err);
	colon = bracket ? strchr(bracket, ':') : colon;
	if (!colon || colon > equals)
		return error_new(err, ERR_INVALID, 0, "invalid annotation '%s'", text);
	for (const char *p = text; p < colon;) {
		int r;

		n = strcspn(p, ",:");
		r = add_annotation(o, p, n, colon + 1, err);
		if (r < 0)
			return r;
		p += n + 1;
	}
	return 0;
}

/* "annotation.k", "annotation-index[linux/amd64].k"; *ret_done = false if the key is another. */
static int set_annotation(struct export_options *o, const char *key, const char *value,
			  bool *ret_done, struct error **err)
{
	const char *at = key + strlen("annotation"), *dot;
	_cleanup_free_ char *text = NULL, *level = NULL;
	size_t n;

	*ret_done = false;
	if (strncmp(key, "annotation", strlen("annotation")) != 0 || !*at || !strchr("-.[", *at))
		return 0;
	n = strcspn(at, ".[");
	dot = at[n] == '[' ? strchr(at + n, ']') : at + n;
	if (dot && *dot == ']')
		dot++;
	if (!dot || *dot != '.' || !dot[1])
		return error_new(err, ERR_INVALID, 0, "invalid output attribute '%s'", key);
	*ret_done = true;
	text = xasprintf("%s=%s", dot + 1, value);
	level = *at == '-' ? xstrndup(at + 1, (size_t)(dot - at - 1))
			   : xasprintf("manifest%.*s", (int)(dot - at), at);
	return add_annotation(o, level, strlen(level), text, err);
}

/* --- attributes
 * ------------------------------------------------------------------------------------ */

static int set_layers(struct export_options *o, const char *key, const char *value, bool *ret_done,
		      struct error **err)
{
	*ret_done = true;
	if (strcmp(key, "compression") == 0)
		return compress_parse(value, &o->layers.compression.type, err);
	if (strcmp(key, "compression-level") == 0)
		return compress_parse_level(value, &o->layers.compression.level, err);
	if (strcmp(key, "force-compression") == 0)
		return attrs_bool(key, value, &o->layers.force, err);
	if (strcmp(key, "oci-mediatypes") == 0)
		return attrs_bool(key, value, &o->oci_mediatypes, err);
	if (strcmp(key, "rewrite-timestamp") == 0)
		return attrs_bool(key, value, &o->rewrite_timestamp, err);
	if (strcmp(key, "source-date-epoch") == 0) {
		o->has_epoch = true;
		return attrs_number(key, value, INT64_C(1) << 40, &o->epoch, err);
	}
	*ret_done = false;
	return 0;
}

/* Attributes of BuildKit's outputs that change nothing here; what people may have expected of those
 * with a note is said. */
static int set_passive(struct export_options *o, const char *key, const char *value, bool *ret_done,
		       struct error **err)
{
	static const struct {
		const char *key;
		enum { TEXT, SWITCH } kind;
		const char *note; /* for a switch that is on, or a text */
	} passive[] = {
		{"unpack", SWITCH, NULL},
		{"registry.insecure", TEXT, NULL},
		{"buildinfo", SWITCH, NULL},
		{"buildinfo-attrs", SWITCH, NULL},
		{"name-canonical", SWITCH, NULL},
		{"danging-name-empty-only", SWITCH, NULL},
		{"dangling-name-empty-only", SWITCH, NULL},
		{"danging-name-prefix", TEXT, "images without a name are found by their id"},
		{"dangling-name-prefix", TEXT, "images without a name are found by their id"},
		{"prefer-nondist-layers", SWITCH, "all layers are pushed with their bytes"},
	};

	*ret_done = true;
	for (size_t i = 0; i < ARRAY_SIZE(passive); i++) {
		bool on = true;
		int r = 0;

		if (strcmp(key, passive[i].key) != 0)
			continue;
		if (passive[i].kind == SWITCH)
			r = attrs_bool(key, value, &on, err);
		if (r == 0 && on && passive[i].note)
			strv_pushf(&o->notes, "%s has no effect: %s", key, passive[i].note);
		return r;
	}
	*ret_done = false;
	return 0;
}

/* How attestations are stored. */
static int set_attestations(struct export_options *o, const char *key, const char *value,
			    bool *ret_done, struct error **err)
{
	bool on = false;
	int r;

	*ret_done = true;
	if (strcmp(key, "oci-artifact") == 0) {
		r = attrs_bool(key, value, &on, err);
		o->old_artifacts = !on;
		o->artifacts_set = true;
		return r;
	}
	if (strcmp(key, "attestation-inline") == 0) {
		o->inline_attestations_set = true;
		return attrs_bool(key, value, &o->inline_attestations, err);
	}
	if (strcmp(key, "attestation-prefix") == 0) {
		if (strchr(value, '/'))
			return error_new(err, ERR_INVALID, 0,
					 "attestation-prefix '%s': file names have no slash",
					 value);
		free(o->attestation_prefix);
		o->attestation_prefix = xstrdup(value);
		return 0;
	}
	*ret_done = false;
	return 0;
}

static int set_store(struct export_options *o, const char *key, const char *value,
		     struct error **err)
{
	bool store = true;
	int r = attrs_bool(key, value, &store, err);

	o->no_store = !store;
	return r;
}

/* One attribute, as in "compression=zstd" or "annotation.k=v". */
static int set_attribute(struct export_options *o, const char *key, const char *value,
			 struct error **err)
{
	bool done;
	int r;

	if (strcmp(key, "type") == 0)
		return parse_type(value, o, err);
	if (strcmp(key, "dest") == 0) {
		free(o->dest);
		o->dest = xstrdup(value);
		return 0;
	}
	if (strcmp(key, "name") == 0) {
		csv_names(value, &o->names);
		return 0;
	}
	if (strcmp(key, "tar") == 0)
		return attrs_bool(key, value, &o->tar, err);
	if (strcmp(key, "store") == 0)
		return set_store(o, key, value, err);
	if (strcmp(key, "push") == 0)
		return attrs_bool(key, value, &o->push, err);
	if (strcmp(key, "push-by-digest") == 0)
		return attrs_bool(key, value, &o->push_by_digest, err);
	if (strcmp(key, "mode") == 0)
		return parse_mode(value, o, err);
	if (strcmp(key, "platform-split") == 0) {
		o->platform_split_set = true;
		return attrs_bool(key, value, &o->platform_split, err);
	}
	r = set_layers(o, key, value, &done, err);
	if (r < 0 || done)
		return r;
	r = set_attestations(o, key, value, &done, err);
	if (r < 0 || done)
		return r;
	r = set_passive(o, key, value, &done, err);
	if (r < 0 || done)
		return r;
	r = set_annotation(o, key, value, &done, err);
	if (r < 0 || done)
		return r;
	return error_new(err, ERR_INVALID, 0, "unknown output attribute '%s'", key);
}

/* --- the whole value
 * ----------------------------------------------------------------------------------- */

static int set_fields(struct export_options *o, const struct strv *fields, struct error **err)
{
	bool has_type = false;

	for (size_t i = 0; i < fields->n; i++) {
		char *field = fields->v[i], *equals = strchr(field, '=');
		int r;

		if (!equals)
			return error_new(err, ERR_INVALID, 0,
					 "invalid output field '%s': expected key=value", field);
		*equals = '\0';
		has_type |= strcmp(field, "type") == 0;
		r = set_attribute(o, field, equals + 1, err);
		if (r < 0)
			return r;
	}
	return has_type ? 0 : error_new(err, ERR_INVALID, 0, "type is required for output");
}

/* Where it goes, once the type is known. */
static int settle_dest(struct export_options *o, struct error **err)
{
	bool console = !o->dest || strcmp(o->dest, "-") == 0 || !*o->dest;

	switch (o->type) {
	case EXPORT_LOCAL:
		if (console)
			return error_new(err, ERR_INVALID, 0, "dest is required for local output");
		return 0;
	case EXPORT_DOCKER:
		if (!o->dest) {
			o->type = EXPORT_IMAGE;
			return 0;
		}
		break;
	case EXPORT_OCI:
	case EXPORT_TAR:
		break;
	default:
		return 0;
	}
	if (!console)
		return 0;
	if (!o->tar)
		return error_new(err, ERR_INVALID, 0, "dest is required for output with tar=false");
	free(o->dest);
	o->dest = NULL;
	o->dest_fd = STDOUT_FILENO;
	return 0;
}

int export_options_parse(struct export_options *o, const char *text, struct error **err)
{
	_cleanup_strv_ struct strv fields = {0};
	int r;

	if (!*text)
		return error_new(err, ERR_INVALID, 0, "the output is empty");
	if (!strchr(text, ',') && strncmp(text, "type=", 5) != 0) {
		o->type = strcmp(text, "-") == 0 ? EXPORT_TAR : EXPORT_LOCAL;
		o->dest = xstrdup(text);
		return settle_dest(o, err);
	}
	r = csv_split(text, &fields, err);
	if (r < 0)
		return error_wrap(err, r, "invalid output '%s'", text);
	r = set_fields(o, &fields, err);
	if (r == 0)
		r = settle_dest(o, err);
	return r < 0 ? r : compress_check_level(&o->layers.compression, err);
}
