/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/template.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/vec.h"
#include "cmd/cli/template_functions.h"

/* Executing goes one call deeper for each block and each variable. */
enum { DEPTH_MAX = 32, VARIABLES_MAX = 1000 };

/* --- what a template is --- */

enum operand_kind { OPERAND_FIELD = 1, OPERAND_LITERAL, OPERAND_FUNCTION, OPERAND_PIPELINE };

struct pipeline;

struct operand {
	enum operand_kind kind;
	bool of_root;	    /* "$.Name" */
	char *variable;	    /* "$v.Name": "v"; NULL: none */
	struct strv fields; /* FIELD: empty is the dot */
	char *function;
	json_t *literal;
	struct pipeline *pipeline;
};

struct command_node {
	VEC(struct operand) operands;
};

struct pipeline {
	VEC(struct command_node) commands;
};

enum node_kind { NODE_TEXT = 1, NODE_VALUE, NODE_RANGE, NODE_IF, NODE_WITH };

struct nodes {
	struct node *v;
	size_t n, cap;
};

struct node {
	enum node_kind kind;
	char *text;
	/* "$x := ...": what is declared, NULL: nothing. Of a range with two names the first one is
	 * the index or key. */
	char *key, *variable;
	struct pipeline pipeline;
	struct nodes body, otherwise;
};

struct template
{
	struct nodes nodes;
	json_t *zeros; /* template_set_zeros; NULL: none */
};

static void pipeline_release(struct pipeline *p);

static void operand_release(struct operand *o)
{
	strv_release(&o->fields);
	free(o->variable);
	free(o->function);
	json_decref(o->literal);
	if (o->pipeline)
		pipeline_release(o->pipeline);
	free(o->pipeline);
}

static void pipeline_release(struct pipeline *p)
{
	for (size_t i = 0; i < p->commands.n; i++) {
		struct command_node *c = &p->commands.v[i];

		for (size_t k = 0; k < c->operands.n; k++)
			operand_release(&c->operands.v[k]);
		vec_release(&c->operands);
	}
	vec_release(&p->commands);
}

static void nodes_release(struct nodes *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].text);
		free(l->v[i].key);
		free(l->v[i].variable);
		pipeline_release(&l->v[i].pipeline);
		nodes_release(&l->v[i].body);
		nodes_release(&l->v[i].otherwise);
	}
	vec_release(l);
}

void template_free(struct template *t)
{
	if (!t)
		return;
	nodes_release(&t->nodes);
	json_decref(t->zeros);
	free(t);
}

/* --- parsing --- */

struct parser {
	const char *p;
	unsigned depth, variables;
};

static int bad(const struct parser *in, const char *what, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "template: %s at \"%.20s\"", what, in->p);
}

