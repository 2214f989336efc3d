/* SPDX-License-Identifier: Apache-2.0 */
/* Small text tools of the Dockerfile parser: blanks as Dockerfiles know them, Go's %q, lists. */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_TEXT_H
#define KILN_FRONTEND_DOCKERFILE_DF_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "frontend/dockerfile/df_ast.h"

/* A stretch of text, not NUL-terminated. */
struct df_slice {
	const char *p;
	size_t n;
};

/* Length in bytes of the blank (any Unicode white space) at p, 0 if there is none. */
size_t df_blank(const char *p, size_t n);
/* Length in bytes of the UTF-8 sequence at p; 1 if it is not valid. n > 0. */
size_t df_rune(const char *p, size_t n);
struct df_slice df_trim_left(struct df_slice s);
struct df_slice df_trim(struct df_slice s);
/* Tab, vertical tab, form feed, CR and space: what separates words that are not quoted. */
bool df_is_separator(char c);

/* The text in double quotes as Go's %q prints it. In the arena. */
const char *df_quote(struct arena *a, const char *s);
/* ASCII case. In the arena. */
const char *df_lower(struct arena *a, const char *s);
const char *df_upper(struct arena *a, const char *s);
bool df_has_upper(const char *s);
bool df_has_lower(const char *s);
/* Case of ASCII letters does not count. */
bool df_equal_fold(const char *a, const char *b);

/* Appends `s` (borrowed) to a list that grows in the arena. */
void df_strings_push(struct arena *a, struct df_strings *list, const char *s);

#endif
