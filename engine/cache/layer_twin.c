/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/layer_twin.h"

#include <string.h>

#include "engine/layer/layer_bytes.h"
#include "engine/tree/result.h"
#include "store/layer.h"
#include "store/record.h"
#include "store/rootfs.h"

static const struct result *parent_of(const struct cache_entry *e)
{
	const struct op *op = &e->v->op;
	int input = -1;

	if (op->kind == OP_FILE && op->file.n)
		input = op->file.actions[0].input;
	for (size_t i = 0; op->kind == OP_EXEC && i < op->exec.n_mounts; i++)
		if (op->exec.mounts[i].output == 0)
			input = op->exec.mounts[i].input;
	return input >= 0 && (size_t)input < e->v->n_inputs ? e->inputs[input] : NULL;
}

/* Is the one output one layer on top of `parent`? */
static bool is_one_layer(const struct cache_entry *e, const struct result *parent)
{
	const struct result *out = e->n_outputs == 1 ? e->outputs[0] : NULL;
	size_t below = parent ? parent->n_layers : 0;

	if (e->v->op.kind != OP_EXEC && e->v->op.kind != OP_FILE)
		return false;
	return out && !out->tree && !(parent && parent->tree) && out->n_layers == below + 1 &&
	       (below == 0 ||
		memcmp(out->layers, parent->layers, below * sizeof(*out->layers)) == 0);
}

static int64_t timestamp_of(const struct op_file_action *a)
{
	switch (a->kind) {
	case FILE_COPY:
		return a->copy.timestamp;
	case FILE_MKFILE:
		return a->mkfile.timestamp;
	case FILE_MKDIR:
		return a->mkdir.timestamp;
	case FILE_SYMLINK:
		return a->symlink.timestamp;
	case FILE_RM:
		break;
	}
	return OP_TIME_NONE;
}

static int twin_key(struct store *s, const struct op *op, const struct result *parent,
		    const struct digest *layer, struct digest *ret, struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	_cleanup_hasher_ struct hasher h = {0};
	struct digest below;
	int r;

	r = rootfs_open(s, parent ? parent->layers : NULL, parent ? parent->n_layers : 0, &rootfs,
			err);
	if (r == 0)
		r = rootfs_digest(rootfs, &below, err);
	if (r < 0)
		return r;
	hasher_init(&h);
	hasher_add_string(&h, "kiln layer key 1");
	hasher_add(&h, below.b, sizeof(below.b));
	hasher_add(&h, layer->b, sizeof(layer->b));
	for (size_t i = 0; op->kind == OP_FILE && i < op->file.n; i++)
		hasher_add_u64(&h, (uint64_t)timestamp_of(&op->file.actions[i]));
	hasher_final(&h, ret);
	return 0;
}

static bool is_refused(struct cache_store *c, int64_t layer)
{
	bool ret = false;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->refused.n; i++)
		ret = ret || c->refused.v[i] == layer;
	pthread_mutex_unlock(&c->lock);
	return ret;
}

/* *ret = 0 if there is none. */
static int find_twin(struct cache_store *c, const struct digest *key, const struct digest *content,
		     int64_t *ret, struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT};
	bool found, held = false, lost;
	int r;

	*ret = 0;
	r = record_look(c->store, key, &found, &rec, err);
	if (r < 0 || !found || rec.n_layers == 0)
		return r;
	r = record_hold(c->store, &rec.layers[rec.n_layers - 1], 1, &held, err);
	if (r == 0 && held)
		r = layer_get(c->store, rec.layers[rec.n_layers - 1], &info, err);
	if (r < 0 || !held)
		return r;
	lost = !info.has_dir && !layer_bytes_stored(c->store, &info);
	if (info.has_index && !lost && info.has_digest &&
	    digest_equal(&info.tree_digest, content) && !is_refused(c, info.id))
		*ret = info.id;
	return 0;
}

int layer_twin_settle(struct cache_store *c, const struct cache_entry *e, struct digest *ret_key,
		      bool *ret_has_key, struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	const struct result *parent = parent_of(e);
	struct result *earlier;
	int64_t twin;
	int r;

	*ret_has_key = false;
	if (!is_one_layer(e, parent))
		return 0;
	r = layer_get(c->store, e->outputs[0]->layers[e->outputs[0]->n_layers - 1], &info, err);
	if (r < 0 || !info.has_digest)
		return r;
	r = twin_key(c->store, &e->v->op, parent, &info.tree_digest, ret_key, NULL);
	if (r < 0)
		return 0; /* a layer below was never unpacked: nothing is known of the parent */
	*ret_has_key = true;
	r = find_twin(c, ret_key, &info.tree_digest, &twin, err);
	if (r < 0 || twin == 0 || twin == info.id)
		return r;
	earlier = result_extend(parent, twin);
	result_unref(e->outputs[0]);
	e->outputs[0] = earlier;
	return 0;
}
