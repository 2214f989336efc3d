/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/save.h"

#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "engine/oci/image_index.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_archive.h"
#include "engine/oci/oci_manifest.h"
#include "engine/stream/out_file.h"
#include "store/blob.h"
#include "store/image.h"

struct saved_image {
	struct image image;
	struct strv names; /* full names that were asked for */
	struct buf manifest, config;
	struct oci_document doc;
	struct layer_body *bodies; /* one per layer of `doc` */
	bool blobs_only;	   /* not an image that the store knows: its blobs are all here */
	struct image_index index;  /* over it and others; empty if there is none */
	bool indexed;
};

struct save {
	struct store *s;
	const struct blob_fetcher *fetcher;
	const struct platform *platform;
	VEC(struct saved_image) images;
	VEC(struct saved_image) others; /* of their indexes; blobs_only */
	struct oci_archive archive;
};

static void saved_image_release(struct saved_image *m)
{
	for (size_t k = 0; m->bodies && k < m->doc.layers.n; k++)
		layer_body_release(&m->bodies[k]);
	free(m->bodies);
	image_release(&m->image);
	strv_release(&m->names);
	buf_release(&m->manifest);
	buf_release(&m->config);
	oci_document_release(&m->doc);
	image_index_release(&m->index);
}

static void save_release(struct save *v)
{
	for (size_t i = 0; i < v->images.n; i++)
		saved_image_release(&v->images.v[i]);
	for (size_t i = 0; i < v->others.n; i++)
		saved_image_release(&v->others.v[i]);
	vec_release(&v->images);
	vec_release(&v->others);
	oci_archive_release(&v->archive);
}

static int choose_platform(struct save *v, struct saved_image *m, struct error **err)
{
	const struct digest known = m->image.manifest;
	int r = image_for_platform(v->s, &m->image, v->platform, err);

	m->blobs_only = !digest_equal(&known, &m->image.manifest);
	return r;
}

static int add_image(struct save *v, const char *text, struct error **err)
{
	struct saved_image m = {
		.manifest = BUF_INIT, .config = BUF_INIT, .index = IMAGE_INDEX_INIT};
	_cleanup_free_ char *name = NULL;
	int r = image_find(v->s, text, &m.image, &name, err);

	if (r == 0 && v->platform)
		r = choose_platform(v, &m, err);
	else if (r == 0)
		r = image_index_load(v->s, &m.image.manifest, &m.indexed, &m.index, err);
	if (r < 0) {
		saved_image_release(&m);
		return error_wrap(err, r, "save %s", text);
	}
	for (size_t i = 0; i < v->images.n; i++) {
		struct saved_image *known = &v->images.v[i];

		if (!digest_equal(&known->image.manifest, &m.image.manifest))
			continue;
		saved_image_release(&m);
		if (name && !strv_contains(&known->names, name))
			strv_push(&known->names, name);
		return 0;
	}
	if (name)
		strv_push(&m.names, name);
	vec_push(&v->images, m);
	return 0;
}

/* How layer i gets into the archive as its descriptor has it. */
enum way {
	WAY_STORED,  /* the blob is here */
	WAY_FETCHED, /* the blob is fetched first */
	WAY_WRITTEN, /* made here: the tar is written again */
	WAY_NONE,
};

static int find_way(struct save *v, struct saved_image *m, size_t i, enum way *ret,
		    struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	const struct digest *digest = &m->doc.layers.v[i].digest;
	bool clamped = false;
	int64_t when;
	int r = layer_get(v->s, m->image.layers[i], &info, err);

	if (r < 0)
		return r;
	if (blob_exists(v->s, digest, NULL)) {
		*ret = WAY_STORED;
		return 0;
	}
	if (layer_blob_is_received(&info)) {
		*ret = info.has_blob && digest_equal(&info.blob.digest, digest) ? WAY_FETCHED
										: WAY_NONE;
		return 0;
	}
	r = layer_blob_clamp_of(v->s, digest, &clamped, &when, err);
	if (r < 0)
		return r;
	*ret = clamped || (info.has_diff_id && digest_equal(&info.diff_id, digest)) ? WAY_WRITTEN
										    : WAY_NONE;
	return 0;
}

static int fetch(struct save *v, const int64_t *missing, size_t n, struct error **err)
{
	if (n == 0)
		return 0;
	if (!v->fetcher || !v->fetcher->require)
		return error_new(err, ERR_NOTFOUND, 0,
				 "the bytes of layer %lld are not in the store",
				 (long long)missing[0]);
	return v->fetcher->require(v->fetcher->data, missing, n, err);
}

