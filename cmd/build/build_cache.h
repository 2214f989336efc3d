/* SPDX-License-Identifier: Apache-2.0 */
/* What `kiln build` can say about the cache beyond docker's flags: --no-cache-step, --cache-ttl,
 * --context-modes, --reset-mounts and --explain; and caches outside the store. */
#ifndef KILN_CMD_BUILD_BUILD_CACHE_H
#define KILN_CMD_BUILD_BUILD_CACHE_H

#include "cmd/build/build_options.h"
#include "engine/engine.h"

/* Checks the texts of these options, and parses those of --cache-from and --cache-to. */
int build_cache_check(struct build_options *o, struct error **err) _must_check_;
/* Hands them to the engine, before the solve. */
void build_cache_policy(const struct build_options *o, struct cache_policy *p);
/* Begins to read the caches of --cache-from. */
int build_cache_import(const struct build_options *o, struct engine *e,
		       const struct progress *progress, struct error **err) _must_check_;
/* Marks the steps of the compiled graph that are to run whatever the cache has. A pattern that
 * matches no step is an error. */
int build_cache_mark(const struct build_options *o, struct graph *g,
		     struct error **err) _must_check_;
/* Empties the cache mounts of --reset-mounts: those named, or all that the graph uses. Without it
 * none, whatever has to run. */
int build_cache_reset_mounts(const struct build_options *o, const struct graph *g, struct store *s,
			     struct error **err) _must_check_;
/* Prints the reasons to stderr. */
void build_cache_explain(const struct strv *reasons);

#endif
