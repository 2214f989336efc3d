/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern becomes a program of instructions that try one character each, or go on at two places.
 * What was tried at one place of the text with one instruction is not tried again. */
#include "frontend/bake/bake_regex.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/vec.h"

enum {
	PROGRAM_MAX = 20000,		 /* instructions */
	VISITED_MAX = 256 * 1024 * 1024, /* instructions times places of the text */
	REPEAT_MAX = 1000,
	DEPTH_MAX = 100,
};

enum inst_kind { INST_CLASS, INST_SPLIT, INST_JUMP, INST_SAVE, INST_ASSERT, INST_MATCH };

struct range {
	uint32_t from, to;
};

struct inst {
	enum inst_kind kind;
	size_t x,
		y; /* where it goes on: SPLIT: first x, then y; SAVE: slot x; ASSERT: what, in x */
	const struct range *ranges;
	size_t n_ranges;
	bool negated, fold;
};

struct bake_regex {
	VEC(struct inst) program;
	size_t n_groups;
	const char *names[REGEX_GROUPS_MAX];
};

struct compiler {
	struct arena *arena;
	struct bake_regex *re;
	struct inst *program;
	size_t n, cap;
	const char *p;
	const char *why;
	unsigned depth;
	bool fold, dot_all, multi_line, lazy;
};

/* --- instructions --- */

static bool refuse(struct compiler *c, const char *why)
{
	if (!c->why)
		c->why = why;
	return false;
}

static bool emit(struct compiler *c, struct inst i)
{
	if (c->n == PROGRAM_MAX)
		return refuse(c, "the pattern is too large");
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		c->program = xreallocarray(c->program, c->cap, sizeof(*c->program));
	}
	c->program[c->n++] = i;
	return true;
}

/* Makes room for one instruction at `at`; what goes there from behind is moved, too. */
static bool insert(struct compiler *c, size_t at, struct inst i)
{
	if (!emit(c, i))
		return false;
	memmove(c->program + at + 1, c->program + at, (c->n - 1 - at) * sizeof(*c->program));
	c->program[at] = i;
	for (size_t k = at + 1; k < c->n; k++) {
		struct inst *in = &c->program[k];

		if (in->kind == INST_SPLIT || in->kind == INST_JUMP) {
			in->x += in->x >= at;
			in->y += in->kind == INST_SPLIT && in->y >= at;
		}
	}
	return true;
}

/* --- classes --- */

struct ranges {
	struct compiler *c;
	VEC(struct range) list;
};

static void add_range(struct ranges *r, uint32_t from, uint32_t to)
{
	vec_push(&r->list, (struct range){from, to});
}

/* \d, \w, \s and their opposites. */
static bool add_letter_class(struct ranges *r, char letter)
{
	switch (letter) {
	case 'd':
		add_range(r, '0', '9');
		return true;
	case 'w':
		add_range(r, '0', '9');
		add_range(r, 'A', 'Z');
		add_range(r, '_', '_');
		add_range(r, 'a', 'z');
		return true;
	case 's':
		add_range(r, '\t', '\n');
		add_range(r, '\f', '\r');
		add_range(r, ' ', ' ');
		return true;
	case 'D':
		add_range(r, 0, '0' - 1);
		add_range(r, '9' + 1, 0x10ffff);
		return true;
	case 'W':
		add_range(r, 0, '0' - 1);
		add_range(r, '9' + 1, 'A' - 1);
		add_range(r, 'Z' + 1, '_' - 1);
		add_range(r, '`', '`');
		add_range(r, 'z' + 1, 0x10ffff);
		return true;
	case 'S':
		add_range(r, 0, '\t' - 1);
		add_range(r, '\v', '\v');
		add_range(r, '\r' + 1, ' ' - 1);
		add_range(r, ' ' + 1, 0x10ffff);
		return true;
	default:
		return false;
	}
}

static bool emit_class(struct ranges *r, bool negated)
{
	struct compiler *c = r->c;
	struct inst i = {
		.kind = INST_CLASS, .n_ranges = r->list.n, .negated = negated, .fold = c->fold};
	struct range *copy = arena_alloc(c->arena, (r->list.n + 1) * sizeof(*copy));

	if (r->list.n > 0)
		memcpy(copy, r->list.v, r->list.n * sizeof(*copy));
	i.ranges = copy;
	vec_release(&r->list);
	return emit(c, i);
}

