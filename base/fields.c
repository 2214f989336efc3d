/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fields.h"

#include <string.h>

#include "base/number.h"

#define BLANKS " \t\n"

size_t fields_split(char *line, char **ret, size_t max)
{
	size_t n = 0;

	for (char *at = line; n < max; n++) {
		at += strspn(at, BLANKS);
		if (!*at)
			break;
		ret[n] = at;
		at += strcspn(at, BLANKS);
		if (*at)
			*at++ = '\0';
	}
	return n;
}

bool id_map_next(const char **at, struct id_map *ret)
{
	uint32_t *const numbers[] = {&ret->inside, &ret->outside, &ret->count};
	uint64_t number;

	for (size_t i = 0; i < 3; i++) {
		*at += strspn(*at, BLANKS);
		if (number_take(at, 10, UINT32_MAX, &number) < 0)
			return false;
		*numbers[i] = (uint32_t)number;
	}
	*at += strspn(*at, BLANKS);
	return true;
}
