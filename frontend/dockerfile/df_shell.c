/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_shell.h"

#include <string.h>

#include "base/buf.h"
#include "frontend/dockerfile/df_shell_pattern.h"
#include "frontend/dockerfile/df_text.h"

/* Words under construction; NULL where one word is asked for, and inside ${}. */
struct words {
	struct df_strings list;
	struct buf word;
	bool in_word;
};

struct expander {
	const struct df_shell *shell;
	struct arena *arena;
	struct df_vars *vars;
	struct words *words;
	const char *p;
	size_t at, n;
	unsigned depth;
	bool raw_escapes;
};

enum { STOP_NONE = -1 };

static int expand_until(struct expander *x, int stop, struct buf *out, struct words *w,
			struct error **err);

static bool at_end(const struct expander *x)
{
	return x->at >= x->n;
}

static int peek(const struct expander *x)
{
	return at_end(x) ? -1 : (unsigned char)x->p[x->at];
}

/* Copies the character at the position, which may be several bytes. */
static void copy_rune(struct expander *x, struct buf *out)
{
	size_t n = df_rune(x->p + x->at, x->n - x->at);

	buf_add(out, x->p + x->at, n);
	x->at += n;
}

static void words_add_raw(struct expander *x, struct words *w, const char *p, size_t n)
{
	if (!w)
		return;
	(void)x;
	buf_add(&w->word, p, n);
	w->in_word = true;
}

static void words_end(struct expander *x, struct words *w)
{
	if (w->word.n == 0)
		return;
	df_strings_push(x->arena, &w->list, arena_strndup(x->arena, w->word.p, w->word.n));
	buf_clear(&w->word);
	w->in_word = false;
}

/* Text whose blanks split words. */
static void words_add(struct expander *x, struct words *w, const char *p, size_t n)
{
	size_t step;

	if (!w)
		return;
	for (size_t i = 0; i < n; i += step) {
		step = df_blank(p + i, n - i);
		if (step > 0) {
			words_end(x, w);
			continue;
		}
		step = df_rune(p + i, n - i);
		words_add_raw(x, w, p + i, step);
	}
}

