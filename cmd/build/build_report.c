/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_report.h"

#include <stdio.h>
#include <string.h>

#include "base/times.h"
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

json_t *build_report_metadata(const struct export_result *results, size_t n)
{
	const struct export_result *image = first_image(results, n),
				   *result = image ? image : results;
	_cleanup_free_ char *names = n > 0 ? strv_join(&result->names, ",") : NULL;
	json_t *doc = json_object();
	char text[DIGEST_TEXT];

	if (image) {
		json_object_set_new(doc, "containerimage.config.digest",
				    json_string(digest_format(&image->config, text)));
		json_object_set(doc, "containerimage.descriptor", image->descriptor);
		json_object_set_new(doc, "containerimage.digest",
				    json_string(digest_format(&image->manifest, text)));
	}
	if (names && *names)
		json_object_set_new(doc, "image.name", json_string(names));
	return doc;
}

static int write_metadata(const char *path, const struct export_result *results, size_t n,
			  struct error **err)
{
	_cleanup_json_ json_t *doc = build_report_metadata(results, n);
	_cleanup_buf_ struct buf b = BUF_INIT;

	js_dump_go(doc, 2, true, &b);
	return out_file_write_all(path, b.p, b.n, session_cancel(), err);
}

int build_report_result(const struct build_options *o, const struct export_result *results,
			size_t n, struct error **err)
{
	const struct export_result *image = first_image(results, n);
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
	if (r == 0 && o->metadata_file && n > 0)
		r = write_metadata(o->metadata_file, results, n, err);
	return r;
}
