/* SPDX-License-Identifier: Apache-2.0 */
/* ${NAME} and its forms, and files of variables. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/compose/compose.h"

enum { SUBSTITUTE_DEPTH = 50 };

struct substitution {
	struct arena *arena;
	const struct strv *environment;
	struct error **err;
	unsigned depth;
};

static size_t name_length(const char *s)
{
	size_t n = 0;

	if (!isalpha((unsigned char)*s) && *s != '_')
		return 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return n;
}

static const char *substitute(struct substitution *s, const char *text);

static const char *invalid(struct substitution *s, const char *text)
{
	(void)error_new(s->err, ERR_INVALID, 0,
			"\"%s\" is not a variable that can be put in; $$ stands for a dollar",
			text);
	return NULL;
}

/* The end of what "${" opens; NULL if it has none. */
static const char *find_close(const char *p)
{
	unsigned open = 1;

	for (; *p; p++) {
		if (p[0] == '$' && p[1] == '{') {
			open++;
			p++;
		} else if (*p == '}' && --open == 0) {
			return p;
		}
	}
	return NULL;
}

/* :- - :? ? :+ + */
static const char *apply(struct substitution *s, const char *name, const char *op,
			 const char *value)
{
	bool colon = *op == ':', unset = !value || (colon && !*value);
	const char *word = op + colon + 1;

	switch (op[colon]) {
	case '-':
		return unset ? substitute(s, word) : value;
	case '+':
		return unset ? "" : substitute(s, word);
	case '?':
		if (!unset)
			return value;
		word = substitute(s, word);
		if (word)
			(void)error_new(s->err, ERR_INVALID, 0,
					"the variable \"%s\" is required%s%s", name,
					*word ? ": " : "", word);
		return NULL;
	default:
		return invalid(s, op);
	}
}

static const char *braced(struct substitution *s, const char *inner)
{
	size_t n = name_length(inner);
	const char *name = arena_strndup(s->arena, inner, n), *value, *op = inner + n;

	if (n == 0 || (*op && !strchr(":-?+", *op)))
		return invalid(s, arena_printf(s->arena, "${%s}", inner));
	value = env_get(s->environment, name);
	if (!*op)
		return value ? value : "";
	return apply(s, name, op, value);
}

static const char *substitute(struct substitution *s, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(BAKE_FILE_MAX);

	if (++s->depth > SUBSTITUTE_DEPTH)
		return invalid(s, text);
	for (const char *p = text; *p;) {
		const char *close, *value;
		size_t n;

		if (*p != '$') {
			buf_addc(&b, *p++);
			continue;
		}
		if (p[1] == '$') {
			buf_addc(&b, '$');
			p += 2;
			continue;
		}
		if (p[1] == '{') {
			close = find_close(p + 2);
			if (!close)
				return invalid(s, p);
			value = braced(s, arena_strndup(s->arena, p + 2, (size_t)(close - p - 2)));
			if (!value)
				return NULL;
			buf_adds(&b, value);
			p = close + 1;
			continue;
		}
		n = name_length(p + 1);
		if (n == 0)
			return invalid(s, p);
		value = env_get(s->environment, arena_strndup(s->arena, p + 1, n));
		buf_adds(&b, value ? value : "");
		p += n + 1;
	}
	s->depth--;
	return arena_strndup(s->arena, b.p, b.n);
}

const char *compose_substitute(struct arena *a, const char *text, const struct strv *environment,
			       struct error **err)
{
	struct substitution s = {.arena = a, .environment = environment, .err = err};

	return strchr(text, '$') ? substitute(&s, text) : text;
}

const struct bake_value *compose_interpolate(struct arena *a, const struct bake_value *v,
					     const char *path, const struct strv *environment,
					     struct error **err)
{
	struct bake_value *copy;
	const char *text;

	if (v->kind == BAKE_STRING) {
		text = compose_substitute(a, v->s, environment, err);
		if (!text)
			(void)error_wrap(err, -ERR_INVALID, "%s", path);
		return !text ? NULL : text == v->s ? v : bake_string(a, text);
	}
	if (!bake_is_mapping(v) && !bake_is_sequence(v))
		return v;
	/* In place, in a way: a value that is marked !override stays the same. */
	copy = (struct bake_value *)(uintptr_t)v;
	for (size_t i = 0; i < v->n; i++) {
		const char *at = bake_is_mapping(v) ? arena_printf(a, "%s%s%s", path,
								   *path ? "." : "", v->names[i])
						    : arena_printf(a, "%s[%zu]", path, i);

		copy->v[i] = compose_interpolate(a, v->v[i], at, environment, err);
		if (!copy->v[i])
			return NULL;
	}
	return v;
}

