/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/times.h"
#include "engine/oci/oci.h"
#include "engine/oci/oci_manifest.h"
#include "engine/remote_cache/remote_graph.h"

#define BUILDKIT_CONFIG_TYPE "application/vnd.buildkit.cacheconfig.v0"
#define DIFF_ID_KEY "containerd.io/uncompressed"
#define MOUNT_KEY "io.kiln.cache.mount"

enum { MOUNT_ID_MAX = 4096 };

void remote_mount_release(struct remote_mount *m)
{
	for (size_t i = 0; i < m->parts.n; i++)
		free(m->parts.v[i].media_type);
	vec_release(&m->parts);
	free(m->id);
	*m = (struct remote_mount){0};
}

uint64_t remote_mount_size(const struct remote_mount *m)
{
	uint64_t size = 0;

	for (size_t i = 0; i < m->parts.n; i++)
		size += m->parts.v[i].size;
	return size;
}

void remote_manifest_release(struct remote_manifest *m)
{
	free(m->config.media_type);
	free(m->graph.media_type);
	for (size_t i = 0; i < m->results.n; i++)
		free(m->results.v[i].blob.media_type);
	for (size_t i = 0; i < m->mounts.n; i++)
		remote_mount_release(&m->mounts.v[i]);
	vec_release(&m->results);
	vec_release(&m->mounts);
	vec_release(&m->manifests);
	*m = (struct remote_manifest)REMOTE_MANIFEST_INIT;
}

/* --- reading --- */

static int read_result(const json_t *object, const json_t *annotations, struct remote_manifest *m,
		       struct error **err)
{
	struct remote_result_blob b = {.has_diff_id = true};
	const char *diff_id = NULL;
	int r = js_string(annotations, DIFF_ID_KEY, &diff_id, err);

	if (r == 0 && (!diff_id || digest_parse(diff_id, &b.diff_id) < 0))
		r = error_new(err, ERR_INVALID, 0, "the layer has no diff id");
	if (r == 0)
		r = oci_blob_parse(object, OCI_BLOB_MAX, &b.blob, err);
	if (r == 0 && !layer_type_is_known(b.blob.media_type))
		r = error_new(err, ERR_INVALID, 0, "the layer has an unknown media type");
	if (r == 0)
		vec_push(&m->results, b);
	else
		free(b.blob.media_type);
	return r;
}

struct remote_mount *remote_manifest_mount(const struct remote_manifest *m, const char *id)
{
	for (size_t i = 0; i < m->mounts.n; i++)
		if (strcmp(m->mounts.v[i].id, id) == 0)
			return &m->mounts.v[i];
	return NULL;
}

static int read_mount(const json_t *object, const char *id, struct remote_manifest *m,
		      struct error **err)
{
	struct remote_mount *mount = remote_manifest_mount(m, id);
	struct layer_blob part = {0};
	int r = oci_blob_parse(object, OCI_BLOB_MAX, &part, err);

	if (r == 0 && (!*id || strlen(id) > MOUNT_ID_MAX))
		r = error_new(err, ERR_INVALID, 0, "a cache mount without a proper id");
	if (r < 0) {
		free(part.media_type);
		return r;
	}
	if (!mount) {
		vec_push(&m->mounts, (struct remote_mount){.id = xstrdup(id)});
		mount = &vec_last(&m->mounts);
	}
	vec_push(&mount->parts, part);
	return 0;
}

static int read_layer(const json_t *object, struct remote_manifest *m, struct error **err)
{
	json_t *annotations = NULL;
	const char *mount = NULL;
	int r;

	if (!json_is_object(object))
		return error_new(err, ERR_INVALID, 0, "a descriptor must be an object");
	r = js_object(object, "annotations", &annotations, err);
	if (r == 0 && annotations)
		r = js_string(annotations, MOUNT_KEY, &mount, err);
	if (r < 0)
		return r;
	if (mount)
		return read_mount(object, mount, m, err);
	if (!annotations)
		return error_new(err, ERR_INVALID, 0, "the layer has no diff id");
	return read_result(object, annotations, m, err);
}

static int read_cache(const json_t *doc, struct remote_manifest *m, struct error **err)
{
	json_t *layers = NULL;
	size_t n;
	int r = oci_blob_parse(json_object_get(doc, "config"), OCI_DOCUMENT_MAX, &m->config, err);

	if (r == 0)
		r = js_array(doc, "layers", &layers, err);
	if (r < 0)
		return r;
	n = json_array_size(layers);
	if (n == 0 || n > OCI_LAYERS_MAX)
		return error_new(err, ERR_INVALID, 0, "a cache cannot have %zu layers", n);
	r = oci_blob_parse(json_array_get(layers, 0), REMOTE_GRAPH_PACKED_MAX, &m->graph, err);
	if (r == 0 && strcmp(m->graph.media_type, REMOTE_GRAPH_TYPE) != 0)
		r = error_new(err, ERR_INVALID, 0,
			      "the first layer is not a cache graph of a known type");
	for (size_t i = 1; i < n && r == 0; i++) {
		r = read_layer(json_array_get(layers, i), m, err);
		if (r < 0)
			return error_wrap(err, r, "layers[%zu]", i);
	}
	m->kind = REMOTE_IS_CACHE;
	return r;
}

