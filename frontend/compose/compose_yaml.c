/* SPDX-License-Identifier: Apache-2.0 */
/* YAML into values, by libyaml; anchors, merge keys, and compose's tags. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/number.h"
#include "frontend/compose/compose.h"

struct loader {
	struct compose_tree *tree;
	const char *file;
	yaml_document_t *doc;
	unsigned depth;
	size_t steps; /* nodes, aliases counted each time */
	struct error **err;
};

const struct bake_value *compose_reset(void)
{
	static const struct bake_value reset = {.kind = BAKE_NULL};

	return &reset;
}

static const struct bake_value *fail(struct loader *l, const yaml_node_t *n, const char *what)
{
	struct source_span span = {.line = (unsigned)n->start_mark.line + 1};

	span.end_line = span.line;
	(void)error_at(l->err,
		       error_new(l->err, ERR_INVALID, 0, "%s:%u: %s", l->file, span.line, what),
		       l->file, span);
	return NULL;
}

/* YAML 1.2's core types. */
static const struct bake_value *plain_scalar(struct arena *a, const char *s)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False",
										  "FALSE"};
	size_t digits = strspn(s + (*s == '-' || *s == '+'), "0123456789");
	const char *rest = s + (*s == '-' || *s == '+') + digits;
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(nulls); i++)
		if (strcmp(s, nulls[i]) == 0)
			return bake_null();
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (strcmp(s, yes[i]) == 0 || strcmp(s, no[i]) == 0)
			return bake_bool(strcmp(s, yes[i]) == 0);
	if (*s == '0' && (s[1] == 'x' || s[1] == 'o') &&
	    number_parse(s + 2, s[1] == 'x' ? 16 : 8, INT64_MAX, &n) == 0)
		return bake_int(a, (int64_t)n);
	if (digits > 0 && digits < 300 &&
	    (!*rest || *rest == '.' || *rest == 'e' || *rest == 'E')) {
		const struct bake_value *number = bake_number(a, s);

		if (number)
			return number;
	}
	return bake_string(a, s);
}

static const struct bake_value *scalar(struct loader *l, const yaml_node_t *n)
{
	const char *s = (const char *)n->data.scalar.value, *tag = (const char *)n->tag;

	if (strlen(s) != n->data.scalar.length)
		return fail(l, n, "a text holds a NUL byte");
	if (n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
	    (tag && strcmp(tag, YAML_STR_TAG) == 0 &&
	     n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE))
		return bake_string(l->tree->arena, s);
	return plain_scalar(l->tree->arena, s);
}

static const struct bake_value *load(struct loader *l, int id);

static const struct bake_value *sequence(struct loader *l, const yaml_node_t *n)
{
	struct bake_builder b = {.arena = l->tree->arena};

	for (const yaml_node_item_t *i = n->data.sequence.items.start;
	     i < n->data.sequence.items.top; i++) {
		const struct bake_value *v = load(l, *i);

		if (!v)
			return NULL;
		bake_push(&b, v);
	}
	return bake_sequence(&b, BAKE_LIST);
}

/* <<: what is merged in goes below what the mapping has itself. */
static bool merge_in(struct loader *l, const yaml_node_t *n, const struct bake_value *v,
		     struct bake_builder *b)
{
	if (bake_is_sequence(v)) {
		for (size_t i = v->n; i > 0; i--)
			if (!merge_in(l, n, v->v[i - 1], b))
				return false;
		return true;
	}
	if (!bake_is_mapping(v))
		return fail(l, n, "<< is followed by a mapping, or a list of them") != NULL;
	for (size_t i = 0; i < v->n; i++)
		bake_put(b, v->names[i], v->v[i]);
	return true;
}

static const struct bake_value *mapping(struct loader *l, const yaml_node_t *n)
{
	struct bake_builder b = {.arena = l->tree->arena}, own = {.arena = l->tree->arena};

	for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = yaml_document_get_node(l->doc, p->key);
		const struct bake_value *key = load(l, p->key), *v = key ? load(l, p->value) : NULL;
		const char *name;

		if (!v)
			return NULL;
		name = k->type == YAML_SCALAR_NODE ? (const char *)k->data.scalar.value : NULL;
		if (!name)
			return fail(l, k, "a key is text");
		if (strcmp(name, "<<") == 0) {
			if (!merge_in(l, k, v, &b))
				return NULL;
			continue;
		}
		for (size_t i = 0; i < own.n; i++)
			if (strcmp(own.names[i], name) == 0)
				return fail(l, k,
					    arena_printf(l->tree->arena,
							 "the key \"%s\" comes twice", name));
		bake_put(&own, arena_strdup(l->tree->arena, name), v);
	}
	for (size_t i = 0; i < own.n; i++)
		bake_put(&b, own.names[i], own.v[i]);
	return bake_mapping(&b, BAKE_MAP);
}

