/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/cache_inline.h"

#include "base/base64.h"
#include "base/times.h"
#include "engine/remote_cache/remote_manifest.h"

/* The layers of the image, under the diff ids that they have there. */
struct image_layers {
	const int64_t *layers;
	const struct layer_body *bodies;
	size_t n;
};

static bool diff_id_of(void *data, int64_t layer, struct digest *ret)
{
	const struct image_layers *image = data;

	for (size_t i = 0; i < image->n; i++) {
		if (image->layers[i] != layer)
			continue;
		*ret = image->bodies[i].diff_id;
		return true;
	}
	return false;
}

int remote_inline_make(void *data, const int64_t *layers, const struct layer_body *bodies, size_t n,
		       char **ret, struct error **err)
{
	const struct remote_inline *in = data;
	struct image_layers image = {.layers = layers, .bodies = bodies, .n = n};
	struct remote_collect collect = {.env = in->env,
					 .uses = in->uses,
					 .wanted = in->wanted,
					 .diff_id = diff_id_of,
					 .data = &image,
					 .has_epoch = in->has_epoch,
					 .epoch = in->epoch * NS_PER_S};
	_cleanup_(remote_graph_release) struct remote_graph graph = REMOTE_GRAPH_INIT;
	_cleanup_buf_ struct buf packed = BUF_INIT;
	int r = remote_collect(&collect, &graph, err);

	if (r == 0 && graph.records.n > 0)
		r = remote_graph_pack(&graph, &packed, err);
	if (r < 0 || graph.records.n == 0)
		return r;
	if (packed.n > REMOTE_INLINE_MAX)
		return error_new(err, ERR_INVALID, 0,
				 "the inline cache has %zu bytes, more than a config may hold",
				 packed.n);
	*ret = base64_encode(packed.p, packed.n);
	return 0;
}
