/* SPDX-License-Identifier: Apache-2.0 */
/* Why steps were not found in the cache: gathered while a build runs, for --explain. Thread
 * safe. */
#ifndef KILN_ENGINE_CACHE_MISS_LOG_H
#define KILN_ENGINE_CACHE_MISS_LOG_H

#include <pthread.h>

#include "base/buf.h"
#include "base/vec.h"
#include "engine/cache/cache_policy.h"
#include "solver/solver.h"
#include "store/store.h"

struct miss {
	unsigned vertex; /* its id */
	bool ran;
	char *step, *reasons;
};

struct miss_log {
	struct store *store;
	pthread_mutex_t lock;
	VEC(struct miss) misses;
};

void miss_log_init(struct miss_log *l, struct store *s);
void miss_log_release(struct miss_log *l);
/* A reason that no comparison of traces would find. The first one for a vertex stands. */
void miss_log_note(struct miss_log *l, const struct vertex *v, const char *fmt, ...) _printf_(3, 4);
/* v ran: compares its trace with the nearest earlier one, unless something was noted. To be called
 * before its own trace is stored. `trace` may be empty: not available. */
void miss_log_ran(struct miss_log *l, const struct vertex *v, const char *place,
		  const struct buf *trace);
/* Appends a line for every step that ran, in graph order. */
void miss_log_lines(struct miss_log *l, struct strv *ret);

#endif
