/* SPDX-License-Identifier: Apache-2.0 */
/* Text. A character is a code point; combining ones count by themselves. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/path.h"
#include "base/quote.h"
#include "frontend/bake/bake_functions.h"

typedef const struct bake_value *value;

/* Bytes of the character at p. */
static size_t rune(const char *p)
{
	unsigned char c = (unsigned char)*p;
	size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return strnlen(p, n) < n ? 1 : n;
}

static size_t count_runes(const char *p)
{
	size_t n = 0;

	for (; *p; p += rune(p))
		n++;
	return n;
}

static const char *skip_runes(const char *p, size_t n)
{
	for (; n > 0 && *p; n--)
		p += rune(p);
	return p;
}

static value map_bytes(struct bake_call *c, int (*fn)(int))
{
	char *text = arena_strdup(c->arena, c->v[0]->s);

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x80)
			*p = (char)fn((unsigned char)*p);
	return bake_string(c->arena, text);
}

static value upper(struct bake_call *c)
{
	return map_bytes(c, toupper);
}

static value lower(struct bake_call *c)
{
	return map_bytes(c, tolower);
}

static value title(struct bake_call *c)
{
	char *text = arena_strdup(c->arena, c->v[0]->s);
	bool inside = false;

	for (char *p = text; *p; p++) {
		unsigned char b = (unsigned char)*p;

		if (!inside && b < 0x80)
			*p = (char)toupper(b);
		inside = b >= 0x80 || isalnum(b) || b == '_' || b == '\'';
	}
	return bake_string(c->arena, text);
}

static value join(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	bool first = true;

	for (size_t i = 1; i < c->n; i++) {
		for (size_t k = 0; k < c->v[i]->n; k++) {
			if (c->v[i]->v[k]->kind != BAKE_STRING)
				return bake_call_fail(c, "element %zu is null", k);
			if (!first)
				buf_adds(&b, c->v[0]->s);
			buf_adds(&b, c->v[i]->v[k]->s);
			first = false;
		}
	}
	return bake_call_string(c, &b);
}

static value split(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};
	const char *separator = c->v[0]->s, *p = c->v[1]->s, *next;
	size_t n = strlen(separator);

	if (n == 0) {
		for (; *p; p += rune(p))
			bake_push(&b, bake_stringn(c->arena, p, rune(p)));
		return bake_sequence(&b, BAKE_LIST);
	}
	for (; (next = strstr(p, separator)); p = next + n)
		bake_push(&b, bake_stringn(c->arena, p, (size_t)(next - p)));
	bake_push(&b, bake_string(c->arena, p));
	return bake_sequence(&b, BAKE_LIST);
}

static value replace(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *p = c->v[0]->s, *old = c->v[1]->s, *next;
	size_t n = strlen(old);

	if (n == 0) {
		for (buf_adds(&b, c->v[2]->s); *p; p += rune(p)) {
			buf_add(&b, p, rune(p));
			buf_adds(&b, c->v[2]->s);
		}
		return bake_call_string(c, &b);
	}
	for (; (next = strstr(p, old)) && b.n < BAKE_MEMORY_MAX / 4; p = next + n) {
		buf_add(&b, p, (size_t)(next - p));
		buf_adds(&b, c->v[2]->s);
	}
	if (next)
		return bake_call_fail(c, "the text gets too long");
	buf_adds(&b, p);
	return bake_call_string(c, &b);
}

static value reverse(struct bake_call *c)
{
	const char *text = c->v[0]->s;
	size_t n = strlen(text), at = n;
	char *out = arena_alloc(c->arena, n + 1);

	for (const char *p = text; *p; p += rune(p)) {
		at -= rune(p);
		memcpy(out + at, p, rune(p));
	}
	return bake_string(c->arena, out);
}

static value strlen_of(struct bake_call *c)
{
	return bake_int(c->arena, (int64_t)count_runes(c->v[0]->s));
}

static value bytes_len(struct bake_call *c)
{
	return bake_int(c->arena, (int64_t)strlen(c->v[0]->s));
}

static value bytes_slice(struct bake_call *c)
{
	int64_t offset, n, size = (int64_t)strlen(c->v[0]->s);

	if (!bake_call_int(c, 1, 0, size, &offset) || !bake_call_int(c, 2, 0, size - offset, &n))
		return NULL;
	return bake_stringn(c->arena, c->v[0]->s + offset, (size_t)n);
}

