/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of `build --check`, `--call=outline` and `--call=targets`, as text and as JSON
 * (BuildKit's subrequest results lint, outline, targets, version 1.0.0). These functions only
 * format.
 */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_CHECK_H
#define KILN_FRONTEND_DOCKERFILE_DF_CHECK_H

#include "base/buf.h"
#include "frontend/dockerfile/df_ast.h"
#include "frontend/dockerfile/df_lint.h"

/* The lines around `span` with markers, as under a failed build:
 *	Dockerfile:2
 *	--------------------
 *	   1 |     FROM busybox
 *	   2 | >>> RUN false
 *	--------------------
 * Nothing if the span has no line. */
void df_excerpt(const struct df_file *f, struct source_span span, struct buf *b);

/* --check. `error` (may be NULL) is what stopped the compiler after linting; the text leaves
 * showing it to the caller. The text starts with the number of warnings and shows them by line;
 * JSON is
 * {"warnings": [], "sources": [], "buildError": {}}. */
void df_check_text(const struct df_file *f, const struct df_lint *l, const struct error *error,
		   struct buf *b);
void df_check_json(const struct df_file *f, const struct df_lint *l, const struct error *error,
		   struct buf *b);
/* The exit status of --check: 1 if there is a warning or an error. */
int df_check_status(const struct df_lint *l, const struct error *error);

/* What a target takes from outside. Filled by the compiler. */
struct df_outline_arg {
	const char *name, *value, *doc; /* value NULL: none; doc NULL: none */
	struct source_span span;
};
struct df_outline_mount {
	const char *id;
	bool required;
	struct source_span span;
};
struct df_outline {
	const char *name, *doc; /* the target; "" and NULL if none */
	const struct df_outline_arg *args;
	size_t n_args;
	const struct df_outline_mount *secrets, *ssh;
	size_t n_secrets, n_ssh;
};
void df_outline_text(const struct df_outline *o, struct buf *b);
void df_outline_json(const struct df_file *f, const struct df_outline *o, struct buf *b);

/* Stages that --target can name. Needs only the tree. */
void df_targets_text(const struct df_file *f, struct buf *b);
void df_targets_json(const struct df_file *f, struct buf *b);

#endif
