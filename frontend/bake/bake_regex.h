/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions as Go writes them, but for Unicode classes (\p). The first alternative that
 * matches counts, not the longest; a search takes time in proportion to pattern and text. */
#ifndef KILN_FRONTEND_BAKE_BAKE_REGEX_H
#define KILN_FRONTEND_BAKE_BAKE_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum { REGEX_GROUPS_MAX = 64 };

struct bake_regex;

/* NULL: it cannot be used, and *why says how. */
struct bake_regex *bake_regex_new(struct arena *a, const char *pattern, const char **why);
size_t bake_regex_groups(const struct bake_regex *r);
/* NULL: the group has no name. Groups count from 1. */
const char *bake_regex_group_name(const struct bake_regex *r, size_t group);
/* Finds the first match at or behind `from`. spans[2 * g], spans[2 * g + 1]: where group g begins and
 * ends, -1 if it took no part; group 0 is all of it. 1, 0 or -1: text and pattern are too long. */
int bake_regex_find(const struct bake_regex *r, const char *text, size_t from,
		    long spans[2 * REGEX_GROUPS_MAX]);

#endif
