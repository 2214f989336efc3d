/* SPDX-License-Identifier: Apache-2.0 */
/* Locks between processes that share a store. All of them fall on death.
 *
 * Lock order: step key, then cache mounts by id in strcmp order. */
#ifndef KILN_STORE_LOCK_H
#define KILN_STORE_LOCK_H

#include <stdbool.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"
#include "store/store.h"

struct lock;

enum lock_mode {
	LOCK_SHARED = 1,
	LOCK_EXCLUSIVE,
};

/* One builds a step key, the others wait: then they look the record up again. Waits until it is
 * free, `cancel` (may be NULL) is set (ERR_CANCELED), or, with try_only, not at all: *ret = NULL.
 */
int lock_step(struct store *s, const struct digest *key, bool try_only, struct cancel *cancel,
	      struct lock **ret, struct error **err) _must_check_;
/* A lock by any other name, e.g. a git cache or a cache mount; names are hashed. It waits;
 * lock_name_try, which is exclusive, does not: *ret = NULL. */
int lock_name(struct store *s, const char *kind, const char *name, enum lock_mode mode,
	      struct cancel *cancel, struct lock **ret, struct error **err) _must_check_;
int lock_name_try(struct store *s, const char *kind, const char *name, struct lock **ret,
		  struct error **err) _must_check_;
void lock_release(struct lock *l);
DEFINE_FREEP(struct lock, lock_release)

#endif
