/* SPDX-License-Identifier: Apache-2.0 */
/* Freeing space: what no tag, lease or record needs goes. Safe beside any number of builds. */
#ifndef KILN_STORE_GC_H
#define KILN_STORE_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/strv.h"
#include "base/vec.h"
#include "store/store.h"

struct gc_result {
	uint64_t bytes;	  /* freed on disk, as far as known */
	int64_t *records; /* ids of removed cache records; owned */
	size_t n_records;
	int64_t *layers; /* ids of removed layers; owned */
	size_t n_layers;
	struct digest *blobs; /* removed ones; owned */
	size_t n_blobs;
	bool marked;	    /* for gc_sweep.h */
	struct strv mounts; /* ids of removed cache mounts */
};
void gc_result_release(struct gc_result *r);

/* Removes dead leases and their temporaries, the trash, and layers and blobs that nothing names.
 * `ret` may be NULL. */
int store_gc(struct store *s, struct gc_result *ret, struct error **err) _must_check_;
/* Removes the temporaries of the dead alone; of a store without any this reads one empty directory.
 * What cannot be removed stays for store_gc. */
void gc_sweep_temporaries(struct store *s);

struct prune_mount {
	const char *id; /* borrowed */
	int64_t instance;
};

/* Records and cache mounts by name. */
struct prune_choice {
	VEC(int64_t) records;
	VEC(struct prune_mount) mounts;
};

struct prune_options {
	bool all;	      /* every record, else only what the next says */
	int64_t unused_since; /* ns since the epoch: records last used before; 0: no age limit */
	bool mounts;	      /* cache mounts too, by the same rules */
	const struct prune_choice *only; /* of these; NULL: of all */

	/* By size: records go, the least worth keeping first (docs/cache.md), until the cache takes
	 * no more than keep_storage, or max_used_space, or leaves min_free_space of the file system
	 * free. 0: no such limit, but for keep_storage with limit_storage. keep_storage is also
	 * what the other two leave in any case. */
	bool limit_storage;
	uint64_t keep_storage, max_used_space, min_free_space;

	bool dry_run; /* only tell what would go: `ret` is filled, bytes are estimated */
};

/* Drops cache records by the options, then collects. What images, running builds and records that
 * stay need, stays. */
int store_prune(struct store *s, const struct prune_options *options, struct gc_result *ret,
		struct error **err) _must_check_;

#endif
