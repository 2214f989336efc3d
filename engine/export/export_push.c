/* SPDX-License-Identifier: Apache-2.0 */
/* Images to a registry as the last step of a build. */
#include <stdlib.h>

#include "engine/export/export_make.h"
#include "engine/registry/push.h"

struct pushed {
	struct made_image *made;
	struct push_image *images;
	size_t n;
	struct buf index;
};

static void pushed_release(struct pushed *p)
{
	for (size_t i = 0; i < p->n; i++)
		made_image_release(&p->made[i]);
	free(p->made);
	free(p->images);
	buf_release(&p->index);
}

static int make_images(struct export_job *j, struct pushed *p, struct error **err)
{
	struct layer_blob_options lo = export_push_options(j->o);

	job_status(j->job, "exporting layers", 0, 0, false);
	p->made = xcalloc(j->n, sizeof(*p->made));
	p->images = xcalloc(j->n, sizeof(*p->images));
	for (; p->n < j->n; p->n++) {
		struct made_image *m = &p->made[p->n];
		int r = export_make(j->s, &j->images[p->n], j->o, &lo, j->cancel, m, err);

		if (r < 0)
			return r;
		p->images[p->n] = (struct push_image){.config = &m->config,
						      .manifest = &m->manifest,
						      .manifest_type = m->manifest_type,
						      .config_digest = m->config_digest,
						      .manifest_digest = m->manifest_digest,
						      .layers = m->in->layers,
						      .bodies = m->bodies,
						      .n_layers = m->in->n_layers,
						      .n_keep = m->n_keep,
						      .options = lo};
	}
	job_status(j->job, "exporting layers", 0, 0, true);
	return 0;
}

int export_to_registry(struct export_job *j, struct error **err)
{
	_cleanup_(pushed_release) struct pushed p = {.index = BUF_INIT};
	struct push_job push = {.store = j->s,
				.registry = j->o->registry,
				.job = j->job,
				.cancel = j->cancel,
				.fetcher = j->o->layers.fetcher,
				.by_digest = j->o->push_by_digest};
	struct export_top top;
	int r = make_images(j, &p, err);

	if (r < 0)
		return r;
	export_find_top(j, p.made, p.n, &p.index, &top);
	push.images = p.images;
	push.n_images = p.n;
	if (export_is_several(j->o, p.n)) {
		push.index = &p.index;
		push.index_type = top.media_type;
		push.index_digest = top.digest;
	}
	strv_release(&top.annotations);
	for (size_t i = 0; r == 0 && i < j->names.n; i++)
		r = push_run(&push, j->names.v[i], err);
	push_job_release(&push);
	return r;
}
