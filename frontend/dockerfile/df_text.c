/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_text.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/quote.h"

size_t df_rune(const char *p, size_t n)
{
	unsigned char c = (unsigned char)*p;
	size_t want = c < 0x80 ? 1 : c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;

	if (want > n)
		return 1;
	for (size_t i = 1; i < want; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 1;
	return want;
}

static bool is_wide_blank(const char *p, size_t n)
{
	static const char *const blanks[] = {
		"\xc2\x85",	"\xc2\xa0",	"\xe1\x9a\x80", "\xe2\x80\xa8",
		"\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
	};

	for (size_t i = 0; i < ARRAY_SIZE(blanks); i++)
		if (n >= strlen(blanks[i]) && memcmp(p, blanks[i], strlen(blanks[i])) == 0)
			return true;
	/* U+2000 to U+200A */
	return n >= 3 && memcmp(p, "\xe2\x80", 2) == 0 && (unsigned char)p[2] >= 0x80 &&
	       (unsigned char)p[2] <= 0x8a;
}

size_t df_blank(const char *p, size_t n)
{
	if (n == 0)
		return 0;
	if (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		return 1;
	if ((unsigned char)*p < 0x80 || !is_wide_blank(p, n))
		return 0;
	return df_rune(p, n);
}

struct df_slice df_trim_left(struct df_slice s)
{
	size_t n;

	while ((n = df_blank(s.p, s.n)) > 0) {
		s.p += n;
		s.n -= n;
	}
	return s;
}

struct df_slice df_trim(struct df_slice s)
{
	s = df_trim_left(s);
	while (s.n > 0) {
		size_t at = s.n - 1;

		while (at > 0 && s.n - at < 4 && ((unsigned char)s.p[at] & 0xc0) == 0x80)
			at--;
		if (df_blank(s.p + at, s.n - at) != s.n - at)
			break;
		s.n = at;
	}
	return s;
}

bool df_is_separator(char c)
{
	return c == '\t' || c == '\v' || c == '\f' || c == '\r' || c == ' ';
}

const char *df_quote(struct arena *a, const char *s)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	quote_add(&b, s, strlen(s));
	return arena_strndup(a, b.p, b.n);
}

const char *df_lower(struct arena *a, const char *s)
{
	char *out = arena_strdup(a, s);

	for (char *p = out; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return out;
}

const char *df_upper(struct arena *a, const char *s)
{
	char *out = arena_strdup(a, s);

	for (char *p = out; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return out;
}

bool df_has_upper(const char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			return true;
	return false;
}

bool df_has_lower(const char *s)
{
	for (; *s; s++)
		if (*s >= 'a' && *s <= 'z')
			return true;
	return false;
}

bool df_equal_fold(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0;
}

void df_strings_push(struct arena *a, struct df_strings *list, const char *s)
{
	/* The length is a power of two when the array is full. */
	if ((list->n & (list->n - 1)) == 0) {
		size_t cap = list->n > 0 ? list->n * 2 : 1;
		const char **v = arena_alloc(a, cap * sizeof(*v));

		if (list->n > 0)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
	}
	list->v[list->n++] = s;
}