static void skip_blank(struct parser *in)
{
	while (isspace((unsigned char)*in->p))
		in->p++;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The end of an action: "}}", perhaps with a minus that trims what follows. */
static bool at_end(const struct parser *in)
{
	return strncmp(in->p, "}}", 2) == 0 || strncmp(in->p, "-}}", 3) == 0;
}

static int parse_string(struct parser *in, struct operand *o, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char quote = *in->p++;

	for (; *in->p && *in->p != quote; in->p++) {
		char c = *in->p;

		if (c == '\\' && quote == '"' && in->p[1]) {
			c = *++in->p;
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		buf_addc(&b, c);
	}
	if (*in->p != quote)
		return bad(in, "unterminated string", err);
	in->p++;
	o->kind = OPERAND_LITERAL;
	o->literal = json_stringn(b.p, b.n);
	return o->literal ? 0 : bad(in, "a string that is not UTF-8", err);
}

/* NULL: there is none. */
static char *parse_name(struct parser *in)
{
	size_t n = 0;

	while (is_name(in->p[n]))
		n++;
	in->p += n;
	return n > 0 ? xstrndup(in->p - n, n) : NULL;
}

static int parse_fields(struct parser *in, struct operand *o, struct error **err)
{
	o->kind = OPERAND_FIELD;
	if (*in->p == '$') {
		in->p++;
		o->variable = parse_name(in);
		o->of_root = !o->variable;
	}
	while (*in->p == '.') {
		size_t n = 0;

		in->p++;
		while (is_name(in->p[n]))
			n++;
		if (n > 0)
			strv_pushn(&o->fields, in->p, n);
		else if (*in->p == '.' || o->fields.n > 0)
			return bad(in, "a field without a name", err);
		in->p += n;
	}
	return 0;
}

static int parse_pipeline(struct parser *in, struct pipeline *ret, struct error **err);

static int parse_word(struct parser *in, struct operand *o, struct error **err)
{
	size_t n = 0;

	while (is_name(in->p[n]))
		n++;
	if (n == 0)
		return bad(in, "unexpected text", err);
	if ((n == 4 && strncmp(in->p, "true", n) == 0) ||
	    (n == 5 && strncmp(in->p, "false", n) == 0)) {
		o->kind = OPERAND_LITERAL;
		o->literal = json_boolean(n == 4);
	} else {
		o->kind = OPERAND_FUNCTION;
		o->function = xstrndup(in->p, n);
		if (!template_function_exists(o->function))
			return bad(in, "a function that is not supported", err);
	}
	in->p += n;
	return 0;
}

static int parse_operand(struct parser *in, struct operand *o, struct error **err)
{
	int r;

	if (*in->p == '.' || *in->p == '$')
		return parse_fields(in, o, err);
	if (*in->p == '"' || *in->p == '`')
		return parse_string(in, o, err);
	if (isdigit((unsigned char)in->p[*in->p == '-'])) {
		bool negative = *in->p == '-';
		uint64_t number;

		in->p += negative;
		if (number_take(&in->p, 10, INT64_MAX, &number) < 0)
			return bad(in, "a number that is too large", err);
		o->kind = OPERAND_LITERAL;
		o->literal = json_integer(negative ? -(json_int_t)number : (json_int_t)number);
		return 0;
	}
	if (*in->p != '(')
		return parse_word(in, o, err);
	in->p++;
	if (++in->depth > DEPTH_MAX)
		return bad(in, "too many parentheses", err);
	o->kind = OPERAND_PIPELINE;
	o->pipeline = NEW(struct pipeline);
	r = parse_pipeline(in, o->pipeline, err);
	if (r < 0)
		return r;
	in->depth--;
	if (*in->p != ')')
		return bad(in, "missing ')'", err);
	in->p++;
	return 0;
}

static int parse_command(struct parser *in, struct command_node *c, struct error **err)
{
	for (;;) {
		int r;

		skip_blank(in);
		if (!*in->p || *in->p == '|' || *in->p == ')' || at_end(in))
			return c->operands.n > 0 ? 0 : bad(in, "missing value", err);
		vec_push(&c->operands, (struct operand){0});
		r = parse_operand(in, &vec_last(&c->operands), err);
		if (r < 0)
			return r;
		if (c->operands.n > 1 && c->operands.v[0].kind != OPERAND_FUNCTION)
			return bad(in, "arguments after something that is not a function", err);
	}
}

static int parse_pipeline(struct parser *in, struct pipeline *ret, struct error **err)
{
	for (;;) {
		int r;

		vec_push(&ret->commands, (struct command_node){0});
		r = parse_command(in, &vec_last(&ret->commands), err);
		if (r < 0 || *in->p != '|')
			return r;
		in->p++;
	}
}

static void add_text(struct nodes *l, const char *p, size_t n, bool trim_end)
{
	while (trim_end && n > 0 && isspace((unsigned char)p[n - 1]))
		n--;
	if (n > 0)
		vec_push(l, (struct node){.kind = NODE_TEXT, .text = xstrndup(p, n)});
}

/* Is this word next? Then it is passed. */
static bool keyword(struct parser *in, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(in->p, word, n) != 0 || is_name(in->p[n]))
		return false;
	in->p += n;
	skip_blank(in);
	return true;
}

static int close_action(struct parser *in, struct error **err)
{
	bool trim;

	skip_blank(in);
	if (!at_end(in))
		return bad(in, "missing '}}'", err);
	trim = *in->p == '-';
	in->p += trim ? 3 : 2;
	if (trim)
		skip_blank(in);
	return 0;
}

/* "$v :=", of a range also "$k, $v :=", before the pipeline. What only looks like it, as the "$v"
 * of a value, is left where it is. */
static int parse_declaration(struct parser *in, struct node *node, struct error **err)
{
	struct parser ahead = *in;
	char *first = NULL, *second = NULL;

	if (*ahead.p++ == '$' && (first = parse_name(&ahead))) {
		skip_blank(&ahead);
		if (node->kind == NODE_RANGE && *ahead.p == ',') {
			ahead.p++;
			skip_blank(&ahead);
			second = *ahead.p++ == '$' ? parse_name(&ahead) : NULL;
			skip_blank(&ahead);
		}
	}
	if (!first || strncmp(ahead.p, ":=", 2) != 0) {
		free(first);
		free(second);
		return 0;
	}
	in->p = ahead.p + 2;
	node->key = second ? first : NULL;
	node->variable = second ? second : first;
	return ++in->variables > VARIABLES_MAX ? bad(in, "too many variables", err) : 0;
}

/* STOP_ELSE_IF and STOP_ELSE_WITH: "else if" was read, its pipeline not. */
enum stop { STOP_END_OF_TEXT, STOP_END, STOP_ELSE, STOP_ELSE_IF, STOP_ELSE_WITH };

static int parse_nodes(struct parser *in, struct nodes *l, enum stop *ret_stop, struct error **err);

static int parse_block(struct parser *in, enum node_kind kind, struct nodes *l, struct error **err)
{
	enum stop stop = STOP_END;
	struct node *node;
	int r;

	vec_push(l, (struct node){.kind = kind});
	node = &vec_last(l);
	if (++in->depth > DEPTH_MAX)
		return bad(in, "too many blocks", err);
	r = parse_declaration(in, node, err);
	if (r == 0)
		r = parse_pipeline(in, &node->pipeline, err);
	if (r == 0)
		r = close_action(in, err);
	if (r == 0)
		r = parse_nodes(in, &node->body, &stop, err);
	/* A block in the other's place, with which it shares its end. */
	if (r == 0 && (stop == STOP_ELSE_IF || stop == STOP_ELSE_WITH)) {
		r = parse_block(in, stop == STOP_ELSE_IF ? NODE_IF : NODE_WITH, &node->otherwise,
				err);
		stop = STOP_END;
	}
	if (r == 0 && stop == STOP_ELSE)
		r = parse_nodes(in, &node->otherwise, &stop, err);
	if (r == 0 && stop != STOP_END)
		r = bad(in, "missing {{end}}", err);
	in->depth--;
	return r;
}

static int parse_action(struct parser *in, struct nodes *l, enum stop *ret_stop, struct error **err)
{
	int r;

	*ret_stop = STOP_END_OF_TEXT;
	if (strncmp(in->p, "/*", 2) == 0) {
		const char *end = strstr(in->p + 2, "*/");

		if (!end)
			return bad(in, "a comment without an end", err);
		in->p = end + 2;
		return close_action(in, err);
	}
	if (keyword(in, "end")) {
		*ret_stop = STOP_END;
		return close_action(in, err);
	}
	if (keyword(in, "else")) {
		*ret_stop = keyword(in, "if")	  ? STOP_ELSE_IF
			    : keyword(in, "with") ? STOP_ELSE_WITH
						  : STOP_ELSE;
		return *ret_stop == STOP_ELSE ? close_action(in, err) : 0;
	}
	if (keyword(in, "range"))
		return parse_block(in, NODE_RANGE, l, err);
	if (keyword(in, "if"))
		return parse_block(in, NODE_IF, l, err);
	if (keyword(in, "with"))
		return parse_block(in, NODE_WITH, l, err);
	vec_push(l, (struct node){.kind = NODE_VALUE});
	r = parse_declaration(in, &vec_last(l), err);
	if (r == 0)
		r = parse_pipeline(in, &vec_last(l).pipeline, err);
	return r < 0 ? r : close_action(in, err);
}

static int parse_nodes(struct parser *in, struct nodes *l, enum stop *ret_stop, struct error **err)
{
	*ret_stop = STOP_END_OF_TEXT;
	while (*in->p) {
		const char *open = strstr(in->p, "{{");
		int r;

		if (!open) {
			add_text(l, in->p, strlen(in->p), false);
			in->p += strlen(in->p);
			return 0;
		}
		add_text(l, in->p, (size_t)(open - in->p),
			 open[2] == '-' && isspace((unsigned char)open[3]));
		in->p = open + 2 + (open[2] == '-' && isspace((unsigned char)open[3]));
		skip_blank(in);
		r = parse_action(in, l, ret_stop, err);
		if (r < 0 || *ret_stop != STOP_END_OF_TEXT)
			return r;
	}
	return 0;
}

int template_parse(const char *text, struct template **ret, struct error **err)
{
	_cleanup_(template_freep) struct template *t = NEW(struct template);
	struct parser in = {.p = text};
	enum stop stop;
	int r = parse_nodes(&in, &t->nodes, &stop, err);

	if (r == 0 && stop != STOP_END_OF_TEXT)
		r = bad(&in, "an {{end}} or {{else}} without a block", err);
	if (r == 0)
		*ret = TAKE_PTR(t);
	return r;
}

/* --- executing --- */

struct variable {
	const char *name;
	json_t *value;
	struct variable *outer;
};

struct scope {
	const json_t *root, *dot;
	const json_t *zeros; /* of the root; NULL: none */
	struct variable *variables;
};

static int evaluate(const struct pipeline *p, const struct scope *in, json_t **ret,
		    struct error **err);

/* Docker's templates name fields of Go, which begin with a capital letter also where those of its
 * JSON documents do not. */
static const json_t *find_field(const json_t *object, const char *name)
{
	const json_t *found = json_object_get(object, name);
	const char *key;
	json_t *value;

	if (found)
		return found;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (strcasecmp(key, name) == 0)
			return value;
	}
	return NULL;
}

