/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry/image_documents.h"

#include "base/image_config.h"
#include "store/blob.h"
#include "store/layer.h"

struct reading {
	struct store *s;
	const struct document_origin *from;
	const struct platform *platform;
};

/* A manifest or index by digest: from the store, else from the origin into the store. */
static int read_manifest(const struct reading *rd, const struct digest *digest, struct buf *ret,
			 char **ret_type, struct error **err)
{
	int r;

	if (blob_exists(rd->s, digest, NULL))
		return blob_read(rd->s, digest, OCI_DOCUMENT_MAX, ret, err);
	r = rd->from->manifest(rd->from->data, digest, ret, ret_type, err);
	return r < 0 ? r : blob_put(rd->s, ret->p, ret->n, NULL, err);
}

/* Walks from `digest` through indexes to the manifest for the platform. */
static int find_manifest(const struct reading *rd, const struct digest *digest,
			 struct oci_document *ret, struct digest *ret_digest, struct error **err)
{
	struct digest at = *digest;
	int r;

	for (unsigned depth = 0; depth <= OCI_NESTING_MAX; depth++) {
		_cleanup_buf_ struct buf bytes = BUF_INIT;
		_cleanup_free_ char *type = NULL;
		size_t chosen = 0;

		r = read_manifest(rd, &at, &bytes, &type, err);
		if (r < 0)
			return r;
		r = oci_document_parse(type, bytes.p, bytes.n, ret, err);
		if (r < 0)
			return error_wrap(err, r, "%s", rd->from->name);
		if (ret->kind == OCI_MANIFEST) {
			*ret_digest = at;
			return 0;
		}
		r = oci_index_select(ret, rd->platform, &chosen, err);
		if (r == 0)
			at = ret->manifests.v[chosen].digest;
		oci_document_release(ret);
		if (r < 0)
			return error_wrap(err, r, "%s", rd->from->name);
	}
	r = error_new(err, ERR_INVALID, 0, "more than %d indexes within each other",
		      OCI_NESTING_MAX);
	return error_wrap(err, r, "%s", rd->from->name);
}

static int read_config(const struct reading *rd, const struct oci_descriptor *d, struct buf *ret,
		       struct error **err)
{
	int r;

	if (blob_exists(rd->s, &d->digest, NULL))
		return blob_read(rd->s, &d->digest, OCI_DOCUMENT_MAX, ret, err);
	r = rd->from->config(rd->from->data, d, ret, err);
	return r < 0 ? r : blob_put(rd->s, ret->p, ret->n, NULL, err);
}

static int add_layers(const struct reading *rd, const struct oci_document *doc,
		      const struct image_config *config, struct image_source *ret,
		      struct error **err)
{
	if (doc->layers.n != config->diff_ids.n)
		return error_new(err, ERR_INVALID, 0,
				 "%s: the manifest lists %zu layers and its config %zu",
				 rd->from->name, doc->layers.n, config->diff_ids.n);
	ret->layers = xcalloc(doc->layers.n + 1, sizeof(*ret->layers));
	for (size_t i = 0; i < doc->layers.n; i++) {
		const struct oci_descriptor *d = &doc->layers.v[i];
		struct layer_blob blob = {
			.media_type = d->media_type, .digest = d->digest, .size = d->size};
		int r = layer_add_remote(rd->s, &config->diff_ids.v[i], &blob,
					 rd->from->layer_source, &ret->layers[i], err);

		if (r < 0)
			return r;
	}
	ret->n_layers = doc->layers.n;
	return 0;
}

static int take_config(const struct reading *rd, const struct oci_document *doc,
		       struct image_source *ret, struct error **err)
{
	struct image_config config;
	int r = read_config(rd, &doc->config, &ret->config, err);

	if (r < 0)
		return r;
	r = image_config_parse(ret->config.p, ret->config.n, &config, err);
	if (r < 0)
		return error_wrap(err, r, "%s", rd->from->name);
	ret->config_digest = doc->config.digest;
	ret->platform = config.platform;
	r = add_layers(rd, doc, &config, ret, err);
	image_config_release(&config);
	return r;
}

int image_documents_read(struct store *s, const struct document_origin *from,
			 const struct digest *digest, const struct platform *platform,
			 struct image_source *ret, struct error **err)
{
	const struct reading rd = {.s = s, .from = from, .platform = platform};
	struct oci_document doc = OCI_DOCUMENT_INIT;
	int r = find_manifest(&rd, digest, &doc, &ret->manifest, err);

	if (r < 0)
		return r;
	ret->digest = *digest;
	r = take_config(&rd, &doc, ret, err);
	oci_document_release(&doc);
	return r;
}
