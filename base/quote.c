/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quote.h"

#include <stdbool.h>

/* Blanks other than U+0020, controls, formats, private use, and what can never be a character. */
static const struct {
	uint32_t first, last;
} unprintable[] = {
	{0x80, 0xa0},	    {0xad, 0xad},	 {0x600, 0x605},     {0x61c, 0x61c},
	{0x6dd, 0x6dd},	    {0x70f, 0x70f},	 {0x890, 0x891},     {0x8e2, 0x8e2},
	{0x1680, 0x1680},   {0x180e, 0x180e},	 {0x2000, 0x200f},   {0x2028, 0x202f},
	{0x205f, 0x206f},   {0x3000, 0x3000},	 {0xd800, 0xf8ff},   {0xfdd0, 0xfdef},
	{0xfeff, 0xfeff},   {0xfff0, 0xfffb},	 {0xfffe, 0xffff},   {0x110bd, 0x110bd},
	{0x110cd, 0x110cd}, {0x13430, 0x1343f},	 {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
	{0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff},
};

static bool is_printable(uint32_t c)
{
	if (c < 0x80)
		return c >= 0x20 && c < 0x7f;
	for (size_t i = 0; i < ARRAY_SIZE(unprintable); i++)
		if (c >= unprintable[i].first && c <= unprintable[i].last)
			return false;
	return true;
}

/* The bytes of the character at `p`, 1 to 4; 0 if they are not UTF-8. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t want = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	uint32_t c = want < 2 ? *p : *p & (0xffU >> (want + 1));

	if (want == 0 || want > n)
		return 0;
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fU);
	}
	*ret = c;
	return c < least[want] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : want;
}

static void add_escaped(struct buf *b, uint32_t c)
{
	static const char letters[] = "abtnvfr"; /* from BEL on */

	if (c >= '\a' && c <= '\r')
		buf_addf(b, "\\%c", letters[c - '\a']);
	else if (c < 0x80)
		buf_addf(b, "\\x%02x", c);
	else
		buf_addf(b, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

void quote_add(struct buf *b, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t step;
	uint32_t c;

	buf_addc(b, '"');
	for (size_t i = 0; i < n; i += step) {
		step = decode(p + i, n - i, &c);
		if (step == 0) {
			buf_addf(b, "\\x%02x", p[i]);
			step = 1;
		} else if (c == '"' || c == '\\') {
			buf_addf(b, "\\%c", (char)c);
		} else if (is_printable(c)) {
			buf_add(b, s + i, step);
		} else {
			add_escaped(b, c);
		}
	}
	buf_addc(b, '"');
}
