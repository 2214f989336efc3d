/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_outputs.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/build/build_attest.h"
#include "cmd/build/build_caches.h"
#include "engine/export/export_early.h"
#include "engine/export/squash.h"
#include "engine/stream/out_file.h"
#include "engine/upkeep.h"

/* Forgets what was made, to make it again. */
static void clear(struct build_outputs *b)
{
	for (size_t i = 0; b->results && i < 2 * b->n_images; i++)
		result_unref(b->results[i]);
	free(TAKE_PTR(b->results));
	for (size_t i = 0; b->squashed && i < b->n_images; i++)
		squashed_release(&b->squashed[i]);
	free(TAKE_PTR(b->squashed));
	for (size_t i = 0; i < b->n_exported; i++)
		export_result_release(&b->exported[i]);
	free(TAKE_PTR(b->exported));
	b->n_exported = 0;
}

void build_outputs_release(struct build_outputs *b)
{
	clear(b);
	build_attest_close(b->attest);
}

int build_outputs_check(const struct build_options *o, struct error **err)
{
	int r = o->iidfile ? out_file_check(o->iidfile, err) : 0;

	if (r == 0 && o->metadata_file)
		r = out_file_check(o->metadata_file, err);
	for (size_t i = 0; r == 0 && i < o->exports.n; i++) {
		const struct export_options *e = &o->exports.v[i];

		if (e->dest && (e->type == EXPORT_LOCAL || !e->tar))
			r = out_dir_check(e->dest, err);
		else if (e->dest && (e->type == EXPORT_TAR || e->type == EXPORT_OCI ||
				     e->type == EXPORT_DOCKER))
			r = out_file_check(e->dest, err);
	}
	return r;
}

/* --- squashing --- */

static bool squashes_on_stage(const struct build_outputs *b)
{
	return b->options->squash == SQUASH_ON_STAGE;
}

static size_t n_layers(const struct result *r)
{
	return r ? r->n_layers : 0;
}

/* How many of the image's layers stay as they are. */
static int find_keep(const struct build_outputs *b, size_t i, size_t *ret, struct error **err)
{
	const struct result *image = b->results[i], *on = b->results[b->n_images + i];

	switch (b->options->squash) {
	case SQUASH_ON_BASE:
		*ret = b->images[i].config.diff_ids.n;
		return 0;
	case SQUASH_ON_STAGE:
		*ret = n_layers(on);
		if (n_layers(on) <= n_layers(image) &&
		    (n_layers(on) == 0 ||
		     memcmp(on->layers, image->layers, n_layers(on) * sizeof(on->layers[0])) == 0))
			return 0;
		return error_new(err, ERR_INTERNAL, 0, "stage \"%s\" is not under the image",
				 b->options->squash_stage);
	default:
		*ret = 0;
		return 0;
	}
}

static int squash_one(struct build_outputs *b, size_t i, struct job *job, struct error **err)
{
	const struct export_env env = engine_export_env(b->engine);
	const struct result *image = b->results[i];
	struct layer_chain chain = {b->engine->store, image ? image->layers : NULL, n_layers(image),
				    0};
	int r = find_keep(b, i, &chain.n_keep, err);

	if (r < 0)
		return r;
	return squash_image(&env, &b->images[i].config, &chain, job, &b->squashed[i], err);
}

static int squash(struct build_outputs *b, struct error **err)
{
	struct job *job;
	int r = 0;

	if (b->options->squash == SQUASH_NOT)
		return 0;
	job = job_open(b->progress, b->engine->cancel, "squashing layers");
	b->squashed = xcalloc(b->n_images, sizeof(*b->squashed));
	for (size_t i = 0; i < b->n_images && r == 0; i++)
		r = squash_one(b, i, job, err);
	return job_close(job, r, err);
}

/* --- solving --- */

/* The layers that are exported as the steps leave them; those that get squashed are not. */
static struct early_image early_image(const struct build_outputs *b, size_t i)
{
	const struct frontend_result *image = &b->images[i];
	struct early_image early = {.target = image->target,
				    .last = image->target.vertex,
				    .n_keep = image->config.diff_ids.n};

	if (squashes_on_stage(b))
		early.target = image->squash_on;
	else if (b->options->squash != SQUASH_NOT)
		early.target = (struct edge){0};
	return early;
}

/* Targets and early images of one request; images live as long as the solve. */
static struct export_early *open_early(const struct build_outputs *b, struct early_image *images)
{
	struct early_plan plan = {.store = b->engine->store,
				  .graph = b->graph,
				  .images = images,
				  .n_images = b->n_images,
				  .outputs = b->options->exports.v,
				  .n_outputs = b->options->exports.n,
				  .progress = b->progress,
				  .cancel = b->engine->cancel};

	for (size_t i = 0; i < b->n_images; i++)
		images[i] = early_image(b, i);
	return export_early_open(&plan);
}

/* What a request wants of the solve: its images, and what they are squashed on. */
static size_t add_targets(const struct build_outputs *b, struct edge *targets)
{
	size_t n = squashes_on_stage(b) ? 2 * b->n_images : b->n_images;

	for (size_t i = 0; i < b->n_images; i++) {
		targets[i] = b->images[i].target;
		if (squashes_on_stage(b))
			targets[b->n_images + i] = b->images[i].squash_on;
	}
	return n;
}

static size_t count_images(struct build_outputs *const *all, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += all[i]->n_images;
	return total;
}

