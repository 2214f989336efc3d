/* SPDX-License-Identifier: Apache-2.0 */
/* Path patterns.
 *
 * glob_match is Go's filepath.Match: `*` and `?` do not cross '/', `[]` classes, `\` escapes.
 * A pattern_list is moby/patternmatcher: the language of .dockerignore and --exclude: `**`, `!`
 * exceptions, the last match wins, a path also matches when a parent does.
 */
#ifndef KILN_BASE_PATTERN_H
#define KILN_BASE_PATTERN_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strv.h"

/* 1 match, 0 no match, negative: bad pattern (ERR_INVALID). */
int glob_match(const char *pattern, const char *name, struct error **err) _must_check_;
bool glob_has_meta(const char *s); /* any of the bytes *?[\\ */

struct pattern_list;
/* Patterns as the lines of an ignore file hold them, already trimmed. A bad one is ERR_INVALID. */
int pattern_list_new(const struct strv *patterns, struct pattern_list **ret,
		     struct error **err) _must_check_;
void pattern_list_free(struct pattern_list *l);
DEFINE_FREEP(struct pattern_list, pattern_list_free)
/* Is `path` (clean, relative) matched, itself or through a parent, after all exceptions? */
bool pattern_list_matches(const struct pattern_list *l, const char *path);
/* The same; the pattern that decides, or NULL. Borrowed. */
const char *pattern_list_match(const struct pattern_list *l, const char *path);
/* May something below the directory `path`, itself matched, be re-included by an exception? If not
 * a walk can skip it. */
bool pattern_list_may_reinclude(const struct pattern_list *l, const char *path);
bool pattern_list_has_exceptions(const struct pattern_list *l);

/* Parses an ignore file: comments, blank lines, BOM, cleaning, leading slash. What is wrong with a
 * pattern is told with `what` and its line. */
int ignorefile_parse(const char *what, const char *text, size_t n, struct strv *ret,
		     struct error **err) _must_check_;
/* The last line of an ignore file with that pattern, which ignorefile_parse gave; 0: none. */
unsigned ignorefile_line(const char *text, size_t n, const char *pattern);

#endif
