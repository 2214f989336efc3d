/* SPDX-License-Identifier: Apache-2.0 */
/* How much the cache may take, and making room for what is written (docs/cache.md, "Freeing
 * space").
 *
 * What counts is the cache: all blobs, layers and cache mounts of this store but what its images
 * need. The total is kept by the database, so asking costs one row.
 */
#ifndef KILN_STORE_SPACE_H
#define KILN_STORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "store/gc.h"
#include "store/store.h"

struct space_policy {
	uint64_t max_used; /* the cap in bytes */
	bool strict;	   /* it was asked for: what does not fit under it is an error. Else what
			    * running builds need goes over it. */
	uint64_t min_free; /* bytes of the file system that are to stay free; 0: no matter */
	int64_t keep_ns;   /* below the cap, what was used this recently stays */
	bool makes_image;  /* what this handle writes will be an image's and not the cache's */
};

/* The smaller of 20 % of the store's file system and 100 GB, not strict; 48 hours. */
void space_policy_default(struct store *s, struct space_policy *ret);
/* Without a policy nothing is limited. Before the handle is used by several threads. */
void space_set_policy(struct store *s, const struct space_policy *policy);

/* Makes room for `more` bytes about to be written or committed: evicts if they would go over the
 * cap. ERR_NOSPACE only if the policy is strict and what is in use leaves too little room. */
int space_reserve(struct store *s, uint64_t more, struct error **err) _must_check_;
/* So many bytes were committed. */
void space_note(struct store *s, uint64_t bytes);

/* After a build: evicts by the policy, and once a day collects garbage and syncs. Cheap
 * otherwise. */
int space_maintain(struct store *s, struct error **err) _must_check_;

#endif
