/* SPDX-License-Identifier: Apache-2.0 */
/* A bake file as it was read: attributes and blocks, with expressions that are not evaluated yet.
 * HCL and JSON files give the same tree. All of it lies in the arena of the caller. */
#ifndef KILN_FRONTEND_BAKE_BAKE_AST_H
#define KILN_FRONTEND_BAKE_BAKE_AST_H

#include "frontend/bake/bake_value.h"

enum { BAKE_FILE_MAX = 16 << 20, BAKE_PARSE_DEPTH = 200 };

/* The text of a file; errors name it and show its lines. */
struct bake_file {
	const char *name;
	const char *text; /* NUL-terminated */
	size_t n;
	const struct bake_file *next; /* of those of one evaluation */
};

struct bake_place {
	const struct bake_file *file;
	struct source_span span;
};

enum bake_expr_kind {
	EXPR_LITERAL, /* value */
	EXPR_TEMPLATE, /* args: its parts, joined; one part that is not a literal is taken as it is */
	EXPR_NAME,     /* text */
	EXPR_EACH,     /* the element that a splat is at */
	EXPR_ATTR,     /* a.text */
	EXPR_INDEX,    /* a[b] */
	EXPR_SPLAT,    /* b for each of a */
	EXPR_CALL,     /* text(args), the last one spread if `spread` */
	EXPR_UNARY,    /* text a */
	EXPR_BINARY,   /* a text b */
	EXPR_CONDITION, /* a ? b : c */
	EXPR_TUPLE,	/* args */
	EXPR_OBJECT,	/* args: key, value, key, value */
	EXPR_FOR,	/* struct bake_for */
	EXPR_IF,	/* %{if a}b%{else}c%{endif}; c may be NULL */
};

struct bake_for {
	const char *key, *item; /* key may be NULL */
	struct bake_expr *in, *new_key, *value, *condition;
	bool group;    /* { ... => value... } */
	bool template; /* %{for}: the values are joined */
};

struct bake_expr {
	enum bake_expr_kind kind;
	struct bake_place at;
	const char
		*text; /* also a JSON string's own text, for names and types that are written so */
	const struct bake_value *value;
	struct bake_expr *a, *b, *c;
	struct bake_expr **args;
	size_t n_args;
	bool spread;
	bool paren; /* (x): as a key of an object not a name but what is called so */
	struct bake_for *loop;
};

struct bake_attr {
	const char *name;
	struct bake_place at;
	struct bake_expr *expr;
};

struct bake_block;
struct bake_body {
	struct bake_attr *attrs;
	size_t n_attrs;
	struct bake_block *blocks; /* in order */
	size_t n_blocks;
};

struct bake_block {
	const char *type;
	const char *label; /* NULL: none */
	struct bake_place at;
	struct bake_body body;
};

/* NULL if there is none. */
const struct bake_attr *bake_body_attr(const struct bake_body *body, const char *name);

/* Parses a file. Errors are ERR_INVALID and carry its name and line. */
int bake_parse_hcl(struct arena *a, const struct bake_file *file, struct bake_body *ret,
		   struct error **err) _must_check_;
int bake_parse_json(struct arena *a, const struct bake_file *file, struct bake_body *ret,
		    struct error **err) _must_check_;
/* One expression, and one template, that stand in a text (a JSON string) of a file. */
int bake_parse_expr(struct arena *a, const struct bake_place *at, const char *text,
		    struct bake_expr **ret, struct error **err) _must_check_;
int bake_parse_template(struct arena *a, const struct bake_place *at, const char *text,
			struct bake_expr **ret, struct error **err) _must_check_;
/* A JSON document as a value: jsondecode() and X_JSON variables. */
int bake_parse_json_value(struct arena *a, const char *what, const char *text,
			  const struct bake_value **ret, struct error **err) _must_check_;

/* An error about a place. */
int bake_error(struct error **err, const struct bake_place *at, const char *fmt, ...)
	_printf_(3, 4);

#endif