static const json_t *find_start(const struct operand *o, const struct scope *in)
{
	if (o->variable) {
		for (const struct variable *v = in->variables; v; v = v->outer)
			if (strcmp(v->name, o->variable) == 0)
				return v->value;
		return NULL;
	}
	return o->of_root ? in->root : in->dot;
}

/* What is not set has the zero value of its type in Go: an empty list, "", no pointer. *ret_zero is
 * that of the field, NULL: the type is not known. */
static int get_field(const struct operand *o, const struct scope *in, const json_t **ret,
		     const json_t **ret_zero, struct error **err)
{
	const json_t *at = find_start(o, in), *zero = at == in->root ? in->zeros : NULL;

	if (!at)
		return error_new(err, ERR_INVALID, 0, "template: undefined variable \"$%s\"",
				 o->variable);
	for (size_t i = 0; i < o->fields.n; i++) {
		/* The type is a map: any key may be asked for. */
		bool is_map = json_is_object(zero) && json_object_size(zero) == 0;

		at = find_field(at, o->fields.v[i]);
		zero = zero ? find_field(zero, o->fields.v[i]) : NULL;
		if (!at && !zero && !is_map)
			return error_new(err, ERR_INVALID, 0, "template: there is no field \"%s\"",
					 o->fields.v[i]);
	}
	*ret = at;
	*ret_zero = zero;
	return 0;
}

