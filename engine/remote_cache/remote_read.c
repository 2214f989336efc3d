/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "engine/oci/oci.h"

struct reading {
	struct remote_backend *backend;
	remote_found_fn found;
	void *data;
	struct digest *ret_top; /* may be NULL */
};

static int take_graph(const struct reading *rd, const struct remote_manifest *m, const void *p,
		      size_t n, struct error **err)
{
	struct remote_graph graph = REMOTE_GRAPH_INIT;
	int r = remote_graph_unpack(p, n, &graph, err);

	if (r == 0)
		r = rd->found(rd->data, m, &graph, err);
	remote_graph_release(&graph);
	return r;
}

static int read_cache(const struct reading *rd, const struct remote_manifest *m, struct error **err)
{
	_cleanup_buf_ struct buf packed = BUF_INIT_MAX(REMOTE_GRAPH_PACKED_MAX);
	struct remote_backend *b = rd->backend;
	int r = b->ops->read_blob(b, &m->graph.digest, m->graph.size, &packed, err);

	return r < 0 ? r : take_graph(rd, m, packed.p, packed.n, err);
}

/* --- inline --- */

static int decode_base64(const char *text, struct buf *ret, struct error **err)
{
	size_t n = strlen(text);

	if (n > (REMOTE_INLINE_MAX + 2) / 3 * 4)
		return error_new(err, ERR_CORRUPT, 0, "the inline cache has %zu bytes", n);
	if (base64_decode(text, ret) < 0)
		return error_new(err, ERR_CORRUPT, 0, "the inline cache is not base64");
	return 0;
}

/* The diff ids of the config belong to the layers of the manifest, one by one. */
static int assign_diff_ids(const json_t *config, struct remote_manifest *m, struct error **err)
{
	const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");

	if (json_array_size(ids) != m->results.n)
		return error_new(err, ERR_INVALID, 0, "the config and the manifest do not match");
	for (size_t i = 0; i < m->results.n; i++) {
		const char *text = json_string_value(json_array_get(ids, i));

		if (!text || digest_parse(text, &m->results.v[i].diff_id) < 0)
			return error_new(err, ERR_INVALID, 0, "a diff id is not a sha256 digest");
		m->results.v[i].has_diff_id = true;
	}
	return 0;
}

static int read_inline(const struct reading *rd, struct remote_manifest *m, struct error **err)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT_MAX(OCI_DOCUMENT_MAX), packed = BUF_INIT;
	_cleanup_json_ json_t *config = NULL;
	struct remote_backend *b = rd->backend;
	const char *text;
	int r;

	if (m->config.size > OCI_DOCUMENT_MAX)
		return error_new(err, ERR_INVALID, 0, "the image's config is too large");
	r = b->ops->read_blob(b, &m->config.digest, m->config.size, &bytes, err);
	if (r == 0)
		r = js_parse("image config", bytes.p, bytes.n, &config, err);
	if (r < 0)
		return r;
	text = json_string_value(json_object_get(config, REMOTE_INLINE_KEY));
	if (!text && json_object_get(config, REMOTE_BUILDKIT_INLINE_KEY))
		return error_new(
			err, ERR_UNSUPPORTED, 0,
			"the image has an inline cache of BuildKit's, which kiln cannot read");
	if (!text)
		return error_new(
			err, ERR_NOTFOUND, 0,
			"the image has no inline cache (build it with --cache-to type=inline)");
	r = assign_diff_ids(config, m, err);
	if (r == 0)
		r = decode_base64(text, &packed, err);
	return r < 0 ? r : take_graph(rd, m, packed.p, packed.n, err);
}

/* --- documents --- */

static int read_document(const struct reading *rd, const struct digest *digest, struct error **err);

/* One image with a cache is enough. */
static int read_index(const struct reading *rd, const struct remote_manifest *m, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < m->manifests.n && r != -ERR_CANCELED; i++) {
		error_free(TAKE_PTR(why));
		r = read_document(rd, &m->manifests.v[i], &why);
		any = any || r == 0;
	}
	if (any)
		return 0;
	if (m->manifests.n == 0)
		return error_new(err, ERR_NOTFOUND, 0, "the index names no images");
	if (err)
		*err = TAKE_PTR(why);
	return r;
}

/* `digest` NULL: what the name stands for. */
static int read_document(const struct reading *rd, const struct digest *digest, struct error **err)
{
	_cleanup_(remote_manifest_release) struct remote_manifest m = REMOTE_MANIFEST_INIT;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct remote_backend *b = rd->backend;
	int r = b->ops->read_manifest(b, digest, OCI_DOCUMENT_MAX, &bytes, err);

	if (r == 0 && !digest && rd->ret_top)
		*rd->ret_top = digest_of(bytes.p, bytes.n);
	if (r == 0)
		r = remote_manifest_parse(bytes.p, bytes.n, &m, err);
	if (r < 0)
		return r;
	switch (m.kind) {
	case REMOTE_IS_CACHE:
		return read_cache(rd, &m, err);
	case REMOTE_IS_IMAGE:
		return read_inline(rd, &m, err);
	case REMOTE_IS_INDEX:
		/* An index within an index does not belong to an image. */
		if (!digest)
			return read_index(rd, &m, err);
		return error_new(err, ERR_UNSUPPORTED, 0, "an index within an index");
	case REMOTE_IS_BUILDKIT:
		break;
	}
	return error_new(err, ERR_UNSUPPORTED, 0,
			 "this is a cache of BuildKit's, which kiln cannot read");
}

int remote_read(struct remote_backend *b, remote_found_fn found, void *data, struct digest *ret_top,
		struct error **err)
{
	const struct reading rd = {b, found, data, ret_top};

	return read_document(&rd, NULL, err);
}
