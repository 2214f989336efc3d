#include "engine/require.h"

#include "engine/remote_import.h"

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

static void warn(struct job *job, const struct layer_info *info, const struct error *why)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *line =
		xasprintf("the cached layer %s cannot be had, its step runs again: %s",
			  digest_format(&info->blob.digest, text), error_text(why));
	struct event_warning w = {.short_text = line};

	if (job)
		job_warn(job, &w);
}

/* Looks at one layer by itself, and gives it up if it cannot be had. *ret_reachable = false where
 * asking for others would only take time. */
static bool give_up(struct engine *e, struct job *job, int64_t layer, require_fn require,
		    const int64_t *chain, size_t n, bool *ret_reachable)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	_cleanup_(error_freep) struct error *why = NULL;
	int r;

	if (layer_get(e->store, layer, &info, NULL) < 0 || !info.source || info.has_dir ||
	    engine_is_base_layer(e, layer))
		return false;
	r = fetch_imported(e, job, &layer, 1, &why);
	if (r == 0)
		r = require(e->store, e->registry, job, chain, n, &why);
	if (r >= 0 || !is_elsewhere(r) || layer_give_up(e->store, layer, NULL) < 0)
		return false;
	if (r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT)
		*ret_reachable = false;
	warn(job, &info, why);
	return true;
}

/* Finds out which layers it was. True if any was given up. */
static bool find_lost(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		      require_fn fn)
{
	bool any = false, reachable = true;

	for (size_t i = 0; i < n && reachable; i++)
		any = give_up(e, job, layers[i], blobs_require, &layers[i], 1, &reachable) || any;
	/* All blobs are here; the lowest that does not unpack is what stops those above. */
	for (size_t i = 0; i < n && fn != blobs_require && !any; i++)
		any = give_up(e, job, layers[i], fn, layers, i + 1, &reachable);
	return any;
}

static int require(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		   require_fn fn, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	int r = fetch_imported(e, job, layers, n, &why);

	if (r == 0)
		r = fn(e->store, e->registry, job, layers, n, &why);
	if (r < 0 && is_elsewhere(r) && find_lost(e, job, layers, n, fn) && r != -ERR_CORRUPT)
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
