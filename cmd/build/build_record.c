/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/giturl.h"
#include "base/json.h"
#include "base/times.h"
#include "cmd/cli/show.h"
#include "engine/stream/compress.h"

/* As BuildKit has them. */
static const struct history_limits limits = {
	.age = 48 * 3600 * NS_PER_S, .entries = 50, .bytes = UINT64_C(512) << 20};

/* Bytes of events that are kept beyond memory until the build ends, and then compressed. */
enum { LOG_MAX = 256 << 20 };

void build_record_begin(struct build_record *r, struct display *d)
{
	const char *wish = getenv("KILN_HISTORY");

	*r = (struct build_record){.started = times_now_ns(), .log = LOG_SPOOL_INIT};
	r->log.max = LOG_MAX;
	if ((wish && strcmp(wish, "off") == 0) || history_new_ref(r->ref, NULL) < 0)
		*r->ref = '\0';
	else
		display_record(d, &r->log);
}

void build_record_end(struct build_record *r, struct display *d, const struct error *err)
{
	if (!*r->ref)
		return;
	r->counts = display_counts(d);
	r->canceled = err && error_code(err) == ERR_CANCELED;
	if (err)
		r->error = xstrdup(error_text(err));
}

void build_record_release(struct build_record *r)
{
	log_spool_release(&r->log);
	free(r->error);
	*r = (struct build_record){.log = LOG_SPOOL_INIT};
}

/* --- The summary --- */

static void set_text(json_t *doc, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(doc, key, json_string(text));
}

static void set_time(json_t *doc, const char *key, int64_t ns)
{
	_cleanup_free_ char *text = times_rfc3339(ns);

	json_object_set_new(doc, key, json_string(text));
}

/* "NAME=VALUE" entries as [{"Name": ..., "Value": ...}]. */
static void set_pairs(json_t *doc, const char *key, const struct strv *pairs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < pairs->n; i++) {
		_cleanup_free_ char *name = xstrndup(pairs->v[i], strcspn(pairs->v[i], "="));
		const char *value = strchr(pairs->v[i], '=');

		json_array_append_new(list, json_pack("{s:s, s:s}", "Name", name, "Value",
						      value ? value + 1 : ""));
	}
	if (pairs->n > 0)
		json_object_set_new(doc, key, list);
	else
		json_decref(list);
}

/* No password of a URL is kept. */
static char *shown_context(const struct build_options *o)
{
	return o->context ? giturl_display(o->context) : xstrdup(".");
}

static char *build_name(const struct build_options *o, const struct build_input *in)
{
	_cleanup_free_ char *context =
		in->context_dir ? xstrdup(in->context_dir) : shown_context(o);
	const char *base;

	for (size_t n = strlen(context); n > 1 && context[n - 1] == '/'; n--)
		context[n - 1] = '\0';
	base = strrchr(context, '/');
	base = base && base[1] ? base + 1 : context;
	return o->target ? xasprintf("%s (%s)", base, o->target) : xstrdup(base);
}

static void set_images(json_t *doc, const struct export_result *results, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		char manifest[DIGEST_TEXT], config[DIGEST_TEXT];
		json_t *names = json_array();

		if (!results[i].has_image) {
			json_decref(names);
			continue;
		}
		for (size_t j = 0; j < results[i].names.n; j++)
			json_array_append_new(names, json_string(results[i].names.v[j]));
		json_array_append_new(list, json_pack("{s:o, s:s, s:s}", "Names", names, "Digest",
						      digest_format(&results[i].manifest, manifest),
						      "Config",
						      digest_format(&results[i].config, config)));
	}
	json_object_set_new(doc, "Images", list);
}

static void set_outcome(json_t *doc, const struct build_record *r)
{
	int64_t now = times_now_ns();

	set_time(doc, "StartedAt", r->started);
	set_time(doc, "CompletedAt", now);
	json_object_set_new(doc, "Duration", json_integer((json_int_t)(now - r->started)));
	json_object_set_new(doc, "Status",
			    json_string(!r->error     ? "completed"
					: r->canceled ? "canceled"
						      : "error"));
	if (r->error)
		json_object_set_new(doc, "Error", json_pack("{s:s}", "Message", r->error));
	json_object_set_new(doc, "NumCompletedSteps",
			    json_integer((json_int_t)r->counts.completed));
	json_object_set_new(doc, "NumTotalSteps", json_integer((json_int_t)r->counts.steps));
	json_object_set_new(doc, "NumCachedSteps", json_integer((json_int_t)r->counts.cached));
	json_object_set_new(doc, "NumWarnings", json_integer((json_int_t)r->counts.warnings));
}

static json_t *summary(const struct build_record *r, const struct build_options *o,
		       const struct build_input *in)
{
	_cleanup_free_ char *name = build_name(o, in), *context = shown_context(o);
	json_t *doc = json_object(), *platforms = json_array();

	set_text(doc, "Name", name);
	set_text(doc, "Ref", r->ref);
	set_text(doc, "Context", context);
	set_text(doc, "Dockerfile", in->name);
	set_text(doc, "Target", o->target);
	for (size_t i = 0; i < o->platform_list.n; i++) {
		char text[64];

		json_array_append_new(platforms,
				      json_string(platform_format(&o->platform_list.v[i], text)));
	}
	json_object_set_new(doc, "Platform", platforms);
	set_pairs(doc, "BuildArgs", &o->build_args);
	set_pairs(doc, "Labels", &o->labels);
	set_outcome(doc, r);
	return doc;
}

/* --- The log --- */

static int write_fd(void *data, const void *p, size_t n, struct error **err)
{
	int r = fs_write_full(*(const int *)data, p, n);

	return r < 0 ? error_new(err, ERR_IO, -r, "write the log of the build") : 0;
}

static void compress_piece(void *data, const char *p, size_t n)
{
	compress_write(data, p, n);
}

static int write_log(void *data, int fd, struct error **err)
{
	const struct compress_options fast = {.type = COMPRESS_ZSTD, .level = 1, .threads = 1};
	_cleanup_(compress_freep) struct compress *c = NULL;
	int r = compress_open(&fast, write_fd, &fd, &c, err);

	if (r < 0)
		return r;
	log_spool_read(data, compress_piece, c);
	return compress_finish(c, err);
}

void build_record_write(const struct build_record *r, const struct build_request *q)
{
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_json_ json_t *doc = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct log_spool log = r->log;
	int status;

	if (!*r->ref)
		return;
	doc = summary(r, &q->options, &q->input);
	set_images(doc, q->outputs.exported, r->error ? 0 : q->outputs.n_exported);
	js_dump(doc, true, &text);
	status = history_add(q->session->store, r->ref, write_log, &log, &text, &err);
	if (status == 0)
		status = history_trim(q->session->store, &limits, &err);
	if (status < 0)
		show(stderr, "WARNING: the build is not recorded: %s\n", error_text(err));
}