static value substr(struct bake_call *c)
{
	const char *text = c->v[0]->s, *from, *to;
	int64_t n = (int64_t)count_runes(text), offset, length;

	if (!bake_call_int(c, 1, INT64_MIN / 2, INT64_MAX, &offset) ||
	    !bake_call_int(c, 2, INT64_MIN, INT64_MAX, &length))
		return NULL;
	if (offset < 0)
		offset = offset + n > 0 ? offset + n : 0;
	from = skip_runes(text, (size_t)offset);
	to = length < 0 ? from + strlen(from) : skip_runes(from, (size_t)length);
	return bake_stringn(c->arena, from, (size_t)(to - from));
}

static value chomp(struct bake_call *c)
{
	size_t n = strlen(c->v[0]->s);

	while (n > 0 && (c->v[0]->s[n - 1] == '\n' || c->v[0]->s[n - 1] == '\r'))
		n--;
	return bake_stringn(c->arena, c->v[0]->s, n);
}

static value indent(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int64_t n;

	if (!bake_call_int(c, 0, 0, 1000, &n))
		return NULL;
	for (const char *p = c->v[1]->s; *p && b.n < BAKE_MEMORY_MAX / 4; p++) {
		buf_addc(&b, *p);
		for (int64_t i = 0; *p == '\n' && i < n; i++)
			buf_addc(&b, ' ');
	}
	return bake_call_string(c, &b);
}

/* Is the character at p one of those of a set? */
static bool is_in(const char *set, const char *p)
{
	for (; *set; set += rune(set))
		if (rune(set) == rune(p) && memcmp(set, p, rune(p)) == 0)
			return true;
	return false;
}

static value trim_set(struct bake_call *c, const char *set)
{
	const char *p = c->v[0]->s, *end;

	while (*p && is_in(set, p))
		p += rune(p);
	end = p;
	for (const char *q = p; *q; q += rune(q))
		if (!is_in(set, q))
			end = q + rune(q);
	return bake_stringn(c->arena, p, (size_t)(end - p));
}

static value trim(struct bake_call *c)
{
	return trim_set(c, c->v[1]->s);
}

static value trim_space(struct bake_call *c)
{
	return trim_set(c, " \t\n\v\f\r\xc2\x85\xc2\xa0");
}

static value trim_prefix(struct bake_call *c)
{
	size_t n = strlen(c->v[1]->s);

	return strncmp(c->v[0]->s, c->v[1]->s, n) == 0 ? bake_string(c->arena, c->v[0]->s + n)
						       : c->v[0];
}

static value trim_suffix(struct bake_call *c)
{
	size_t n = strlen(c->v[0]->s), k = strlen(c->v[1]->s);

	if (k > n || strcmp(c->v[0]->s + n - k, c->v[1]->s) != 0)
		return c->v[0];
	return bake_stringn(c->arena, c->v[0]->s, n - k);
}

static value basename_of(struct bake_call *c)
{
	_cleanup_free_ char *text = xstrdup(*c->v[0]->s ? c->v[0]->s : ".");
	size_t n = strlen(text);

	while (n > 1 && text[n - 1] == '/')
		text[--n] = '\0';
	return bake_string(c->arena, strcmp(text, "/") == 0 ? "/" : path_base(text));
}

static value dirname_of(struct bake_call *c)
{
	const char *slash = strrchr(c->v[0]->s, '/');
	_cleanup_free_ char *dir =
		slash ? xstrndup(c->v[0]->s, (size_t)(slash - c->v[0]->s) + 1) : xstrdup("");
	_cleanup_free_ char *clean = path_clean(dir);

	return bake_string(c->arena, clean);
}

static value sanitize(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (const char *p = c->v[0]->s; *p; p += rune(p))
		buf_addc(&b, isalnum((unsigned char)*p) || *p == '_' || *p == '-' ? *p : '_');
	return bake_call_string(c, &b);
}

/* --- format() --- */

struct verb {
	bool plus, minus, zero, sharp, space;
	int64_t width, precision; /* -1: none */
	char letter;
};

static void pad(const struct verb *v, const char *text, struct buf *b)
{
	size_t n = count_runes(text), width = v->width > 0 ? (size_t)v->width : 0;
	bool zero = v->zero && !v->minus &&
		    (*text == '-' || *text == '+' || isdigit((unsigned char)*text));

	if (zero && !isdigit((unsigned char)*text))
		buf_addc(b, *text++);
	for (size_t i = n; i < width && !v->minus; i++)
		buf_addc(b, zero ? '0' : ' ');
	buf_adds(b, text);
	for (size_t i = n; i < width && v->minus; i++)
		buf_addc(b, ' ');
}

