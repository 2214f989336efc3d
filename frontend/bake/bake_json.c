/* SPDX-License-Identifier: Apache-2.0 */
/* Bake files in JSON, with the tree that HCL gives.
 *
 * A reader of its own: jansson does not tell where in the text a value stands, which every message
 * about a target needs, and rounds numbers to doubles. */
#include <stdlib.h>
#include <string.h>

#include "frontend/bake/bake_parser.h"

struct json {
	struct bake_parser p;
	bool plain; /* strings are text, not templates */
};

static int parse_value(struct json *j, struct bake_expr **ret);

static void skip(struct json *j)
{
	while (j->p.p < j->p.end && strchr(" \t\r\n", *j->p.p) && *j->p.p)
		bake_parser_step(&j->p);
}

static int unexpected(struct json *j, const char *wanted)
{
	if (j->p.p == j->p.end)
		return bake_parser_fail(&j->p, "the text ends where %s is expected", wanted);
	return bake_parser_fail(&j->p, "expected %s, not \"%.*s\"", wanted,
				(unsigned char)*j->p.p >= 0x20 && (unsigned char)*j->p.p < 0x80,
				j->p.p);
}

static int hex4(struct json *j, uint32_t *ret)
{
	char digits[5] = "";

	*ret = 0;
	if (j->p.end - j->p.p < 4)
		return unexpected(j, "a character's four digits");
	memcpy(digits, j->p.p, 4);
	if (strspn(digits, "0123456789abcdefABCDEF") != 4)
		return unexpected(j, "a character's four digits");
	for (const char *p = digits; *p; p++)
		*ret = *ret << 4 | (uint32_t)(*p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10);
	j->p.p += 4;
	return 0;
}

static void add_char(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_addc(b, (char)(0xe0 | c >> 12));
		} else {
			buf_addc(b, (char)(0xf0 | c >> 18));
			buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_addc(b, (char)(0x80 | (c & 0x3f)));
}

static int parse_unicode(struct json *j, struct buf *b)
{
	uint32_t c, low;
	int r = hex4(j, &c);

	if (r == 0 && c >= 0xd800 && c < 0xdc00 && bake_parser_starts(&j->p, "\\u")) {
		j->p.p += 2;
		r = hex4(j, &low);
		c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)
						  : 0xfffd;
	}
	if (r == 0 && c == 0)
		return bake_parser_fail(&j->p, "a string holds a NUL");
	if (r == 0)
		add_char(b, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	return r;
}

/* In the arena. */
static int parse_text(struct json *j, const char **ret)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct bake_parser *p = &j->p;
	int r = 0;

	p->p++;
	while (r == 0) {
		const char *escape;

		if (p->p == p->end)
			return bake_parser_fail(p, "a string is not closed");
		if (*p->p == '"')
			break;
		if ((unsigned char)*p->p < 0x20)
			return bake_parser_fail(p, "a string holds a control character");
		if (*p->p != '\\') {
			buf_addc(&b, *p->p++);
			continue;
		}
		if (++p->p == p->end)
			continue;
		escape = strchr(from, *p->p);
		if (*p->p == 'u') {
			p->p++;
			r = parse_unicode(j, &b);
		} else if (escape && *escape) {
			buf_addc(&b, to[escape - from]);
			p->p++;
		} else {
			return unexpected(j, "an escape");
		}
	}
	p->p++;
	*ret = arena_strndup(p->arena, b.p, b.n);
	return r;
}

static int parse_string(struct json *j, struct bake_expr **ret)
{
	struct bake_place at = bake_parser_place(&j->p);
	const char *text = NULL;
	int r = parse_text(j, &text);

	if (r < 0)
		return r;
	if (j->plain) {
		*ret = bake_expr_new(&j->p, EXPR_LITERAL);
		(*ret)->value = bake_string(j->p.arena, text);
	} else {
		r = bake_parse_template(j->p.arena, &at, text, ret, j->p.err);
	}
	if (r == 0)
		(*ret)->text = text;
	return r;
}

