/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/vec.h"

/* As the scanner of the reference implementation. */
#define IGNORE_LINE_MAX 65535
/* "x**y", where "**" is not a component of its own, makes matching backtrack; more of them in one
 * pattern are refused, so that no pattern takes time exponential in its length. */
#define LOOSE_DOUBLE_STARS_MAX 2

/* The length of the UTF-8 sequence at s (1 for a bad one) and its code point. */
static size_t rune_at(const char *s, uint32_t *ret)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			*ret = p[0];
			return 1;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*ret = c;
	return n;
}

/* One character of a class, perhaps escaped; advances *p. False: the pattern is bad. */
static bool class_char(const char **p, uint32_t *ret)
{
	if (**p == '\0' || **p == '-' || **p == ']')
		return false;
	if (**p == '\\')
		(*p)++;
	if (**p == '\0')
		return false;
	*p += rune_at(*p, ret);
	return **p != '\0';
}

/* Matches c against the class whose '[' is at *p; advances *p past ']'. -1: bad pattern. */
static int match_class(const char **p, uint32_t c)
{
	const char *s = *p + 1;
	bool negated = *s == '^', matched = false;
	unsigned ranges = 0;

	if (negated)
		s++;
	while (!(*s == ']' && ranges > 0)) {
		uint32_t low, high;

		if (!class_char(&s, &low))
			return -1;
		high = low;
		if (*s == '-') {
			s++;
			if (!class_char(&s, &high))
				return -1;
		}
		if (low <= c && c <= high)
			matched = true;
		ranges++;
	}
	*p = s + 1;
	return matched != negated;
}

static bool pattern_ok(const char *p)
{
	while (*p) {
		if (*p == '[') {
			if (match_class(&p, 0) < 0)
				return false;
			continue;
		}
		if (*p == '\\' && *++p == '\0')
			return false;
		p++;
	}
	return true;
}

/* One step without stars: does the token at *p match the character at *s? Advances both. */
static bool match_one(const char **p, const char **s)
{
	uint32_t c;
	size_t n = rune_at(*s, &c);

	if (**p == '[') {
		if (match_class(p, c) != 1)
			return false;
		*s += n;
		return true;
	}
	if (**p == '?') {
		if (**s == '/')
			return false;
		(*p)++;
		*s += n;
		return true;
	}
	if (**p == '\\')
		(*p)++;
	if (**p != **s)
		return false;
	(*p)++;
	(*s)++;
	return true;
}

int glob_match(const char *pattern, const char *name, struct error **err)
{
	const char *p = pattern, *s = name, *star = NULL, *retry = NULL;

	if (!pattern_ok(pattern))
		return error_new(err, ERR_INVALID, 0, "syntax error in pattern \"%s\"", pattern);
	while (*s || *p) {
		if (*p == '*') {
			star = ++p;
			retry = s;
			continue;
		}
		if (*s && *p && match_one(&p, &s))
			continue;
		/* Only the last star needs to be tried again: an earlier one has nothing to add. */
		if (!star || *retry == '\0' || *retry == '/')
			return 0;
		p = star;
		s = ++retry;
	}
	return 1;
}

bool glob_has_meta(const char *s)
{
	return strpbrk(s, "*?[\\") != NULL;
}

struct pattern {
	char *text; /* clean, without '!' */
	bool exception;
	bool literal;	   /* no wildcard in it */
	bool suffix;	   /* "**" and plain text: matches at any place, not only after a slash */
	char *literal_dir; /* the leading components without a wildcard */
};

struct pattern_list {
	VEC(struct pattern) patterns;
	bool exceptions;
};

/* NEVER: no other way to read the pattern up to here can help either, so stop looking. */
enum outcome { NO, YES, NEVER };

static enum outcome match_from(const char *p, const char *s, bool at_component);

/* "**" inside a pattern stands for any number of whole components, and its slash with it; at the
 * end it stands for anything. Where it starts a component, the first place it is reached at leaves
 * it the most to choose from, so its failure is final. */
static enum outcome match_double_star(const char *p, const char *s, bool at_component)
{
	enum outcome r;

