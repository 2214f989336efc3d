/* SPDX-License-Identifier: Apache-2.0 */
/* The caches of --cache-from: read once, in the background, then asked beside the local records.
 *
 *	im = remote_imports_new(&env);
 *	remote_imports_add(im, &spec, err);		for each
 *	remote_imports_start(im, progress);
 *	... remote_imports_find and the others wait until all are read ...
 *	remote_imports_free(im);
 *
 * What is read is small: manifest and graph. A result that is found consists of layers known by
 * descriptor, whose bytes stay where they are until something reads them (engine/require.h). A
 * cache that cannot be read or that is damaged is one that is not there: a warning tells.
 *
 * Thread safe from remote_imports_start on.
 */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_IMPORT_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_IMPORT_H

#include "engine/remote_cache/remote_backend.h"
#include "engine/remote_cache/remote_graph.h"
#include "solver/solver.h"

struct remote_imports;
struct remote_imports *remote_imports_new(const struct remote_env *env);
int remote_imports_add(struct remote_imports *im, const struct remote_spec *spec,
		       struct error **err) _must_check_;
void remote_imports_start(struct remote_imports *im, const struct progress *progress);
/* Nobody waits any longer for what is still being read, and nothing is told of it after this.
 * Accepts NULL, as the next does. */
void remote_imports_stop(struct remote_imports *im);
void remote_imports_free(struct remote_imports *im);

/* Fills q->outputs as cache_backend.find does; *ret = what it was found by, NULL if nothing was.
 * Borrowed from the imports. */
int remote_imports_find(struct remote_imports *im, const struct cache_query *q,
			const struct remote_record **ret, struct error **err) _must_check_;
/* Is there any record? */
bool remote_imports_any(struct remote_imports *im);
/* The content digest of a merged stack of layers, where it is said. */
bool remote_imports_tree(struct remote_imports *im, const int64_t *layers, size_t n,
			 struct digest *ret);
/* Copies to `to` what a record of one of these keys says of input number `input`; ret->known =
 * false if none says anything. */
void remote_imports_input(struct remote_imports *im, const struct digest *keys, size_t n,
			  size_t input, struct remote_graph *to, struct remote_chain *ret);
/* Adds to keys[0, *n), of which there is room for REMOTE_KEYS_MAX, what the caches list beside one
 * of these for the same result. The store does not know them: they are for what this build writes.
 */
void remote_imports_keys(struct remote_imports *im, struct result *const *outputs, size_t n_outputs,
			 struct digest *keys, size_t *n);
/* What is said of this stack is not so: it is not said again. */
void remote_imports_refuse_tree(struct remote_imports *im, const int64_t *layers, size_t n);
/* Records of these keys turned out hollow: they are not found again. */
void remote_imports_refuse(struct remote_imports *im, const struct digest *keys, size_t n);

/* Fetches those blobs of these layers that only a backend of ours can fetch. */
int remote_imports_fetch(struct remote_imports *im, const int64_t *layers, size_t n,
			 struct job *job, struct error **err) _must_check_;
/* Fills a cache mount that is new or empty here with what a cache has for it
 * (remote_mounts_restore of engine/remote_cache/remote_mounts.h). `im` may be NULL. */
struct mount_wish;
int remote_imports_restore(struct remote_imports *im, const struct mount_wish *wish,
			   struct job *job, struct error **err) _must_check_;
/* Was the cache of this name (remote_backend.name) read, and what did it stand for? *ret_exists =
 * false: for nothing. */
bool remote_imports_manifest(struct remote_imports *im, const char *name, bool *ret_exists,
			     struct digest *ret);

/* A content key that rests on what an imported cache says is nothing to go by for who does not
 * import it. What was found or made under one is kept under this name, which no build asks for,
 * until it is linked to a definition. */
struct digest remote_hearsay(const struct digest *content);

#endif