static uint32_t take_char(const char **p)
{
	unsigned char b = (unsigned char)**p;
	size_t n = b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
	uint32_t ch = n == 1 ? b : b & (0xffU >> (n + 1));

	if (strnlen(*p, n) < n)
		n = 1;
	for (size_t i = 1; i < n; i++)
		ch = ch << 6 | ((unsigned char)(*p)[i] & 0x3f);
	*p += n;
	return ch;
}

/* Behind a backslash: a character. */
static bool take_escape(struct compiler *c, uint32_t *ret)
{
	static const char from[] = "nrtfva", to[] = "\n\r\t\f\v\a";
	const char *known = *c->p ? strchr(from, *c->p) : NULL;
	uint64_t n;

	if (known) {
		*ret = (unsigned char)to[known - from];
		c->p++;
		return true;
	}
	if (*c->p == 'x') {
		char digits[9] = "";
		const char *start = c->p[1] == '{' ? c->p + 2 : c->p + 1;
		size_t k = c->p[1] == '{' ? strcspn(start, "}") : 2;

		if (k == 0 || k > 8 || strnlen(start, k) < k)
			return refuse(c, "\"\\x\" is followed by two digits, or by {digits}");
		memcpy(digits, start, k);
		if (number_parse(digits, 16, 0x10ffff, &n) < 0)
			return refuse(c, "\"\\x\" is followed by two digits, or by {digits}");
		c->p = start + k + (c->p[1] == '{');
		*ret = (uint32_t)n;
		return true;
	}
	if (!*c->p || isalnum((unsigned char)*c->p))
		return refuse(c, *c->p == 'p' || *c->p == 'P'
					 ? "classes of Unicode (\\p) are not supported"
					 : "there is no such escape");
	*ret = take_char(&c->p);
	return true;
}

static bool add_named_class(struct compiler *c, struct ranges *r)
{
	static const struct {
		const char *name;
		int (*is)(int);
	} classes[] = {{"alnum", isalnum}, {"alpha", isalpha},	{"digit", isdigit},
		       {"lower", islower}, {"upper", isupper},	{"space", isspace},
		       {"punct", ispunct}, {"xdigit", isxdigit}};
	size_t n = strcspn(c->p + 2, ":");

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (strlen(classes[i].name) != n || strncmp(classes[i].name, c->p + 2, n) != 0 ||
		    strncmp(c->p + 2 + n, ":]", 2) != 0)
			continue;
		for (unsigned b = 0; b < 0x80; b++)
			if (classes[i].is((int)b))
				add_range(r, b, b);
		c->p += n + 4;
		return true;
	}
	return refuse(c, "there is no such class");
}

static bool compile_set(struct compiler *c)
{
	struct ranges r = {.c = c};
	bool negated = *c->p == '^', first = true;

	c->p += negated;
	for (; *c->p && (*c->p != ']' || first); first = false) {
		uint32_t from, to;

		if (strncmp(c->p, "[:", 2) == 0) {
			if (!add_named_class(c, &r))
				break;
			continue;
		}
		if (*c->p == '\\' && add_letter_class(&r, c->p[1])) {
			c->p += 2;
			continue;
		}
		c->p += *c->p == '\\';
		if (c->p[-1] == '\\') {
			if (!take_escape(c, &from))
				break;
		} else {
			from = take_char(&c->p);
		}
		to = from;
		if (*c->p == '-' && c->p[1] && c->p[1] != ']') {
			c->p++;
			if (*c->p == '\\') {
				c->p++;
				if (!take_escape(c, &to))
					break;
			} else {
				to = take_char(&c->p);
			}
		}
		if (to < from) {
			(void)refuse(c, "a range of characters is the wrong way round");
			break;
		}
		add_range(&r, from, to);
	}
	if (c->why || *c->p != ']') {
		vec_release(&r.list);
		return refuse(c, "\"]\" is missing");
	}
	c->p++;
	return emit_class(&r, negated);
}

static bool compile_char(struct compiler *c, uint32_t ch)
{
	struct ranges r = {.c = c};

	add_range(&r, ch, ch);
	return emit_class(&r, false);
}

static bool compile_any(struct compiler *c)
{
	struct ranges r = {.c = c};

	if (!c->dot_all)
		add_range(&r, '\n', '\n');
	return emit_class(&r, true);
}

/* --- groups and repetitions --- */

static bool compile_alternatives(struct compiler *c);

