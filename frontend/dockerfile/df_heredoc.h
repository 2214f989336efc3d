/* SPDX-License-Identifier: Apache-2.0 */
/* Heredocs: [fd]<<[-]WORD in RUN, COPY and ADD. */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_HEREDOC_H
#define KILN_FRONTEND_DOCKERFILE_DF_HEREDOC_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "frontend/dockerfile/df_ast.h"
#include "frontend/dockerfile/df_lex.h"

enum { DF_HEREDOCS_MAX = 1000 }; /* of one instruction */

/* Is this word a heredoc marker? 1 and *ret (without a body), 0, or an error in its quotes. */
int df_heredoc_parse(struct arena *a, const char *word, struct df_heredoc *ret,
		     struct error **err) _must_check_;
/* Finds the markers of an instruction's text and takes their bodies from the lines behind it. The
 * list is in the lexer's arena. */
int df_heredoc_read_all(struct df_lex *x, const char *text, const struct df_heredoc **ret,
			size_t *ret_n, struct error **err) _must_check_;
/* The body without the tabs that its lines start with. */
const char *df_heredoc_chomp(struct arena *a, const char *body);

#endif
