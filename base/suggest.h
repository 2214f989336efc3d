/* SPDX-License-Identifier: Apache-2.0 */
/* Near misses: "did you mean build?" */
#ifndef KILN_BASE_SUGGEST_H
#define KILN_BASE_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* The candidate closest to `word`, if at most two letters are to be changed, or swapped with their
 * neighbour, and no more than half of the word; NULL if there is none or if `word` is a candidate
 * itself. Borrowed. */
const char *suggest(const char *word, const char *const *candidates, size_t n, bool case_sensitive);

#endif