/* (?i), (?i:...), (?P<name>...), (?:...). *capture: it is a group that counts. */
static bool compile_flags(struct compiler *c, bool *capture, bool *body)
{
	bool on = true;

	*capture = *body = true;
	if (c->p[0] != '?')
		return true;
	c->p++;
	if (*c->p == 'P' || *c->p == '<') {
		const char *start;
		size_t n;

		c->p += *c->p == 'P';
		start = c->p + 1;
		n = strcspn(start, ">");
		if (*c->p != '<' || start[n] != '>' || n == 0)
			return refuse(c, "the name of a group is written (?P<name>...)");
		if (c->re->n_groups + 1 < REGEX_GROUPS_MAX)
			c->re->names[c->re->n_groups + 1] = arena_strndup(c->arena, start, n);
		c->p = start + n + 1;
		return true;
	}
	*capture = false;
	for (; *c->p && *c->p != ':' && *c->p != ')'; c->p++) {
		if (*c->p == '-')
			on = false;
		else if (*c->p == 'i')
			c->fold = on;
		else if (*c->p == 's')
			c->dot_all = on;
		else if (*c->p == 'm')
			c->multi_line = on;
		else if (*c->p == 'U')
			c->lazy = on;
		else
			return refuse(c, "there is no such flag of a group");
	}
	*body = *c->p == ':';
	c->p += *body;
	return true;
}

static bool compile_group(struct compiler *c)
{
	bool fold = c->fold, dot_all = c->dot_all, multi_line = c->multi_line, lazy = c->lazy;
	bool capture, body;
	size_t group = 0;

	if (++c->depth > DEPTH_MAX)
		return refuse(c, "the groups are nested too deep");
	if (!compile_flags(c, &capture, &body))
		return false;
	if (capture) {
		group = ++c->re->n_groups;
		if (group >= REGEX_GROUPS_MAX)
			return refuse(c, "there are too many groups");
		if (!emit(c, (struct inst){.kind = INST_SAVE, .x = 2 * group}))
			return false;
	}
	if (body && !compile_alternatives(c))
		return false;
	if (*c->p != ')')
		return refuse(c, "\")\" is missing");
	c->p++;
	c->depth--;
	/* (?i) holds up to the end of what it stands in. */
	if (body) {
		c->fold = fold;
		c->dot_all = dot_all;
		c->multi_line = multi_line;
		c->lazy = lazy;
	}
	return !capture || emit(c, (struct inst){.kind = INST_SAVE, .x = 2 * group + 1});
}

enum assertion {
	ASSERT_START,
	ASSERT_END,
	ASSERT_LINE_START,
	ASSERT_LINE_END,
	ASSERT_WORD,
	ASSERT_NO_WORD
};

static bool compile_assertion(struct compiler *c, enum assertion what)
{
	return emit(c, (struct inst){.kind = INST_ASSERT, .x = what});
}

static bool compile_escape(struct compiler *c)
{
	static const char letters[] = "AzbB";
	static const enum assertion assertions[] = {ASSERT_START, ASSERT_END, ASSERT_WORD,
						    ASSERT_NO_WORD};
	struct ranges r = {.c = c};
	const char *known = *c->p ? strchr(letters, *c->p) : NULL;
	uint32_t ch;

	if (known) {
		c->p++;
		return compile_assertion(c, assertions[known - letters]);
	}
	if (*c->p && add_letter_class(&r, *c->p)) {
		c->p++;
		return emit_class(&r, false);
	}
	return take_escape(c, &ch) && compile_char(c, ch);
}

static bool compile_atom(struct compiler *c)
{
	switch (*c->p) {
	case '(':
		c->p++;
		return compile_group(c);
	case '[':
		c->p++;
		return compile_set(c);
	case '.':
		c->p++;
		return compile_any(c);
	case '^':
		c->p++;
		return compile_assertion(c, c->multi_line ? ASSERT_LINE_START : ASSERT_START);
	case '$':
		c->p++;
		return compile_assertion(c, c->multi_line ? ASSERT_LINE_END : ASSERT_END);
	case '\\':
		c->p++;
		return compile_escape(c);
	case '*':
	case '+':
	case '?':
		return refuse(c, "nothing stands before a repetition");
	default:
		return compile_char(c, take_char(&c->p));
	}
}

/* Repeats the instructions from `start` on once more. */
static bool copy(struct compiler *c, size_t start, size_t n)
{
	size_t shift = c->n - start;

	for (size_t i = 0; i < n; i++) {
		struct inst in = c->program[start + i];

		if (in.kind == INST_SPLIT || in.kind == INST_JUMP) {
			in.x += shift;
			in.y += shift;
		}
		if (!emit(c, in))
			return false;
	}
	return true;
}

static struct inst split(size_t inside, size_t behind, bool lazy)
{
	return (struct inst){
		.kind = INST_SPLIT, .x = lazy ? behind : inside, .y = lazy ? inside : behind};
}

