/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/cache_collect.h"

#include <stdlib.h>
#include <string.h>

#include "engine/cache/cache_record.h"
#include "engine/cache/op_content.h"
#include "solver/op_key.h"
#include "store/record.h"

/* --- which results --- */

static void want(bool *wanted, const struct edge *e);

/* The layers of a result come from the step itself and from what it stands on. */
static void want_inputs(bool *wanted, const struct vertex *v, unsigned output)
{
	const struct op *op = &v->op;
	int input = OP_INPUT_NONE;

	if (op->kind == OP_MERGE)
		for (size_t i = 0; i < v->n_inputs; i++)
			want(wanted, &v->inputs[i]);
	else
		input = op_base_input(op, output);
	if (input >= 0 && (size_t)input < v->n_inputs)
		want(wanted, &v->inputs[input]);
}

static void want(bool *wanted, const struct edge *e)
{
	if (!e->vertex || wanted[e->vertex->id])
		return;
	wanted[e->vertex->id] = true;
	want_inputs(wanted, e->vertex, e->output);
}

bool *remote_wanted(const struct graph *g, const struct edge *targets, size_t n, bool max)
{
	bool *wanted = xcalloc(g->n + 1, sizeof(*wanted));

	if (max)
		memset(wanted, true, g->n * sizeof(*wanted));
	for (size_t i = 0; i < n; i++)
		want(wanted, &targets[i]);
	return wanted;
}

/* --- chains --- */

struct collecting {
	const struct remote_collect *c;
	struct remote_graph *graph;
	struct map numbers; /* id of a layer that travels -> its number in the graph, plus one */
};

static uint32_t *new_numbers(struct collecting *k, size_t n)
{
	return arena_alloc(&k->graph->arena, (n + 1) * sizeof(uint32_t));
}

/* False if a layer of these does not travel. */
static bool travels(struct collecting *k, const int64_t *layers, size_t n)
{
	struct digest diff_id;

	for (size_t i = 0; i < n; i++)
		if (!k->c->diff_id(k->c->data, layers[i], &diff_id))
			return false;
	return n <= REMOTE_CHAIN_MAX;
}

/* Of a base image's layers only the diff id is said. */
static uint32_t enter_layer(struct collecting *k, int64_t id)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	struct remote_layer layer = {0};

	(void)k->c->diff_id(k->c->data, id, &layer.diff_id);
	if (!k->c->env.is_base_layer(k->c->env.data, id) &&
	    layer_get(k->c->env.store, id, &info, NULL) == 0) {
		layer.has_tree = info.has_digest && (info.is_exact || info.source);
		layer.tree = info.tree_digest;
		layer.created = k->c->has_epoch ? k->c->epoch : info.created;
	}
	return remote_graph_layer(k->graph, &layer);
}

/* A layer is in the chains of all that stands on it; the store is asked about it once. */
static uint32_t number_of(struct collecting *k, int64_t id)
{
	void **slot = map_put(&k->numbers, &id, sizeof(id));

	if (!*slot)
		*slot = (void *)((uintptr_t)enter_layer(k, id) + 1);
	return (uint32_t)((uintptr_t)*slot - 1);
}

/* A chain of layers that travel. */
static struct remote_chain make_chain(struct collecting *k, const int64_t *layers, size_t n)
{
	uint32_t *numbers = new_numbers(k, n);

	for (size_t i = 0; i < n; i++)
		numbers[i] = number_of(k, layers[i]);
	return (struct remote_chain){.known = true, .layers = numbers, .n = n};
}

/* What stands for the diff id of a layer that never left the store: no other layer has it. */
static struct digest stand_in(const struct layer_info *info)
{
	_cleanup_hasher_ struct hasher h = {0};
	struct digest ret;

	hasher_init(&h);
	hasher_add_string(&h, "kiln layer that stays");
	hasher_add(&h, info->tree_digest.b, DIGEST_SIZE);
	hasher_final(&h, &ret);
	return ret;
}

/* Layers of an input need not travel: they say only which ones they were. A source is what its key
 * says, wherever it was taken. */
static struct remote_chain make_input(struct collecting *k, const struct cache_use *use, size_t i)
{
	const struct vertex *v = use->v->inputs[i].vertex;
	const struct result *r = v && v->op.kind != OP_SOURCE ? use->inputs[i] : NULL;
	struct remote_chain chain = {.known = true};
	uint32_t *numbers;

	if (!r || r->tree || r->n_layers > REMOTE_CHAIN_MAX)
		return (struct remote_chain){0};
	numbers = new_numbers(k, r->n_layers);
	for (size_t l = 0; l < r->n_layers; l++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};
		struct remote_layer layer = {0};
		void *known = map_get(&k->numbers, &r->layers[l], sizeof(r->layers[l]));

		if (known) {
			numbers[l] = (uint32_t)((uintptr_t)known - 1);
			continue;
		}
		if (layer_get(k->c->env.store, r->layers[l], &info, NULL) < 0)
			return (struct remote_chain){0};
		if (!k->c->diff_id(k->c->data, r->layers[l], &layer.diff_id))
			layer.diff_id = info.has_diff_id ? info.diff_id : stand_in(&info);
		numbers[l] = remote_graph_layer(k->graph, &layer);
	}
	chain.layers = numbers;
	chain.n = r->n_layers;
	return chain;
}