const struct bake_value *compose_escape(struct arena *a, const struct bake_value *v)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct bake_builder b = {.arena = a};

	if (v->kind == BAKE_STRING && strchr(v->s, '$')) {
		for (const char *p = v->s; *p; p++) {
			if (*p == '$')
				buf_addc(&text, '$');
			buf_addc(&text, *p);
		}
		return bake_stringn(a, text.p, text.n);
	}
	if (!bake_is_mapping(v) && !bake_is_sequence(v))
		return v;
	for (size_t i = 0; i < v->n; i++) {
		if (bake_is_mapping(v))
			bake_put(&b, v->names[i], compose_escape(a, v->v[i]));
		else
			bake_push(&b, compose_escape(a, v->v[i]));
	}
	return bake_is_mapping(v) ? bake_mapping(&b, BAKE_MAP) : bake_sequence(&b, BAKE_LIST);
}

/* --- files of variables --- */

struct env_reader {
	const char *file, *p;
	unsigned line;
	struct arena arena;
	struct strv *ret;
	struct strv known;
	struct error **err;
};

static int env_fail(struct env_reader *r, const char *what)
{
	return error_new(r->err, ERR_INVALID, 0, "%s:%u: %s", r->file, r->line, what);
}

/* 'as it is', "with $VARIABLES and escapes" */
static int quoted_value(struct env_reader *r, struct buf *b, bool *literal)
{
	char quote = *r->p++;

	*literal = quote == '\'';
	for (; *r->p && *r->p != quote; r->p++) {
		if (*r->p == '\n')
			r->line++;
		if (quote == '"' && *r->p == '\\' && r->p[1]) {
			r->p++;
			buf_addc(b, *r->p == 'n'   ? '\n'
				    : *r->p == 'r' ? '\r'
				    : *r->p == 't' ? '\t'
						   : *r->p);
			continue;
		}
		buf_addc(b, *r->p);
	}
	if (!*r->p)
		return env_fail(r, "a quote is not closed");
	r->p++;
	r->p += strcspn(r->p, "\n");
	return 0;
}

static void bare_value(struct env_reader *r, struct buf *b)
{
	size_t n = strcspn(r->p, "\n");

	/* " #" begins a comment. */
	for (size_t i = 0; i < n; i++)
		if (r->p[i] == '#' && (i == 0 || r->p[i - 1] == ' ' || r->p[i - 1] == '\t'))
			n = i;
	buf_add(b, r->p, n);
	while (b->n > 0 && strchr(" \t\r", b->p[b->n - 1]))
		buf_truncate(b, b->n - 1);
	r->p += strcspn(r->p, "\n");
}

static int read_line(struct env_reader *r)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *name = NULL;
	bool literal = false;
	const char *value;
	size_t n;
	int status = 0;

	if (strncmp(r->p, "export ", 7) == 0)
		r->p += 7;
	r->p += strspn(r->p, " \t");
	n = strcspn(r->p, "=:\n \t\r");
	name = xstrndup(r->p, n);
	r->p += n;
	r->p += strspn(r->p, " \t\r");
	if (!*name)
		return env_fail(r, "a name is missing before \"=\"");
	if (*r->p != '=' && *r->p != ':') {
		/* NAME alone: its value comes from around. */
		value = env_get(&r->known, name);
		r->p += strcspn(r->p, "\n");
		if (value)
			env_set(r->ret, name, value);
		return 0;
	}
	r->p++;
	r->p += strspn(r->p, " \t");
	if (*r->p == '"' || *r->p == '\'')
		status = quoted_value(r, &b, &literal);
	else
		bare_value(r, &b);
	if (status < 0)
		return status;
	value = literal ? b.p : compose_substitute(&r->arena, b.p, &r->known, r->err);
	if (!value)
		return error_wrap(r->err, -ERR_INVALID, "%s:%u", r->file, r->line);
	env_set(r->ret, name, value);
	if (!env_get(&r->known, name))
		env_set(&r->known, name, value);
	return 0;
}

int compose_env_parse(const char *file, const char *text, const struct strv *lookup,
		      struct strv *ret, struct error **err)
{
	struct env_reader r = {.file = file, .p = text, .line = 1, .ret = ret, .err = err};
	int status = 0;

	strv_copy(&r.known, lookup);
	if (strncmp(r.p, "\xef\xbb\xbf", 3) == 0)
		r.p += 3;
	while (*r.p && status == 0) {
		r.p += strspn(r.p, " \t\r");
		if (*r.p == '#')
			r.p += strcspn(r.p, "\n");
		else if (*r.p && *r.p != '\n')
			status = read_line(&r);
		if (*r.p == '\n') {
			r.p++;
			r.line++;
		}
	}
	strv_release(&r.known);
	arena_release(&r.arena);
	return status;
}
