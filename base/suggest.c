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

/* How many letters are to be added, removed, replaced or swapped with their neighbour, of words no
 * longer than SUGGEST_WORD_MAX: three rows of the table of optimal string alignment. */
static size_t distance(const char *a, const char *b, bool case_sensitive)
{
	size_t rows[3][SUGGEST_WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t na = strlen(a), nb = strlen(b);

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *next = before;

		before = above;
		above = row;
		row = next;
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			char x = fold(a[i - 1], case_sensitive), y = fold(b[j - 1], case_sensitive);

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == fold(b[j - 2], case_sensitive) &&
			    y == fold(a[i - 2], case_sensitive) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
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
		/* Of a word of two letters everything else of two is two steps away. */
		if (d < best_distance && 2 * d <= strlen(word)) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}
