/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded pool of worker threads for work that blocks.
 *
 * One thread owns the pool: it submits items and collects them when they are done; `process` runs
 *on a worker, cannot fail (it keeps its outcome in the struct that embeds the item) and must not
 *touch the pool. Threads are started when there is more to do than idle threads, up to the bound,
 *and have all signals blocked. Items start in the order they were submitted.
 *
 *	poll(pool_fd(pool)) -> while ((item = pool_collect(pool))) ...
 */
#ifndef KILN_BASE_POOL_H
#define KILN_BASE_POOL_H

#include <stdbool.h>

#include "base/alloc.h"

struct pool;

struct pool_item {
	void (*process)(struct pool_item *item);
	struct pool_item *next; /* the pool's */
};

/* 0, or -errno if not even one thread could be started. */
int pool_open(unsigned max_threads, struct pool **ret) _must_check_;
/* Waits for what was submitted; the items that were not collected are the caller's to free. */
void pool_free(struct pool *p);
DEFINE_FREEP(struct pool, pool_free)

void pool_submit(struct pool *p, struct pool_item *item);
/* A finished item, in the order they finished, or NULL if there is none now. */
struct pool_item *pool_collect(struct pool *p);
/* Waits until all that was submitted is done, and collects it; false if `cancel` was set before. */
struct cancel;
bool pool_wait(struct pool *p, const struct cancel *cancel);
/* Readable while there may be something to collect. Owned by the pool. */
int pool_fd(const struct pool *p);

#endif
