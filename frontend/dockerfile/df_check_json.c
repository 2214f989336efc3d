/* SPDX-License-Identifier: Apache-2.0 */
/* --call in JSON: the results of a check, outlines and lists of targets. */
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "frontend/dockerfile/df_check.h"
#include "frontend/dockerfile/df_text.h"

/* A JSON string; bytes that are not UTF-8 become U+FFFD, as in Go. */
static json_t *text_value(const char *s)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t n = strlen(s), step;

	for (size_t i = 0; i < n; i += step) {
		step = df_rune(s + i, n - i);
		if (step == 1 && (unsigned char)s[i] >= 0x80)
			buf_adds(&b, "\xef\xbf\xbd");
		else
			buf_add(&b, s + i, step);
	}
	return json_stringn_nocheck(b.p, b.n);
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(object, key, text_value(value));
}

static json_t *position(unsigned line)
{
	json_t *p = json_object();

	json_object_set_new(p, "line", json_integer(line));
	return p;
}

/* {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}, ...]}, a range for every line but one for
 * a very long instruction. */
static json_t *location(struct source_span span)
{
	enum { RANGES_MAX = 200 };
	unsigned end = span.end_line > span.line ? span.end_line : span.line;
	unsigned step = end - span.line < RANGES_MAX ? 1 : end - span.line + 1;
	json_t *object = json_object(), *ranges = json_array(), *range;

	for (unsigned i = span.line; i > 0 && i <= end; i += step) {
		range = json_object();
		json_object_set_new(range, "start", position(i));
		json_object_set_new(range, "end", position(i + step - 1));
		json_array_append_new(ranges, range);
	}
	json_object_set_new(object, "ranges", ranges);
	return object;
}

static json_t *base64(const char *p, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(unsigned char)p[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)(unsigned char)p[i + 1] << 8;
		if (i + 2 < n)
			v |= (unsigned char)p[i + 2];
		buf_addc(&b, digits[v >> 18]);
		buf_addc(&b, digits[v >> 12 & 63]);
		buf_addc(&b, i + 1 < n ? digits[v >> 6 & 63] : '=');
		buf_addc(&b, i + 2 < n ? digits[v & 63] : '=');
	}
	return json_stringn_nocheck(b.p, b.n);
}

static void set_plain_source(json_t *object, const struct df_file *f)
{
	json_t *sources = json_array();

	json_array_append_new(sources, base64(f->data, f->size));
	json_object_set_new(object, "sources", sources);
}

static json_t *warning(const struct df_warning *w)
{
	const struct df_rule_info *rule = &df_rules[w->rule];
	json_t *object = json_object();

	set_text(object, "ruleName", rule->name);
	set_text(object, "description", rule->description);
	set_text(object, "url", rule->url);
	set_text(object, "detail", w->text);
	json_object_set_new(object, "location", location(w->span));
	return object;
}

void df_check_json(const struct df_file *f, const struct df_lint *l, const struct error *error,
		   struct buf *b)
{
	json_t *root = json_object(), *warnings = json_array(), *sources = json_array();
	json_t *source = json_object(), *failure;

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(warnings, warning(&l->warnings[i]));
	json_object_set_new(root, "warnings", warnings);
	set_text(source, "filename", f->name);
	json_object_set_new(source, "data", base64(f->data, f->size));
	set_text(source, "language", "Dockerfile");
	json_array_append_new(sources, source);
	json_object_set_new(root, "sources", sources);
	if (error) {
		failure = json_object();
		set_text(failure, "message", error_text(error));
		json_object_set_new(failure, "location", location(error_span(error)));
		json_object_set_new(root, "buildError", failure);
	}
	js_dump_go(root, 2, false, b);
	json_decref(root);
}

static void set_mounts(json_t *root, const char *key, const struct df_outline_mount *v, size_t n)
{
	json_t *list = json_array(), *object;

	for (size_t i = 0; i < n; i++) {
		object = json_object();
		json_object_set_new(object, "name", text_value(v[i].id));
		if (v[i].required)
			json_object_set_new(object, "required", json_true());
		json_object_set_new(object, "location", location(v[i].span));
		json_array_append_new(list, object);
	}
	if (n > 0)
		json_object_set(root, key, list);
	json_decref(list);
}

void df_outline_json(const struct df_file *f, const struct df_outline *o, struct buf *b)
{
	json_t *root = json_object(), *args = json_array(), *object;

	set_text(root, "name", o->name);
	set_text(root, "description", o->doc);
	for (size_t i = 0; i < o->n_args; i++) {
		object = json_object();
		json_object_set_new(object, "name", text_value(o->args[i].name));
		set_text(object, "description", o->args[i].doc);
		set_text(object, "value", o->args[i].value);
		json_object_set_new(object, "location", location(o->args[i].span));
		json_array_append_new(args, object);
	}
	if (o->n_args > 0)
		json_object_set(root, "args", args);
	json_decref(args);
	set_mounts(root, "secrets", o->secrets, o->n_secrets);
	set_mounts(root, "ssh", o->ssh, o->n_ssh);
	set_plain_source(root, f);
	js_dump_go(root, 2, false, b);
	json_decref(root);
}

void df_targets_json(const struct df_file *f, struct buf *b)
{
	json_t *root = json_object(), *targets = json_array(), *object;
	const struct df_instruction *from;

	for (size_t i = 0; i < f->n_stages; i++) {
		from = f->stages[i].from;
		object = json_object();
		set_text(object, "name", from->from.name);
		if (i + 1 == f->n_stages)
			json_object_set_new(object, "default", json_true());
		set_text(object, "description", from->from.doc);
		set_text(object, "base", from->from.base);
		set_text(object, "platform", from->from.platform);
		json_object_set_new(object, "location", location(from->span));
		json_array_append_new(targets, object);
	}
	json_object_set_new(root, "targets", targets);
	set_plain_source(root, f);
	js_dump_go(root, 2, false, b);
	json_decref(root);
}
