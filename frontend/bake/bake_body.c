/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of HCL: arguments and blocks. */
#include <string.h>

#include "frontend/bake/bake_parser.h"

struct body_builder {
	struct bake_attr *attrs;
	struct bake_block *blocks;
	size_t n_attrs, cap_attrs, n_blocks, cap_blocks;
};

static void *grown(struct arena *a, void *old, size_t n, size_t *cap, size_t size)
{
	void *v = old;

	if (n == *cap) {
		*cap = *cap ? 2 * *cap : 8;
		v = arena_alloc(a, *cap * size);
		if (n > 0)
			memcpy(v, old, n * size);
	}
	return v;
}

static int parse_body(struct bake_parser *p, bool nested, struct bake_body *ret);

static int parse_label(struct bake_parser *p, struct bake_block *block, bool *found)
{
	const char *label = NULL;
	struct bake_expr *quoted;
	int r = bake_parser_skip(p);

	*found = false;
	if (r < 0 || p->p == p->end)
		return r;
	if (*p->p == '"') {
		r = bake_parser_quoted(p, &quoted);
		if (r == 0 && quoted->kind != EXPR_LITERAL)
			r = bake_parser_fail(p, "the name of a block is plain text");
		label = r == 0 ? quoted->value->s : NULL;
	} else {
		label = bake_parser_name(p);
	}
	if (label && block->label)
		r = bake_parser_fail(p, "a %s has one name", block->type);
	if (label)
		block->label = label;
	*found = label != NULL;
	return r;
}

static int parse_block(struct bake_parser *p, struct bake_block *block)
{
	bool found = true, open = false;
	int r = 0;

	while (r == 0 && found)
		r = parse_label(p, block, &found);
	if (r == 0)
		r = bake_parser_take(p, "{", &open);
	if (r == 0 && !open)
		r = bake_parser_fail(p, "expected \"=\" or \"{\" behind \"%s\"", block->type);
	return r == 0 ? parse_body(p, true, &block->body) : r;
}

static int parse_element(struct bake_parser *p, struct body_builder *b)
{
	struct bake_place at = bake_parser_place(p);
	const char *name;
	int r;

	if (*p->p == '"') {
		struct bake_expr *quoted;

		r = bake_parser_quoted(p, &quoted);
		return r < 0 ? r
			     : bake_parser_fail(p, "the name of an argument stands without quotes");
	}
	name = bake_parser_name(p);
	if (!name)
		return bake_parser_fail(p, "expected the name of an argument or a block");
	r = bake_parser_skip(p);
	if (r < 0)
		return r;
	if (p->p < p->end && *p->p == '=' && !bake_parser_starts(p, "==")) {
		struct bake_attr attr = {.name = name, .at = at};

		p->p++;
		r = bake_parser_expr(p, &attr.expr);
		for (size_t i = 0; i < b->n_attrs && r == 0; i++)
			if (strcmp(b->attrs[i].name, name) == 0)
				r = bake_error(p->err, &at, "\"%s\" was set before, on line %u",
					       name, b->attrs[i].at.span.line);
		b->attrs = grown(p->arena, b->attrs, b->n_attrs, &b->cap_attrs, sizeof(attr));
		b->attrs[b->n_attrs++] = attr;
	} else {
		struct bake_block block = {.type = name, .at = at};

		r = parse_block(p, &block);
		b->blocks = grown(p->arena, b->blocks, b->n_blocks, &b->cap_blocks, sizeof(block));
		b->blocks[b->n_blocks++] = block;
	}
	return r;
}

static int parse_body(struct bake_parser *p, bool nested, struct bake_body *ret)
{
	struct body_builder b = {0};
	unsigned open = p->open;
	int r = bake_parser_enter(p);

	p->open = 0;
	while (r == 0) {
		r = bake_parser_skip_lines(p);
		if (r < 0 || p->p == p->end) {
			if (r == 0 && nested)
				r = bake_parser_fail(p, "a block is not closed by \"}\"");
			break;
		}
		if (nested && *p->p == '}') {
			p->p++;
			break;
		}
		r = parse_element(p, &b);
		if (r == 0)
			r = bake_parser_skip(p);
		if (r == 0 && p->p < p->end && *p->p != '\n' && !(nested && *p->p == '}'))
			r = bake_parser_fail(
				p, "\"%.*s\" stands behind the end of an argument or block",
				(unsigned char)*p->p >= 0x20 ? 1 : 0, p->p);
	}
	p->open = open;
	p->depth--;
	*ret = (struct bake_body){
		.attrs = b.attrs, .n_attrs = b.n_attrs, .blocks = b.blocks, .n_blocks = b.n_blocks};
	return r;
}

const struct bake_attr *bake_body_attr(const struct bake_body *body, const char *name)
{
	for (size_t i = 0; i < body->n_attrs; i++)
		if (strcmp(body->attrs[i].name, name) == 0)
			return &body->attrs[i];
	return NULL;
}

int bake_parse_hcl(struct arena *a, const struct bake_file *file, struct bake_body *ret,
		   struct error **err)
{
	struct bake_parser p = {.arena = a,
				.file = file,
				.p = file->text,
				.end = file->text + file->n,
				.line_start = file->text,
				.line = 1,
				.err = err};

	if (strlen(file->text) != file->n)
		return bake_parser_fail(&p, "the file holds a NUL byte");
	if (bake_parser_starts(&p, "\xef\xbb\xbf"))
		p.p += 3;
	return parse_body(&p, false, ret);
}
