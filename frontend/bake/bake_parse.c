/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of HCL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/bake/bake_parser.h"

int bake_error(struct error **err, const struct bake_place *at, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = error_vnew(err, ERR_INVALID, 0, fmt, ap);
	va_end(ap);
	return error_at(err, r, at->file->name, at->span);
}

struct bake_place bake_parser_place(const struct bake_parser *p)
{
	return (struct bake_place){
		.file = p->file,
		.span = {.line = p->line,
			 .end_line = p->line,
			 .column = (unsigned)(p->p - p->line_start) + 1},
	};
}

int bake_parser_fail(struct bake_parser *p, const char *fmt, ...)
{
	struct bake_place at = bake_parser_place(p);
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = error_vnew(p->err, ERR_INVALID, 0, fmt, ap);
	va_end(ap);
	return error_at(p->err, r, at.file->name, at.span);
}

struct bake_expr *bake_expr_new(struct bake_parser *p, enum bake_expr_kind kind)
{
	struct bake_expr *e = ARENA_NEW(p->arena, struct bake_expr);

	e->kind = kind;
	e->at = bake_parser_place(p);
	return e;
}

void bake_exprs_push(struct bake_parser *p, struct bake_exprs *list, struct bake_expr *e)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 8;
		struct bake_expr **v = arena_alloc(p->arena, cap * sizeof(*v));

		if (list->n > 0)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = e;
}

int bake_parser_enter(struct bake_parser *p)
{
	if (++p->depth > BAKE_PARSE_DEPTH)
		return bake_parser_fail(p, "it is nested deeper than %d levels", BAKE_PARSE_DEPTH);
	if (p->arena->total > BAKE_MEMORY_MAX)
		return bake_parser_fail(p, "the file takes more than %d MiB of memory",
					BAKE_MEMORY_MAX >> 20);
	return 0;
}

/* --- blanks, names --- */

void bake_parser_step(struct bake_parser *p)
{
	if (*p->p == '\n' && !p->fixed_line) {
		p->line++;
		p->line_start = p->p + 1;
	}
	p->p++;
}

bool bake_parser_starts(const struct bake_parser *p, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(p->end - p->p) >= n && memcmp(p->p, text, n) == 0;
}

static int skip_comment(struct bake_parser *p)
{
	p->p += 2;
	while (p->p < p->end && !bake_parser_starts(p, "*/"))
		bake_parser_step(p);
	if (p->p == p->end)
		return bake_parser_fail(p, "a comment is not closed");
	p->p += 2;
	return 0;
}

int bake_parser_skip(struct bake_parser *p)
{
	int r = 0;

	while (p->p < p->end && r == 0) {
		if (*p->p == ' ' || *p->p == '\t' || *p->p == '\r' ||
		    (*p->p == '\n' && p->open > 0))
			bake_parser_step(p);
		else if (*p->p == '#' || bake_parser_starts(p, "//"))
			while (p->p < p->end && *p->p != '\n')
				p->p++;
		else if (bake_parser_starts(p, "/*"))
			r = skip_comment(p);
		else
			break;
	}
	return r;
}

int bake_parser_skip_lines(struct bake_parser *p)
{
	unsigned open = p->open;
	int r;

	p->open = 1;
	r = bake_parser_skip(p);
	p->open = open;
	return r;
}

int bake_parser_take(struct bake_parser *p, const char *text, bool *ret)
{
	int r = bake_parser_skip(p);

	*ret = r == 0 && bake_parser_starts(p, text);
	if (*ret)
		p->p += strlen(text);
	return r;
}

int bake_parser_expect(struct bake_parser *p, const char *text)
{
	bool taken;
	int r = bake_parser_take(p, text, &taken);

	if (r < 0 || taken)
		return r;
	if (p->p == p->end)
		return bake_parser_fail(p, "\"%s\" is missing at the end", text);
	if (*p->p == '\n')
		return bake_parser_fail(p, "\"%s\" is missing at the end of the line", text);
	return bake_parser_fail(
		p, "expected \"%s\" before \"%.*s\"", text,
		(int)strcspn(p->p, " \t\r\n") > 20 ? 20 : (int)strcspn(p->p, " \t\r\n"), p->p);
}