static bool format_integer(struct bake_call *c, const struct verb *v, value number, struct buf *b)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	value whole = bake_round(c->arena, number, 0);
	int64_t n;

	if (*whole->s != '-' && (v->plus || v->space))
		buf_addc(&text, v->plus ? '+' : ' ');
	if (v->letter == 'd') {
		buf_adds(&text, whole->s);
	} else if (!bake_to_int(whole, &n)) {
		return bake_call_fail(c, "%s is too large for %%%c", whole->s, v->letter) != NULL;
	} else {
		uint64_t magnitude = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

		if (n < 0)
			buf_addc(&text, '-');
		if (v->sharp)
			buf_adds(&text, v->letter == 'o'   ? "0"
					: v->letter == 'x' ? "0x"
					: v->letter == 'X' ? "0X"
							   : "");
		if (v->letter == 'b') {
			unsigned top = magnitude ? 63 - (unsigned)__builtin_clzll(magnitude) : 0;

			for (unsigned i = top + 1; i > 0; i--)
				buf_addc(&text, (char)('0' + (magnitude >> (i - 1) & 1)));
		} else {
			buf_addf(&text,
				 v->letter == 'o'   ? "%llo"
				 : v->letter == 'x' ? "%llx"
						    : "%llX",
				 (unsigned long long)magnitude);
		}
	}
	pad(v, text.p, b);
	return true;
}

static void format_float(const struct verb *v, value number, struct buf *b)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	double d = strtod(number->s, NULL);
	int precision = v->precision >= 0 ? (int)v->precision : 6;

	if (d >= 0 && (v->plus || v->space))
		buf_addc(&text, v->plus ? '+' : ' ');
	if (v->letter == 'f' || v->letter == 'F')
		buf_addf(&text, "%.*f", precision, d);
	else if (v->letter == 'e' || v->letter == 'E')
		buf_addf(&text, v->letter == 'e' ? "%.*e" : "%.*E", precision, d);
	else if (v->precision >= 0)
		buf_addf(&text, v->letter == 'g' ? "%.*g" : "%.*G", precision, d);
	else
		buf_adds(&text, number->s);
	pad(v, text.p, b);
}

static bool format_text(struct bake_call *c, const struct verb *v, value arg, struct buf *b)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *why, *s;
	value string = bake_convert(c->arena, arg, &bake_type_string, &why);

	if (!string || string->kind == BAKE_NULL)
		return bake_call_fail(c, "%%%c needs text, not %s", v->letter,
				      bake_kind_name(arg)) != NULL;
	s = string->s;
	if (v->precision >= 0)
		s = arena_strndup(c->arena, s, (size_t)(skip_runes(s, (size_t)v->precision) - s));
	if (v->letter == 'q')
		quote_add(&text, s, strlen(s));
	else
		buf_adds(&text, s);
	pad(v, text.p, b);
	return true;
}

static bool format_one(struct bake_call *c, const struct verb *v, value arg, struct buf *b)
{
	const char *why;
	value converted;

	if (strchr("bdoxXeEfFgG", v->letter)) {
		converted = bake_convert(c->arena, arg, &bake_type_number, &why);
		if (!converted || converted->kind == BAKE_NULL)
			return bake_call_fail(c, "%%%c needs a number, not %s", v->letter,
					      bake_kind_name(arg)) != NULL;
		if (strchr("bdoxX", v->letter))
			return format_integer(c, v, converted, b);
		format_float(v, converted, b);
		return true;
	}
	if (v->letter == 't') {
		converted = bake_convert(c->arena, arg, &bake_type_bool, &why);
		if (!converted || converted->kind == BAKE_NULL)
			return bake_call_fail(c, "%%t needs true or false, not %s",
					      bake_kind_name(arg)) != NULL;
		pad(v, bake_text(converted), b);
		return true;
	}
	if (v->letter == 'v' && !v->sharp && bake_text(arg)) {
		pad(v, bake_text(arg), b);
		return true;
	}
	if (v->letter == 'v') {
		_cleanup_buf_ struct buf json = BUF_INIT;

		bake_to_json(arg, &json);
		pad(v, json.p, b);
		return true;
	}
	if (v->letter == 's' || v->letter == 'q')
		return format_text(c, v, arg, b);
	return bake_call_fail(c, "there is no verb %%%c", v->letter) != NULL;
}

