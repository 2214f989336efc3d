/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/export_make.h"

#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "base/times.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_manifest.h"
#include "engine/remote_cache/remote_manifest.h"

void made_image_release(struct made_image *m)
{
	for (size_t i = 0; m->bodies && i < m->in->n_layers; i++)
		layer_body_release(&m->bodies[i]);
	free(m->bodies);
	buf_release(&m->config);
	buf_release(&m->manifest);
	attest_manifest_release(&m->attest);
	m->bodies = NULL;
}

void export_annotations(const struct export_options *o, enum export_annotated on,
			const struct platform *platform, struct strv *ret)
{
	char text[64] = "";

	if (platform)
		platform_format(platform, text);
	for (size_t i = 0; i < o->annotations.n; i++) {
		const struct export_annotation *a = &o->annotations.v[i];

		if (a->on == on && (!a->platform || !platform || strcmp(a->platform, text) == 0))
			strv_push(ret, a->text);
	}
}

struct layer_blob_options export_layer_options(const struct export_options *o)
{
	struct layer_blob_options lo = o->layers;

	lo.docker_types = !o->oci_mediatypes;
	lo.clamp = o->rewrite_timestamp && o->has_epoch;
	lo.clamp_time = o->epoch;
	return lo;
}

/* What the registry may have already, or another one on its way, is not fetched for its sake. */
struct layer_blob_options export_push_options(const struct export_options *o)
{
	struct layer_blob_options lo = export_layer_options(o);

	lo.lazy = !lo.force;
	return lo;
}

/* Layers made here are described as they would be uncompressed; nothing of them is copied. But
 * those of several platforms are kept as they would travel, since the store has no place for layers
 * of images that do not run here. */
struct layer_blob_options export_store_options(const struct export_options *o, size_t n_images)
{
	struct layer_blob_options lo = export_layer_options(o);

	if (!export_is_indexed(o, n_images)) {
		lo.compression.type = COMPRESS_NONE;
		lo.force = false;
		lo.lazy = true;
	} else if (lo.compression.type == COMPRESS_NONE) {
		lo.compression.type = COMPRESS_GZIP;
	} else {
		return lo;
	}
	lo.compression.level = COMPRESS_LEVEL_DEFAULT;
	return lo;
}

bool export_is_several(const struct export_options *o, size_t n_images)
{
	/* Docker's archive holds one image. */
	return n_images > 1 || (o->several && o->type != EXPORT_DOCKER);
}

bool export_is_indexed(const struct export_options *o, size_t n_images)
{
	return export_is_several(o, n_images) || o->attested;
}

int export_full_names(const struct export_options *o, struct strv *ret, struct error **err)
{
	for (size_t i = 0; i < o->names.n; i++) {
		_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
		_cleanup_free_ char *full = NULL;
		int r = imageref_parse(o->names.v[i], &ref, err);

		if (r < 0)
			return error_wrap(err, r, "invalid tag \"%s\"", o->names.v[i]);
		if (ref.has_digest)
			return error_new(
				err, ERR_INVALID, 0,
				"invalid tag \"%s\": a name for an image cannot have a digest",
				o->names.v[i]);
		full = imageref_format(&ref);
		if (!strv_contains(ret, full))
			strv_push(ret, full);
	}
	return 0;
}

void export_describe(struct export_result *r, const char *media_type, const struct digest *digest,
		     uint64_t size, const struct digest *config, const struct strv *annotations,
		     const struct platform *platform)
{
	r->has_image = true;
	r->config = *config;
	r->manifest = *digest;
	r->size = size;
	free(r->media_type);
	r->media_type = xstrdup(media_type);
	json_decref(r->descriptor);
	r->descriptor = oci_descriptor(media_type, digest, size, annotations, platform);
}

static int64_t layer_made_at(struct store *s, int64_t layer)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};

	return layer_get(s, layer, &info, NULL) == 0 ? info.created : 0;
}

static void complete_config(struct store *s, const struct export_image *in,
			    const struct export_options *o, const struct layer_body *bodies,
			    struct image_config *ret)
{
	_cleanup_free_ int64_t *made = xcalloc(in->n_layers + 1, sizeof(*made));
	struct oci_times times = {
		.layers = made, .has_epoch = o->has_epoch, .epoch = o->epoch * NS_PER_S};

	for (size_t i = in->config->diff_ids.n; i < in->n_layers; i++) {
		if (in->layer_times)
			made[i] = in->layer_times[i];
		if (made[i] == 0)
			made[i] = layer_made_at(s, in->layers[i]);
	}
	oci_config_complete(in->config, bodies, in->n_layers, &times, ret);
}

/* A base image's cache is about other steps. */
static int set_inline_cache(const struct export_image *in, const struct export_options *o,
			    const struct layer_body *bodies, struct image_config *config,
			    struct error **err)
{
	const struct export_inline *cache = &o->inline_cache;
	_cleanup_free_ char *text = NULL;
	int r = 0;

