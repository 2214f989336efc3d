/* SPDX-License-Identifier: Apache-2.0 */
/* Who uses which bytes: all cache records and the layers of their chains, loaded once for du and
 * for eviction. Only files of store/ include this. */
#ifndef KILN_STORE_CACHE_USAGE_H
#define KILN_STORE_CACHE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "store/db.h"
#include "store/store.h"

struct usage_record;

struct usage_layer {
	int64_t id;
	uint64_t bytes;	  /* of its dir and its blob */
	unsigned records; /* that have it in their chain */
	unsigned below;	  /* of those, the ones that have it below their topmost layer */
	bool image;	  /* an image needs it */
	bool in_use;	  /* a living process holds it */
	const struct usage_record *owner; /* the record that it is counted for; NULL: none */
	size_t owner_position;		  /* in that record's chain */
};

struct usage_record {
	int64_t id;
	char *description, *type;
	int64_t created, last_used, uses, duration;
	struct usage_layer **chain; /* lowest first; points into cache_usage.chains */
	size_t n_layers;
	size_t at;	/* of the chain in cache_usage.chains */
	uint64_t bytes; /* of the layers that are counted for it */
};

struct cache_usage {
	VEC(struct usage_record) records; /* least recently used first */
	VEC(struct usage_layer *) chains;
	VEC(struct usage_layer) layers; /* all there are, by id */
	uint64_t total;			/* bytes of all blobs, layers and cache mounts */
	uint64_t image_bytes;		/* of those, what images need */
};
#define CACHE_USAGE_INIT   \
	{                  \
		.total = 0 \
	}

/* With `but_ours`, what only this handle's lease holds does not count as in use. */
int cache_usage_load(struct store *s, struct db_tx *tx, bool but_ours, struct cache_usage *ret,
		     struct error **err) _must_check_;
void cache_usage_release(struct cache_usage *u);

#endif
