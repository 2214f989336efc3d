/* SPDX-License-Identifier: Apache-2.0 */
/* From what a build found and made to the graph of a cache outside the store. */
#ifndef KILN_ENGINE_EXPORT_CACHE_COLLECT_H
#define KILN_ENGINE_EXPORT_CACHE_COLLECT_H

#include "engine/cache/cache_uses.h"
#include "engine/export/export_env.h"
#include "engine/remote_cache/remote_graph.h"

/* By vertex id: whose results are exported. With `max` all; else those of which the targets' layers
 * come. Heap. */
bool *remote_wanted(const struct graph *g, const struct edge *targets, size_t n, bool max);

struct remote_collect {
	struct export_env env;
	const struct cache_uses *uses;
	const bool *wanted;
	/* The diff id of a layer as it travels; false: it does not, and neither do records that
	 * need it. */
	bool (*diff_id)(void *data, int64_t layer, struct digest *ret);
	void *data;
	bool has_epoch; /* no times but this one */
	int64_t epoch;	/* ns */
};
/* *ret is REMOTE_GRAPH_INIT before. */
int remote_collect(const struct remote_collect *c, struct remote_graph *ret,
		   struct error **err) _must_check_;

#endif
