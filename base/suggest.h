/* SPDX-License-Identifier: Apache-2.0 */
/* Near misses: "did you mean build?" */
#ifndef KILN_BASE_SUGGEST_H
#define KILN_BASE_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* The candidate closest to `word` by Levenshtein distance if that is below 3 and above 0; NULL if
 * there is none or if `word` is a candidate itself. Borrowed. */
const char *suggest(const char *word, const char *const *candidates, size_t n, bool case_sensitive);

#endif