static bool starts_name(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

const char *bake_parser_name(struct bake_parser *p)
{
	const char *start = p->p;

	if (p->p == p->end || !starts_name((unsigned char)*p->p))
		return NULL;
	while (p->p < p->end && (starts_name((unsigned char)*p->p) || *p->p == '-' ||
				 (*p->p >= '0' && *p->p <= '9')))
		p->p++;
	return arena_strndup(p->arena, start, (size_t)(p->p - start));
}

/* --- terms --- */

static int parse_number(struct bake_parser *p, struct bake_expr **ret)
{
	struct bake_expr *e = bake_expr_new(p, EXPR_LITERAL);
	const char *start = p->p;

	while (p->p < p->end && *p->p >= '0' && *p->p <= '9')
		p->p++;
	if (p->end - p->p >= 2 && *p->p == '.' && p->p[1] >= '0' && p->p[1] <= '9')
		for (p->p++; p->p < p->end && *p->p >= '0' && *p->p <= '9';)
			p->p++;
	if (p->p < p->end && (*p->p == 'e' || *p->p == 'E')) {
		p->p++;
		if (p->p < p->end && (*p->p == '+' || *p->p == '-'))
			p->p++;
		while (p->p < p->end && *p->p >= '0' && *p->p <= '9')
			p->p++;
	}
	e->value = bake_number(p->arena, arena_strndup(p->arena, start, (size_t)(p->p - start)));
	if (!e->value)
		return bake_parser_fail(p, "\"%.*s\" is not a number that can be used",
					p->p - start > 40 ? 40 : (int)(p->p - start), start);
	*ret = e;
	return 0;
}

/* ARG, ARG..., up to the bracket. A last argument may be spread by "...". */
static int parse_list(struct bake_parser *p, const char *close, struct bake_expr *e)
{
	struct bake_exprs list = {0};
	bool taken = false;
	int r;

	p->open++;
	r = bake_parser_take(p, close, &taken);
	while (r == 0 && !taken) {
		struct bake_expr *arg;

		r = bake_parser_expr(p, &arg);
		if (r < 0)
			break;
		bake_exprs_push(p, &list, arg);
		if (e->kind == EXPR_CALL)
			r = bake_parser_take(p, "...", &e->spread);
		if (r == 0)
			r = bake_parser_take(p, close, &taken);
		if (r == 0 && !taken)
			r = e->spread ? bake_parser_expect(p, close) : bake_parser_expect(p, ",");
		if (r == 0 && !taken && !e->spread)
			r = bake_parser_take(p, close, &taken);
		taken = taken || e->spread;
	}
	p->open--;
	e->args = list.v;
	e->n_args = list.n;
	return r;
}

/* Is the word next, and no longer name? */
static bool at_word(const struct bake_parser *p, const char *word)
{
	size_t n = strlen(word);

	return bake_parser_starts(p, word) &&
	       ((size_t)(p->end - p->p) == n ||
		(!starts_name((unsigned char)p->p[n]) && p->p[n] != '-' &&
		 !(p->p[n] >= '0' && p->p[n] <= '9')));
}

static int expect_word(struct bake_parser *p, const char *word)
{
	int r = bake_parser_skip(p);

	if (r == 0 && !at_word(p, word))
		r = bake_parser_fail(p, "\"%s\" is missing in a for expression", word);
	if (r == 0)
		p->p += strlen(word);
	return r;
}

static int parse_loop_names(struct bake_parser *p, struct bake_for *loop)
{
	bool comma = false;
	int r = bake_parser_skip(p);

	if (r == 0 && !(loop->item = bake_parser_name(p)))
		r = bake_parser_fail(p, "a for expression needs a name");
	if (r == 0)
		r = bake_parser_take(p, ",", &comma);
	if (r == 0 && comma) {
		loop->key = loop->item;
		r = bake_parser_skip(p);
		if (r == 0 && !(loop->item = bake_parser_name(p)))
			r = bake_parser_fail(p, "a for expression needs a name behind the comma");
	}
	if (r == 0)
		r = expect_word(p, "in");
	return r == 0 ? bake_parser_expr(p, &loop->in) : r;
}

/* [for x in xs : value if condition], and { ... : key => value... if condition } */
static int parse_for(struct bake_parser *p, bool object, struct bake_expr **ret)
{
	struct bake_expr *e = bake_expr_new(p, EXPR_FOR);
	struct bake_for *loop = ARENA_NEW(p->arena, struct bake_for);
	int r;

	e->loop = loop;
	p->p += strlen("for");
	r = parse_loop_names(p, loop);
	if (r == 0)
		r = bake_parser_expect(p, ":");
	if (r == 0)
		r = bake_parser_expr(p, object ? &loop->new_key : &loop->value);
	if (r == 0 && object)
		r = bake_parser_expect(p, "=>");
	if (r == 0 && object)
		r = bake_parser_expr(p, &loop->value);
	if (r == 0 && object)
		r = bake_parser_take(p, "...", &loop->group);
	if (r == 0)
		r = bake_parser_skip(p);
	if (r == 0 && at_word(p, "if")) {
		p->p += 2;
		r = bake_parser_expr(p, &loop->condition);
	}
	if (r == 0)
		r = bake_parser_expect(p, object ? "}" : "]");
	*ret = e;
	return r;
}

static int parse_tuple(struct bake_parser *p, struct bake_expr **ret)
{
	struct bake_expr *e = bake_expr_new(p, EXPR_TUPLE);
	int r;

	p->p++;
	p->open++;
	r = bake_parser_skip(p);
	if (r == 0 && at_word(p, "for"))
		r = parse_for(p, false, &e);
	else if (r == 0)
		r = parse_list(p, "]", e);
	p->open--;
	*ret = e;
	return r;
}

static int parse_item(struct bake_parser *p, struct bake_exprs *list)
{
	struct bake_expr *key, *value;
	bool colon = false;
	int r = bake_parser_expr(p, &key);

	if (r == 0)
		r = bake_parser_take(p, ":", &colon);
	if (r == 0 && !colon)
		r = bake_parser_expect(p, "=");
	if (r == 0)
		r = bake_parser_expr(p, &value);
	if (r < 0)
		return r;
	/* A plain name is meant as it is. */
	if (key->kind == EXPR_NAME && !key->paren) {
		key->kind = EXPR_LITERAL;
		key->value = bake_string(p->arena, key->text);
	} else if (key->kind == EXPR_LITERAL && key->text && !key->paren) {
		key->value = bake_string(p->arena, key->text); /* true, false, null */
	}
	bake_exprs_push(p, list, key);
	bake_exprs_push(p, list, value);
	return 0;
}

static int parse_items(struct bake_parser *p, struct bake_expr *e)
{
	struct bake_exprs list = {0};
	bool done = false;
	int r = 0;

	while (r == 0) {
		bool comma = false;

		r = bake_parser_skip_lines(p);
		if (r == 0)
			r = bake_parser_take(p, "}", &done);
		if (r < 0 || done)
			break;
		r = parse_item(p, &list);
		if (r == 0)
			r = bake_parser_take(p, ",", &comma);
		if (r == 0 && !comma && p->p < p->end && *p->p != '\n')
			r = bake_parser_take(p, "}", &done);
		if (r < 0 || done)
			break;
		if (!comma && (p->p == p->end || *p->p != '\n'))
			r = bake_parser_fail(
				p, "items of an object are separated by commas or line ends");
	}
	e->args = list.v;
	e->n_args = list.n;
	return r;
}

static int parse_object(struct bake_parser *p, struct bake_expr **ret)
{
	struct bake_expr *e = bake_expr_new(p, EXPR_OBJECT);
	unsigned open = p->open;
	int r;

	p->p++;
	r = bake_parser_skip_lines(p);
	if (r == 0 && at_word(p, "for")) {
		p->open = 1;
		r = parse_for(p, true, &e);
	} else if (r == 0) {
		p->open = 0;
		r = parse_items(p, e);
	}
	p->open = open;
	*ret = e;
	return r;
}

static int parse_paren(struct bake_parser *p, struct bake_expr **ret)
{
	int r;

	p->p++;
	p->open++;
	r = bake_parser_expr(p, ret);
	if (r == 0)
		r = bake_parser_expect(p, ")");
	p->open--;
	if (r == 0)
		(*ret)->paren = true;
	return r;
}

static int parse_word(struct bake_parser *p, struct bake_expr **ret)
{
	struct bake_expr *e = bake_expr_new(p, EXPR_NAME);
	bool call = false;
	int r;

	e->text = bake_parser_name(p);
	while (bake_parser_starts(p, "::")) {
		const char *rest;

		p->p += 2;
		rest = bake_parser_name(p);
		if (!rest)
			return bake_parser_fail(p, "a name is missing behind \"::\"");
		e->text = arena_printf(p->arena, "%s::%s", e->text, rest);
	}
	*ret = e;
	r = bake_parser_take(p, "(", &call);
	if (r < 0)
		return r;
	if (call) {
		e->kind = EXPR_CALL;
		return parse_list(p, ")", e);
	}
	if (strcmp(e->text, "true") == 0 || strcmp(e->text, "false") == 0) {
		e->kind = EXPR_LITERAL;
		e->value = bake_bool(*e->text == 't');
	} else if (strcmp(e->text, "null") == 0) {
		e->kind = EXPR_LITERAL;
		e->value = bake_null();
	}
	return 0;
}

static int parse_term(struct bake_parser *p, struct bake_expr **ret)
{
	int r = bake_parser_skip(p);

	if (r < 0)
		return r;
	if (p->p == p->end || *p->p == '\n')
		return bake_parser_fail(p, "a value is missing");
	switch (*p->p) {
	case '(':
		return parse_paren(p, ret);
	case '[':
		return parse_tuple(p, ret);
	case '{':
		return parse_object(p, ret);
	case '"':
		return bake_parser_quoted(p, ret);
	default:
		break;
	}
	if (bake_parser_starts(p, "<<"))
		return bake_parser_heredoc(p, ret);
	if (*p->p >= '0' && *p->p <= '9')
		return parse_number(p, ret);
	if (starts_name((unsigned char)*p->p))
		return parse_word(p, ret);
	return bake_parser_fail(p, "\"%.*s\" cannot begin a value",
				(unsigned char)*p->p >= 0x20 ? 1 : 0, p->p);
}

/* --- what follows a term --- */

static struct bake_expr *step(struct bake_parser *p, enum bake_expr_kind kind, struct bake_expr *of)
{
	struct bake_expr *e = bake_expr_new(p, kind);

	e->a = of;
	return e;
}

static int parse_index(struct bake_parser *p, struct bake_expr *of, struct bake_expr **ret)
{
	struct bake_expr *e = step(p, EXPR_INDEX, of);
	int r;

	p->p++;
	p->open++;
	r = bake_parser_expr(p, &e->b);
	if (r == 0)
		r = bake_parser_expect(p, "]");
	p->open--;
	*ret = e;
	return r;
}

/* .name, and .0 as old files have it */
static int parse_member(struct bake_parser *p, struct bake_expr *of, struct bake_expr **ret)
{
	struct bake_expr *e = step(p, EXPR_ATTR, of);
	const char *digits;

	p->p++;
	if (bake_parser_skip(p) < 0)
		return -ERR_INVALID;
	*ret = e;
	e->text = bake_parser_name(p);
	if (e->text)
		return 0;
	digits = p->p;
	while (p->p < p->end && *p->p >= '0' && *p->p <= '9')
		p->p++;
	if (p->p == digits)
		return bake_parser_fail(p, "a name is missing behind \".\"");
	e->kind = EXPR_INDEX;
	e->b = bake_expr_new(p, EXPR_LITERAL);
	e->b->value =
		bake_number(p->arena, arena_strndup(p->arena, digits, (size_t)(p->p - digits)));
	return e->b->value ? 0 : bake_parser_fail(p, "the index is too large");
}

static int parse_steps(struct bake_parser *p, bool members_only, struct bake_expr **e);

/* x.*.name takes members alone along, x[*] all that follows. */
static int parse_splat(struct bake_parser *p, struct bake_expr **e)
{
	struct bake_expr *splat = step(p, EXPR_SPLAT, *e);
	bool members_only = *p->p == '.';
	int r = 0;

	p->p++;
	p->open++;
	r = bake_parser_expect(p, "*");
	if (r == 0 && !members_only)
		r = bake_parser_expect(p, "]");
	p->open--;
	splat->b = bake_expr_new(p, EXPR_EACH);
	if (r == 0)
		r = parse_steps(p, members_only, &splat->b);
	*e = splat;
	return r;
}

static bool at_splat(const struct bake_parser *p)
{
	const char *q = p->p + 1;

	if (*p->p != '.' && *p->p != '[')
		return false;
	while (q < p->end && (*q == ' ' || *q == '\t'))
		q++;
	return q < p->end && *q == '*';
}

static int parse_steps(struct bake_parser *p, bool members_only, struct bake_expr **e)
{
	for (;;) {
		int r = bake_parser_skip(p);

		if (r < 0 || p->p == p->end)
			return r;
		if (at_splat(p) && !members_only)
			r = parse_splat(p, e);
		else if (*p->p == '.' && !bake_parser_starts(p, "..."))
			r = parse_member(p, *e, e);
		else if (*p->p == '[' && !members_only)
			r = parse_index(p, *e, e);
		else
			return 0;
		if (r < 0)
			return r;
	}
}

static int parse_unary(struct bake_parser *p, struct bake_expr **ret)
{
	struct bake_expr *e;
	int r = bake_parser_enter(p);

	if (r == 0)
		r = bake_parser_skip(p);
	if (r < 0)
		return r;
	if (p->p < p->end && (*p->p == '-' || (*p->p == '!' && !bake_parser_starts(p, "!=")))) {
		e = bake_expr_new(p, EXPR_UNARY);
		e->text = *p->p == '-' ? "-" : "!";
		p->p++;
		r = parse_unary(p, &e->a);
		*ret = e;
	} else {
		r = parse_term(p, ret);
		if (r == 0)
			r = parse_steps(p, false, ret);
	}
	p->depth--;
	return r;
}

/* --- operators, the loosest first --- */

static const char *const operators[][5] = {
	{"||"}, {"&&"}, {"==", "!="}, {"<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/", "%"},
};

static const char *at_operator(const struct bake_parser *p, size_t level)
{
	for (size_t i = 0; operators[level][i]; i++)
		if (bake_parser_starts(p, operators[level][i]))
			return operators[level][i];
	return NULL;
}

static int parse_binary(struct bake_parser *p, size_t level, struct bake_expr **ret)
{
	int r = level == ARRAY_SIZE(operators) ? parse_unary(p, ret)
					       : parse_binary(p, level + 1, ret);

	while (r == 0 && level < ARRAY_SIZE(operators)) {
		struct bake_expr *e;
		const char *op;

		r = bake_parser_skip(p);
		op = r == 0 ? at_operator(p, level) : NULL;
		/* "%{" in a template, "=>" of a for expression */
		if (!op || (*op == '%' && bake_parser_starts(p, "%{")))
			break;
		e = step(p, EXPR_BINARY, *ret);
		e->text = op;
		p->p += strlen(op);
		r = parse_binary(p, level + 1, &e->b);
		*ret = e;
	}
	return r;
}

int bake_parser_expr(struct bake_parser *p, struct bake_expr **ret)
{
	bool question = false;
	struct bake_expr *e;
	int r = bake_parser_enter(p);

	if (r == 0)
		r = parse_binary(p, 0, ret);
	if (r == 0)
		r = bake_parser_take(p, "?", &question);
	if (r == 0 && question) {
		e = step(p, EXPR_CONDITION, *ret);
		r = bake_parser_expr(p, &e->b);
		if (r == 0)
			r = bake_parser_expect(p, ":");
		if (r == 0)
			r = bake_parser_expr(p, &e->c);
		*ret = e;
	}
	p->depth--;
	return r;
}

/* --- expressions in other texts --- */

static struct bake_parser parser_of_text(struct arena *a, const struct bake_place *at,
					 const char *text, struct error **err)
{
	return (struct bake_parser){.arena = a,
				    .file = at->file,
				    .p = text,
				    .end = text + strlen(text),
				    .line_start = text,
				    .line = at->span.line,
				    .fixed_line = true,
				    .open = 1,
				    .err = err};
}

int bake_parse_expr(struct arena *a, const struct bake_place *at, const char *text,
		    struct bake_expr **ret, struct error **err)
{
	struct bake_parser p = parser_of_text(a, at, text, err);
	int r = bake_parser_expr(&p, ret);

	if (r == 0)
		r = bake_parser_skip(&p);
	if (r == 0 && p.p != p.end)
		r = bake_parser_fail(&p, "\"%s\" stands behind the end of the expression", p.p);
	return r;
}

int bake_parse_template(struct arena *a, const struct bake_place *at, const char *text,
			struct bake_expr **ret, struct error **err)
{
	struct bake_parser p = parser_of_text(a, at, text, err);

	return bake_parser_bare(&p, ret);
}
