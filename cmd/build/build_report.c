/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/base64.h"
#include "base/times.h"
#include "cmd/build/build_attest.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/progress/progress_model.h"
#include "engine/stream/out_file.h"

void build_report_stream(const struct progress *progress, const struct build_input *in,
			 const struct df_lint *lint)
{
	for (size_t i = 0; i < lint->n; i++) {
		const struct df_warning *w = &lint->warnings[i];
		_cleanup_free_ char *text = xasprintf("%s: %s (line %u)", df_rules[w->rule].name,
						      w->text, w->span.line);
		const char *detail = df_rules[w->rule].description;
		struct event e = {.kind = EVENT_WARNING, .vertex = in->step};

		e.warning = (struct event_warning){.short_text = text,
						   .detail = &detail,
						   .n_detail = 1,
						   .url = df_rules[w->rule].url,
						   .file = in->name,
						   .span = w->span,
						   .level = 1};
		progress->emit(progress->data, &e);
	}
}

void build_report_warnings(const struct df_lint *lint)
{
	if (lint->n == 0)
		return;
	fprintf(stderr, "\n %zu warning%s found (use --check to expand):\n", lint->n,
		lint->n == 1 ? "" : "s");
	for (size_t i = 0; i < lint->n; i++)
		show(stderr, " - %s: %s (line %u)\n", df_rules[lint->warnings[i].rule].name,
		     lint->warnings[i].text, lint->warnings[i].span.line);
}

int build_report_error(const struct df_file *file, int r, struct error **err)
{
	const char *hint = session_hint(*err);
	_cleanup_buf_ struct buf b = BUF_INIT;
	int status = r == -ERR_CANCELED ? EXIT_INTERRUPTED : EXIT_FAILED;

	if (file && error_file(*err))
		df_excerpt(file, error_span(*err), &b);
	else if (error_file(*err) && error_span(*err).line)
		buf_addf(&b, "%s:%u\n", error_file(*err), error_span(*err).line);
	buf_adds(&b, "ERROR: failed to build: failed to solve: ");
	/* A line of it that looks like one of the log is set in. */
	for (const char *p = error_text(*err); *p; p += strcspn(p, "\n"), p += *p == '\n')
		buf_addf(&b, "%s%.*s\n", *p == '#' ? " " : "", (int)strcspn(p, "\n"), p);
	if (hint)
		buf_addf(&b, "%s\n", hint);
	/* It may hold what a Dockerfile or a server said. */
	show_text(stderr, b.p, b.n);
	error_free(*err);
	*err = NULL;
	return status;
}

/* Of the first output that is an image. */
static const struct export_result *first_image(const struct export_result *results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (results[i].has_image)
			return &results[i];
	return NULL;
}

static void describe_image(json_t *doc, const struct export_result *image)
{
	char text[DIGEST_TEXT];

	json_object_set_new(doc, "containerimage.config.digest",
			    json_string(digest_format(&image->config, text)));
	json_object_set(doc, "containerimage.descriptor", image->descriptor);
	json_object_set_new(doc, "containerimage.digest",
			    json_string(digest_format(&image->manifest, text)));
}

/* A warning as BuildKit's messages have it, text in base64. */
static json_t *warning_json(const struct build_input *in, const struct df_warning *w)
{
	_cleanup_free_ char *text =
		xasprintf("%s: %s (line %u)", df_rules[w->rule].name, w->text, w->span.line);
	const char *detail = df_rules[w->rule].description;
	_cleanup_free_ char *short_text = base64_encode(text, strlen(text));
	_cleanup_free_ char *long_text = base64_encode(detail, strlen(detail));
	_cleanup_free_ char *data = base64_encode(in->text.p, in->text.n);
	unsigned end = w->span.end_line > w->span.line ? w->span.end_line : w->span.line;
	char vertex[DIGEST_TEXT];

	return json_pack("{s:s, s:i, s:s, s:[s], s:s, s:{s:s, s:s, s:s}, s:[{s:{s:i}, s:{s:i}}]}",
			 "vertex", digest_format(&in->step, vertex), "level", 1, "short",
			 short_text, "detail", long_text, "url", df_rules[w->rule].url,
			 "sourceInfo", "filename", in->name, "data", data, "language", "Dockerfile",
			 "range", "start", "line", (int)w->span.line, "end", "line", (int)end);
}

/* Only where the variable asks for them. */
static void add_warnings(const struct build_outputs *b, json_t *doc)
{
	const char *value = getenv("BUILDX_METADATA_WARNINGS");
	const struct df_lint *lint = &b->images[0].lint;
	json_t *list;
	bool on;

	if (!value || attrs_bool("BUILDX_METADATA_WARNINGS", value, &on, NULL) < 0 || !on ||
	    lint->n == 0)
		return;
	list = json_array();
	for (size_t i = 0; i < lint->n; i++)
		json_array_append_new(list, warning_json(b->input, &lint->warnings[i]));
	json_object_set_new(doc, "buildx.build.warnings", list);
}

int build_report_metadata(const struct build_outputs *b, const char *ref, json_t **ret,
			  struct error **err)
{
	const struct export_result *image = first_image(b->exported, b->n_exported),
				   *result = image ? image : b->exported;
	_cleanup_free_ char *names = b->n_exported > 0 ? strv_join(&result->names, ",") : NULL;
	json_t *doc = json_object();
	int r = build_attest_metadata(b, doc, err);

	if (r < 0) {
		json_decref(doc);
		return r;
	}
	/* Builder and node, as buildx has them, are this machine. */
	if (*ref) {
		_cleanup_free_ char *whole = xasprintf("default/default/%s", ref);

		json_object_set_new(doc, "buildx.build.ref", json_string(whole));
	}
	add_warnings(b, doc);
	if (image)
		describe_image(doc, image);
	if (names && *names)
		json_object_set_new(doc, "image.name", json_string(names));
	*ret = doc;
	return 0;
}

static int write_metadata(const struct build_outputs *b, const char *ref, struct error **err)
{
	_cleanup_json_ json_t *doc = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = build_report_metadata(b, ref, &doc, err);

	if (r < 0)
		return r;
	js_dump_go(doc, 2, true, &text);
	return out_file_write_all(b->options->metadata_file, text.p, text.n, session_cancel(), err);
}

int build_report_result(const struct build_outputs *b, const char *ref, struct error **err)
{
	const struct build_options *o = b->options;
	const struct export_result *image = first_image(b->exported, b->n_exported);
	char id[DIGEST_TEXT];
	int r = 0;

	if (image)
		digest_format(&image->config, id);
	if (image && o->quiet) {
		printf("%s\n", id);
		/* The files may be the same output. */
		(void)fflush(stdout);
	}
	if (o->iidfile && image)
		r = out_file_write_all(o->iidfile, id, strlen(id), session_cancel(), err);
	if (r == 0 && o->metadata_file && b->n_exported > 0)
		r = write_metadata(b, ref, err);
	return r;
}
