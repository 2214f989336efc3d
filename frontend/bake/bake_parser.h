/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the HCL parser: what its files share. The text is read in one pass, without tokens, since
 * what a byte means depends on where one is: in a template, in a here-document or in an expression. */
#ifndef KILN_FRONTEND_BAKE_BAKE_PARSER_H
#define KILN_FRONTEND_BAKE_BAKE_PARSER_H

#include "frontend/bake/bake_ast.h"

struct bake_parser {
	struct arena *arena;
	const struct bake_file *file;
	const char *p, *end, *line_start;
	unsigned line;
	bool fixed_line; /* the text is a string of another file: all of it is on one line */
	unsigned depth;
	unsigned open; /* brackets: line feeds between them mean nothing */
	struct error **err;
};

/* Lists of nodes under construction. */
struct bake_exprs {
	struct bake_expr **v;
	size_t n, cap;
};
void bake_exprs_push(struct bake_parser *p, struct bake_exprs *list, struct bake_expr *e);

struct bake_place bake_parser_place(const struct bake_parser *p);
/* Fails at the current line. */
int bake_parser_fail(struct bake_parser *p, const char *fmt, ...) _printf_(2, 3);
struct bake_expr *bake_expr_new(struct bake_parser *p, enum bake_expr_kind kind);
/* Blanks and comments; line feeds too where brackets are open. */
int bake_parser_skip(struct bake_parser *p) _must_check_;
/* The same, with line feeds. */
int bake_parser_skip_lines(struct bake_parser *p) _must_check_;
/* Moves on by one byte and counts lines. */
void bake_parser_step(struct bake_parser *p);
bool bake_parser_starts(const struct bake_parser *p, const char *text);
/* After blanks: takes the text if it comes next. */
int bake_parser_take(struct bake_parser *p, const char *text, bool *ret) _must_check_;
int bake_parser_expect(struct bake_parser *p, const char *text) _must_check_;
/* NULL if there is no name here. */
const char *bake_parser_name(struct bake_parser *p);

int bake_parser_expr(struct bake_parser *p, struct bake_expr **ret) _must_check_;
int bake_parser_enter(struct bake_parser *p) _must_check_;

/* "text", from the quote on; <<EOT documents; text up to the end. */
int bake_parser_quoted(struct bake_parser *p, struct bake_expr **ret) _must_check_;
int bake_parser_heredoc(struct bake_parser *p, struct bake_expr **ret) _must_check_;
int bake_parser_bare(struct bake_parser *p, struct bake_expr **ret) _must_check_;

#endif