/* `as_is`: what is not set is null, as JSON shows it. */
static int field_value(const struct operand *o, const struct scope *in, bool as_is, json_t **ret,
		       struct error **err)
{
	const json_t *value, *zero;
	int r = get_field(o, in, &value, &zero, err);

	if (r < 0)
		return r;
	if (!as_is && zero && (!value || json_is_null(value)))
		value = zero;
	*ret = value ? json_incref((json_t *)(uintptr_t)value) : json_null();
	return 0;
}

/* Is the pipeline a pointer that is not set? Go prints it in another way than a missing value. */
static bool is_nil(const struct pipeline *p, const struct scope *in)
{
	const struct operand *o = &p->commands.v[0].operands.v[0];
	const json_t *value, *zero;

	return p->commands.n == 1 && p->commands.v[0].operands.n == 1 && o->kind == OPERAND_FIELD &&
	       get_field(o, in, &value, &zero, NULL) == 0 && json_is_null(zero) &&
	       (!value || json_is_null(value));
}

/* A new reference. */
static int get_operand(const struct operand *o, const struct scope *in, bool as_is, json_t **ret,
		       struct error **err)
{
	switch (o->kind) {
	case OPERAND_FIELD:
		return field_value(o, in, as_is, ret, err);
	case OPERAND_PIPELINE:
		return evaluate(o->pipeline, in, ret, err);
	case OPERAND_FUNCTION:
		return template_function_call(o->function, NULL, 0, ret, err);
	default:
		*ret = json_incref(o->literal);
		return 0;
	}
}