/* x? */
static bool make_optional(struct compiler *c, size_t start, bool lazy)
{
	if (!insert(c, start, (struct inst){.kind = INST_JUMP}))
		return false;
	c->program[start] = split(start + 1, c->n, lazy);
	return true;
}

/* x* */
static bool make_star(struct compiler *c, size_t start, bool lazy)
{
	if (!insert(c, start, (struct inst){.kind = INST_JUMP}) ||
	    !emit(c, (struct inst){.kind = INST_JUMP, .x = start}))
		return false;
	c->program[start] = split(start + 1, c->n, lazy);
	return true;
}

/* {n}, {n,}, {n,m}; false: it is text. max -1: no end */
static bool take_bounds(struct compiler *c, int64_t *min, int64_t *max)
{
	const char *p = c->p + 1;
	uint64_t n, m;

	if (number_take(&p, 10, REPEAT_MAX, &n) < 0)
		return false;
	m = n;
	*min = (int64_t)n;
	*max = (int64_t)n;
	if (*p == ',') {
		p++;
		*max = -1;
		if (*p != '}') {
			if (number_take(&p, 10, REPEAT_MAX, &m) < 0)
				return false;
			*max = (int64_t)m;
		}
	}
	if (*p != '}')
		return false;
	c->p = p + 1;
	return true;
}

static bool repeat(struct compiler *c, size_t start, int64_t min, int64_t max, bool lazy)
{
	size_t n = c->n - start, last = start;

	if (max >= 0 && max < min)
		return refuse(c, "a repetition ends before it begins");
	if (max == 0) {
		c->n = start;
		return true;
	}
	for (int64_t i = 1; i < min; i++) {
		last = c->n;
		if (!copy(c, start, n))
			return false;
	}
	if (max < 0 && min == 0)
		return make_star(c, start, lazy);
	if (max < 0)
		return emit(c, split(last, c->n + 1, lazy));
	/* The first copy is made of what stays as it is. */
	if (min == 0) {
		if (!make_optional(c, start, lazy))
			return false;
		n = c->n - start;
		for (int64_t i = 1; i < max; i++)
			if (!copy(c, start, n))
				return false;
		return true;
	}
	for (int64_t i = min; i < max; i++) {
		size_t at = c->n;

		if (!copy(c, start, n) || !make_optional(c, at, lazy))
			return false;
	}
	return true;
}

static bool compile_repeated(struct compiler *c)
{
	size_t start = c->n;
	int64_t min = 0, max = -1;
	bool lazy;

	if (!compile_atom(c))
		return false;
	if (*c->p == '{' && take_bounds(c, &min, &max)) {
		/* taken */
	} else if (*c->p == '*' || *c->p == '+' || *c->p == '?') {
		min = *c->p == '+';
		max = *c->p == '?' ? 1 : -1;
		c->p++;
	} else {
		return true;
	}
	lazy = (*c->p == '?') != c->lazy;
	c->p += *c->p == '?';
	if (*c->p == '*' || *c->p == '+' || *c->p == '?')
		return refuse(c, "a repetition is repeated");
	return repeat(c, start, min, max, lazy);
}

static bool compile_alternatives(struct compiler *c)
{
	size_t start = c->n;
	VEC(size_t) ends = {0};
	bool ok = true;

	while (ok && *c->p && *c->p != ')') {
		if (*c->p != '|') {
			ok = compile_repeated(c);
			continue;
		}
		c->p++;
		ok = insert(c, start, (struct inst){.kind = INST_JUMP});
		for (size_t i = 0; i < ends.n; i++)
			ends.v[i] += ends.v[i] >= start;
		vec_push(&ends, c->n);
		ok = ok && emit(c, (struct inst){.kind = INST_JUMP});
		c->program[start] = split(start + 1, c->n, false);
		start = c->n;
	}
	for (size_t i = 0; i < ends.n && ok; i++)
		c->program[ends.v[i]].x = c->n;
	vec_release(&ends);
	return ok;
}

struct bake_regex *bake_regex_new(struct arena *a, const char *pattern, const char **why)
{
	struct compiler c = {.arena = a, .p = pattern, .re = ARENA_NEW(a, struct bake_regex)};
	bool ok = compile_alternatives(&c);

	if (ok && *c.p == ')')
		ok = refuse(&c, "\")\" has no beginning");
	ok = ok && emit(&c, (struct inst){.kind = INST_MATCH});
	if (ok) {
		c.re->program.v = arena_alloc(a, c.n * sizeof(*c.program));
		memcpy(c.re->program.v, c.program, c.n * sizeof(*c.program));
		c.re->program.n = c.n;
	}
	free(c.program);
	*why = c.why;
	return ok ? c.re : NULL;
}

