/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing an image that is in the store, alone or under its index. */
#include <stdlib.h>
#include <string.h>

#include "base/image_config.h"
#include "engine/oci/image_index.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_manifest.h"
#include "engine/registry/push.h"
#include "store/blob.h"
#include "store/image.h"

/* An image of the store on its way out. */
struct stored {
	struct buf manifest, config;
	struct digest manifest_digest, config_digest;
	struct oci_document doc;
	struct layer_body *bodies;
	size_t n_bodies;
	struct layer_blob_options options;
};

struct stored_push {
	struct store *s;
	struct cancel *cancel;
	struct image image;
	VEC(struct stored) images;
	VEC(struct push_image) views; /* of the same */
	struct image_index index;
	bool indexed;	 /* the index goes, too */
	bool blobs_only; /* the images are blobs of an index */
};

static void stored_release(struct stored *m)
{
	for (size_t i = 0; m->bodies && i < m->n_bodies; i++)
		layer_body_release(&m->bodies[i]);
	free(m->bodies);
	buf_release(&m->manifest);
	buf_release(&m->config);
	oci_document_release(&m->doc);
}

static void stored_push_release(struct stored_push *p)
{
	image_release(&p->image);
	for (size_t i = 0; i < p->images.n; i++)
		stored_release(&p->images.v[i]);
	vec_release(&p->images);
	vec_release(&p->views);
	image_index_release(&p->index);
}

static int load_documents(struct store *s, struct stored *m, struct error **err)
{
	int r = blob_read(s, &m->manifest_digest, OCI_DOCUMENT_MAX, &m->manifest, err);

	if (r == 0)
		r = oci_entry_parse(m->manifest.p, m->manifest.n, &m->doc, err);
	if (r == 0 && m->doc.kind != OCI_MANIFEST)
		r = error_new(err, ERR_CORRUPT, 0, "an index where a manifest should be");
	if (r < 0)
		return r;
	m->config_digest = m->doc.config.digest;
	return blob_read(s, &m->config_digest, OCI_DOCUMENT_MAX, &m->config, err);
}

/* --- the layers, with gzip where they were made here --- */

static int read_diff_ids(const struct stored *m, size_t n, struct digest *ret, struct error **err)
{
	struct image_config config;
	int r = image_config_parse(m->config.p, m->config.n, &config, err);

	if (r < 0)
		return r;
	if (config.diff_ids.n != n)
		r = error_new(err, ERR_CORRUPT, 0, "the config has %zu layers, the image %zu",
			      config.diff_ids.n, n);
	else if (n > 0)
		memcpy(ret, config.diff_ids.v, n * sizeof(*ret));
	image_config_release(&config);
	return r;
}

/* Which of the layers `bodies` are not what the config says? */
static size_t first_wrong(const struct layer_body *bodies, const struct digest *diff_ids, size_t n)
{
	size_t i = 0;

	while (i < n && digest_equal(&bodies[i].diff_id, &diff_ids[i]))
		i++;
	return i;
}

/* Layers of an image may have been made with their times clamped, and those of its base without, so
 * the clamp changes at most once on the way up. */
static int make_bodies(struct stored_push *p, struct stored *m, struct error **err)
{
	const struct image *image = &p->image;
	_cleanup_free_ struct digest *diff_ids = xcalloc(image->n_layers + 1, sizeof(*diff_ids));
	struct layer_blob_options *o = &m->options;
	int r = read_diff_ids(m, image->n_layers, diff_ids, err);

	*o = (struct layer_blob_options){
		.compression = {.type = COMPRESS_GZIP, .level = COMPRESS_LEVEL_DEFAULT},
		.docker_types = strcmp(m->doc.media_type, DOCKER_MANIFEST_TYPE) == 0,
		.lazy = true};
	for (size_t i = image->n_layers; r == 0 && !o->clamp && i-- > 0;)
		r = layer_blob_clamp_of(p->s, &diff_ids[i], &o->clamp, &o->clamp_time, err);
	if (r < 0)
		return r;
	for (size_t keep = 0;; keep++) {
		m->bodies = xcalloc(image->n_layers + 1, sizeof(*m->bodies));
		r = layer_blob_make(
			&(struct layer_chain){p->s, image->layers, image->n_layers, keep}, o,
			p->cancel, m->bodies, err);
		if (r < 0) {
			free(TAKE_PTR(m->bodies));
			return r;
		}
		m->n_bodies = image->n_layers;
		if (first_wrong(m->bodies, diff_ids, image->n_layers) == image->n_layers)
			return 0;
		if (!o->clamp || keep == image->n_layers)
			return error_new(err, ERR_CORRUPT, 0,
					 "its layers are no longer what its config says");
		for (size_t i = 0; i < m->n_bodies; i++)
			layer_body_release(&m->bodies[i]);
		free(TAKE_PTR(m->bodies));
	}
}

static bool is_as_stored(const struct stored *m)
{
	if (m->doc.layers.n != m->n_bodies)
		return false;
	for (size_t i = 0; i < m->n_bodies; i++)
		if (!digest_equal(&m->doc.layers.v[i].digest, &m->bodies[i].blob.digest))
			return false;
	return true;
}

