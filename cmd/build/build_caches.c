/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_caches.h"

#include <stdlib.h>

#include "base/imageref.h"
#include "engine/export/cache_export.h"
#include "engine/export/cache_inline.h"

struct build_caches {
	const struct build_outputs *outputs;
	struct edge *targets;
	struct strv pushed;    /* repositories of the images */
	struct cache_uses own; /* of the first of several */
	struct cache_uses *uses;
	struct remote_exports *exports;
	bool *in_images;
	bool has_inline;
	struct remote_inline inlined;
};

static void find_pushed(struct build_caches *c)
{
	const struct build_options *o = c->outputs->options;

	for (size_t i = 0; i < o->exports.n; i++) {
		const struct export_options *e = &o->exports.v[i];

		for (size_t k = 0; (e->push || e->type == EXPORT_REGISTRY) && k < e->names.n; k++) {
			_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;

			if (imageref_parse(e->names.v[k], &ref, NULL) == 0)
				strv_push_take(&c->pushed, imageref_name(&ref));
		}
	}
}

static void prepare_inline(struct build_caches *c)
{
	const struct build_outputs *b = c->outputs;

	for (size_t i = 0; i < b->options->cache_exports.n; i++)
		c->has_inline |= remote_spec_is_inline(&b->options->cache_exports.v[i]);
	c->in_images = remote_wanted(b->graph, c->targets, b->n_images, false);
	c->inlined = (struct remote_inline){.env = engine_export_env(b->engine),
					    .uses = c->uses,
					    .wanted = c->in_images,
					    .has_epoch = b->images[0].has_epoch,
					    .epoch = b->images[0].epoch};
}

static void close_one(struct build_caches *c)
{
	if (!c)
		return;
	remote_exports_close(c->exports);
	cache_uses_release(&c->own);
	strv_release(&c->pushed);
	free(c->in_images);
	free(c->targets);
	free(c);
}

int build_caches_open(const struct build_outputs *b, struct build_caches **ret, struct error **err)
{
	struct build_caches *c;
	int r;

	if (b->options->cache_exports.n == 0)
		return 0;
	c = NEW(struct build_caches);
	c->outputs = b;
	cache_uses_init(&c->own);
	c->uses = &c->own;
	c->targets = xcalloc(b->n_images, sizeof(*c->targets));
	for (size_t i = 0; i < b->n_images; i++)
		c->targets[i] = b->images[i].target;
	find_pushed(c);
	prepare_inline(c);
	r = remote_exports_open(&(struct remote_export_plan){.env = engine_export_env(b->engine),
							     .graph = b->graph,
							     .targets = c->targets,
							     .n_targets = b->n_images,
							     .pushed = &c->pushed,
							     .progress = b->progress},
				b->options->cache_exports.v, b->options->cache_exports.n,
				&c->exports, err);
	if (r < 0)
		close_one(c);
	else
		*ret = c;
	return r;
}

void build_caches_watch(struct build_outputs *const *all, size_t n)
{
	struct cache_uses *uses = NULL;

	for (size_t i = 0; i < n; i++) {
		struct build_caches *c = all[i]->caches;
		struct engine *e = all[i]->engine;

		if (!c)
			continue;
		if (!uses) {
			uses = &c->own;
			cache_uses_release(uses);
			cache_uses_init(uses);
			e->uses = uses;
		}
		c->uses = uses;
		c->inlined.uses = uses;
		vec_push(&e->watches,
			 (struct engine_watch){.made = remote_exports_made, .data = c->exports});
	}
}

struct export_inline build_caches_inline(struct build_caches *c)
{
	if (!c || !c->has_inline)
		return (struct export_inline){0};
	return (struct export_inline){.make = remote_inline_make, .data = &c->inlined};
}

int build_caches_write(struct build_caches *c, struct error **err)
{
	return c ? remote_exports_finish(c->exports, c->uses, err) : 0;
}

void build_caches_close(struct build_outputs *const *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		remote_exports_close(all[i]->caches ? TAKE_PTR(all[i]->caches->exports) : NULL);
	for (size_t i = 0; i < n; i++)
		close_one(TAKE_PTR(all[i]->caches));
}