/* The layers as the stored manifest has them; *ret_possible = false if one cannot be written so. */
static int describe_layers(struct save *v, struct saved_image *m, bool *ret_possible,
			   struct error **err)
{
	_cleanup_free_ int64_t *missing = xcalloc(m->image.n_layers + 1, sizeof(*missing));
	size_t n_missing = 0;

	*ret_possible = true;
	for (size_t i = 0; i < m->image.n_layers; i++) {
		const struct oci_descriptor *d = &m->doc.layers.v[i];
		enum way way;
		int r = find_way(v, m, i, &way, err);

		if (r < 0)
			return r;
		if (way == WAY_NONE) {
			*ret_possible = false;
			return 0;
		}
		if (way == WAY_FETCHED)
			missing[n_missing++] = m->image.layers[i];
		free(m->bodies[i].blob.media_type);
		m->bodies[i].blob = (struct layer_blob){
			.media_type = xstrdup(d->media_type), .digest = d->digest, .size = d->size};
		m->bodies[i].stored = way != WAY_WRITTEN;
	}
	return fetch(v, missing, n_missing, err);
}

static void describe_blobs(struct saved_image *m)
{
	for (size_t i = 0; i < m->doc.layers.n; i++) {
		const struct oci_descriptor *d = &m->doc.layers.v[i];

		m->bodies[i].blob = (struct layer_blob){
			.media_type = xstrdup(d->media_type), .digest = d->digest, .size = d->size};
		m->bodies[i].stored = true;
	}
}

/* A layer of another image's that was made here stands in for one that was received: it has the
 * same files, but its blob is not the one in the manifest, which therefore is written anew. */
static int redescribe(struct save *v, struct saved_image *m, struct error **err)
{
	struct layer_blob_options lo = {
		.compression = {.type = COMPRESS_NONE, .level = COMPRESS_LEVEL_DEFAULT}};
	int r;

	for (size_t i = 0; i < m->image.n_layers; i++)
		layer_body_release(&m->bodies[i]);
	if (v->fetcher)
		lo.fetcher = *v->fetcher;
	r = layer_blob_make(&(struct layer_chain){v->s, m->image.layers, m->image.n_layers, 0}, &lo,
			    NULL, m->bodies, err);
	if (r < 0)
		return r;
	buf_clear(&m->manifest);
	oci_manifest_write(false, &m->image.config, m->config.n, m->bodies, m->image.n_layers, NULL,
			   &m->manifest);
	m->image.manifest = digest_of(m->manifest.p, m->manifest.n);
	free(m->doc.media_type);
	m->doc.media_type = xstrdup(OCI_MANIFEST_TYPE);
	return 0;
}

static int load_documents(struct save *v, struct saved_image *m, struct error **err)
{
	bool possible;
	int r = blob_read(v->s, &m->image.manifest, OCI_DOCUMENT_MAX, &m->manifest, err);

	if (r == 0)
		r = oci_entry_parse(m->manifest.p, m->manifest.n, &m->doc, err);
	if (r < 0)
		return r;
	m->image.config = m->doc.config.digest;
	r = blob_read(v->s, &m->image.config, OCI_DOCUMENT_MAX, &m->config, err);
	if (r < 0)
		return r;
	if (m->doc.kind != OCI_MANIFEST || (!m->blobs_only && m->doc.layers.n != m->image.n_layers))
		return error_new(err, ERR_CORRUPT, 0, "the manifest has %zu layers, the image %zu",
				 m->doc.layers.n, m->image.n_layers);
	m->bodies = xcalloc(m->doc.layers.n + 1, sizeof(*m->bodies));
	if (m->blobs_only) {
		describe_blobs(m);
		return 0;
	}
	r = describe_layers(v, m, &possible, err);
	return r < 0 || possible ? r : redescribe(v, m, err);
}

static int add_layers(struct save *v, const struct saved_image *m, struct error **err)
{
	for (size_t i = 0; i < m->doc.layers.n; i++) {
		struct layer_blob_options lo = {0};
		int r;

		if (!m->bodies[i].stored) {
			r = layer_blob_clamp_of(v->s, &m->bodies[i].blob.digest, &lo.clamp,
						&lo.clamp_time, err);
			if (r < 0)
				return r;
		}
		oci_archive_add_layer(&v->archive, &m->bodies[i],
				      m->blobs_only ? NULL : m->image.layers, i, 0, &lo);
	}
	return 0;
}

