/* SPDX-License-Identifier: Apache-2.0 */
/* Which part of the cache goes first when there is too much of it (docs/cache.md, "Freeing space").
 * Only files of store/ include this. */
#ifndef KILN_STORE_EVICT_H
#define KILN_STORE_EVICT_H

#include "base/vec.h"
#include "store/db.h"
#include "store/gc.h"

struct evict_options {
	uint64_t limit;	       /* bytes of cache that may remain */
	int64_t unused_before; /* only what was last used before this time */
	bool mounts;	       /* cache mounts may go too */
};

/* A cache mount that was chosen. */
struct evicted_mount {
	char *id;
	int64_t instance, last_used;
	uint64_t bytes;
};

struct evicted {
	VEC(int64_t) records;
	VEC(struct evicted_mount) mounts;
	uint64_t remaining; /* bytes of cache after all that has gone */
	uint64_t before;
};
void evicted_release(struct evicted *e);

/* Chooses; removes nothing. What images or living processes need is not chosen, and what lies below
 * something that stays is not either. */
int evict_choose(struct store *s, struct db_tx *tx, const struct evict_options *o,
		 struct evicted *ret, struct error **err) _must_check_;

/* What a second of rebuilding saves per byte, less the longer it was not used. */
double evict_value(double seconds, uint64_t bytes, int64_t unused_ns);
/* 0: not used for an hour; 1: for half of one, 2: for a quarter, and so on. What has less goes
 * first, and only among equals the value counts: who builds again wants what was used just now. */
unsigned evict_recency(int64_t unused_ns);

#endif
