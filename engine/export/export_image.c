/* SPDX-License-Identifier: Apache-2.0 */
/* Images into the store: documents as blobs, and their names. */
#include <stdlib.h>

#include "base/times.h"
#include "engine/export/export_make.h"
#include "engine/oci/image_index.h"
#include "store/blob.h"
#include "store/image.h"
#include "store/record.h"

/* An image in the local store is complete: every received layer is here as a blob or as a dir. */
static int complete_layers(struct export_job *j, const struct export_image *in, struct error **err)
{
	_cleanup_free_ int64_t *missing = xcalloc(in->n_layers + 1, sizeof(*missing));
	size_t n = 0;

	for (size_t i = 0; i < in->n_layers; i++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};
		int r = layer_get(j->s, in->layers[i], &info, err);

		if (r < 0)
			return r;
		if (!info.has_dir && !(info.has_blob && blob_exists(j->s, &info.blob.digest, NULL)))
			missing[n++] = in->layers[i];
	}
	if (n == 0)
		return 0;
	if (!j->o->layers.fetcher.require)
		return error_new(err, ERR_NOTFOUND, 0, "layer %lld is not in the store",
				 (long long)missing[0]);
	return j->o->layers.fetcher.require(j->o->layers.fetcher.data, missing, n, err);
}

static int make(struct export_job *j, struct made_image *ret, struct error **err)
{
	struct layer_blob_options lo = export_store_options(j->o, j->n);
	int r;

	job_status(j->job, "exporting layers", 0, 0, false);
	r = complete_layers(j, j->images, err);
	if (r == 0)
		r = export_make(j->s, j->images, j->o, &lo, j->cancel, ret, err);
	if (r == 0)
		job_status(j->job, "exporting layers", 0, 0, true);
	return r;
}

static int put_documents(struct store *s, const struct made_image *m, struct error **err)
{
	struct digest digest;
	int r = blob_put(s, m->config.p, m->config.n, &digest, err);

	if (r == 0)
		r = blob_put(s, m->manifest.p, m->manifest.n, &digest, err);
	return r < 0 ? r : export_attest_store(s, m, err);
}

static void fill_image(struct store *s, const struct made_image *m, struct image *ret)
{
	const struct export_image *in = m->in;

	*ret = (struct image){.manifest = m->manifest_digest,
			      .config = m->config_digest,
			      .created = m->created,
			      .os = xstrdup(in->platform.os),
			      .arch = xstrdup(in->platform.arch),
			      .variant = xstrdup(in->platform.variant)};
	ret->layers = xcalloc(in->n_layers + 1, sizeof(*ret->layers));
	for (size_t i = 0; i < in->n_layers; i++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};

		ret->layers[ret->n_layers++] = in->layers[i];
		if (layer_get(s, in->layers[i], &info, NULL) == 0)
			ret->size += info.size;
	}
}

static int put_image(struct export_job *j, const struct made_image *m, struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *writing = NULL;
	struct image image;
	int r;

	digest_format(&m->config_digest, text);
	writing = xasprintf("writing image %s", text);
	job_status(j->job, writing, 0, 0, false);
	r = put_documents(j->s, m, err);
	if (r < 0)
		return r;
	fill_image(j->s, m, &image);
	if (j->names.n == 0)
		r = image_put(j->s, &image, NULL, IMAGE_MADE, NULL, err);
	else
		r = image_put(j->s, &image, j->names.v[0], IMAGE_MADE, NULL, err);
	image_release(&image);
	if (r == 0)
		job_status(j->job, writing, 0, 0, true);
	for (size_t i = 0; r == 0 && i < j->names.n; i++) {
		_cleanup_free_ char *naming = xasprintf("naming to %s", j->names.v[i]);

		job_status(j->job, naming, 0, 0, false);
		if (i > 0)
			r = image_tag(j->s, &m->manifest_digest, j->names.v[i], IMAGE_MADE, err);
		if (r == 0)
			job_status(j->job, naming, 0, 0, true);
	}
	return r;
}

/* --- several platforms --- */

struct several {
	struct made_image *made;
	size_t n;
	struct buf index;
};

static void several_release(struct several *m)
{
	for (size_t i = 0; i < m->n; i++)
		made_image_release(&m->made[i]);
	free(m->made);
	buf_release(&m->index);
}

static int make_several(struct export_job *j, struct several *m, struct error **err)
{
	struct layer_blob_options lo = export_store_options(j->o, j->n);

	job_status(j->job, "exporting layers", 0, 0, false);
	m->made = xcalloc(j->n, sizeof(*m->made));
	for (; m->n < j->n; m->n++) {
		int r = export_make(j->s, &j->images[m->n], j->o, &lo, j->cancel, &m->made[m->n],
				    err);

		if (r < 0)
			return r;
	}
	job_status(j->job, "exporting layers", 0, 0, true);
	return 0;
}

/* The image that runs here, else the first. */
static const struct made_image *choose(const struct several *m)
{
	const struct platform host = platform_host();
	const struct made_image *best = NULL;
	int best_match = 0;

	for (size_t i = 0; i < m->n; i++) {
		int match = platform_match(&host, &m->made[i].in->platform);

		if (match > best_match) {
			best = &m->made[i];
			best_match = match;
		}
	}
	return best ? best : &m->made[0];
}

/* What the index names stays as long as the image that stands for it. */
static int put_index(struct export_job *j, const struct several *m, const struct made_image *image,
		     struct error **err)
{
	_cleanup_free_ char *line = NULL;
	char text[DIGEST_TEXT];
	struct digest digest;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = put_documents(j->s, &m->made[i], err);
	if (r == 0)
		r = blob_put(j->s, m->index.p, m->index.n, &digest, err);
	if (r == 0)
		r = image_index_keep(j->s, &image->manifest_digest, &digest, err);
	if (r < 0)
		return r;
	line = xasprintf("exporting manifest list %s", digest_format(&digest, text));
	job_status(j->job, line, 0, 0, true);
	return 0;
}

static int export_several(struct export_job *j, struct error **err)
{
	_cleanup_(several_release) struct several m = {.index = BUF_INIT};
	const struct made_image *image;
	struct export_top top;
	int r = make_several(j, &m, err);

	if (r < 0)
		return r;
	export_find_top(j, m.made, m.n, &m.index, &top);
	strv_release(&top.annotations);
	image = choose(&m);
	r = put_image(j, image, err);
	return r == 0 ? put_index(j, &m, image, err) : r;
}

int export_to_store(struct export_job *j, struct error **err)
{
	_cleanup_strv_ struct strv annotations = {0};
	struct made_image m;
	int r;

	if (export_is_indexed(j->o, j->n))
		return export_several(j, err);
	r = make(j, &m, err);
	if (r < 0)
		return r;
	r = put_image(j, &m, err);
	if (r == 0) {
		export_annotations(j->o, ANNOTATE_MANIFEST_DESCRIPTOR, &m.in->platform,
				   &annotations);
		export_describe(j->result, m.manifest_type, &m.manifest_digest, m.manifest.n,
				&m.config_digest, &annotations, &m.in->platform);
	}
	made_image_release(&m);
	return r;
}