static void take_image(struct oci_document *doc, struct remote_manifest *m)
{
	m->kind = REMOTE_IS_IMAGE;
	m->config = (struct layer_blob){.media_type = TAKE_PTR(doc->config.media_type),
					.digest = doc->config.digest,
					.size = doc->config.size};
	for (size_t i = 0; i < doc->layers.n; i++) {
		struct oci_descriptor *d = &doc->layers.v[i];
		struct remote_result_blob b = {.blob = {.media_type = TAKE_PTR(d->media_type),
							.digest = d->digest,
							.size = d->size}};

		vec_push(&m->results, b);
	}
}

static void take_index(const struct oci_document *doc, struct remote_manifest *m)
{
	m->kind = REMOTE_IS_INDEX;
	for (size_t i = 0; i < doc->manifests.n; i++) {
		const struct oci_descriptor *d = &doc->manifests.v[i];

		if (strcmp(d->media_type, BUILDKIT_CONFIG_TYPE) == 0)
			m->kind = REMOTE_IS_BUILDKIT;
		if (!d->attestation && oci_is_manifest_type(d->media_type) &&
		    m->manifests.n < REMOTE_PLATFORMS_MAX)
			vec_push(&m->manifests, d->digest);
	}
}

static int read_image(const void *json, size_t n, struct remote_manifest *m, struct error **err)
{
	_cleanup_(oci_document_release) struct oci_document doc = OCI_DOCUMENT_INIT;
	int r = oci_document_parse(NULL, json, n, &doc, err);

	if (r < 0)
		return r;
	if (doc.kind == OCI_INDEX)
		take_index(&doc, m);
	else
		take_image(&doc, m);
	return 0;
}

int remote_manifest_parse(const void *json, size_t n, struct remote_manifest *ret,
			  struct error **err)
{
	_cleanup_json_ json_t *doc = NULL;
	const char *type;
	int r = js_parse("manifest", json, n, &doc, err);

	if (r == 0 && !json_is_object(doc))
		r = error_new(err, ERR_INVALID, 0, "a manifest must be an object");
	if (r < 0)
		return r;
	type = json_string_value(json_object_get(json_object_get(doc, "config"), "mediaType"));
	if (type && strcmp(type, BUILDKIT_CONFIG_TYPE) == 0)
		ret->kind = REMOTE_IS_BUILDKIT;
	else if (type && strcmp(type, REMOTE_CONFIG_TYPE) == 0)
		r = read_cache(doc, ret, err);
	else
		r = read_image(json, n, ret, err);
	if (r < 0)
		remote_manifest_release(ret);
	return r;
}

/* --- writing --- */

static int compare_results(const void *a, const void *b)
{
	const struct remote_result_blob *x = a, *y = b;

	return memcmp(x->diff_id.b, y->diff_id.b, DIGEST_SIZE);
}

static int compare_mounts(const void *a, const void *b)
{
	const struct remote_mount *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static json_t *describe(const struct layer_blob *blob, const char *key, const char *value)
{
	_cleanup_strv_ struct strv annotations = {0};

	if (key)
		strv_pushf(&annotations, "%s=%s", key, value);
	return oci_descriptor(blob->media_type, &blob->digest, blob->size, &annotations, NULL);
}

static void add_mount(json_t *layers, const struct remote_mount *m)
{
	for (size_t i = 0; i < m->parts.n; i++)
		json_array_append_new(layers, describe(&m->parts.v[i], MOUNT_KEY, m->id));
}

int remote_manifest_write(struct remote_manifest *m, struct buf *ret, struct error **err)
{
	_cleanup_json_ json_t *doc = json_object();
	json_t *layers = json_array();
	size_t n = m->results.n;

	for (size_t i = 0; i < m->mounts.n; i++)
		n += m->mounts.v[i].parts.n;
	if (n > REMOTE_LAYERS_MAX) {
		json_decref(layers);
		return error_new(err, ERR_INVALID, 0,
				 "a cache cannot have %zu layers; it may "
				 "have %d",
				 n, REMOTE_LAYERS_MAX);
	}
	if (m->results.n > 0)
		qsort(m->results.v, m->results.n, sizeof(*m->results.v), compare_results);
	if (m->mounts.n > 0)
		qsort(m->mounts.v, m->mounts.n, sizeof(*m->mounts.v), compare_mounts);
	json_array_append_new(layers, describe(&m->graph, NULL, NULL));
	for (size_t i = 0; i < m->results.n; i++) {
		char text[DIGEST_TEXT];

		json_array_append_new(layers,
				      describe(&m->results.v[i].blob, DIFF_ID_KEY,
					       digest_format(&m->results.v[i].diff_id, text)));
	}
	for (size_t i = 0; i < m->mounts.n; i++)
		add_mount(layers, &m->mounts.v[i]);
	json_object_set_new(doc, "schemaVersion", json_integer(2));
	json_object_set_new(doc, "mediaType", json_string(OCI_MANIFEST_TYPE));
	json_object_set_new(doc, "config", describe(&m->config, NULL, NULL));
	json_object_set_new(doc, "layers", layers);
	js_dump(doc, false, ret);
	return 0;
}

/* --- the config --- */

void remote_summary_write(const struct remote_summary *s, struct buf *ret)
{
	_cleanup_json_ json_t *doc = json_object();
	_cleanup_free_ char *newest = s->newest ? times_rfc3339(s->newest) : NULL;

	json_object_set_new(doc, "graph", json_integer(REMOTE_GRAPH_VERSION));
	json_object_set_new(doc, "layers", json_integer((json_int_t)s->layers));
	if (newest)
		json_object_set_new(doc, "newest", json_string(newest));
	json_object_set_new(doc, "records", json_integer((json_int_t)s->records));
	js_dump(doc, false, ret);
}
