/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions, and versions against constraints. */
#include <ctype.h>
#include <string.h>

#include "base/number.h"
#include "frontend/bake/bake_functions.h"
#include "frontend/bake/bake_regex.h"

typedef const struct bake_value *value;

/* --- regular expressions --- */

static struct bake_regex *compile(struct bake_call *c, const char *pattern)
{
	const char *why = NULL;
	struct bake_regex *re = bake_regex_new(c->arena, pattern, &why);

	if (!re)
		(void)bake_call_fail(c, "the pattern \"%s\" cannot be used: %s", pattern, why);
	return re;
}

static value group_value(struct bake_call *c, const char *text, const long *spans, size_t group)
{
	if (spans[2 * group] < 0)
		return bake_null();
	return bake_stringn(c->arena, text + spans[2 * group],
			    (size_t)(spans[2 * group + 1] - spans[2 * group]));
}

/* All of it, or its groups as a tuple or, if they have names, an object. */
static value match_value(struct bake_call *c, const struct bake_regex *re, const char *text,
			 const long *spans)
{
	struct bake_builder b = {.arena = c->arena};
	size_t n = bake_regex_groups(re);
	bool named = n > 0 && bake_regex_group_name(re, 1);

	if (n == 0)
		return group_value(c, text, spans, 0);
	for (size_t i = 1; i <= n; i++) {
		if (named && bake_regex_group_name(re, i))
			bake_put(&b, bake_regex_group_name(re, i), group_value(c, text, spans, i));
		else if (!named)
			bake_push(&b, group_value(c, text, spans, i));
	}
	return named ? bake_mapping(&b, BAKE_OBJECT) : bake_sequence(&b, BAKE_TUPLE);
}

static value regex(struct bake_call *c)
{
	struct bake_regex *re = compile(c, c->v[0]->s);
	long spans[2 * REGEX_GROUPS_MAX];
	int found = re ? bake_regex_find(re, c->v[1]->s, 0, spans) : -1;

	if (!re)
		return NULL;
	if (found <= 0)
		return bake_call_fail(c, found < 0 ? "the text is too long"
						   : "the text does not match");
	return match_value(c, re, c->v[1]->s, spans);
}

/* Goes on behind a match; behind an empty one by a character. */
static size_t behind(const char *text, const long *spans)
{
	size_t end = (size_t)spans[1];

	if (spans[1] > spans[0] || !text[end])
		return end + (spans[1] == spans[0]);
	do {
		end++;
	} while (((unsigned char)text[end] & 0xc0) == 0x80);
	return end;
}

static value regex_all(struct bake_call *c)
{
	struct bake_regex *re = compile(c, c->v[0]->s);
	struct bake_builder b = {.arena = c->arena};
	const char *text = c->v[1]->s;
	long spans[2 * REGEX_GROUPS_MAX];
	size_t n = strlen(text);
	int found = 1;

	for (size_t at = 0; re && at <= n; at = behind(text, spans)) {
		found = bake_regex_find(re, text, at, spans);
		if (found <= 0)
			break;
		bake_push(&b, match_value(c, re, text, spans));
	}
	if (found < 0)
		return bake_call_fail(c, "the text is too long");
	return re ? bake_sequence(&b, BAKE_LIST) : NULL;
}

static size_t find_group(const struct bake_regex *re, const char *name)
{
	uint64_t n;

	if (number_parse(name, 10, REGEX_GROUPS_MAX, &n) == 0)
		return n <= bake_regex_groups(re) ? (size_t)n : SIZE_MAX;
	for (size_t i = 1; i <= bake_regex_groups(re); i++)
		if (bake_regex_group_name(re, i) && strcmp(bake_regex_group_name(re, i), name) == 0)
			return i;
	return SIZE_MAX;
}