static bool is_json(const struct command_node *c)
{
	const struct operand *o = &c->operands.v[0];

	return o->kind == OPERAND_FUNCTION && strcmp(o->function, "json") == 0;
}

/* `last` is what came through the pipe; NULL: nothing. It is consumed. */
static int run_command(const struct command_node *c, const struct scope *in, bool as_is,
		       json_t *last, json_t **ret, struct error **err)
{
	bool is_call = c->operands.v[0].kind == OPERAND_FUNCTION;
	json_t **args = xcalloc(c->operands.n + 1, sizeof(*args));
	size_t n = 0;
	int r = 0;

	for (size_t i = is_call ? 1 : 0; i < c->operands.n && r == 0; i++) {
		r = get_operand(&c->operands.v[i], in, as_is, &args[n], err);
		n += r == 0;
	}
	if (last)
		args[n++] = last;
	if (r == 0 && is_call)
		r = template_function_call(c->operands.v[0].function, args, n, ret, err);
	else if (r == 0 && n != 1)
		r = error_new(err, ERR_INVALID, 0, "template: a value cannot take piped input");
	else if (r == 0)
		*ret = json_incref(args[0]);
	for (size_t i = 0; i < n; i++)
		json_decref(args[i]);
	free(args);
	return r;
}

static int evaluate(const struct pipeline *p, const struct scope *in, json_t **ret,
		    struct error **err)
{
	json_t *value = NULL;

	for (size_t i = 0; i < p->commands.n; i++) {
		const struct command_node *c = &p->commands.v[i];
		bool as_is = is_json(c) || (i + 1 < p->commands.n && is_json(c + 1));
		json_t *next = NULL;
		int r = run_command(c, in, as_is, value, &next, err);

		if (r < 0)
			return r;
		value = next;
	}
	*ret = value;
	return 0;
}

static int execute(const struct nodes *l, const struct scope *in, struct buf *out,
		   struct error **err);

/* One round of a range: `key` is given up. */
static int execute_round(const struct node *node, const struct scope *in, json_t *key,
			 json_t *value, struct buf *out, struct error **err)
{
	struct variable first = {node->key, key, in->variables};
	struct variable second = {node->variable, value, node->key ? &first : in->variables};
	struct scope inner = *in;
	int r;

	inner.dot = value;
	if (node->variable)
		inner.variables = &second;
	r = execute(&node->body, &inner, out, err);
	json_decref(key);
	return r;
}

