/* SPDX-License-Identifier: Apache-2.0 */
/* printf in templates. */
#include <stdio.h>
#include <string.h>

#include "cmd/cli/template_functions.h"

enum { WIDTH_MAX = 1000 };

struct verb {
	bool left, zero, plus;
	size_t width;
	int precision; /* -1: none */
	char letter;
};

/* A number of at most WIDTH_MAX; false where it is larger. */
static bool take_number(const char **p, size_t *ret)
{
	*ret = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		*ret = *ret * 10 + (size_t)(**p - '0');
		if (*ret > WIDTH_MAX)
			return false;
	}
	return true;
}

/* What follows the percent sign. */
static bool take_verb(const char **p, struct verb *ret)
{
	size_t precision;

	*ret = (struct verb){.precision = -1};
	for (; **p && strchr("-0+ #", **p); (*p)++) {
		ret->left |= **p == '-';
		ret->zero |= **p == '0';
		ret->plus |= **p == '+';
	}
	if (!take_number(p, &ret->width))
		return false;
	if (**p == '.') {
		(*p)++;
		if (!take_number(p, &precision))
			return false;
		ret->precision = (int)precision;
	}
	ret->letter = **p;
	*p += **p != '\0';
	return ret->letter != '\0';
}

static bool format_number(const struct verb *v, const json_t *value, struct buf *out)
{
	const char *sign = v->plus ? "+" : "";

	if (v->letter == 'f') {
		double d = json_number_value(value);

		buf_addf(out, "%s%.*f", d >= 0 ? sign : "", v->precision < 0 ? 6 : v->precision, d);
		return json_is_number(value);
	}
	if (!json_is_integer(value))
		return false;
	buf_addf(out, v->letter == 'x' ? "%s%llx" : "%s%lld",
		 json_integer_value(value) >= 0 ? sign : "", (long long)json_integer_value(value));
	return true;
}

static bool format_value(const struct verb *v, const json_t *value, struct buf *out)
{
	switch (v->letter) {
	case 's':
	case 'v':
		template_print(value, out);
		break;
	case 'q':
		if (!json_is_string(value))
			return false;
		js_dump(value, false, out);
		return true;
	case 't':
		if (!json_is_boolean(value))
			return false;
		template_print(value, out);
		return true;
	case 'd':
	case 'x':
	case 'f':
		return format_number(v, value, out);
	default:
		return false;
	}
	/* The first letters of a text. */
	if (v->precision >= 0 && json_is_string(value)) {
		size_t n = 0;

		for (int left = v->precision; left > 0 && n < out->n; left--)
			for (n++; n < out->n && (out->p[n] & 0xc0) == 0x80;)
				n++;
		buf_truncate(out, n);
	}
	return true;
}

static size_t letters(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += (b->p[i] & 0xc0) != 0x80;
	return n;
}

static void add_padded(const struct verb *v, const struct buf *text, struct buf *out)
{
	size_t have = letters(text), blanks = v->width > have ? v->width - have : 0;
	bool zero = v->zero && !v->left && strchr("dxf", v->letter);
	size_t sign = zero && text->n > 0 && strchr("+-", text->p[0]) ? 1 : 0;

	buf_add(out, text->p, sign);
	for (size_t i = 0; i < blanks && !v->left; i++)
		buf_addc(out, zero ? '0' : ' ');
	buf_add(out, text->p + sign, text->n - sign);
	for (size_t i = 0; i < blanks && v->left; i++)
		buf_addc(out, ' ');
}

bool template_printf(const char *format, json_t *const *values, size_t n, struct buf *out)
{
	size_t used = 0;

	for (const char *p = format; *p;) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		struct verb v;

		if (*p != '%') {
			buf_addc(out, *p++);
			continue;
		}
		p++;
		if (!take_verb(&p, &v))
			return false;
		if (v.letter == '%') {
			buf_addc(out, '%');
			continue;
		}
		if (used == n || !format_value(&v, values[used++], &text))
			return false;
		add_padded(&v, &text, out);
	}
	return used == n;
}