/* $1, ${1}, $name and ${name}; $$ is a dollar. */
static void expand(struct bake_call *c, const struct bake_regex *re, const char *text,
		   const long *spans, struct buf *b)
{
	for (const char *p = c->v[2]->s; *p;) {
		const char *start = p + 1;
		size_t n = 0, group;
		bool braces = *start == '{';

		if (*p != '$' || p[1] == '$') {
			buf_addc(b, *p);
			p += *p == '$' ? 2 : 1;
			continue;
		}
		start += braces;
		while (isalnum((unsigned char)start[n]) || start[n] == '_')
			n++;
		if (n == 0 || (braces && start[n] != '}')) {
			buf_addc(b, *p++);
			continue;
		}
		group = find_group(re, arena_strndup(c->arena, start, n));
		if (group != SIZE_MAX && spans[2 * group] >= 0)
			buf_add(b, text + spans[2 * group],
				(size_t)(spans[2 * group + 1] - spans[2 * group]));
		p = start + n + braces;
	}
}

static value regex_replace(struct bake_call *c)
{
	struct bake_regex *re = compile(c, c->v[1]->s);
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *text = c->v[0]->s;
	long spans[2 * REGEX_GROUPS_MAX];
	size_t n = strlen(text), at = 0, done = 0;

	while (re && at <= n && bake_regex_find(re, text, at, spans) > 0) {
		buf_add(&b, text + done, (size_t)spans[0] - done);
		expand(c, re, text, spans, &b);
		done = (size_t)spans[1];
		at = behind(text, spans);
		if (b.n > BAKE_MEMORY_MAX / 4)
			return bake_call_fail(c, "the text gets too long");
	}
	if (!re)
		return NULL;
	buf_adds(&b, text + done);
	return bake_call_string(c, &b);
}

/* --- versions --- */

struct version {
	uint64_t part[3];
	unsigned n_parts; /* given; "x" and "*" end them */
	const char *pre;  /* "" if there is none */
};

static bool parse_version(struct bake_call *c, const char **at, struct version *v)
{
	const char *p = *at;
	size_t n;

	*v = (struct version){.pre = ""};
	p += *p == 'v' || *p == 'V';
	while (v->n_parts < 3) {
		if (*p == 'x' || *p == 'X' || *p == '*') {
			for (p++; *p == '.' || *p == 'x' || *p == 'X' || *p == '*';)
				p++;
			*at = p;
			return true;
		}
		if (number_take(&p, 10, UINT64_MAX, &v->part[v->n_parts]) < 0)
			return false;
		v->n_parts++;
		if (*p != '.')
			break;
		p++;
	}
	if (*p == '-') {
		n = strspn(p + 1,
			   "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-");
		if (n == 0)
			return false;
		v->pre = arena_strndup(c->arena, p + 1, n);
		p += n + 1;
	}
	if (*p == '+')
		p += 1 + strspn(p + 1,
				"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-");
	*at = p;
	return true;
}

/* Numbers below words, fewer identifiers below more. */
static int compare_pre(const char *a, const char *b)
{
	if (!*a || !*b)
		return (*a == '\0') - (*b == '\0');
	while (*a && *b) {
		size_t n = strcspn(a, "."), k = strcspn(b, ".");
		bool x = strspn(a, "0123456789") == n, y = strspn(b, "0123456789") == k;
		int order;

		if (x != y)
			return x ? -1 : 1;
		if (x && n != k)
			return n < k ? -1 : 1;
		order = strncmp(a, b, n < k ? n : k);
		if (order == 0 && n != k)
			order = n < k ? -1 : 1;
		if (order != 0)
			return order;
		a += n + (a[n] == '.');
		b += k + (b[k] == '.');
	}
	return (*a != '\0') - (*b != '\0');
}

static int compare_versions(const struct version *a, const struct version *b)
{
	for (unsigned i = 0; i < 3; i++)
		if (a->part[i] != b->part[i])
			return a->part[i] < b->part[i] ? -1 : 1;
	return compare_pre(a->pre, b->pre);
}

/* The first version behind all that share the first `n` parts. */
static struct version next_version(const struct version *v, unsigned n)
{
	struct version next = {.pre = ""};

	for (unsigned i = 0; i < n; i++)
		next.part[i] = v->part[i];
	if (n > 0)
		next.part[n - 1]++;
	return next;
}

