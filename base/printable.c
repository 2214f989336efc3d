/* SPDX-License-Identifier: Apache-2.0 */
#include "base/printable.h"

#include <string.h>

/* The length of the character at p, 1 to 4 bytes of UTF-8; 0 if it is not UTF-8 or a C1 control, which
 * terminals obey as they do an escape sequence. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	size_t length = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (length == 0 || length > n)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return p[0] == 0xc2 && p[1] < 0xa0 ? 0 : length;
}

size_t printable_add_char(struct buf *b, const char *p, size_t n)
{
	const unsigned char *c = (const unsigned char *)p;
	size_t length = *c < 0x80 ? 0 : utf8_length(c, n);

	if (length > 0) {
		buf_add(b, c, length);
		return length;
	}
	if (*c == '\t' || (*c >= 0x20 && *c < 0x7f)) {
		buf_addc(b, (char)*c);
	} else {
		/* By hand: there are programs that print megabytes of NULs. */
		const char escaped[] = {'\\', 'x', "0123456789abcdef"[*c >> 4],
					"0123456789abcdef"[*c & 15]};

		buf_add(b, escaped, sizeof(escaped));
	}
	return 1;
}

void printable_add(struct buf *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n;)
		i += printable_add_char(b, p + i, n - i);
}

void printable_add_line(struct buf *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		if (p[i] == '\n' || p[i] == '\r') {
			buf_addc(b, ' ');
			i++;
		} else {
			i += printable_add_char(b, p + i, n - i);
		}
	}
}

void printable_add_lines(struct buf *b, const char *p, size_t n)
{
	for (const char *end = p + n; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t line = (size_t)((nl ? nl : end) - p);

		printable_add(b, p, line);
		if (nl)
			buf_addc(b, '\n');
		p += line + (nl != NULL);
	}
}