/* What the whole looks like, where that is known. */
static int add_tree(struct collecting *k, const int64_t *layers, size_t n, struct error **err)
{
	const struct export_env *e = &k->c->env;
	struct digest tree;
	bool known = false;
	int r = 0;

	if (n == 0 || !travels(k, layers, n))
		return 0;
	r = op_content_known_tree(e->store, e->imports, layers, n, &known, &tree, err);
	if (known)
		vec_push(&k->graph->trees,
			 (struct remote_tree){.chain = make_chain(k, layers, n), .digest = tree});
	return r;
}

/* Of an output, and of what it stands on. */
static int add_trees(struct collecting *k, const struct result *r, uint32_t own, struct error **err)
{
	int res = add_tree(k, r->layers, r->n_layers, err);

	return res < 0 || own > r->n_layers ? res : add_tree(k, r->layers, r->n_layers - own, err);
}

/* --- records --- */

static const int64_t *layers_of(const struct cache_use *use, size_t output)
{
	return use->outputs[output] ? use->outputs[output]->layers : NULL;
}

static size_t n_layers_of(const struct cache_use *use, size_t output)
{
	return use->outputs[output] ? use->outputs[output]->n_layers : 0;
}

static void add_record(struct collecting *k, const struct cache_use *use, const struct record *rec,
		       const struct digest *keys, size_t n_keys)
{
	struct arena *a = &k->graph->arena;
	struct remote_output *outputs = arena_alloc(a, use->n_outputs * sizeof(*outputs));
	struct remote_chain *inputs = arena_alloc(a, (use->v->n_inputs + 1) * sizeof(*inputs));
	struct digest *copy = arena_alloc(a, n_keys * sizeof(*copy));
	struct remote_record r = {.op = op_key(&use->v->op, use->v->n_inputs),
				  .name = arena_strdup(a, rec->description),
				  .created = rec->created,
				  .duration = rec->duration,
				  .n_outputs = use->n_outputs,
				  .n_inputs = use->v->n_inputs,
				  .n_keys = n_keys};

	for (size_t i = 0; i < use->n_outputs; i++)
		outputs[i] = (struct remote_output){
			.chain = make_chain(k, layers_of(use, i), n_layers_of(use, i)),
			.own = cache_record_own(rec, i)};
	for (size_t i = 0; i < use->v->n_inputs; i++) {
		inputs[i] = make_input(k, use, i);
		/* What was imported is passed on. */
		if (!inputs[i].known && !use->inputs[i] && k->c->env.imports)
			remote_imports_input(k->c->env.imports, keys, n_keys, i, k->graph,
					     &inputs[i]);
	}
	memcpy(copy, keys, n_keys * sizeof(*copy));
	if (k->c->has_epoch) {
		r.created = k->c->epoch;
		r.duration = 0;
	}
	r.keys = copy;
	r.outputs = outputs;
	r.inputs = inputs;
	vec_push(&k->graph->records, r);
}

static bool is_exported(struct collecting *k, const struct cache_use *use)
{
	bool ret = use->v->op.kind != OP_SOURCE && k->c->wanted[use->v->id];

	for (size_t i = 0; i < use->n_outputs && ret; i++)
		ret = !(use->outputs[i] && use->outputs[i]->tree) &&
		      travels(k, layers_of(use, i), n_layers_of(use, i));
	return ret;
}

static int add_use(struct collecting *k, const struct cache_use *use, struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT};
	_cleanup_free_ struct digest *keys = NULL;
	struct digest all[REMOTE_KEYS_MAX];
	size_t n_keys = 0;
	bool found;
	int r;

	if (!is_exported(k, use))
		return 0;
	r = record_get(k->c->env.store, use->record, &found, &rec, &keys, &n_keys, err);
	if (r < 0 || !found || n_keys == 0)
		return r;
	if (n_keys > REMOTE_KEYS_MAX)
		n_keys = REMOTE_KEYS_MAX;
	memcpy(all, keys, n_keys * sizeof(*all));
	/* What was imported is passed on. */
	if (k->c->env.imports)
		remote_imports_keys(k->c->env.imports, use->outputs, use->n_outputs, all, &n_keys);
	add_record(k, use, &rec, all, n_keys);
	for (size_t i = 0; i < use->n_outputs && r == 0; i++)
		if (use->outputs[i])
			r = add_trees(k, use->outputs[i], cache_record_own(&rec, i), err);
	return r;
}

int remote_collect(const struct remote_collect *c, struct remote_graph *ret, struct error **err)
{
	struct collecting k = {.c = c, .graph = ret};
	int r = 0;

	for (size_t i = 0; i < c->uses->list.n && r == 0; i++)
		r = add_use(&k, &c->uses->list.v[i], err);
	map_release(&k.numbers, NULL);
	return r;
}
