/* SPDX-License-Identifier: Apache-2.0 */
/* The caches of --cache-to: layers leave as soon as their steps are done, and when the build is
 * done the rest, the graph and the manifest.
 *
 *	remote_exports_open(&plan, specs, n, &x, err);
 *	... remote_exports_made for every result (an engine_watch) ...
 *	remote_exports_finish(x, &uses, err);		after the images were exported
 *	remote_exports_close(x);
 *
 * What fails early is done again at the end, and told then. All functions are called on one thread.
 */
#ifndef KILN_ENGINE_EXPORT_CACHE_EXPORT_H
#define KILN_ENGINE_EXPORT_CACHE_EXPORT_H

#include "engine/cache/cache_uses.h"
#include "engine/export/export_env.h"
#include "engine/remote_cache/remote_backend.h"

/* Everything is borrowed and outlives the remote_exports. */
struct remote_export_plan {
	struct export_env env;
	const struct graph *graph;
	const struct edge *targets; /* one an image */
	size_t n_targets;
	/* "host/path" of repositories that the images are pushed to: what they get is taken over
	 * from there. */
	const struct strv *pushed;
	const struct progress *progress;
};

struct remote_exports;
/* Inline specs are passed over: engine/export/cache_inline.h. */
int remote_exports_open(const struct remote_export_plan *plan, const struct remote_spec *specs,
			size_t n, struct remote_exports **ret, struct error **err) _must_check_;
void remote_exports_made(void *data, const struct vertex *v, struct result *const *outputs,
			 size_t n_outputs);
/* The error of the first export that failed and may not. */
int remote_exports_finish(struct remote_exports *x, struct cache_uses *uses,
			  struct error **err) _must_check_;
/* Breaks off what was begun and not finished. Accepts NULL. */
void remote_exports_close(struct remote_exports *x);

#endif