static void add_index_entries(const struct saved_image *m, json_t *entries)
{
	struct platform platform = {0};

	memcpy(platform.os, m->image.os, strnlen(m->image.os, sizeof(platform.os) - 1));
	memcpy(platform.arch, m->image.arch, strnlen(m->image.arch, sizeof(platform.arch) - 1));
	if (m->image.variant)
		memcpy(platform.variant, m->image.variant,
		       strnlen(m->image.variant, sizeof(platform.variant) - 1));
	for (size_t i = 0; i < m->names.n || i == 0; i++) {
		_cleanup_strv_ struct strv annotations = {0};

		if (i < m->names.n) {
			const char *colon = strrchr(m->names.v[i], ':');

			strv_pushf(&annotations, "io.containerd.image.name=%s", m->names.v[i]);
			strv_pushf(&annotations, "org.opencontainers.image.ref.name=%s",
				   colon ? colon + 1 : "latest");
		}
		json_array_append_new(
			entries, m->indexed
					 ? oci_descriptor(m->index.doc.media_type, &m->index.digest,
							  m->index.bytes.n, &annotations, NULL)
					 : oci_descriptor(m->doc.media_type, &m->image.manifest,
							  m->manifest.n, &annotations, &platform));
	}
}

/* Documents and layers of one image. */
static int add_blobs(struct save *v, struct saved_image *m, struct error **err)
{
	int r = load_documents(v, m, err);

	if (r == 0)
		r = add_layers(v, m, err);
	if (r < 0)
		return r;
	oci_archive_add_blob(&v->archive, &m->image.config, m->config.p, m->config.n);
	oci_archive_add_blob(&v->archive, &m->image.manifest, m->manifest.p, m->manifest.n);
	return 0;
}

/* The index of an image, and the other images that it names. */
static int add_index(struct save *v, const struct saved_image *m, struct error **err)
{
	const struct image_index *index = &m->index;

	oci_archive_add_blob(&v->archive, &index->digest, index->bytes.p, index->bytes.n);
	for (size_t i = 0; i < index->doc.manifests.n; i++) {
		struct saved_image other = {.manifest = BUF_INIT,
					    .config = BUF_INIT,
					    .index = IMAGE_INDEX_INIT,
					    .blobs_only = true};
		int r;

		other.image.manifest = index->doc.manifests.v[i].digest;
		vec_push(&v->others, other);
		r = add_blobs(v, &vec_last(&v->others), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_archive(struct save *v, struct error **err)
{
	_cleanup_json_ json_t *entries = json_array(), *docker = json_array();
	_cleanup_buf_ struct buf index = BUF_INIT, manifest = BUF_INIT;

	for (size_t i = 0; i < v->images.n; i++) {
		struct saved_image *m = &v->images.v[i];
		int r = add_blobs(v, m, err);

		if (r == 0 && m->indexed)
			r = add_index(v, m, err);
		if (r < 0)
			return r;
		add_index_entries(m, entries);
		json_array_append_new(docker, oci_archive_docker_entry(&m->image.config, m->bodies,
								       m->doc.layers.n, m->names.v,
								       m->names.n));
	}
	oci_index_write(false, entries, NULL, false, &index);
	js_dump_go(docker, 0, false, &manifest);
	oci_archive_add(&v->archive, "index.json", index.p, index.n);
	oci_archive_add(&v->archive, "manifest.json", manifest.p, manifest.n);
	return 0;
}

static int save(struct store *s, const struct strv *images, const struct platform *platform,
		const char *dest, int fd, const struct blob_fetcher *fetcher, struct cancel *cancel,
		struct error **err)
{
	_cleanup_(save_release) struct save v = {.s = s, .fetcher = fetcher, .platform = platform};
	struct out_file f;
	int r = dest ? out_file_check(dest, err) : 0;

	oci_archive_init(&v.archive);
	for (size_t i = 0; r == 0 && i < images->n; i++)
		r = add_image(&v, images->v[i], err);
	if (r == 0)
		r = fill_archive(&v, err);
	if (r < 0)
		return r;
	r = out_file_open(&f, dest, fd, cancel, err);
	if (r == 0)
		r = oci_archive_write_tar(&v.archive, s, cancel, out_file_write, &f, err);
	if (r == 0)
		r = out_file_commit(&f, err);
	out_file_release(&f);
	return r;
}

int save_images(struct store *s, const struct strv *images, const struct platform *platform,
		const char *dest, int fd, const struct blob_fetcher *fetcher, struct cancel *cancel,
		struct error **err)
{
	int r = save(s, images, platform, dest, fd, fetcher, cancel, err);

	if (r == -ERR_CORRUPT)
		r = error_hint(err, r,
			       "'kiln store verify' forgets what is damaged; then build, load or "
			       "pull the image again");
	return r;
}
