/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/require.h"

#include "engine/remote_cache/remote_import.h"

typedef int (*require_fn)(struct store *s, struct registry *reg, struct job *job,
			  const int64_t *layers, size_t n, struct error **err);

/* What only the backend of an imported cache can fetch. */
static int fetch_imported(struct engine *e, struct job *job, const int64_t *layers, size_t n,
			  struct error **err)
{
	return e->imports ? remote_imports_fetch(e->imports, layers, n, job, err) : 0;
}

/* Is this the fault of where the bytes are, and not of this machine? */
static bool is_elsewhere(int r)
{
	return r == -ERR_NOTFOUND || r == -ERR_CORRUPT || r == -ERR_DENIED ||
	       r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT || r == -ERR_INVALID;
}

/* Several steps may find out at once, and it is told once. */
static bool is_told(struct engine *e, int64_t layer)
{
	bool told;
	void **slot;

	pthread_mutex_lock(&e->lock);
	slot = map_put(&e->lost, &layer, sizeof(layer));
	told = *slot != NULL;
	*slot = e;
	pthread_mutex_unlock(&e->lock);
	return told;
}

static void warn(struct engine *e, struct job *job, const struct layer_info *info,
		 const struct error *why)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *line = NULL;
	struct event_warning w = {0};

	if (is_told(e, info->id))
		return;
	line = xasprintf("the cached layer %s is not available, its step runs again: %s",
			 digest_format(&info->blob.digest, text), error_text(why));
	w.short_text = line;
	if (job)
		job_warn(job, &w);
	else
		store_notice(e->store, "%s", line);
}

/* A failure, and where it was. */
struct lost_layers {
	struct engine *engine;
	struct job *job;
	require_fn require;
	const int64_t *layers;
	size_t n;
	bool reachable; /* false: asking for others would only take time */
};

/* Looks at layer number i by itself, with those below it if `chain`, and gives it up if it cannot
 * be had. */
static bool give_up(struct lost_layers *l, size_t i, require_fn require, bool chain)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	_cleanup_(error_freep) struct error *why = NULL;
	struct engine *e = l->engine;
	int64_t layer = l->layers[i];
	int r;

	if (layer_get(e->store, layer, &info, NULL) < 0 || info.has_dir ||
	    engine_is_base_layer(e, layer))
		return false;
	/* It was not what it was said to be (layer_blob_misnamed). */
	if (!info.source && !info.has_blob && !info.has_index)
		return true;
	if (!info.source)
		return false;
	r = fetch_imported(e, l->job, &layer, 1, &why);
	if (r == 0)
		r = require(e->store, e->registry, l->job, chain ? l->layers : &layer,
			    chain ? i + 1 : 1, &why);
	if (r >= 0 || !is_elsewhere(r) || layer_give_up(e->store, layer, NULL) < 0)
		return false;
	if (r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT)
		l->reachable = false;
	warn(e, l->job, &info, why);
	return true;
}

/* Finds out which layers it was. True if any was given up. */
static bool find_lost(struct lost_layers *l)
{
	bool any = false;

	for (size_t i = 0; i < l->n && l->reachable; i++)
		any = give_up(l, i, blobs_require, false) || any;
	/* All blobs are here; the lowest that does not unpack is what stops those above. */
	for (size_t i = 0; i < l->n && l->require != blobs_require && !any; i++)
		any = give_up(l, i, l->require, true);
	return any;
}

static int require(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		   require_fn fn, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct lost_layers lost = {.engine = e,
				   .job = job,
				   .require = fn,
				   .layers = layers,
				   .n = n,
				   .reachable = true};
	int r = fetch_imported(e, job, layers, n, &why);

	if (r == 0)
		r = fn(e->store, e->registry, job, layers, n, &why);
	if (r < 0 && is_elsewhere(r) && find_lost(&lost) && r != -ERR_CORRUPT)
		r = -ERR_NOTFOUND;
	if (r < 0 && err)
		*err = TAKE_PTR(why);
	return r;
}

int require_dirs(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		 struct error **err)
{
	return require(e, job, layers, n, layers_require, err);
}

int require_indexes(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		    struct error **err)
{
	return require(e, job, layers, n, indexes_require, err);
}

int require_blobs(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		  struct error **err)
{
	return require(e, job, layers, n, blobs_require, err);
}
