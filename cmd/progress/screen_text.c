/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/screen_text.h"

#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wchar.h>

#include "base/printable.h"

enum { TAB_COLUMNS = 8, STYLE_MAX = 32 };
#define RESET "\033[0m"

static locale_t utf8;

static void load_locale(void)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
}

/* The length of the sequence at p that sets a colour or style; 0 if there is none. */
static size_t style_length(const char *p, size_t n)
{
	size_t i = 2;

	if (n < 3 || p[0] != '\033' || p[1] != '[')
		return 0;
	while (i < n && i < STYLE_MAX && strchr("0123456789;:", p[i]) && p[i])
		i++;
	return i < n && p[i] == 'm' ? i + 1 : 0;
}

/* The character at p, of well-formed UTF-8, and its columns. */
static size_t char_length(const char *p, unsigned *ret_columns)
{
	unsigned char c = (unsigned char)*p;
	size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	wint_t code = c < 0x80 ? c : c & (0x7fU >> length);
	int columns = -1;

	for (size_t i = 1; i < length; i++)
		code = code << 6 | ((unsigned char)p[i] & 0x3f);
	if (utf8) {
		locale_t before = uselocale(utf8);

		columns = wcwidth((wchar_t)code);
		(void)uselocale(before);
	}
	*ret_columns = c < 0x80 ? 1 : columns < 0 ? 2 : (unsigned)columns;
	return length;
}

/* One character or style at *p. */
static unsigned next_columns(const char **p)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	size_t style = style_length(*p, strnlen(*p, STYLE_MAX + 1));
	unsigned columns = 0;

	(void)pthread_once(&once, load_locale);
	*p += style > 0 ? style : char_length(*p, &columns);
	return columns;
}

size_t text_columns(const char *s)
{
	size_t n = 0;

	while (*s)
		n += next_columns(&s);
	return n;
}

size_t text_add_cut(struct buf *b, const char *s, size_t columns)
{
	size_t used = 0;

	while (*s) {
		const char *next = s;
		unsigned wants = next_columns(&next);

		if (used + wants > columns)
			break;
		if (*s == '\t')
			buf_addc(b, ' ');
		else
			buf_add(b, s, (size_t)(next - s));
		used += wants;
		s = next;
	}
	return used;
}

size_t text_add_shortened(struct buf *b, const char *s, size_t columns)
{
	static const char gap[] = "...";
	size_t all = text_columns(s), used, left;

	if (all <= columns || columns < 2 * sizeof(gap))
		return text_add_cut(b, s, columns);
	columns -= sizeof(gap) - 1;
	used = text_add_cut(b, s, columns - columns / 2);
	buf_adds(b, gap);
	/* The longest end that fits the other half. */
	for (left = all; left > columns - used;)
		left -= next_columns(&s);
	return used + sizeof(gap) - 1 + text_add_cut(b, s, left);
}

/* One character of a log, in column `at`, as it is shown. Returns its bytes. */
static size_t show_char(struct buf *b, const char *p, size_t n, size_t at)
{
	if (*p != '\t')
		return printable_add_char(b, p, n);
	for (size_t i = at % TAB_COLUMNS; i < TAB_COLUMNS; i++)
		buf_addc(b, ' ');
	return 1;
}

void text_add_log(struct buf *b, const char *p, size_t n, size_t columns, bool color)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;
	bool styled = false;
	size_t used = 0;

	for (size_t i = 0, taken; i < n; i += taken) {
		size_t wants;

		taken = style_length(p + i, n - i);
		if (taken > 0) {
			if (color)
				buf_add(b, p + i, taken);
			styled = color;
			continue;
		}
		buf_clear(&shown);
		taken = show_char(&shown, p + i, n - i, used);
		wants = text_columns(shown.p);
		if (used + wants > columns)
			break;
		buf_add(b, shown.p, shown.n);
		used += wants;
	}
	if (styled)
		buf_adds(b, RESET);
}
