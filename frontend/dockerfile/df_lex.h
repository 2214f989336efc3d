/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a Dockerfile: limits, byte order mark, line ends, parser directives, comments and
 * continuations. It hands out one joined instruction at a time; the parser says which heredocs
 * follow.
 */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_LEX_H
#define KILN_FRONTEND_DOCKERFILE_DF_LEX_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "frontend/dockerfile/df_ast.h"
#include "frontend/dockerfile/df_text.h"

enum {
	DF_LINES_MAX = 1000 * 1000,
	DF_COMMENTS_MAX = 200, /* kept above one instruction; the rest is dropped */
};

struct df_lex {
	struct arena *arena;
	const char *data; /* as in the file, after the byte order mark */
	size_t size;
	const struct df_line *lines;
	size_t n_lines;
	size_t next; /* the line to read next, from 0 */
	char escape;
	struct df_directive syntax, check, escape_directive;
	bool directives_done;
	struct buf joined; /* scratch */
};

/* One instruction. */
struct df_joined {
	const char *text; /* without blanks in front, with those at the end; in the arena */
	struct source_span span;
	struct df_strings comments;
	bool empty_continuation;
};

/* Splits `data` (NUL-terminated, lives as long as the arena) into lines and checks the limits. On
 * error *ret_line is the line concerned, 0 if none. */
int df_lex_init(struct df_lex *x, struct arena *a, const char *data, size_t size,
		unsigned *ret_line, struct error **err) _must_check_;
void df_lex_release(struct df_lex *x);
/* 1 and *ret, or 0 at the end. On error ret->span says where. */
int df_lex_next(struct df_lex *x, struct df_joined *ret, struct error **err) _must_check_;
/* Takes the lines up to `terminator` as a heredoc's body; they end as in the file. With `chomp`
 * leading tabs before the terminator do not count. *ret_body is in the arena; the lexer's position
 * moves behind the terminator. It is an error if the file ends first. */
int df_lex_heredoc(struct df_lex *x, const char *terminator, bool chomp, const char **ret_body,
		   struct error **err) _must_check_;

/* Reads "name = value" after the comment sign as a parser directive; both are in the arena. False
 * if it is not one; the name is lower case and known ("syntax", "escape", "check"). */
bool df_lex_directive(struct arena *a, struct df_slice comment, const char **ret_name,
		      const char **ret_value);

#endif
