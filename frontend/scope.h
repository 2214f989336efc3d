/* SPDX-License-Identifier: Apache-2.0 */
/* Variables: the global ARGs and platform arguments that FROM sees, and the environment that a
 * stage builds up with ARG and ENV. Setting a variable again moves it to the end, which is the
 * order that RUN's environment has. */
#ifndef KILN_FRONTEND_SCOPE_H
#define KILN_FRONTEND_SCOPE_H

#include "base/map.h"
#include "base/platform.h"
#include "base/strv.h"
#include "base/vec.h"
#include "frontend/dockerfile/df_shell.h"

struct scope_var {
	char *key, *value;
	const char *pair; /* "K=V" in an arena, once it was needed */
};

struct scope {
	VEC(struct scope_var) vars; /* in order; key NULL: superseded */
	struct map index;	    /* key -> position + 1 */
	size_t bytes;		    /* of all keys and values */
};

void scope_set(struct scope *s, const char *key, const char *value);
void scope_unset(struct scope *s, const char *key);
const char *scope_get(const struct scope *s, const char *key);
void scope_copy(struct scope *to, const struct scope *from); /* `to` is released first */
void scope_release(struct scope *s);
/* "K=V" in order, and `last` after them unless it is NULL; in the arena, where the pairs are kept
 * for the next call. */
struct df_strings scope_environment(struct scope *s, struct arena *a, const char *last);
/* The variable whose name is close to `name`, for "did you mean": borrowed; NULL if there is none.
 * Of very many variables only the first thousand are looked at. */
const char *scope_nearest(const struct scope *s, const char *name);
/* The value of `key` among "K=V" strings that users gave: the last one wins; NULL if absent. */
const char *scope_option(const struct strv *options, const char *key);
/* BUILDPLATFORM, TARGETOS and so on, each replaced by a build argument of that name. */
void scope_set_platform_args(struct scope *s, const struct platform *build,
			     const struct platform *target, const char *target_stage,
			     const struct strv *build_args);
/* For df_shell: `data` is the scope. */
const char *scope_lookup(void *data, const char *name);

#endif