/* Hands each request its part. */
static void take_results(struct build_outputs *const *all, size_t n, struct result **results)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = squashes_on_stage(all[i]) ? 2 * all[i]->n_images : all[i]->n_images;

		all[i]->results = xcalloc(2 * all[i]->n_images, sizeof(struct result *));
		memcpy(all[i]->results, results, k * sizeof(*results));
		results += k;
	}
}

static int solve(struct build_outputs *const *all, size_t n, struct error **err)
{
	struct engine *e = all[0]->engine;
	size_t total = count_images(all, n), n_targets = 0, n_watches = e->watches.n;
	_cleanup_free_ struct edge *targets = xcalloc(2 * total, sizeof(*targets));
	_cleanup_free_ struct early_image *images = xcalloc(total, sizeof(*images));
	_cleanup_free_ struct result **results = xcalloc(2 * total, sizeof(struct result *));
	_cleanup_free_ struct export_early **early = xcalloc(n, sizeof(struct export_early *));
	int r;

	for (size_t i = 0, at = 0; i < n; at += all[i++]->n_images) {
		early[i] = open_early(all[i], images + at);
		n_targets += add_targets(all[i], targets + n_targets);
		vec_push(&e->watches,
			 (struct engine_watch){.made = export_early_made, .data = early[i]});
	}
	build_caches_watch(all, n);
	r = engine_solve(e, all[0]->graph, targets, n_targets, all[0]->progress, results, err);
	e->watches.n = n_watches;
	e->uses = NULL;
	for (size_t i = 0; i < n; i++)
		export_early_close(early[i], r < 0);
	take_results(all, n, results);
	return r;
}

/* --- exporting --- */

static struct export_image export_image(const struct build_outputs *b, size_t i)
{
	struct export_image image = {.config = &b->images[i].config,
				     .layers = b->results[i] ? b->results[i]->layers : NULL,
				     .n_layers = n_layers(b->results[i]),
				     .platform = b->images[i].platform};

	if (b->squashed) {
		image.config = &b->squashed[i].config;
		image.layers = b->squashed[i].layers;
		image.n_layers = b->squashed[i].n_layers;
	}
	return image;
}

static int export(struct build_outputs *b, struct error **err)
{
	_cleanup_free_ struct export_image *images = xcalloc(b->n_images, sizeof(*images));
	int r = 0;

	for (size_t i = 0; i < b->n_images; i++) {
		images[i] = export_image(b, i);
		build_attest_image(b->attest, i, &images[i]);
	}
	b->exported = xcalloc(b->options->exports.n, sizeof(*b->exported));
	for (size_t i = 0; i < b->options->exports.n && r == 0; i++) {
		const struct export_options *o = &b->options->exports.v[i];

		r = export_run(b->engine->store, images, b->n_images, o, b->progress,
			       b->engine->cancel, &b->exported[i], err);
		b->n_exported += r == 0;
		/* Other outputs leave the local store as it was. */
		if (r == 0 && o->type == EXPORT_IMAGE)
			r = engine_keep_images(b->engine, b->progress, err);
	}
	return r;
}

/* What the outputs take from the build; their own attributes win. */
static void complete_options(struct build_outputs *b)
{
	for (size_t i = 0; i < b->options->exports.n; i++) {
		struct export_options *o = &b->options->exports.v[i];

		if (!o->has_epoch) {
			o->has_epoch = b->images[0].has_epoch;
			o->epoch = b->images[0].epoch;
		}
		o->layers.fetcher = engine_blob_fetcher(b->engine);
		o->registry = b->engine->registry;
		o->inline_cache = build_caches_inline(b->caches);
	}
}

static int of_target(const struct build_outputs *b, int r, struct error **err)
{
	return r < 0 && b->target ? error_wrap(err, r, "target %s", b->target) : r;
}

static int leave(struct build_outputs *b, struct error **err)
{
	int r = squash(b, err);

	if (r == 0)
		r = export(b, err);
	if (r == 0)
		r = build_caches_write(b->caches, err);
	return r;
}

/* Caches are opened for each try: what one has sent already is found there by the next. */
static int make(struct build_outputs *const *all, size_t n, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = of_target(all[i], build_caches_open(all[i], &all[i]->caches, err), err);
		complete_options(all[i]);
		if (!all[i]->attest)
			all[i]->attest = build_attest_open(all[i]);
	}
	if (r == 0)
		r = solve(all, n, err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = of_target(all[i], leave(all[i], err), err);
	build_caches_close(all, n);
	return r;
}

/* Was anything forgotten since there were so many notices, or is now? */
static bool is_mended(struct build_outputs *const *all, size_t n, size_t n_notices)
{
	struct store *s = all[0]->engine->store;
	bool found = false;

	for (size_t i = 0; i < n; i++)
		if (all[i]->results &&
		    upkeep_forget_damaged(s, all[i]->results, all[i]->n_images, &found, NULL) < 0)
			return false;
	return (found || store_count_notices(s) > n_notices) &&
	       !engine_has_lost_base(all[0]->engine);
}

/* Several results may turn out unusable, one after the other. */
enum { MENDS_MAX = 100 };

int build_outputs_make_all(struct build_outputs *const *all, size_t count, struct error **err)
{
	for (unsigned n = 0;; n++) {
		size_t n_notices = store_count_notices(all[0]->engine->store);
		int r = make(all, count, err);

		if ((r != -ERR_CORRUPT && r != -ERR_NOTFOUND) || n == MENDS_MAX ||
		    !is_mended(all, count, n_notices))
			return r;
		error_free(*err);
		*err = NULL;
		for (size_t i = 0; i < count; i++)
			clear(all[i]);
	}
}

int build_outputs_make(struct build_outputs *b, struct error **err)
{
	return build_outputs_make_all(&b, 1, err);
}