static int parse_members(struct json *j, struct bake_expr *e, bool object)
{
	struct bake_exprs list = {0};
	char close = object ? '}' : ']';
	int r = 0;

	j->p.p++;
	skip(j);
	while (r == 0 && (j->p.p == j->p.end || *j->p.p != close)) {
		struct bake_expr *key = NULL, *value;

		if (object && (j->p.p == j->p.end || *j->p.p != '"'))
			return unexpected(j, "a name in double quotes");
		if (object) {
			r = parse_string(j, &key);
			skip(j);
			if (r == 0 && (j->p.p == j->p.end || *j->p.p != ':'))
				return unexpected(j, "\":\"");
			j->p.p++;
		}
		if (r == 0)
			r = parse_value(j, &value);
		if (r < 0)
			break;
		if (key)
			bake_exprs_push(&j->p, &list, key);
		bake_exprs_push(&j->p, &list, value);
		skip(j);
		if (j->p.p < j->p.end && *j->p.p == ',') {
			j->p.p++;
			skip(j);
			if (j->p.p < j->p.end && *j->p.p == close)
				r = unexpected(j, "a value behind the comma");
		} else if (j->p.p == j->p.end || *j->p.p != close) {
			r = unexpected(j, "a comma or the end of the list");
		}
	}
	j->p.p++;
	e->args = list.v;
	e->n_args = list.n;
	return r;
}

static int parse_literal(struct json *j, struct bake_expr *e)
{
	static const char *const words[] = {"true", "false", "null"};
	const char *start = j->p.p;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (bake_parser_starts(&j->p, words[i])) {
			j->p.p += strlen(words[i]);
			e->value = i == 2 ? bake_null() : bake_bool(i == 0);
			return 0;
		}
	}
	n = strspn(start, "+-.eE0123456789");
	e->value = n > 0 && n <= BAKE_NUMBER_MAX && *start != '+' && *start != '.'
			   ? bake_number(j->p.arena, arena_strndup(j->p.arena, start, n))
			   : NULL;
	if (!e->value)
		return unexpected(j, "a value");
	j->p.p += n;
	return 0;
}

static int parse_value(struct json *j, struct bake_expr **ret)
{
	struct bake_expr *e;
	int r = bake_parser_enter(&j->p);

	if (r < 0)
		return r;
	skip(j);
	if (j->p.p == j->p.end)
		return unexpected(j, "a value");
	if (*j->p.p == '"') {
		r = parse_string(j, ret);
	} else {
		*ret = e = bake_expr_new(&j->p, EXPR_LITERAL);
		e->kind = *j->p.p == '{' ? EXPR_OBJECT : *j->p.p == '[' ? EXPR_TUPLE : EXPR_LITERAL;
		r = e->kind == EXPR_LITERAL ? parse_literal(j, e)
					    : parse_members(j, e, e->kind == EXPR_OBJECT);
	}
	j->p.depth--;
	return r;
}

static int parse_document(struct json *j, struct bake_expr **ret)
{
	int r = parse_value(j, ret);

	skip(j);
	if (r == 0 && j->p.p != j->p.end)
		r = unexpected(j, "the end");
	return r;
}

static struct json open_json(struct arena *a, const struct bake_file *file, struct error **err)
{
	return (struct json){.p = {.arena = a,
				   .file = file,
				   .p = file->text,
				   .end = file->text + file->n,
				   .line_start = file->text,
				   .line = 1,
				   .err = err}};
}

/* --- as a body --- */

struct to_body {
	struct arena *arena;
	struct error **err;
	struct bake_attr *attrs;
	struct bake_block *blocks;
	size_t n_attrs, cap_attrs, n_blocks, cap_blocks;
};

static int make_body(struct arena *a, const struct bake_expr *e, bool top, struct bake_body *ret,
		     struct error **err);

static void add_attr(struct to_body *b, const struct bake_expr *key, struct bake_expr *value)
{
	if (b->n_attrs == b->cap_attrs) {
		struct bake_attr *v;

		b->cap_attrs = b->cap_attrs ? 2 * b->cap_attrs : 8;
		v = arena_alloc(b->arena, b->cap_attrs * sizeof(*v));
		if (b->n_attrs > 0)
			memcpy(v, b->attrs, b->n_attrs * sizeof(*v));
		b->attrs = v;
	}
	b->attrs[b->n_attrs++] =
		(struct bake_attr){.name = key->text, .at = key->at, .expr = value};
}

