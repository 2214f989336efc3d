/* SPDX-License-Identifier: Apache-2.0 */
/* The store's records as the solver's cache (solver/solver.h, struct cache_backend).
 *
 * A record holds the layers of every output and how many of them the step itself added on top of
 * the input it changes. A hit by definition gives the recorded chain, if that was made of the
 * inputs that this build uses; a hit by content puts the step's own layers on top of the chain that
 * the input has now, which is sound because the merged views are equal (docs/cache.md).
 */
#ifndef KILN_ENGINE_CACHE_CACHE_STORE_H
#define KILN_ENGINE_CACHE_CACHE_STORE_H

#include <pthread.h>

#include "base/vec.h"
#include "engine/cache/cache_policy.h"
#include "engine/cache/cache_uses.h"
#include "engine/cache/miss_log.h"
#include "engine/remote_cache/remote_import.h"
#include "solver/solver.h"
#include "store/store.h"

struct cache_store {
	struct store *store;
	const struct cache_policy *policy;
	struct remote_imports *imports; /* looked up where the store has nothing; NULL: none */
	struct cache_uses *uses;	/* told of every result; NULL: nobody asks */
	struct miss_log misses;
	pthread_mutex_t lock; /* protects what follows */
	VEC(int64_t) used;    /* records hit, for one batched last-used update */
	VEC(int64_t) refused; /* layers of records that turned out hollow */
};

/* `policy`, `imports` and `uses` are borrowed; the latter two may be NULL. */
void cache_store_init(struct cache_store *c, struct store *s, const struct cache_policy *policy,
		      struct remote_imports *imports, struct cache_uses *uses);
/* Writes the last-used times of what was hit. */
int cache_store_finish(struct cache_store *c, struct error **err) _must_check_;
void cache_store_release(struct cache_store *c);

extern const struct cache_backend cache_store_backend; /* data: struct cache_store */

#endif
