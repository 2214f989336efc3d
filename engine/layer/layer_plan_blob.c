/* SPDX-License-Identifier: Apache-2.0 */
/* A plan made a layer that is a blob. */
#include "engine/layer/layer_pack.h"
#include "engine/layer/layer_plan_inside.h"

static int pack(struct layer_plan *p, struct index_draft *draft, const struct layer_pack_options *o,
		struct cancel *cancel, struct layer_body *ret, uint64_t *ret_size, bool *ret_again,
		struct error **err)
{
	_cleanup_(layer_pack_freep) struct layer_pack *packer = NULL;
	int r = layer_pack_open(p->s, o, cancel, &packer, err);

	*ret_again = false;
	if (r == 0)
		r = plan_tar_write(p, draft, layer_pack_body, layer_pack_hash, packer, ret_again,
				   err);
	return r < 0 ? r : layer_pack_finish(packer, ret, ret_size, err);
}

int layer_plan_make_blob(struct layer_plan *p, const struct rootfs *below,
			 const struct compress_options *compression, struct cancel *cancel,
			 int64_t *ret_layer, struct error **err)
{
	const struct layer_pack_options o = {.compression = *compression, .store = true};
	_cleanup_(layer_body_release) struct layer_body body = {0};
	_cleanup_(index_draft_freep) struct index_draft *draft = NULL;
	_cleanup_(error_freep) struct error *why = NULL;
	bool again = true;
	uint64_t size;
	int r = layer_plan_settle(p, below, &draft, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < LAYER_PLAN_TRIES && again; i++) {
		error_free(TAKE_PTR(why));
		r = pack(p, draft, &o, cancel, &body, &size, &again, &why);
	}
	if (r < 0) {
		if (err)
			*err = TAKE_PTR(why);
		return r;
	}
	index_draft_seal(draft);
	return layer_blob_add(p->s, draft, compression, &body, size, ret_layer, err);
}
