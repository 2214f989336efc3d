/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting the text of an instruction: keyword, flags, words, JSON arrays. Everything is in the
 * arena; quotes and escapes of words stay, since expansion removes them. */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_SPLIT_H
#define KILN_FRONTEND_DOCKERFILE_DF_SPLIT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "frontend/dockerfile/df_ast.h"
#include "frontend/dockerfile/df_text.h"

/* First word of the instruction and the trimmed rest. */
void df_split_keyword(struct df_slice text, struct df_slice *ret_keyword,
		      struct df_slice *ret_rest);
/* Takes the leading "--name" words off `rest`; quotes and escapes in them are removed. */
void df_split_flags(struct arena *a, struct df_slice *rest, char escape, struct df_strings *ret);
/* Words between blanks; quotes and escapes count. */
void df_split_words(struct arena *a, struct df_slice text, char escape, struct df_strings *ret);
/* Words between blanks; quotes do not count. */
void df_split_blanks(struct arena *a, struct df_slice text, struct df_strings *ret);
/* 1 and *ret if the text is a JSON array of strings, 0 if it is not a JSON array, ERR_INVALID for
 * an array with anything but strings. */
int df_split_json(struct arena *a, struct df_slice text, struct df_strings *ret,
		  struct error **err) _must_check_;
/* The fields of one CSV record (base/csv.h). */
int df_split_csv(struct arena *a, const char *text, struct df_strings *ret,
		 struct error **err) _must_check_;

#endif