static int execute_range(const struct node *node, const struct scope *in, json_t *over,
			 struct buf *out, struct error **err)
{
	_cleanup_strv_ struct strv keys = {0};
	const char *key;
	json_t *value;
	size_t i;
	int r = 0;

	if (!template_is_true(over))
		return execute(&node->otherwise, in, out, err);
	if (json_is_array(over)) {
		for (i = 0; i < json_array_size(over) && r == 0; i++)
			r = execute_round(node, in, json_integer((json_int_t)i),
					  json_array_get(over, i), out, err);
		return r;
	}
	if (!json_is_object(over))
		return error_new(err, ERR_INVALID, 0, "template: range needs a list or a map");
	/* Go goes through a map in the order of its keys. */
	json_object_foreach(over, key, value) strv_push(&keys, key);
	strv_sort(&keys);
	for (i = 0; i < keys.n && r == 0; i++)
		r = execute_round(node, in, json_string(keys.v[i]),
				  json_object_get(over, keys.v[i]), out, err);
	return r;
}

/* {{if}} and {{with}}: what they declare is known in both of their parts. */
static int execute_choice(const struct node *node, const struct scope *in, json_t *value,
			  struct buf *out, struct error **err)
{
	struct variable declared = {node->variable, value, in->variables};
	struct scope inner = *in;

	if (node->variable)
		inner.variables = &declared;
	if (!template_is_true(value))
		return execute(&node->otherwise, &inner, out, err);
	if (node->kind == NODE_WITH)
		inner.dot = value;
	return execute(&node->body, &inner, out, err);
}

static int execute_node(const struct node *node, const struct scope *in, json_t *value,
			struct buf *out, struct error **err)
{
	switch (node->kind) {
	case NODE_RANGE:
		return execute_range(node, in, value, out, err);
	case NODE_IF:
	case NODE_WITH:
		return execute_choice(node, in, value, out, err);
	default:
		if (is_nil(&node->pipeline, in))
			buf_adds(out, "<nil>");
		else
			template_print(value, out);
		return 0;
	}
}

/* A variable is known from its declaration to the end of the list that it stands in. */
static int execute_from(const struct nodes *l, size_t i, const struct scope *in, struct buf *out,
			struct error **err)
{
	for (; i < l->n; i++) {
		const struct node *node = &l->v[i];
		_cleanup_json_ json_t *value = NULL;
		int r;

		if (node->kind == NODE_TEXT) {
			buf_adds(out, node->text);
			continue;
		}
		r = evaluate(&node->pipeline, in, &value, err);
		if (r == 0 && node->kind == NODE_VALUE && node->variable) {
			struct variable declared = {node->variable, value, in->variables};
			struct scope inner = *in;

			inner.variables = &declared;
			return execute_from(l, i + 1, &inner, out, err);
		}
		if (r == 0)
			r = execute_node(node, in, value, out, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int execute(const struct nodes *l, const struct scope *in, struct buf *out,
		   struct error **err)
{
	return execute_from(l, 0, in, out, err);
}

void template_set_zeros(struct template *t, json_t *zeros)
{
	json_decref(t->zeros);
	t->zeros = zeros;
}

int template_execute(const struct template *t, const json_t *data, struct buf *out,
		     struct error **err)
{
	const struct scope all = {.root = data, .dot = data, .zeros = t->zeros};

	return execute(&t->nodes, &all, out, err);
}

int template_print_document(const char *text, json_t *document, struct error **err)
{
	_cleanup_(template_freep) struct template *format = NULL;
	_cleanup_json_ json_t *owned = document;
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = 0;

	if (strcmp(text, "json") == 0) {
		js_dump_go(owned, 0, false, &out);
	} else {
		r = template_parse(text, &format, err);
		if (r == 0)
			r = template_execute(format, owned, &out, err);
	}
	if (r < 0)
		return r;
	buf_addc(&out, '\n');
	(void)fwrite(out.p, 1, out.n, stdout);
	return 0;
}
