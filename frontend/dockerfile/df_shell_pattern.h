/* SPDX-License-Identifier: Apache-2.0 */
/* The glob patterns of ${x#p}, ${x%p} and ${x/p/r}: `*` and `?`, with `\` before `*`, `?`, `\`, `}`
 * and `/`. There are no character classes. A character is a UTF-8 sequence.
 *
 * Errors are ERR_INVALID: an escape before another character, or a match that would take more than
 * DF_PATTERN_STEPS_MAX steps, or more than *steps_left, which what was taken is subtracted from
 * (NULL: no such limit). A step is a comparison, or a character that is looked at.
 */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_SHELL_PATTERN_H
#define KILN_FRONTEND_DOCKERFILE_DF_SHELL_PATTERN_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

enum { DF_PATTERN_STEPS_MAX = 10 * 1000 * 1000 };

/* Appends `value` without the shortest or longest prefix (suffix) that the pattern matches. */
int df_pattern_strip(const char *pattern, const char *value, bool suffix, bool longest,
		     size_t *steps_left, struct buf *out, struct error **err) _must_check_;
/* Appends `value` with the first (all) longest matches replaced. */
int df_pattern_replace(const char *pattern, const char *replacement, const char *value, bool all,
		       size_t *steps_left, struct buf *out, struct error **err) _must_check_;

#endif