	if (*p == '/')
		p++;
	if (*p == '\0')
		return YES;
	r = match_from(p, s, true);
	if (r != NO)
		return r;
	for (; *s; s++) {
		if (*s != '/')
			continue;
		r = match_from(p, s + 1, true);
		if (r != NO)
			return r;
	}
	return at_component ? NEVER : NO;
}

static enum outcome match_from(const char *p, const char *s, bool at_component)
{
	const char *star = NULL, *retry = NULL;

	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			enum outcome r;

			while (*p == '*')
				p++;
			r = match_double_star(p, s, at_component);
			if (r != NO)
				return r;
		} else if (*p == '*') {
			star = ++p;
			retry = s;
			at_component = false;
			continue;
		} else if (*s && *p) {
			bool slash = *p == '/';

			if (match_one(&p, &s)) {
				at_component = slash;
				continue;
			}
		} else if (!*s && !*p) {
			return YES;
		}
		if (!star || *retry == '\0' || *retry == '/')
			return NO;
		p = star;
		s = ++retry;
		at_component = false;
	}
}

static bool pattern_match(const struct pattern *p, const char *path)
{
	if (p->literal)
		return strcmp(p->text, path) == 0;
	if (p->suffix) {
		size_t n = strlen(p->text) - 2, len = strlen(path);

		return len >= n && memcmp(path + len - n, p->text + 2, n) == 0;
	}
	return match_from(p->text, path, true) == YES;
}

/* The components before the first one with a wildcard. */
static char *literal_dir(const char *text)
{
	size_t end = 0;

	for (size_t i = 0; text[i]; i++) {
		if (strchr("*?[\\", text[i]))
			return xstrndup(text, end);
		if (text[i] == '/')
			end = i;
	}
	return xstrdup(text);
}

static unsigned loose_double_stars(const char *text)
{
	unsigned n = 0;

	for (const char *s = strstr(text, "**"); s; s = strstr(s, "**")) {
		bool loose = s > text && s[-1] != '/';

		s += strspn(s, "*");
		if (loose && *s)
			n++;
	}
	return n;
}

static int add(struct pattern_list *l, const char *line, struct error **err)
{
	struct pattern p = {0};
	const char *text;
	_cleanup_free_ char *clean = path_clean(line);

	text = clean;
	if (*text == '!') {
		if (!*++text)
			return error_new(err, ERR_INVALID, 0, "illegal exclusion pattern: \"!\"");
		p.exception = true;
	}
	if (!pattern_ok(text)) {
		int r = error_new(err, ERR_INVALID, 0, "syntax error in pattern \"%s\"", line);

		return error_hint(err, r,
				  "\"[\" begins a set of characters, which \"]\" ends; \"\\[\" is "
				  "the character");
	}
	if (loose_double_stars(text) > LOOSE_DOUBLE_STARS_MAX)
		return error_new(err, ERR_INVALID, 0,
				 "pattern \"%s\" has too many \"**\" next to other text", line);
	p.text = xstrdup(text);
	p.literal = !glob_has_meta(text);
	p.suffix = strncmp(text, "**", 2) == 0 && text[2] != '/' && text[2] &&
		   !glob_has_meta(text + 2);
	p.literal_dir = literal_dir(text);
	l->exceptions |= p.exception;
	vec_push(&l->patterns, p);
	return 0;
}

int pattern_list_new(const struct strv *patterns, struct pattern_list **ret, struct error **err)
{
	_cleanup_(pattern_list_freep) struct pattern_list *l = NEW(struct pattern_list);

	for (size_t i = 0; i < patterns->n; i++) {
		int r;

		if (!*patterns->v[i])
			continue;
		r = add(l, patterns->v[i], err);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(l);
	return 0;
}

void pattern_list_free(struct pattern_list *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->patterns.n; i++) {
		free(l->patterns.v[i].text);
		free(l->patterns.v[i].literal_dir);
	}
	vec_release(&l->patterns);
	free(l);
}

static bool match_self_or_parent(const struct pattern *p, char *path)
{
	if (pattern_match(p, path))
		return true;
	for (char *s = path; *s; s++) {
		bool match;

		if (*s != '/')
			continue;
		*s = '\0';
		match = pattern_match(p, path);
		*s = '/';
		if (match)
			return true;
	}
	return false;
}

