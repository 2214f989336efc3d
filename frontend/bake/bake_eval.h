/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates expressions. What a name stands for is asked of a resolver, when it is needed: so
 * variables, functions and targets may be written in any order. */
#ifndef KILN_FRONTEND_BAKE_BAKE_EVAL_H
#define KILN_FRONTEND_BAKE_BAKE_EVAL_H

#include "frontend/bake/bake_ast.h"

enum {
	BAKE_EVAL_DEPTH = 400,
	BAKE_EVAL_STEPS = 20 * 1000 * 1000, /* of one evaluation */
};

/* Names that hold only here: of a for expression, a function's parameters, a matrix. */
struct bake_scope {
	const struct bake_scope *up;
	const char *name;
	const struct bake_value *value;
};

/* A function of a bake file. */
struct bake_function {
	const char *name;
	const char **params;
	size_t n_params;
	const char *variadic; /* NULL: none */
	const struct bake_expr *result;
	bool busy; /* it is being called: it may not call itself */
};

struct bake_resolver {
	/* *ret stays NULL if there is no such variable. */
	int (*variable)(void *data, const char *name, const struct bake_value **ret,
			struct error **err);
	/* target.NAME.ATTR; attr NULL: all of it. *ret stays NULL if there is no such block. */
	int (*block)(void *data, const char *type, const char *name, const char *attr,
		     const struct bake_value **ret, struct error **err);
	struct bake_function *(*function)(void *data, const char *name); /* NULL: none */
	void *data;
};

struct bake_eval {
	struct arena *arena;
	struct error **err; /* where failures are told */
	const struct bake_resolver *resolver;
	unsigned depth;
	uint64_t steps;
	int64_t now; /* seconds; what timestamp() says */
};

/* NULL: it failed, with the error set. */
const struct bake_value *bake_evaluate(struct bake_eval *e, const struct bake_expr *expr,
				       const struct bake_scope *scope);
/* The same, as one of a type. */
const struct bake_value *bake_evaluate_as(struct bake_eval *e, const struct bake_expr *expr,
					  const struct bake_scope *scope,
					  const struct bake_type *t);

/* The type that an expression names: string, list(number), object({a = optional(bool)}). */
int bake_type_parse(struct bake_eval *e, const struct bake_expr *expr, const struct bake_type **ret,
		    struct error **err) _must_check_;
/* The bare name that an expression is; NULL if it is not one. */
const char *bake_expr_name(const struct bake_expr *e);

#endif
