/* SPDX-License-Identifier: Apache-2.0 */
/* Which records a solve found or made, for exporting them. Thread safe. */
#ifndef KILN_ENGINE_CACHE_CACHE_USES_H
#define KILN_ENGINE_CACHE_CACHE_USES_H

#include <pthread.h>

#include "base/vec.h"
#include "engine/tree/result.h"
#include "solver/graph.h"

struct cache_use {
	const struct vertex *v;
	int64_t record;
	struct result **inputs; /* references, one a vertex input; NULL: scratch, or not known */
	struct result **outputs;
	size_t n_outputs;
};

struct cache_uses {
	pthread_mutex_t lock;	    /* protects the rest while a solve runs */
	VEC(struct cache_use) list; /* one a vertex at most */
};

void cache_uses_init(struct cache_uses *u);
void cache_uses_release(struct cache_uses *u);
/* Replaces what was noted of v before. `u` may be NULL. */
void cache_uses_note(struct cache_uses *u, const struct vertex *v, int64_t record,
		     struct result *const *inputs, struct result *const *outputs, size_t n_outputs);
void cache_uses_forget(struct cache_uses *u, const struct vertex *v);

#endif
