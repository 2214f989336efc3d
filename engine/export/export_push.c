/* SPDX-License-Identifier: Apache-2.0 */
/* Images to a registry as the last step of a build. */
#include <stdlib.h>

#include "engine/export/export_make.h"
#include "engine/oci/oci.h"
#include "engine/registry/push.h"

struct pushed {
	struct made_image *made;
	struct push_image *images; /* and, after them, manifests of attestations */
	struct layer_body **views; /* of their statements */
	size_t n, n_images;
	struct buf index;
};

static void pushed_release(struct pushed *p)
{
	for (size_t i = 0; i < p->n; i++)
		made_image_release(&p->made[i]);
	for (size_t i = 0; p->views && i < p->n; i++)
		free(p->views[i]);
	free(p->views);
	free(p->made);
	free(p->images);
	buf_release(&p->index);
}

static int make_images(struct export_job *j, struct pushed *p, struct error **err)
{
	struct layer_blob_options lo = export_push_options(j->o);

	job_status(j->job, "exporting layers", 0, 0, false);
	p->made = xcalloc(j->n, sizeof(*p->made));
	/* Each may have attestations. */
	p->images = xcalloc(2 * j->n, sizeof(*p->images));
	p->views = xcalloc(j->n, sizeof(*p->views));
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
	p->n_images = p->n;
	return 0;
}

/* They are pushed as images are whose layers lie in the store. */
static int add_attestations(struct export_job *j, struct pushed *p, struct error **err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct attest_manifest *a = &p->made[i].attest;
		int r = export_attest_store(j->s, &p->made[i], err);

		if (r < 0)
			return r;
		if (a->statements.n == 0)
			continue;
		p->views[i] = xcalloc(a->statements.n, sizeof(*p->views[i]));
		for (size_t k = 0; k < a->statements.n; k++)
			p->views[i][k].blob =
				(struct layer_blob){.digest = a->statements.v[k].digest,
						    .size = a->statements.v[k].bytes.n};
		p->images[p->n_images++] = (struct push_image){.config = &a->config,
							       .manifest = &a->manifest,
							       .manifest_type = OCI_MANIFEST_TYPE,
							       .config_digest = a->config_digest,
							       .manifest_digest = a->digest,
							       .bodies = p->views[i],
							       .n_layers = a->statements.n};
	}
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

	if (r == 0)
		r = add_attestations(j, &p, err);
	if (r < 0)
		return r;
	export_find_top(j, p.made, p.n, &p.index, &top);
	push.images = p.images;
	push.n_images = p.n_images;
	if (export_is_indexed(j->o, p.n)) {
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