	if (cache->make)
		r = cache->make(cache->data, in->layers, bodies, in->n_layers, &text, err);
	if (r < 0)
		return r;
	if (config->unknown) {
		(void)json_object_del(config->unknown, REMOTE_INLINE_KEY);
		(void)json_object_del(config->unknown, REMOTE_BUILDKIT_INLINE_KEY);
	}
	if (text && !config->unknown)
		config->unknown = json_object();
	if (text)
		(void)json_object_set_new(config->unknown, REMOTE_INLINE_KEY, json_string(text));
	return 0;
}

int export_make(struct store *s, const struct export_image *in, const struct export_options *o,
		const struct layer_blob_options *lo, struct cancel *cancel, struct made_image *ret,
		struct error **err)
{
	_cleanup_strv_ struct strv annotations = {0};
	struct made_image m = {
		.in = in, .config = BUF_INIT, .manifest = BUF_INIT, .attest = ATTEST_MANIFEST_INIT};
	struct image_config config;
	int r;

	m.n_keep = in->config->diff_ids.n;
	if (m.n_keep > in->n_layers)
		return error_new(err, ERR_INTERNAL, 0,
				 "the image has %zu layers, fewer than its base image's %zu",
				 in->n_layers, m.n_keep);
	m.bodies = xcalloc(in->n_layers + 1, sizeof(*m.bodies));
	r = layer_blob_make(&(struct layer_chain){s, in->layers, in->n_layers, m.n_keep}, lo,
			    cancel, m.bodies, err);
	if (r < 0) {
		made_image_release(&m);
		return r;
	}
	image_config_init(&config, NULL);
	complete_config(s, in, o, m.bodies, &config);
	r = set_inline_cache(in, o, m.bodies, &config, err);
	if (r < 0) {
		image_config_release(&config);
		made_image_release(&m);
		return r;
	}
	image_config_write(&config, &m.config);
	if (config.created)
		(void)!times_parse_rfc3339(config.created, &m.created);
	image_config_release(&config);
	m.config_digest = digest_of(m.config.p, m.config.n);
	export_annotations(o, ANNOTATE_MANIFEST, &in->platform, &annotations);
	oci_manifest_write(lo->docker_types, &m.config_digest, m.config.n, m.bodies, in->n_layers,
			   &annotations, &m.manifest);
	m.manifest_digest = digest_of(m.manifest.p, m.manifest.n);
	m.manifest_type = lo->docker_types ? DOCKER_MANIFEST_TYPE : OCI_MANIFEST_TYPE;
	r = export_attest(o, &m, err);
	if (r < 0) {
		made_image_release(&m);
		return r;
	}
	*ret = m;
	return 0;
}

static void write_index(struct export_job *j, const struct made_image *made, size_t n,
			struct buf *index, struct export_top *top)
{
	_cleanup_json_ json_t *manifests = json_array();
	_cleanup_strv_ struct strv annotations = {0};
	bool docker = !j->o->oci_mediatypes;

	for (size_t i = 0; i < n; i++) {
		const struct made_image *m = &made[i];
		_cleanup_strv_ struct strv of_this = {0};

		export_annotations(j->o, ANNOTATE_MANIFEST_DESCRIPTOR, &m->in->platform, &of_this);
		json_array_append_new(manifests,
				      oci_descriptor(m->manifest_type, &m->manifest_digest,
						     m->manifest.n, &of_this, &m->in->platform));
	}
	for (size_t i = 0; i < n; i++)
		if (made[i].attest.statements.n > 0)
			json_array_append_new(
				manifests,
				attest_manifest_entry(&made[i].attest, &made[i].manifest_digest));
	export_annotations(j->o, ANNOTATE_INDEX, NULL, &annotations);
	oci_index_write(docker, manifests, &annotations, true, index);
	top->media_type = docker ? DOCKER_INDEX_TYPE : OCI_INDEX_TYPE;
	top->digest = digest_of(index->p, index->n);
	top->size = index->n;
	export_annotations(j->o, ANNOTATE_INDEX_DESCRIPTOR, NULL, &top->annotations);
}

void export_find_top(struct export_job *j, const struct made_image *made, size_t n,
		     struct buf *index, struct export_top *top)
{
	*top = (struct export_top){0};
	if (export_is_indexed(j->o, n)) {
		write_index(j, made, n, index, top);
	} else {
		top->media_type = made->manifest_type;
		top->digest = made->manifest_digest;
		top->size = made->manifest.n;
		top->platform = &made->in->platform;
		export_annotations(j->o, ANNOTATE_MANIFEST_DESCRIPTOR, top->platform,
				   &top->annotations);
	}
	export_describe(j->result, top->media_type, &top->digest, top->size, &made->config_digest,
			&top->annotations, top->platform);
}
