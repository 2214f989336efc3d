/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what the name of a cache outside the store stands for: a cache, an image with a cache
 * inline, or an index of such images. */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_READ_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_READ_H

#include "engine/remote_cache/remote_backend.h"
#include "engine/remote_cache/remote_graph.h"
#include "engine/remote_cache/remote_manifest.h"

/* A cache was found: its manifest, in which every result has its diff id, and its graph, which may
 * be taken by leaving REMOTE_GRAPH_INIT in its place. */
typedef int (*remote_found_fn)(void *data, const struct remote_manifest *m, struct remote_graph *g,
			       struct error **err);

/* Calls `found` for each cache; *ret_top (may be NULL) is the digest of what the name stands for,
 * set also where that turns out to be no cache; success means that there was one at least. Errors
 * as the backend's, ERR_INVALID and ERR_CORRUPT for what cannot be a cache, ERR_UNSUPPORTED for one
 * of BuildKit's, ERR_NOTFOUND for an image without a cache. */
int remote_read(struct remote_backend *b, remote_found_fn found, void *data, struct digest *ret_top,
		struct error **err) _must_check_;

#endif