static struct df_var *find_var(struct df_var *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

static void add_var(struct arena *a, struct df_var **list, size_t *n, size_t *cap, const char *name,
		    size_t offset)
{
	if (*n == DF_SHELL_VARS_MAX || find_var(*list, *n, name))
		return;
	if (*n == *cap) {
		size_t new_cap = *cap > 0 ? *cap * 2 : 4;
		struct df_var *v = arena_alloc(a, new_cap * sizeof(*v));

		if (*n > 0)
			memcpy(v, *list, *n * sizeof(*v));
		*list = v;
		*cap = new_cap;
	}
	(*list)[(*n)++] = (struct df_var){.name = name, .offset = offset};
}

static const char *lookup(struct expander *x, const char *name, size_t offset)
{
	const char *value = x->shell->get ? x->shell->get(x->shell->data, name) : NULL;
	struct df_vars *v = x->vars;

	if (v && value)
		add_var(x->arena, &v->used, &v->n_used, &v->cap_used, name, offset);
	else if (v)
		add_var(x->arena, &v->undefined, &v->n_undefined, &v->cap_undefined, name, offset);
	return value;
}

/* Letters beyond ASCII are what is neither punctuation, symbol, mark nor private: the blocks that
 * appear beside variables in real text. */
static bool is_wide_letter(const char *p, size_t n)
{
	unsigned char a = (unsigned char)p[0], b = n > 1 ? (unsigned char)p[1] : 0;
	unsigned char c = n > 2 ? (unsigned char)p[2] : 0;

	if (n == 1)
		return false;
	if (n == 2)
		return a == 0xc3 ? b != 0x97 && b != 0xb7
				 : a > 0xc3 && !(a == 0xcc || (a == 0xcd && b < 0xb0));
	if (n == 3)
		return a != 0xee && a != 0xef ? a != 0xe2 && !(a == 0xe3 && b == 0x80 && c < 0xa1)
					      : a == 0xef && b == 0xbd;
	return !(a == 0xf0 && b == 0x9f);
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* Reads a variable's name: a special parameter, digits only, or letters, digits and _; "" if there
 * is none. */
static const char *scan_name(struct expander *x)
{
	size_t start = x->at, n;
	int c = peek(x);

	if (is_digit(c)) {
		while (is_digit(peek(x)))
			x->at++;
		return arena_strndup(x->arena, x->p + start, x->at - start);
	}
	if (c > 0 && strchr("@*#?-$!", c)) {
		x->at++;
		return arena_strndup(x->arena, x->p + start, 1);
	}
	while (!at_end(x)) {
		c = peek(x);
		n = df_rune(x->p + x->at, x->n - x->at);
		if (n == 1 && !is_digit(c) && c != '_' && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
			break;
		if (n > 1 && !is_wide_letter(x->p + x->at, n))
			break;
		x->at += n;
	}
	return arena_strndup(x->arena, x->p + start, x->at - start);
}

static int bad_modifier(struct error **err, const char *modifier)
{
	return error_new(err, ERR_INVALID, 0, "unsupported modifier (%s) in substitution",
			 modifier);
}

static size_t *steps_left(const struct expander *x)
{
	return x->shell->budget ? &x->shell->budget->steps : NULL;
}

/* What is left of `value` after the operators # ## % %%. */
static int strip(struct expander *x, const char *word, const char *value, bool suffix,
		 struct buf *out, struct error **err)
{
	bool longest = word[0] == (suffix ? '%' : '#');
	struct error *why = NULL;
	int r;

	r = df_pattern_strip(word + (longest ? 1 : 0), value, suffix, longest, steps_left(x), out,
			     &why);
	if (r < 0)
		error_new(err, ERR_INVALID, 0, "invalid pattern (%s) in substitution: %s",
			  arena_strdup(x->arena, word), error_text(why));
	error_free(why);
	return r;
}

/* Applies ${name<op>word}; `op` is one of -+?#% and `modifier` its spelling for messages. */
static int apply(struct expander *x, const char *name, const char *modifier, const char *word,
		 const char *value, struct buf *out, struct error **err)
{
	bool null_is_unset = modifier[0] == ':';
	char op = modifier[null_is_unset ? 1 : 0];
	bool unset = !value || (null_is_unset && !*value);

	switch (op) {
	case '-':
		buf_adds(out, unset ? word : value);
		return 0;
	case '+':
		buf_adds(out, unset ? "" : word);
		return 0;
	case '?':
		if (unset)
			return error_new(err, ERR_INVALID, 0, "%s: %s", name,
					 *word	  ? word
					 : !value ? "is not allowed to be unset"
						  : "is not allowed to be empty");
		buf_adds(out, value);
		return 0;
	default:
		return strip(x, word, value ? value : "", op == '%', out, err);
	}
}

/* ${name/pattern/replacement}, after the first slash. */
static int expand_replace(struct expander *x, const char *name, size_t offset, struct buf *out,
			  struct error **err)
{
	_cleanup_buf_ struct buf pattern = BUF_INIT_MAX(DF_SHELL_RESULT_MAX);
	_cleanup_buf_ struct buf with = BUF_INIT_MAX(DF_SHELL_RESULT_MAX);
	struct error *why = NULL;
	const char *value;
	bool all;
	int r;

	all = peek(x) == '/';
	if (all)
		x->at++;
	r = expand_until(x, '/', &pattern, NULL, err);
	if (r < 0)
		return r;
	r = expand_until(x, '}', &with, NULL, err);
	if (r < 0)
		return r;
	value = lookup(x, name, offset);
	if (!value && x->shell->skip_unset) {
		buf_addf(out, "${%s/%s%s/%s}", name, all ? "/" : "", pattern.p, with.p);
		return 0;
	}
	r = df_pattern_replace(pattern.p, with.p, value ? value : "", all, steps_left(x), out,
			       &why);
	if (r < 0)
		error_new(err, ERR_INVALID, 0, "invalid pattern (%s) in substitution: %s",
			  pattern.p, error_text(why));
	error_free(why);
	return r;
}

/* Where words are split, BuildKit loses what stands before a substitution with a modifier in the
 * same word: "EXPOSE 80${x:-80}" is port 80. */
static void lose_word(struct expander *x)
{
	if (x->words)
		buf_clear(&x->words->word);
}

/* ${name<modifier>word}, at the modifier. */
static int expand_modified(struct expander *x, const char *name, size_t offset, struct buf *out,
			   struct error **err)
{
	_cleanup_buf_ struct buf word = BUF_INIT_MAX(DF_SHELL_RESULT_MAX);
	bool saved = x->raw_escapes, colon = peek(x) == ':';
	size_t start = x->at;
	const char *modifier, *value;
	int op, r;

	if (colon)
		x->at++;
	if (at_end(x))
		return error_new(err, ERR_INVALID, 0, "syntax error: missing '}'");
	op = peek(x);
	x->at += df_rune(x->p + x->at, x->n - x->at);
	modifier = arena_strndup(x->arena, x->p + start, x->at - start);
	if (op == '/' && !colon) {
		x->raw_escapes = true;
		lose_word(x);
		r = expand_replace(x, name, offset, out, err);
		x->raw_escapes = saved;
		return r;
	}
	if (!strchr("+-?#%", op) || (colon && (op == '#' || op == '%')))
		return bad_modifier(err, modifier);
	lose_word(x);
	x->raw_escapes = op == '#' || op == '%';
	r = expand_until(x, '}', &word, NULL, err);
	x->raw_escapes = saved;
	if (r < 0)
		return r;
	value = lookup(x, name, offset);
	if (!value && x->shell->skip_unset) {
		buf_addf(out, "${%s%s%s}", name, modifier, word.p);
		return 0;
	}
	return apply(x, name, modifier, word.p, value, out, err);
}

static int expand_braces(struct expander *x, size_t offset, struct buf *out, struct error **err)
{
	const char *name, *value;
	int r;

	switch (peek(x)) {
	case -1:
		return error_new(err, ERR_INVALID, 0, "syntax error: missing '}'");
	case '{':
	case '}':
	case ':':
		return error_new(err, ERR_INVALID, 0, "syntax error: bad substitution");
	default:
		break;
	}
	name = scan_name(x);
	if (at_end(x))
		return error_new(err, ERR_INVALID, 0, "syntax error: missing '}'");
	if (peek(x) == '}') {
		x->at++;
		value = lookup(x, name, offset);
		if (!value && x->shell->skip_unset)
			buf_addf(out, "${%s}", name);
		else
			buf_adds(out, value ? value : "");
		return 0;
	}
	if (++x->depth > DF_SHELL_DEPTH_MAX)
		return error_new(err, ERR_INVALID, 0,
				 "substitutions are nested deeper than %d levels",
				 DF_SHELL_DEPTH_MAX);
	r = expand_modified(x, name, offset, out, err);
	x->depth--;
	return r;
}

/* At a '$'. */
static int expand_dollar(struct expander *x, struct buf *out, struct error **err)
{
	size_t offset = x->at++;
	const char *name, *value;

	if (peek(x) == '{') {
		x->at++;
		return expand_braces(x, offset, out, err);
	}
	name = scan_name(x);
	if (!*name) {
		buf_addc(out, '$');
		return 0;
	}
	value = lookup(x, name, offset);
	if (!value && x->shell->skip_unset)
		buf_addf(out, "$%s", name);
	else
		buf_adds(out, value ? value : "");
	return 0;
}

/* At a quote: everything up to the next one is literal. */
static int expand_single_quotes(struct expander *x, struct buf *out, struct error **err)
{
	size_t start = x->at + 1;
	const char *end = memchr(x->p + start, '\'', x->n - start);
	bool raw = x->shell->raw_quotes;

	if (!end)
		return error_new(
			err, ERR_INVALID, 0,
			"unexpected end of statement while looking for matching single-quote");
	x->at = (size_t)(end - x->p) + 1;
	buf_add(out, x->p + start - raw, x->at - start - 1 + 2 * (size_t)raw);
	return 0;
}

/* In double quotes, at the escape character: it escapes only ", $ and itself. */
static void expand_quoted_escape(struct expander *x, struct buf *out)
{
	char escape = x->shell->escape;
	int next;

	x->at++;
	if (x->raw_escapes)
		buf_addc(out, escape);
	next = peek(x);
	if (next == '"' || next == '$' || next == escape)
		buf_addc(out, x->p[x->at++]);
	else if (next != -1)
		buf_addc(out, escape);
}

static int expand_double_quotes(struct expander *x, struct buf *out, struct error **err)
{
	int c, r;

	x->at++;
	if (x->shell->raw_quotes)
		buf_addc(out, '"');
	for (;;) {
		c = peek(x);
		if (c == -1)
			return error_new(err, ERR_INVALID, 0,
					 "unexpected end of statement while looking for matching "
					 "double-quote");
		if (c == '"')
			break;
		if (c == '$') {
			r = expand_dollar(x, out, err);
			if (r < 0)
				return r;
		} else if (c == x->shell->escape) {
			expand_quoted_escape(x, out);
		} else {
			copy_rune(x, out);
		}
	}
	x->at++;
	if (x->shell->raw_quotes)
		buf_addc(out, '"');
	return 0;
}

/* Outside quotes, at the escape character: the next character loses its meaning. */
static void expand_escape(struct expander *x, struct buf *out, struct words *w)
{
	size_t start = x->at++;

	if (!x->raw_escapes)
		start = x->at;
	if (!at_end(x))
		x->at += df_rune(x->p + x->at, x->n - x->at);
	buf_add(out, x->p + start, x->at - start);
	if (x->at > start)
		words_add_raw(x, w, x->p + start, x->at - start);
}

/* At '<': the blanks after << belong to the heredoc's word. */
static void expand_angle(struct expander *x, struct buf *out, struct words *w)
{
	size_t start = x->at++;

	if (peek(x) == '<') {
		x->at++;
		while (peek(x) == ' ' || peek(x) == '\t' || peek(x) == '\r')
			x->at++;
	}
	buf_add(out, x->p + start, x->at - start);
	words_add_raw(x, w, x->p + start, x->at - start);
}

static int expand_one(struct expander *x, struct buf *out, struct words *w, struct error **err)
{
	size_t before = out->n, start = x->at;
	bool quotes = !x->shell->plain_quotes;
	int c = peek(x), r = 0;

	if (c == x->shell->escape) {
		expand_escape(x, out, w);
	} else if (c == '<') {
		expand_angle(x, out, w);
	} else if (c == '$') {
		r = expand_dollar(x, out, err);
		words_add(x, w, out->p + before, out->n - before);
	} else if (quotes && (c == '\'' || c == '"')) {
		r = c == '"' ? expand_double_quotes(x, out, err)
			     : expand_single_quotes(x, out, err);
		words_add_raw(x, w, out->p + before, out->n - before);
	} else {
		copy_rune(x, out);
		words_add(x, w, x->p + start, x->at - start);
	}
	return r;
}

/* How many bytes from the position on stand for nothing but themselves. All others are ASCII, so it
 * ends between characters. */
static size_t plain_run(const struct expander *x, int stop)
{
	size_t at = x->at;

	for (; at < x->n; at++) {
		char c = x->p[at];

		if (c == '$' || c == '<' || c == '\'' || c == '"' || c == x->shell->escape ||
		    c == stop)
			break;
	}
	return at - x->at;
}

/* Expands up to the character `stop`, which is consumed, or to the end. */
static int expand_until(struct expander *x, int stop, struct buf *out, struct words *w,
			struct error **err)
{
	size_t plain;
	int r;

	while (!at_end(x)) {
		if (peek(x) == stop) {
			x->at++;
			return 0;
		}
		/* Text that is split into words is looked at character by character. */
		plain = w ? 0 : plain_run(x, stop);
		buf_add(out, x->p + x->at, plain);
		x->at += plain;
		r = plain > 0 ? 0 : expand_one(x, out, w, err);
		if (r < 0)
			return r;
		if (out->full || (w && w->word.full))
			return error_new(err, ERR_INVALID, 0, "the result is larger than %d bytes",
					 DF_SHELL_RESULT_MAX);
	}
	if (stop == '/')
		return error_new(err, ERR_INVALID, 0, "syntax error: missing '/' in ${}");
	if (stop != STOP_NONE)
		return error_new(err, ERR_INVALID, 0, "syntax error: missing '}'");
	return 0;
}

/* The text with U+FFFD for every byte that is no UTF-8, as Go reads it. */
static const char *sanitise(struct arena *a, const char *text, size_t *ret_n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t n = strlen(text), step, good = 0;

	for (size_t i = 0; i < n; i += step) {
		step = (unsigned char)text[i] < 0x80 ? 1 : df_rune(text + i, n - i);
		if (step > 1 || (unsigned char)text[i] < 0x80)
			continue;
		buf_add(&b, text + good, i - good);
		buf_adds(&b, "\xef\xbf\xbd");
		good = i + 1;
	}
	if (good == 0) {
		*ret_n = n;
		return text;
	}
	buf_add(&b, text + good, n - good);
	*ret_n = b.n;
	return arena_strndup(a, b.p, b.n);
}

static int expand(const struct df_shell *s, struct arena *a, const char *word, struct df_vars *vars,
		  struct buf *out, struct words *w, struct error **err)
{
	enum { SHOWN_MAX = 200 };
	struct expander x = {
		.shell = s,
		.arena = a,
		.vars = vars,
		.words = w,
		.raw_escapes = s->raw_escapes,
	};
	const char *shown;
	int r;

	x.p = sanitise(a, word, &x.n);
	r = expand_until(&x, STOP_NONE, out, w, err);
	if (r >= 0 && w)
		words_end(&x, w);
	if (r >= 0 && s->budget && s->budget->bytes < out->n)
		r = error_new(err, ERR_INVALID, 0,
			      "the values of all instructions are too large altogether");
	else if (r >= 0 && s->budget)
		s->budget->bytes -= out->n;
	if (r < 0) {
		shown = x.n > SHOWN_MAX ? arena_printf(a, "%.*s...", SHOWN_MAX, word) : word;
		return error_wrap(err, r, "failed to process %s", df_quote(a, shown));
	}
	return 0;
}

int df_expand(const struct df_shell *s, struct arena *a, const char *word, struct df_vars *vars,
	      const char **ret, struct error **err)
{
	_cleanup_buf_ struct buf out = BUF_INIT_MAX(DF_SHELL_RESULT_MAX);
	int r;

	r = expand(s, a, word, vars, &out, NULL, err);
	if (r < 0)
		return r;
	*ret = arena_strndup(a, out.p, out.n);
	return 0;
}

int df_expand_words(const struct df_shell *s, struct arena *a, const char *word,
		    struct df_vars *vars, struct df_strings *ret, struct error **err)
{
	_cleanup_buf_ struct buf out = BUF_INIT_MAX(DF_SHELL_RESULT_MAX);
	struct words w = {.word = BUF_INIT_MAX(DF_SHELL_RESULT_MAX)};
	int r;

	r = expand(s, a, word, vars, &out, &w, err);
	buf_release(&w.word);
	if (r < 0)
		return r;
	*ret = w.list;
	return 0;
}

int df_expand_heredoc(const struct df_shell *s, struct arena *a, const char *body,
		      struct df_vars *vars, const char **ret, struct error **err)
{
	struct df_shell plain = *s;

	plain.escape = '\\';
	plain.plain_quotes = true;
	return df_expand(&plain, a, body, vars, ret, err);
}