static const struct bake_value *load(struct loader *l, int id)
{
	const yaml_node_t *n = yaml_document_get_node(l->doc, id);
	const char *tag = n && n->tag ? (const char *)n->tag : "";
	const struct bake_value *v;

	if (!n)
		return bake_null();
	if (++l->depth > BAKE_VALUE_DEPTH)
		return fail(l, n, "it is nested too deep, or an alias is a part of itself");
	if (++l->steps > COMPOSE_ALIASES_MAX * 10 || l->tree->arena->total > BAKE_MEMORY_MAX)
		return fail(l, n, "its aliases make too much of it");
	if (strcmp(tag, "!reset") == 0)
		v = compose_reset();
	else
		v = n->type == YAML_SCALAR_NODE	    ? scalar(l, n)
		    : n->type == YAML_SEQUENCE_NODE ? sequence(l, n)
						    : mapping(l, n);
	l->depth--;
	if (v && strcmp(tag, "!override") == 0)
		vec_push(&l->tree->replacing, v);
	return v;
}

int compose_yaml_parse(struct compose_tree *t, const char *file, const char *text, size_t n,
		       const struct bake_value **ret, struct error **err)
{
	struct loader l = {.tree = t, .file = arena_strdup(t->arena, file), .err = err};
	yaml_parser_t parser;
	yaml_document_t doc;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return error_new(err, ERR_INTERNAL, 0, "%s: no memory for its reader", file);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	if (!yaml_parser_load(&parser, &doc)) {
		struct source_span span = {.line = (unsigned)parser.problem_mark.line + 1};

		span.end_line = span.line;
		r = error_new(err, ERR_INVALID, 0, "%s:%u: %s", file, span.line,
			      parser.problem ? parser.problem : "it is not YAML");
		r = error_at(err, r, file, span);
		yaml_parser_delete(&parser);
		return r;
	}
	l.doc = &doc;
	*ret = yaml_document_get_root_node(&doc) ? load(&l, 1) : bake_null();
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	return *ret ? 0 : -ERR_INVALID;
}

/* --- writing --- */

/* Would the text be read as something else, or not at all? */
static bool needs_quotes(const char *s)
{
	static const char *const words[] = {"y",   "n",	   "yes",   "no",   "on",
					    "off", "true", "false", "null", "~"};
	char lower[8] = "";

	if (!*s || strpbrk(s, "\n\t\"\\") || strstr(s, ": ") || strstr(s, " #") ||
	    strchr("-?:,[]{}#&*!|>'\"%@` ", *s) || s[strlen(s) - 1] == ' ' ||
	    s[strlen(s) - 1] == ':')
		return true;
	for (size_t i = 0; i < 7 && s[i]; i++)
		lower[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
	for (size_t i = 0; strlen(s) < 7 && i < ARRAY_SIZE(words); i++)
		if (strcmp(lower, words[i]) == 0)
			return true;
	/* What may be a number, or a time. */
	return (*s >= '0' && *s <= '9') || *s == '+' || *s == '.' || *s == '=' || *s == '<';
}

static void write_value(const struct bake_value *v, unsigned indent, bool in_list, struct buf *b);

static void write_scalar(const struct bake_value *v, struct buf *b)
{
	if (v->kind == BAKE_NULL)
		buf_adds(b, "null");
	else if (v->kind == BAKE_STRING && needs_quotes(v->s))
		bake_to_json(v, b);
	else
		buf_adds(b, bake_text(v));
}

static void pad(unsigned indent, struct buf *b)
{
	for (unsigned i = 0; i < indent; i++)
		buf_addc(b, ' ');
}

static void write_member(const char *name, const struct bake_value *v, unsigned indent,
			 struct buf *b)
{
	struct bake_value key = {.kind = BAKE_STRING, .s = name};
	bool block = (bake_is_mapping(v) || bake_is_sequence(v)) && v->n > 0;

	write_scalar(&key, b);
	buf_adds(b, block ? ":\n" : ": ");
	if (block) {
		write_value(v, indent + 2, false, b);
		return;
	}
	if (bake_is_mapping(v) || bake_is_sequence(v))
		buf_adds(b, bake_is_mapping(v) ? "{}" : "[]");
	else
		write_scalar(v, b);
	buf_addc(b, '\n');
}

static void write_value(const struct bake_value *v, unsigned indent, bool in_list, struct buf *b)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct bake_value *e = v->v[i];

		/* The first member of a mapping in a list stands on the dash's line. */
		if (i > 0 || !in_list)
			pad(indent, b);
		if (bake_is_mapping(v)) {
			write_member(v->names[i], e, indent, b);
			continue;
		}
		buf_adds(b, "- ");
		if ((bake_is_mapping(e) || bake_is_sequence(e)) && e->n > 0) {
			write_value(e, indent + 2, true, b);
			continue;
		}
		if (bake_is_mapping(e) || bake_is_sequence(e))
			buf_adds(b, bake_is_mapping(e) ? "{}" : "[]");
		else
			write_scalar(e, b);
		buf_addc(b, '\n');
	}
}

void compose_to_yaml(const struct bake_value *v, struct buf *b)
{
	write_value(v, 0, false, b);
}