static int add_block(struct to_body *b, const char *type, const struct bake_expr *label,
		     const struct bake_expr *body)
{
	struct bake_block block = {
		.type = type, .label = label ? label->text : NULL, .at = body->at};

	if (b->n_blocks == b->cap_blocks) {
		struct bake_block *v;

		b->cap_blocks = b->cap_blocks ? 2 * b->cap_blocks : 8;
		v = arena_alloc(b->arena, b->cap_blocks * sizeof(*v));
		if (b->n_blocks > 0)
			memcpy(v, b->blocks, b->n_blocks * sizeof(*v));
		b->blocks = v;
	}
	if (label)
		block.at = label->at;
	b->blocks[b->n_blocks] = block;
	return make_body(b->arena, body, false, &b->blocks[b->n_blocks++].body, b->err);
}

/* {"target": {"a": {...}}}; lists of these are several blocks. */
static int add_blocks(struct to_body *b, const char *type, const struct bake_expr *value,
		      bool labelled, const struct bake_expr *label)
{
	int r = 0;

	if (value->kind == EXPR_LITERAL && value->value->kind == BAKE_NULL)
		return 0;
	if (value->kind == EXPR_TUPLE) {
		for (size_t i = 0; i < value->n_args && r == 0; i++)
			r = add_blocks(b, type, value->args[i], labelled, label);
		return r;
	}
	if (value->kind != EXPR_OBJECT)
		return bake_error(b->err, &value->at, "\"%s\" is an object%s", type,
				  labelled ? " of named objects" : "");
	if (!labelled || label)
		return add_block(b, type, label, value);
	for (size_t i = 0; i < value->n_args && r == 0; i += 2)
		r = add_blocks(b, type, value->args[i + 1], labelled, value->args[i]);
	return r;
}

static int make_body(struct arena *a, const struct bake_expr *e, bool top, struct bake_body *ret,
		     struct error **err)
{
	struct to_body b = {.arena = a, .err = err};
	int r = 0;

	for (size_t i = 0; i < e->n_args && r == 0; i += 2) {
		const char *name = e->args[i]->text;
		bool labelled =
			top && (strcmp(name, "target") == 0 || strcmp(name, "group") == 0 ||
				strcmp(name, "variable") == 0 || strcmp(name, "function") == 0);

		if (labelled || (!top && strcmp(name, "validation") == 0))
			r = add_blocks(&b, name, e->args[i + 1], labelled, NULL);
		else if (strcmp(name, "//") != 0)
			add_attr(&b, e->args[i], e->args[i + 1]);
	}
	*ret = (struct bake_body){
		.attrs = b.attrs, .n_attrs = b.n_attrs, .blocks = b.blocks, .n_blocks = b.n_blocks};
	return r;
}

int bake_parse_json(struct arena *a, const struct bake_file *file, struct bake_body *ret,
		    struct error **err)
{
	struct json j = open_json(a, file, err);
	struct bake_expr *e;
	int r;

	if (strlen(file->text) != file->n)
		return bake_parser_fail(&j.p, "the file holds a NUL byte");
	r = parse_document(&j, &e);
	if (r == 0 && e->kind != EXPR_OBJECT)
		r = bake_error(err, &e->at, "the file is an object: {\"target\": ...}");
	return r == 0 ? make_body(a, e, true, ret, err) : r;
}

static const struct bake_value *literal_value(struct arena *a, const struct bake_expr *e)
{
	struct bake_builder b = {.arena = a};

	if (e->kind == EXPR_LITERAL)
		return e->value;
	if (e->kind == EXPR_TUPLE) {
		for (size_t i = 0; i < e->n_args; i++)
			bake_push(&b, literal_value(a, e->args[i]));
		return bake_sequence(&b, BAKE_TUPLE);
	}
	for (size_t i = 0; i < e->n_args; i += 2)
		bake_put(&b, e->args[i]->text, literal_value(a, e->args[i + 1]));
	return bake_mapping(&b, BAKE_OBJECT);
}

int bake_parse_json_value(struct arena *a, const char *what, const char *text,
			  const struct bake_value **ret, struct error **err)
{
	const struct bake_file file = {.name = what, .text = text, .n = strlen(text)};
	struct error *failed = NULL;
	struct json j = open_json(a, &file, &failed);
	struct bake_expr *e;
	int r;

	j.plain = true;
	r = parse_document(&j, &e);
	/* It stands in no file whose lines could be shown. */
	if (r < 0)
		r = error_new(err, ERR_INVALID, 0, "%s: %s", what, error_text(failed));
	else
		*ret = literal_value(a, e);
	error_free(failed);
	return r;
}