/* A manifest that says how the layers travel. */
static int write_manifest(struct stored *m, struct error **err)
{
	_cleanup_strv_ struct strv annotations = {0};
	json_t *doc = NULL;
	int r = js_parse("manifest", m->manifest.p, m->manifest.n, &doc, err);

	if (r == 0)
		r = js_string_map(doc, "annotations", &annotations, err);
	json_decref(doc);
	if (r < 0)
		return r;
	buf_clear(&m->manifest);
	oci_manifest_write(m->options.docker_types, &m->config_digest, m->config.n, m->bodies,
			   m->n_bodies, &annotations, &m->manifest);
	m->manifest_digest = digest_of(m->manifest.p, m->manifest.n);
	return 0;
}

static int add_single(struct stored_push *p, struct error **err)
{
	struct stored *m;
	int r;

	vec_push(&p->images, (struct stored){.manifest = BUF_INIT,
					     .config = BUF_INIT,
					     .manifest_digest = p->image.manifest});
	m = &vec_last(&p->images);
	r = load_documents(p->s, m, err);
	if (r == 0)
		r = make_bodies(p, m, err);
	if (r < 0 || is_as_stored(m))
		return r;
	return write_manifest(m, err);
}

/* --- an index, whose blobs lie in the store as they travel --- */

static int add_indexed(struct stored_push *p, const struct digest *manifest, struct error **err)
{
	struct stored *m;
	int r;

	vec_push(&p->images, (struct stored){.manifest = BUF_INIT,
					     .config = BUF_INIT,
					     .manifest_digest = *manifest});
	m = &vec_last(&p->images);
	r = load_documents(p->s, m, err);
	if (r < 0)
		return r;
	m->bodies = xcalloc(m->doc.layers.n + 1, sizeof(*m->bodies));
	for (; m->n_bodies < m->doc.layers.n; m->n_bodies++) {
		const struct oci_descriptor *l = &m->doc.layers.v[m->n_bodies];

		m->bodies[m->n_bodies].blob = (struct layer_blob){
			.media_type = xstrdup(l->media_type), .digest = l->digest, .size = l->size};
		m->bodies[m->n_bodies].stored = true;
	}
	return 0;
}

static int add_index(struct stored_push *p, struct error **err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->index.doc.manifests.n; i++)
		r = add_indexed(p, &p->index.doc.manifests.v[i].digest, err);
	p->blobs_only = true;
	return r;
}

/* --- the whole --- */

static int add_images(struct stored_push *p, const struct platform *platform, struct error **err)
{
	const struct digest whole = p->image.manifest;
	int r = image_index_load(p->s, &whole, &p->indexed, &p->index, err);

	if (r < 0 || (p->indexed && !platform))
		return r < 0 ? r : add_index(p, err);
	r = image_for_platform(p->s, &p->image, platform, err);
	if (r < 0)
		return r;
	r = p->indexed ? add_indexed(p, &p->image.manifest, err) : add_single(p, err);
	p->blobs_only = p->indexed;
	p->indexed = false;
	return r;
}

static int load(struct stored_push *p, const char *name, const struct platform *platform,
		struct error **err)
{
	bool found = false;
	int r = image_by_name(p->s, name, &found, &p->image, NULL, err);

	if (r < 0)
		return r;
	if (!found)
		return error_hint(
			err, error_new(err, ERR_NOTFOUND, 0, "there is no image named %s", name),
			"kiln images lists the images, kiln tag names one");
	r = add_images(p, platform, err);
	for (size_t i = 0; r == 0 && i < p->images.n; i++) {
		const struct stored *m = &p->images.v[i];

		vec_push(&p->views,
			 (struct push_image){.config = &m->config,
					     .manifest = &m->manifest,
					     .manifest_type = m->doc.media_type,
					     .config_digest = m->config_digest,
					     .manifest_digest = m->manifest_digest,
					     .layers = p->blobs_only ? NULL : p->image.layers,
					     .bodies = m->bodies,
					     .n_layers = m->n_bodies,
					     .options = m->options});
	}
	return r;
}

static int push(struct stored_push *p, struct push_job *job, const char *name,
		const struct platform *platform, struct push_result *ret, struct error **err)
{
	int r;

	job_status(job->job, "preparing layers", 0, 0, false);
	r = load(p, name, platform, err);
	if (r < 0)
		return r;
	job_status(job->job, "preparing layers", 0, 0, true);
	job->images = p->views.v;
	job->n_images = p->views.n;
	*ret = (struct push_result){.digest = p->images.v[0].manifest_digest,
				    .size = p->images.v[0].manifest.n};
	if (p->indexed) {
		job->index = &p->index.bytes;
		job->index_type = p->index.doc.media_type;
		job->index_digest = p->index.digest;
		*ret = (struct push_result){.digest = p->index.digest, .size = p->index.bytes.n};
	}
	return push_run(job, name, err);
}

int push_stored(struct store *s, struct registry *registry, const char *name,
		const struct platform *platform, const struct blob_fetcher *fetcher,
		const struct progress *progress, struct cancel *cancel, struct push_result *ret,
		struct error **err)
{
	_cleanup_(stored_push_release) struct stored_push p = {
		.s = s, .cancel = cancel, .index = IMAGE_INDEX_INIT};
	_cleanup_free_ char *title = xasprintf("push %s", name);
	struct push_job job = {.store = s,
			       .registry = registry,
			       .job = job_open(progress, cancel, title),
			       .cancel = cancel,
			       .fetcher = *fetcher};
	struct error *failed = NULL;
	int r = push(&p, &job, name, platform, ret, &failed);

	job_close(job.job, r, &failed);
	push_job_release(&job);
	if (r < 0 && err)
		*err = failed;
	else
		error_free(failed);
	return r;
}
