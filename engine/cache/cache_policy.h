/* SPDX-License-Identifier: Apache-2.0 */
/* What one build wants of the cache, beyond its graph. The caller fills it before engine_solve. */
#ifndef KILN_ENGINE_CACHE_CACHE_POLICY_H
#define KILN_ENGINE_CACHE_CACHE_POLICY_H

#include "base/strv.h"
#include "base/vec.h"

/* --cache-ttl: records of these steps are not used when older. */
struct cache_ttl {
	int64_t ns;
	char *steps; /* as vertex_matches takes it; NULL: all; owned */
};

struct cache_policy {
	VEC(struct cache_ttl) ttls;
	bool normalize_modes; /* --context-modes=normalize */
	const char *project;  /* tells the steps of this Dockerfile from those of others; borrowed,
			       * NULL: "" */
	bool explain;
	struct strv reasons; /* out, with `explain`: "[2/5] RUN make: why it was not found" */
};
void cache_policy_release(struct cache_policy *p);

#endif