static bool is_below(const struct version *v, const struct version *limit)
{
	return compare_versions(v, limit) < 0;
}

/* ^1.2.3: up to the next change of the first part that is not 0 */
static bool fits_caret(const struct version *v, const struct version *w)
{
	unsigned n = 1;
	struct version limit;

	if (w->n_parts == 0)
		return true;
	while (n < w->n_parts && w->part[n - 1] == 0)
		n++;
	limit = next_version(w, n);
	return !is_below(v, w) && is_below(v, &limit);
}

static bool fits_one(const char *op, const struct version *v, const struct version *w)
{
	struct version limit = next_version(w, w->n_parts == 3 && *op == '~' ? 2 : w->n_parts);
	bool partial = w->n_parts < 3;
	bool within = w->n_parts == 0 || (!is_below(v, w) && is_below(v, &limit));

	/* Versions before a release count only where one is named. */
	if (*v->pre && !*w->pre)
		return false;
	if (strcmp(op, "^") == 0)
		return fits_caret(v, w);
	if (*op == '~')
		return w->n_parts == 0 || (!is_below(v, w) && is_below(v, &limit));
	if (strcmp(op, "!=") == 0)
		return partial ? !within : compare_versions(v, w) != 0;
	if (strcmp(op, ">") == 0)
		return partial ? w->n_parts > 0 && !is_below(v, &limit)
			       : compare_versions(v, w) > 0;
	if (strcmp(op, "<") == 0)
		return is_below(v, w);
	if (strcmp(op, ">=") == 0 || strcmp(op, "=>") == 0)
		return !is_below(v, w);
	if (strcmp(op, "<=") == 0 || strcmp(op, "=<") == 0)
		return partial ? w->n_parts == 0 || is_below(v, &limit)
			       : compare_versions(v, w) <= 0;
	return partial ? within : compare_versions(v, w) == 0;
}

/* One of "A - B", or all of ">=1.2, <2". Returns -1 where it cannot be read. */
static int fits_all(struct bake_call *c, const char *p, size_t n, const struct version *v)
{
	static const char *const ops[] = {"!=", ">=", "=>", "<=", "=<", "~>",
					  "=",	">",  "<",  "~",  "^"};
	const char *end = p + n;
	bool fits = true, any = false;

	while (p < end) {
		const char *op = "", *start;
		struct version w;

		p += strspn(p, " ,\t");
		if (p >= end)
			break;
		for (size_t i = 0; i < ARRAY_SIZE(ops) && !*op; i++)
			if (strncmp(p, ops[i], strlen(ops[i])) == 0)
				op = ops[i];
		p += strlen(op);
		p += strspn(p, " \t");
		start = p;
		if (!parse_version(c, &p, &w) || p == start || (p < end && !strchr(" ,\t", *p)))
			return -1;
		any = true;
		if (strncmp(p, " - ", 3) == 0) {
			fits = fits && fits_one(">=", v, &w);
			p += 3;
			if (!parse_version(c, &p, &w))
				return -1;
			op = "<=";
		}
		fits = fits && fits_one(op, v, &w);
	}
	return any ? fits : -1;
}

static value semver_compare(struct bake_call *c)
{
	const char *p = c->v[0]->s;
	struct version v;
	bool fits = false;

	if (!parse_version(c, &p, &v) || *p || v.n_parts == 0)
		return bake_call_fail(c, "\"%s\" is not a version", c->v[0]->s);
	for (p = c->v[1]->s;; p += 2) {
		const char *next = strstr(p, "||");
		int one = fits_all(c, p, next ? (size_t)(next - p) : strlen(p), &v);

		if (one < 0)
			return bake_call_fail(c, "\"%s\" is not a constraint of versions",
					      c->v[1]->s);
		fits = fits || one > 0;
		if (!next)
			break;
		p = next;
	}
	return bake_bool(fits);
}

const struct bake_builtin bake_functions_patterns[] = {
	{"regex", "ss", regex},
	{"regex_replace", "sss", regex_replace},
	{"regexall", "ss", regex_all},
	{"semvercmp", "ss", semver_compare},
	{0},
};
