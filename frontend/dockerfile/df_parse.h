/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfile text to syntax tree.
 *
 * Errors are ERR_INVALID with the text BuildKit users know, "dockerfile parse error on line 3:
 * unknown instruction: RUM (did you mean RUN?)", carry file and lines (error_at), and are found in
 * bounded time and memory: see the limits below.
 */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_PARSE_H
#define KILN_FRONTEND_DOCKERFILE_DF_PARSE_H

#include "base/error.h"
#include "frontend/dockerfile/df_ast.h"
#include "frontend/dockerfile/df_shell.h"

enum {
	DF_FILE_MAX = 16 * 1024 * 1024,	      /* bytes of a Dockerfile */
	DF_LINE_MAX = 65535,		      /* bytes of a physical line, as BuildKit */
	DF_INSTRUCTION_MAX = 4 * 1024 * 1024, /* bytes of a joined instruction */
};

/* Parses `size` bytes; `name` is the file's name for messages. A file without any stage is an
 * error; so is an instruction other than ARG before the first FROM. On an error *ret holds what
 * came before it, for excerpts and for lint (`stages` and `meta_args` are not set), or NULL. The
 * caller frees *ret in either case. */
int df_parse(const char *name, const void *data, size_t size, struct df_file **ret,
	     struct error **err) _must_check_;
void df_file_free(struct df_file *f);
DEFINE_FREEP(struct df_file, df_file_free)

/* Parses one trigger out of an image's config.OnBuild (heredoc bodies follow on later lines). The
 * instruction lives in `a`; its span is `at` (the FROM that fires it). Only what ONBUILD allows. */
int df_parse_trigger(struct arena *a, const char *name, const char *expression,
		     struct source_span at, struct df_instruction **ret,
		     struct error **err) _must_check_;

/* The value of a --mount after expansion of its values with `shell`; with shell NULL only checks
 * what does not depend on variables. Relative targets, `/` and the types' default targets are the
 * caller's. */
int df_mount_parse(struct arena *a, const char *value, const struct df_shell *shell,
		   struct df_vars *vars, struct df_mount *ret, struct error **err) _must_check_;

/* The frontend that a file (or BUILDKIT_SYNTAX) asks for: finds "# syntax=", "// syntax=" or a JSON
 * object's "syntax", after a "#!" line. *ret is the first word of the value, in `a`; NULL if there
 * is none. Works on any bytes. */
void df_detect_syntax(struct arena *a, const void *data, size_t size, const char **ret,
		      struct source_span *ret_span);

/* The value of the directive "# check=", in `a`; NULL if there is none. As BuildKit looks for it:
 * after a "#!" line, too, but not on an indented line. */
const char *df_detect_check(struct arena *a, const void *data, size_t size);

/* "RUN"; upper case. */
const char *df_kind_name(enum df_kind kind);

#endif