size_t bake_regex_groups(const struct bake_regex *r)
{
	return r->n_groups;
}

const char *bake_regex_group_name(const struct bake_regex *r, size_t group)
{
	return r->names[group];
}

/* --- matching --- */

struct job {
	size_t pc, at;
	size_t slot; /* SIZE_MAX: try; else: give a slot its old value back */
	long old;
};

struct matcher {
	const struct bake_regex *re;
	const char *text;
	size_t n;
	uint8_t *visited;
	VEC(struct job) jobs;
	long *spans;
};

static bool in_class(const struct inst *i, uint32_t ch)
{
	bool in = false;

	for (size_t k = 0; k < i->n_ranges && !in; k++) {
		const struct range *r = &i->ranges[k];

		in = ch >= r->from && ch <= r->to;
		if (!in && i->fold && ch < 0x80 && isalpha((int)ch))
			in = (ch ^ 0x20) >= r->from && (ch ^ 0x20) <= r->to;
	}
	return in != i->negated;
}

static bool is_word(const struct matcher *m, size_t at)
{
	unsigned char c = at < m->n ? (unsigned char)m->text[at] : 0;

	return c == '_' || (c < 0x80 && isalnum(c));
}

static bool holds(const struct matcher *m, size_t what, size_t at)
{
	bool edge = (at > 0 && is_word(m, at - 1)) != is_word(m, at);

	switch (what) {
	case ASSERT_START:
		return at == 0;
	case ASSERT_END:
		return at == m->n;
	case ASSERT_LINE_START:
		return at == 0 || m->text[at - 1] == '\n';
	case ASSERT_LINE_END:
		return at == m->n || m->text[at] == '\n';
	case ASSERT_WORD:
		return edge;
	default:
		return !edge;
	}
}

/* Follows one way to its end. */
static bool follow(struct matcher *m, size_t pc, size_t at)
{
	for (;;) {
		const struct inst *i = &m->re->program.v[pc];
		size_t bit = pc * (m->n + 1) + at;
		const char *p = m->text + at;

		if (m->visited[bit / 8] & 1U << bit % 8)
			return false;
		m->visited[bit / 8] |= (uint8_t)(1U << bit % 8);
		switch (i->kind) {
		case INST_CLASS:
			if (at == m->n || !in_class(i, take_char(&p)))
				return false;
			at = (size_t)(p - m->text);
			pc++;
			break;
		case INST_SPLIT:
			vec_push(&m->jobs, (struct job){.pc = i->y, .at = at, .slot = SIZE_MAX});
			pc = i->x;
			break;
		case INST_JUMP:
			pc = i->x;
			break;
		case INST_SAVE:
			vec_push(&m->jobs, (struct job){.slot = i->x, .old = m->spans[i->x]});
			m->spans[i->x] = (long)at;
			pc++;
			break;
		case INST_ASSERT:
			if (!holds(m, i->x, at))
				return false;
			pc++;
			break;
		case INST_MATCH:
			m->spans[1] = (long)at;
			return true;
		}
	}
}

static bool match_at(struct matcher *m, size_t at)
{
	bool found;

	for (size_t i = 0; i < (size_t)2 * REGEX_GROUPS_MAX; i++)
		m->spans[i] = -1;
	m->spans[0] = (long)at;
	found = follow(m, 0, at);
	while (!found && m->jobs.n > 0) {
		struct job j = vec_pop(&m->jobs);

		if (j.slot == SIZE_MAX)
			found = follow(m, j.pc, j.at);
		else
			m->spans[j.slot] = j.old;
	}
	m->jobs.n = 0;
	return found;
}

int bake_regex_find(const struct bake_regex *r, const char *text, size_t from,
		    long spans[2 * REGEX_GROUPS_MAX])
{
	struct matcher m = {.re = r, .text = text, .n = strlen(text), .spans = spans};
	bool found = false;
	size_t bits;

	if (__builtin_mul_overflow(r->program.n, m.n + 1, &bits) || bits > VISITED_MAX)
		return -1;
	m.visited = xcalloc(bits / 8 + 1, 1);
	/* What failed from an earlier place fails from a later one, too. */
	for (size_t at = from; at <= m.n && !found;) {
		const char *p = text + at;

		found = match_at(&m, at);
		if (at == m.n)
			break;
		(void)take_char(&p);
		at = (size_t)(p - text);
	}
	vec_release(&m.jobs);
	free(m.visited);
	return found;
}