/* Reads flags, [argument], width and precision up to the letter. */
static bool read_verb(struct bake_call *c, const char **at, struct verb *v, size_t *arg)
{
	const char *p = *at;
	uint64_t n;

	*v = (struct verb){.width = -1, .precision = -1};
	for (;; p++) {
		if (*p == '+')
			v->plus = true;
		else if (*p == '-')
			v->minus = true;
		else if (*p == '0')
			v->zero = true;
		else if (*p == '#')
			v->sharp = true;
		else if (*p == ' ')
			v->space = true;
		else
			break;
	}
	if (isdigit((unsigned char)*p)) {
		if (number_take(&p, 10, 10000, &n) < 0)
			return bake_call_fail(c, "a width is at most 10000") != NULL;
		v->width = (int64_t)n;
	}
	if (*p == '.') {
		n = 0;
		p++;
		if (isdigit((unsigned char)*p) && number_take(&p, 10, 10000, &n) < 0)
			return bake_call_fail(c, "a precision is at most 10000") != NULL;
		v->precision = (int64_t)n;
	}
	if (*p == '[') {
		p++;
		if (number_take(&p, 10, 10000, &n) < 0 || n == 0 || *p != ']')
			return bake_call_fail(c, "\"[\" is followed by the number of an argument "
						 "and \"]\"") != NULL;
		*arg = (size_t)n;
		p++;
	}
	if (!*p)
		return bake_call_fail(c, "the format ends inside of a verb") != NULL;
	v->letter = *p;
	*at = p + 1;
	return true;
}

/* args[0] is the first behind the format. */
static bool format_into(struct bake_call *c, const char *format, const value *args, size_t n,
			struct buf *b)
{
	size_t next = 1, used = 0;

	for (const char *p = format; *p;) {
		struct verb v;

		if (*p != '%') {
			buf_addc(b, *p++);
			continue;
		}
		if (*++p == '%') {
			buf_addc(b, *p++);
			continue;
		}
		if (!read_verb(c, &p, &v, &next))
			return false;
		if (next > n)
			return bake_call_fail(c, "the format needs %zu arguments, got %zu", next,
					      n) != NULL;
		if (!format_one(c, &v, args[next - 1], b))
			return false;
		if (next > used)
			used = next;
		next++;
	}
	if (used < n)
		return bake_call_fail(c, "the format uses %zu arguments, got %zu", used, n) != NULL;
	return true;
}

static value format(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	return format_into(c, c->v[0]->s, c->v + 1, c->n - 1, &b) ? bake_call_string(c, &b) : NULL;
}

/* Lists are gone through side by side; other arguments are the same each time. */
static value format_list(struct bake_call *c)
{
	struct bake_builder list = {.arena = c->arena};
	value *row = arena_alloc(c->arena, (c->n + 1) * sizeof(*row));
	size_t rows = SIZE_MAX;

	for (size_t i = 1; i < c->n; i++) {
		if (!bake_is_sequence(c->v[i]))
			continue;
		if (rows != SIZE_MAX && rows != c->v[i]->n)
			return bake_call_fail(c, "the lists have %zu and %zu elements", rows,
					      c->v[i]->n);
		rows = c->v[i]->n;
	}
	for (size_t k = 0; k < (rows == SIZE_MAX ? 1 : rows); k++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		for (size_t i = 1; i < c->n; i++)
			row[i - 1] = bake_is_sequence(c->v[i]) ? c->v[i]->v[k] : c->v[i];
		if (!format_into(c, c->v[0]->s, row, c->n - 1, &b))
			return NULL;
		bake_push(&list, bake_stringn(c->arena, b.p, b.n));
	}
	return bake_sequence(&list, BAKE_LIST);
}

const struct bake_builtin bake_functions_strings[] = {
	{"basename", "s", basename_of},
	{"byteslen", "s", bytes_len},
	{"bytesslice", "snn", bytes_slice},
	{"chomp", "s", chomp},
	{"dirname", "s", dirname_of},
	{"format", "s?*", format},
	{"formatlist", "s?*", format_list},
	{"indent", "ns", indent},
	{"join", "sSS*", join},
	{"lower", "s", lower},
	{"replace", "sss", replace},
	{"reverse", "s", reverse},
	{"sanitize", "s", sanitize},
	{"split", "ss", split},
	{"strlen", "s", strlen_of},
	{"substr", "snn", substr},
	{"title", "s", title},
	{"trim", "ss", trim},
	{"trimprefix", "ss", trim_prefix},
	{"trimspace", "s", trim_space},
	{"trimsuffix", "ss", trim_suffix},
	{"upper", "s", upper},
	{0},
};
