/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"

#define SUGGEST_BELOW 3
#define SUGGEST_WORD_MAX 256

static char fold(char c, bool case_sensitive)
{
	return case_sensitive ? c : (char)tolower((unsigned char)c);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein distance of words no longer than SUGGEST_WORD_MAX, with one row of the table. */
static size_t distance(const char *a, const char *b, bool case_sensitive)
{
	size_t row[SUGGEST_WORD_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t above = row[j];
			bool same =
				fold(a[i - 1], case_sensitive) == fold(b[j - 1], case_sensitive);

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1));
			diagonal = above;
		}
	}
	return row[nb];
}

const char *suggest(const char *word, const char *const *candidates, size_t n, bool case_sensitive)
{
	const char *best = NULL;
	size_t best_distance = SUGGEST_BELOW;

	if (strlen(word) > SUGGEST_WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t d;

		if (strlen(candidates[i]) > SUGGEST_WORD_MAX)
			continue;
		d = distance(word, candidates[i], case_sensitive);
		if (d == 0)
			return NULL;
		if (d < best_distance) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}