const char *pattern_list_match(const struct pattern_list *l, const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);
	const char *matched = NULL;

	for (size_t i = 0; i < l->patterns.n; i++) {
		const struct pattern *p = &l->patterns.v[i];

		/* It could only say what is already known. */
		if (p->exception != (matched != NULL))
			continue;
		if (match_self_or_parent(p, copy))
			matched = p->exception ? NULL : p->text;
	}
	return matched;
}

bool pattern_list_matches(const struct pattern_list *l, const char *path)
{
	return pattern_list_match(l, path) != NULL;
}

bool pattern_list_may_reinclude(const struct pattern_list *l, const char *path)
{
	for (size_t i = 0; i < l->patterns.n; i++) {
		const struct pattern *p = &l->patterns.v[i];

		if (!p->exception)
			continue;
		if (path_within(p->literal_dir, path) && strcmp(p->literal_dir, path) != 0)
			return true;
		if (!p->literal && (path_within(path, p->literal_dir)))
			return true;
	}
	return false;
}

bool pattern_list_has_exceptions(const struct pattern_list *l)
{
	return l->exceptions;
}

static void trim(const char **s, size_t *n)
{
	while (*n > 0 && strchr(" \t\r\v\f", **s)) {
		(*s)++;
		(*n)--;
	}
	while (*n > 0 && strchr(" \t\r\v\f", (*s)[*n - 1]))
		(*n)--;
}

/* The pattern of a line; NULL if it has none. Heap. */
static char *ignore_line(const char *s, size_t n)
{
	_cleanup_free_ char *text = NULL, *clean = NULL;
	bool exception;
	const char *p;

	if (n > 0 && *s == '#')
		return NULL;
	trim(&s, &n);
	if (n == 0)
		return NULL;
	exception = *s == '!';
	if (exception) {
		s++;
		n--;
		trim(&s, &n);
	}
	text = xstrndup(s, n);
	clean = n > 0 ? path_clean(text) : xstrdup("");
	p = clean;
	if (p[0] == '/' && p[1])
		p++;
	return xasprintf("%s%s", exception ? "!" : "", p);
}

/* Takes the first line off the text. Returns its length. */
static size_t next_line(const char **text, size_t *n)
{
	const char *newline = memchr(*text, '\n', *n);
	size_t len = newline ? (size_t)(newline - *text) : *n, taken = len + (newline ? 1 : 0);

	*text += taken;
	*n -= taken;
	return len;
}

static void skip_bom(const char **text, size_t *n)
{
	if (*n < 3 || memcmp(*text, "\xef\xbb\xbf", 3) != 0)
		return;
	*text += 3;
	*n -= 3;
}

/* What is wrong with a pattern is told where it stands. */
static int check_line(const char *what, unsigned line, const char *pattern, struct error **err)
{
	struct pattern_list *l = NEW(struct pattern_list);
	int r = *pattern ? add(l, pattern, err) : 0;

	pattern_list_free(l);
	return r < 0 ? error_wrap(err, r, "%s:%u", what, line) : 0;
}

int ignorefile_parse(const char *what, const char *text, size_t n, struct strv *ret,
		     struct error **err)
{
	unsigned line = 0;

	skip_bom(&text, &n);
	if (memchr(text, '\0', n))
		return error_new(err, ERR_INVALID, 0, "parse %s: it holds a NUL byte", what);
	while (n > 0) {
		const char *start = text;
		size_t len = next_line(&text, &n);
		char *pattern;
		int r;

		line++;
		if (len > IGNORE_LINE_MAX)
			return error_new(err, ERR_INVALID, 0,
					 "parse %s: line %u is longer than %d bytes", what, line,
					 IGNORE_LINE_MAX);
		pattern = ignore_line(start, len);
		if (!pattern)
			continue;
		strv_push_take(ret, pattern);
		r = check_line(what, line, pattern, err);
		if (r < 0)
			return r;
	}
	return 0;
}

unsigned ignorefile_line(const char *text, size_t n, const char *pattern)
{
	unsigned last = 0;

	skip_bom(&text, &n);
	for (unsigned line = 1; n > 0; line++) {
		const char *start = text;
		_cleanup_free_ char *have = ignore_line(start, next_line(&text, &n));

		if (have && strcmp(have, pattern) == 0)
			last = line;
	}
	return last;
}
