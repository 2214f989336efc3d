/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <errno.h>
#include <stdbool.h>

static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return UINT32_MAX;
}

/* The base that C takes from the first characters, which are passed. */
static unsigned base_of(const char **p)
{
	if ((*p)[0] != '0')
		return 10;
	if (((*p)[1] != 'x' && (*p)[1] != 'X') || digit_value((*p)[2]) >= 16)
		return 8;
	*p += 2;
	return 16;
}

int number_take(const char **at, unsigned base, uint64_t max, uint64_t *ret)
{
	const char *p = *at;
	uint64_t value = 0;
	bool too_large = false;

	if (base == 0)
		base = base_of(&p);
	if (digit_value(*p) >= base)
		return -EINVAL;
	for (unsigned digit; (digit = digit_value(*p)) < base; p++) {
		if (value > (UINT64_MAX - digit) / base)
			too_large = true;
		else
			value = value * base + digit;
	}
	*at = p;
	if (too_large || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int number_take_signed(const char **at, int64_t min, int64_t max, int64_t *ret)
{
	const char *p = *at;
	bool negative = *p == '-';
	uint64_t size, most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	int64_t value;
	int r;

	if (*p == '-' || *p == '+')
		p++;
	r = number_take(&p, 10, most, &size);
	if (r != -EINVAL)
		*at = p;
	if (r < 0)
		return r;
	value = !negative ? (int64_t)size : size == most ? INT64_MIN : -(int64_t)size;
	if (value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int number_parse(const char *text, unsigned base, uint64_t max, uint64_t *ret)
{
	const char *end = text;
	uint64_t value;
	int r = number_take(&end, base, max, &value);

	if (r != -EINVAL && *end)
		return -EINVAL;
	if (r == 0)
		*ret = value;
	return r;
}

int number_parse_signed(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	const char *end = text;
	int64_t value;
	int r = number_take_signed(&end, min, max, &value);

	if (r != -EINVAL && *end)
		return -EINVAL;
	if (r == 0)
		*ret = value;
	return r;
}
