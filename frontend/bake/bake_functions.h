/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that bake files may call, a file for each family. */
#ifndef KILN_FRONTEND_BAKE_BAKE_FUNCTIONS_H
#define KILN_FRONTEND_BAKE_BAKE_FUNCTIONS_H

#include "frontend/bake/bake_eval.h"

struct bake_call {
	struct bake_eval *eval;
	struct arena *arena;
	const char *name;
	const struct bake_place *at;
	const struct bake_value **v;
	size_t n;
};
typedef const struct bake_value *bake_function_fn(struct bake_call *c);

/* params has a letter an argument: s string, n number, b bool (converted to these); l list, set or
 * tuple; S list of strings; m map or object; a anything but null; ? anything. A "*" behind the last
 * one: it may be given any number of times. */
struct bake_builtin {
	const char *name, *params;
	bake_function_fn *call;
};

extern const struct bake_builtin bake_functions_numbers[], bake_functions_strings[],
	bake_functions_lists[], bake_functions_maps[], bake_functions_codecs[],
	bake_functions_times[], bake_functions_networks[], bake_functions_patterns[];

const struct bake_builtin *bake_builtin_find(const char *name);
/* Checks and converts the arguments, and calls. */
const struct bake_value *bake_builtin_call(const struct bake_builtin *f, struct bake_call *c);

/* Fails the call; returns NULL. */
const struct bake_value *bake_call_fail(struct bake_call *c, const char *fmt, ...) _printf_(2, 3);
const struct bake_value *bake_call_string(struct bake_call *c, const struct buf *b);
/* An argument that must be a whole number in these bounds. */
bool bake_call_int(struct bake_call *c, size_t i, int64_t min, int64_t max, int64_t *ret);

#endif
