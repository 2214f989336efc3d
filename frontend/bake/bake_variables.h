/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a bake_config: its variables and functions while it is evaluated. */
#ifndef KILN_FRONTEND_BAKE_BAKE_VARIABLES_H
#define KILN_FRONTEND_BAKE_BAKE_VARIABLES_H

#include "frontend/bake/bake_config.h"

enum bake_state { STATE_NEW, STATE_BUSY, STATE_DONE };

struct bake_variable {
	const char *name;
	const struct bake_block *block; /* NULL: an attribute at the top of a file, or built in */
	const struct bake_expr *expr;	/* NULL: no default */
	const struct bake_type *type;	/* NULL: not given */
	const struct bake_value *value;
	enum bake_state state;
};

/* One target or group of a file: a block, or what one element of a matrix makes of it. */
struct bake_instance {
	const char *type, *name;
	const struct bake_block *block;
	const struct bake_scope *scope;
	const struct bake_value *field[BAKE_FIELDS]; /* once its state is STATE_DONE; NULL: unset */
	enum bake_state state[BAKE_FIELDS];
};

struct bake_reader {
	struct bake_config *config;
	const struct bake_input *in;
	struct arena *arena;
	struct bake_eval eval;
	struct bake_resolver resolver;
	VEC(struct bake_body) bodies; /* of the files */
	VEC(struct bake_variable) variables;
	VEC(struct bake_function) functions;
	VEC(struct bake_instance) instances;
};

int bake_variables_collect(struct bake_reader *r, struct error **err) _must_check_;
/* *ret stays NULL if there is none. */
int bake_variables_value(struct bake_reader *r, const char *name, const struct bake_value **ret,
			 struct error **err) _must_check_;
/* Evaluates and validates all of them, and lists them in the config. */
int bake_variables_finish(struct bake_reader *r, struct error **err) _must_check_;
struct bake_function *bake_variables_function(struct bake_reader *r, const char *name);

#endif
