/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_shell_pattern.h"

#include <stdint.h>
#include <string.h>

#include "base/vec.h"
#include "frontend/dockerfile/df_text.h"

/* One character: its bytes packed big endian, so that it prints back as it was. */
typedef VEC(uint32_t) runes;

enum { TOKEN_STAR = -1, TOKEN_ANY = -2 };
typedef VEC(int64_t) tokens;

struct matcher {
	const int64_t *pattern;
	size_t n_pattern;
	const uint32_t *value;
	size_t n_value;
	bool longest;
	size_t steps, max;
};

static uint32_t pack(const char *p, size_t n)
{
	uint32_t c = 0;

	for (size_t i = 0; i < n; i++)
		c = c << 8 | (unsigned char)p[i];
	return c;
}

static void unpack(uint32_t c, struct buf *out)
{
	for (int shift = 24; shift > 0; shift -= 8)
		if (c >> shift)
			buf_addc(out, (char)(c >> shift));
	buf_addc(out, (char)c);
}

static void split(const char *s, runes *ret)
{
	size_t n = strlen(s), step;

	for (size_t i = 0; i < n; i += step) {
		step = df_rune(s + i, n - i);
		vec_push(ret, pack(s + i, step));
	}
}

static int compile(const char *s, tokens *ret, struct error **err)
{
	size_t n = strlen(s), step;

	for (size_t i = 0; i < n; i += step) {
		step = 1;
		if (s[i] == '*') {
			vec_push(ret, TOKEN_STAR);
			continue;
		}
		if (s[i] == '?') {
			vec_push(ret, TOKEN_ANY);
			continue;
		}
		if (s[i] == '\\') {
			i++;
			if (i == n || !strchr("*?\\}/", s[i]))
				return error_new(err, ERR_INVALID, 0, "invalid escape '\\%.*s'",
						 i == n ? 0 : (int)df_rune(s + i, n - i), s + i);
		}
		step = df_rune(s + i, n - i);
		vec_push(ret, (int64_t)pack(s + i, step));
	}
	return 0;
}

/* Does the star-free part [from, to) of the pattern match at `at`? */
static bool part_matches(struct matcher *m, size_t from, size_t to, size_t at)
{
	if (to - from > m->n_value - at)
		return false;
	for (; from < to; from++, at++) {
		m->steps++;
		if (m->pattern[from] != TOKEN_ANY && m->pattern[from] != (int64_t)m->value[at])
			return false;
	}
	return true;
}

/* Finds the leftmost (rightmost) place at or after `at` where a part matches. */
static bool find_part(struct matcher *m, size_t from, size_t to, size_t at, bool rightmost,
		      size_t *ret)
{
	size_t len = to - from;

	if (len > m->n_value - at)
		return false;
	for (size_t i = 0; i <= m->n_value - at - len; i++) {
		*ret = rightmost ? m->n_value - len - i : at + i;
		if (part_matches(m, from, to, *ret))
			return true;
		if (++m->steps > m->max)
			return false;
	}
	return false;
}

/* Matches the whole pattern from `start`: each part between stars goes as far left as it can, but
 * the last one as far right if the longest match is wanted. */
static bool match_at(struct matcher *m, size_t start, size_t *ret_end)
{
	size_t from = 0, to, at = start;
	bool star = false;

	for (;;) {
		to = from;
		while (to < m->n_pattern && m->pattern[to] != TOKEN_STAR)
			to++;
		if (!star) {
			if (!part_matches(m, from, to, at))
				return false;
		} else if (!find_part(m, from, to, at, m->longest && to == m->n_pattern, &at)) {
			return false;
		}
		at += to - from;
		if (to == m->n_pattern)
			break;
		star = true;
		from = to + 1;
	}
	*ret_end = at;
	return true;
}

static struct matcher matcher(const tokens *p, const runes *v, bool longest,
			      const size_t *steps_left)
{
	return (struct matcher){
		.pattern = p->v,
		.n_pattern = p->n,
		.value = v->v,
		.n_value = v->n,
		.longest = longest,
		.steps = p->n + v->n,
		.max = steps_left && *steps_left < DF_PATTERN_STEPS_MAX ? *steps_left
									: DF_PATTERN_STEPS_MAX,
	};
}

static int count_steps(const struct matcher *m, size_t *steps_left, struct error **err)
{
	if (m->steps <= m->max) {
		if (steps_left)
			*steps_left -= m->steps;
		return 0;
	}
	if (m->max == DF_PATTERN_STEPS_MAX)
		return error_new(err, ERR_INVALID, 0, "it takes more than %d steps to match",
				 DF_PATTERN_STEPS_MAX);
	return error_new(err, ERR_INVALID, 0,
			 "the patterns of all instructions take too many steps to match");
}

#define REVERSE(vec)                                                \
	do {                                                        \
		for (size_t i_ = 0; i_ < (vec)->n / 2; i_++) {      \
			__typeof__(*(vec)->v) t_ = (vec)->v[i_];    \
			(vec)->v[i_] = (vec)->v[(vec)->n - 1 - i_]; \
			(vec)->v[(vec)->n - 1 - i_] = t_;           \
		}                                                   \
	} while (0)

int df_pattern_strip(const char *pattern, const char *value, bool suffix, bool longest,
		     size_t *steps_left, struct buf *out, struct error **err)
{
	tokens p = {0};
	runes v = {0};
	struct matcher m;
	size_t end = 0;
	int r;

	r = compile(pattern, &p, err);
	if (r < 0) {
		vec_release(&p);
		return r;
	}
	split(value, &v);
	if (suffix) {
		REVERSE(&p);
		REVERSE(&v);
	}
	m = matcher(&p, &v, longest, steps_left);
	if (!match_at(&m, 0, &end))
		end = 0;
	r = count_steps(&m, steps_left, err);
	for (size_t i = end; r == 0 && i < v.n; i++)
		unpack(v.v[suffix ? v.n - 1 - (i - end) : i], out);
	vec_release(&p);
	vec_release(&v);
	return r;
}

static void replace(struct matcher *m, const char *replacement, bool all, struct buf *out)
{
	size_t at = 0, end, last_end = SIZE_MAX;
	bool done = false, star = m->n_pattern > 0 && m->pattern[0] == TOKEN_STAR;

	while (at <= m->n_value && !out->full && m->steps <= m->max) {
		bool hit = !done && match_at(m, at, &end);

		/* A leading star would have reached any later match too. */
		if (!hit && star)
			done = true;
		/* An empty match right after a match does not count. */
		if (hit && !(end == at && at == last_end)) {
			buf_adds(out, replacement);
			done = !all;
			last_end = end;
			if (end > at) {
				at = end;
				continue;
			}
		}
		if (at < m->n_value)
			unpack(m->value[at], out);
		at++;
	}
}

int df_pattern_replace(const char *pattern, const char *replacement, const char *value, bool all,
		       size_t *steps_left, struct buf *out, struct error **err)
{
	tokens p = {0};
	runes v = {0};
	struct matcher m;
	int r;

	r = compile(pattern, &p, err);
	if (r == 0) {
		split(value, &v);
		m = matcher(&p, &v, true, steps_left);
		replace(&m, replacement, all, out);
		r = count_steps(&m, steps_left, err);
	}
	vec_release(&p);
	vec_release(&v);
	return r;
}
