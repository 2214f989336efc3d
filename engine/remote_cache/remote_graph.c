/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/remote_graph.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mp.h"

void remote_graph_release(struct remote_graph *g)
{
	arena_release(&g->arena);
	vec_release(&g->layers);
	vec_release(&g->records);
	vec_release(&g->trees);
	map_release(&g->by_diff_id, NULL);
	*g = (struct remote_graph)REMOTE_GRAPH_INIT;
}

uint32_t remote_graph_layer(struct remote_graph *g, const struct remote_layer *layer)
{
	void **slot = map_put(&g->by_diff_id, layer->diff_id.b, DIGEST_SIZE);
	struct remote_layer *known;

	if (!*slot) {
		vec_push(&g->layers, (struct remote_layer){.diff_id = layer->diff_id});
		*slot = (void *)(uintptr_t)g->layers.n;
	}
	known = &g->layers.v[(uintptr_t)*slot - 1];
	if (layer->has_tree && !known->has_tree) {
		known->has_tree = true;
		known->tree = layer->tree;
	}
	if (known->created == 0)
		known->created = layer->created;
	return (uint32_t)((uintptr_t)*slot - 1);
}

/* --- merging --- */

struct remote_chain remote_graph_copy_chain(struct remote_graph *to,
					    const struct remote_graph *from,
					    const struct remote_chain *chain)
{
	uint32_t *layers = arena_alloc(&to->arena, (chain->n + 1) * sizeof(*layers));

	for (size_t i = 0; i < chain->n; i++)
		layers[i] = remote_graph_layer(to, &from->layers.v[chain->layers[i]]);
	return (struct remote_chain){.known = chain->known, .layers = layers, .n = chain->n};
}

static void copy_record(struct remote_graph *to, const struct remote_graph *from,
			const struct remote_record *r)
{
	struct remote_record copy = *r;
	struct digest *keys = arena_alloc(&to->arena, r->n_keys * sizeof(*keys));
	struct remote_output *outputs = arena_alloc(&to->arena, r->n_outputs * sizeof(*outputs));
	struct remote_chain *inputs = arena_alloc(&to->arena, (r->n_inputs + 1) * sizeof(*inputs));

	memcpy(keys, r->keys, r->n_keys * sizeof(*keys));
	for (size_t i = 0; i < r->n_outputs; i++)
		outputs[i] = (struct remote_output){
			.chain = remote_graph_copy_chain(to, from, &r->outputs[i].chain),
			.own = r->outputs[i].own};
	for (size_t i = 0; i < r->n_inputs; i++)
		inputs[i] = remote_graph_copy_chain(to, from, &r->inputs[i]);
	copy.keys = keys;
	copy.name = arena_strdup(&to->arena, r->name);
	copy.outputs = outputs;
	copy.inputs = inputs;
	vec_push(&to->records, copy);
}

static void mark_keys(struct map *m, const struct remote_record *r)
{
	for (size_t i = 0; i < r->n_keys; i++)
		*map_put(m, r->keys[i].b, DIGEST_SIZE) = m;
}

static bool has_keys(const struct map *m, const struct remote_record *r)
{
	for (size_t i = 0; i < r->n_keys; i++)
		if (!map_get(m, r->keys[i].b, DIGEST_SIZE))
			return false;
	return true;
}

static bool has_layers(const struct remote_graph *to, const struct remote_graph *from,
		       const struct remote_chain *chain)
{
	for (size_t i = 0; i < chain->n; i++)
		if (!map_get(&to->by_diff_id, from->layers.v[chain->layers[i]].diff_id.b,
			     DIGEST_SIZE))
			return false;
	return true;
}

void remote_graph_keep_trees(struct remote_graph *to, const struct remote_graph *from)
{
	/* The same tree twice is written once. */
	for (size_t i = 0; i < from->trees.n; i++)
		if (has_layers(to, from, &from->trees.v[i].chain))
			vec_push(&to->trees,
				 (struct remote_tree){.chain = remote_graph_copy_chain(
							      to, from, &from->trees.v[i].chain),
						      .digest = from->trees.v[i].digest});
}

static bool same_chain(const struct remote_graph *a, const struct remote_chain *x,
		       const struct remote_graph *b, const struct remote_chain *y)
{
	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (!digest_equal(&a->layers.v[x->layers[i]].diff_id,
				  &b->layers.v[y->layers[i]].diff_id))
			return false;
	return true;
}

static bool has_key(const struct remote_record *r, const struct digest *key)
{
	for (size_t i = 0; i < r->n_keys; i++)
		if (digest_equal(&r->keys[i], key))
			return true;
	return false;
}

static bool same_result(const struct remote_graph *a, const struct remote_record *x,
			const struct remote_graph *b, const struct remote_record *y)
{
	bool same = digest_equal(&x->op, &y->op) && x->n_outputs == y->n_outputs;

	for (size_t i = 0; i < x->n_outputs && same; i++)
		same = same_chain(a, &x->outputs[i].chain, b, &y->outputs[i].chain);
	return same;
}

static void add_keys(struct arena *a, struct remote_record *to, const struct remote_record *from)
{
	struct digest *keys = arena_alloc(a, (to->n_keys + from->n_keys) * sizeof(*keys));
	size_t n = to->n_keys;

	memcpy(keys, to->keys, n * sizeof(*keys));
	for (size_t i = 0; i < from->n_keys && n < REMOTE_KEYS_MAX; i++)
		if (!has_key(to, &from->keys[i]))
			keys[n++] = from->keys[i];
	to->keys = keys;
	to->n_keys = n;
}

void remote_graph_keep_keys(struct remote_graph *to, const struct remote_graph *from)
{
	struct map by_key = {0};

	for (size_t i = 0; i < from->records.n; i++)
		for (size_t k = 0; k < from->records.v[i].n_keys; k++)
			*map_put(&by_key, from->records.v[i].keys[k].b, DIGEST_SIZE) =
				&from->records.v[i];
	for (size_t i = 0; i < to->records.n; i++) {
		struct remote_record *r = &to->records.v[i];

		for (size_t k = 0; k < r->n_keys; k++) {
			const struct remote_record *theirs =
				map_get(&by_key, r->keys[k].b, DIGEST_SIZE);

			if (theirs && same_result(to, r, from, theirs))
				add_keys(&to->arena, r, theirs);
		}
	}
	map_release(&by_key, NULL);
}

void remote_graph_merge(struct remote_graph *to, const struct remote_graph *from)
{
	struct map keys = {0};

	for (size_t i = 0; i < to->records.n; i++)
		mark_keys(&keys, &to->records.v[i]);
	for (size_t i = 0; i < from->records.n; i++)
		if (!has_keys(&keys, &from->records.v[i]))
			copy_record(to, from, &from->records.v[i]);
	remote_graph_keep_trees(to, from);
	map_release(&keys, NULL);
}

/* --- writing --- */

/* Encodings of values of one array, to be sorted. */
struct pieces {
	VEC(struct buf) list;
};

static void pieces_release(struct pieces *p)
{
	for (size_t i = 0; i < p->list.n; i++)
		buf_release(&p->list.v[i]);
	vec_release(&p->list);
}

static int compare_pieces(const void *a, const void *b)
{
	const struct buf *x = a, *y = b;
	int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

	return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

static void put_pieces(struct buf *b, struct pieces *p)
{
	size_t n = 0;

	if (p->list.n > 0)
		qsort(p->list.v, p->list.n, sizeof(*p->list.v), compare_pieces);
	for (size_t i = 0; i < p->list.n; i++)
		n += i == 0 || compare_pieces(&p->list.v[i - 1], &p->list.v[i]) != 0;
	mp_put_array(b, n);
	for (size_t i = 0; i < p->list.n; i++)
		if (i == 0 || compare_pieces(&p->list.v[i - 1], &p->list.v[i]) != 0)
			buf_add(b, p->list.v[i].p, p->list.v[i].n);
}

/* The order in which layers are written: those that something names, by diff id. */
struct numbering {
	uint32_t *by_number; /* numbers of the graph, in the order of writing */
	uint32_t *new_number;
	size_t n;
};

static void mark_chain(const struct remote_chain *c, uint32_t *used)
{
	for (size_t i = 0; i < c->n; i++)
		used[c->layers[i]] = 1;
}

static void mark_used(const struct remote_graph *g, uint32_t *used)
{
	for (size_t i = 0; i < g->records.n; i++) {
		const struct remote_record *r = &g->records.v[i];

		for (size_t k = 0; k < r->n_outputs; k++)
			mark_chain(&r->outputs[k].chain, used);
		for (size_t k = 0; k < r->n_inputs; k++)
			mark_chain(&r->inputs[k], used);
	}
	for (size_t i = 0; i < g->trees.n; i++)
		mark_chain(&g->trees.v[i].chain, used);
}

static int compare_layers(const void *a, const void *b, void *data)
{
	const struct remote_layer *layers = data;

	return memcmp(layers[*(const uint32_t *)a].diff_id.b,
		      layers[*(const uint32_t *)b].diff_id.b, DIGEST_SIZE);
}

static struct numbering number_layers(const struct remote_graph *g)
{
	struct numbering n = {.by_number = xcalloc(g->layers.n + 1, sizeof(uint32_t)),
			      .new_number = xcalloc(g->layers.n + 1, sizeof(uint32_t))};

	mark_used(g, n.new_number);
	for (uint32_t i = 0; i < g->layers.n; i++)
		if (n.new_number[i])
			n.by_number[n.n++] = i;
	if (n.n > 0)
		qsort_r(n.by_number, n.n, sizeof(uint32_t), compare_layers, g->layers.v);
	for (uint32_t i = 0; i < n.n; i++)
		n.new_number[n.by_number[i]] = i;
	return n;
}

static void put_chain(struct buf *b, const struct remote_chain *c, const struct numbering *n)
{
	mp_put_array(b, c->n);
	for (size_t i = 0; i < c->n; i++)
		mp_put_uint(b, n->new_number[c->layers[i]]);
}

static void put_layer(struct buf *b, const struct remote_layer *l)
{
	mp_put_map(b, 3);
	mp_put_key(b, "created");
	mp_put_int(b, l->created);
	mp_put_key(b, "diff_id");
	mp_put_digest(b, &l->diff_id);
	mp_put_key(b, "tree");
	if (l->has_tree)
		mp_put_digest(b, &l->tree);
	else
		mp_put_nil(b);
}

static void put_keys(struct buf *b, const struct remote_record *r)
{
	_cleanup_free_ struct digest *sorted = xcalloc(r->n_keys, sizeof(*sorted));

	memcpy(sorted, r->keys, r->n_keys * sizeof(*sorted));
	qsort(sorted, r->n_keys, sizeof(*sorted), digest_compare);
	mp_put_array(b, r->n_keys);
	for (size_t i = 0; i < r->n_keys; i++)
		mp_put_digest(b, &sorted[i]);
}

static void put_output(struct buf *b, const struct remote_output *o, const struct numbering *n)
{
	mp_put_map(b, 2);
	mp_put_key(b, "layers");
	put_chain(b, &o->chain, n);
	mp_put_key(b, "own");
	if (o->own == REMOTE_OWN_ALL)
		mp_put_nil(b);
	else
		mp_put_uint(b, o->own);
}

static void put_record(struct buf *b, const struct remote_record *r, const struct numbering *n)
{
	mp_put_map(b, 7);
	mp_put_key(b, "created");
	mp_put_int(b, r->created);
	mp_put_key(b, "duration");
	mp_put_int(b, r->duration);
	mp_put_key(b, "inputs");
	mp_put_array(b, r->n_inputs);
	for (size_t i = 0; i < r->n_inputs; i++) {
		if (r->inputs[i].known)
			put_chain(b, &r->inputs[i], n);
		else
			mp_put_nil(b);
	}
	mp_put_key(b, "keys");
	put_keys(b, r);
	mp_put_key(b, "name");
	mp_put_strn(b, r->name, strnlen(r->name, REMOTE_NAME_MAX));
	mp_put_key(b, "op");
	mp_put_digest(b, &r->op);
	mp_put_key(b, "outputs");
	mp_put_array(b, r->n_outputs);
	for (size_t i = 0; i < r->n_outputs; i++)
		put_output(b, &r->outputs[i], n);
}

static void put_records(struct buf *b, const struct remote_graph *g, const struct numbering *n)
{
	_cleanup_(pieces_release) struct pieces p = {0};

	for (size_t i = 0; i < g->records.n; i++) {
		struct buf piece = BUF_INIT;

		put_record(&piece, &g->records.v[i], n);
		vec_push(&p.list, piece);
	}
	put_pieces(b, &p);
}

static void put_trees(struct buf *b, const struct remote_graph *g, const struct numbering *n)
{
	_cleanup_(pieces_release) struct pieces p = {0};

	for (size_t i = 0; i < g->trees.n; i++) {
		struct buf piece = BUF_INIT;

		mp_put_map(&piece, 2);
		mp_put_key(&piece, "digest");
		mp_put_digest(&piece, &g->trees.v[i].digest);
		mp_put_key(&piece, "layers");
		put_chain(&piece, &g->trees.v[i].chain, n);
		vec_push(&p.list, piece);
	}
	put_pieces(b, &p);
}

static void put_graph(struct buf *b, const struct remote_graph *g)
{
	struct numbering n = number_layers(g);

	mp_put_array(b, 2);
	mp_put_uint(b, REMOTE_GRAPH_VERSION);
	mp_put_map(b, 3);
	mp_put_key(b, "layers");
	mp_put_array(b, n.n);
	for (size_t i = 0; i < n.n; i++)
		put_layer(b, &g->layers.v[n.by_number[i]]);
	mp_put_key(b, "records");
	put_records(b, g, &n);
	mp_put_key(b, "trees");
	put_trees(b, g, &n);
	free(n.by_number);
	free(n.new_number);
}

static int check_limits(const struct remote_graph *g, struct error **err)
{
	for (size_t i = 0; i < g->records.n; i++) {
		const struct remote_record *r = &g->records.v[i];
		bool fine = r->n_keys <= REMOTE_KEYS_MAX && r->n_inputs <= REMOTE_INPUTS_MAX &&
			    r->n_outputs <= REMOTE_OUTPUTS_MAX;

		for (size_t k = 0; k < r->n_outputs; k++)
			fine = fine && r->outputs[k].chain.n <= REMOTE_CHAIN_MAX;
		if (!fine)
			return error_new(err, ERR_INVALID, 0,
					 "'%s' is too large a step for a cache", r->name);
	}
	return 0;
}

/* The checksum is for readers that have no digest to compare with. */
static int compress(const struct buf *content, struct buf *ret, struct error **err)
{
	size_t room = ZSTD_compressBound(content->n), n;
	ZSTD_CCtx *c = ZSTD_createCCtx();
	char *to = buf_reserve(ret, room);

	if (!c || !to)
		abort();
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(c, to, room, content->p, content->n);
	ZSTD_freeCCtx(c);
	if (ZSTD_isError(n))
		return error_new(err, ERR_INTERNAL, 0, "compress the cache's graph: %s",
				 ZSTD_getErrorName(n));
	buf_commit(ret, n);
	return 0;
}

int remote_graph_pack(const struct remote_graph *g, struct buf *ret, struct error **err)
{
	_cleanup_buf_ struct buf content = BUF_INIT_MAX(REMOTE_GRAPH_MAX);
	size_t before = ret->n;
	int r = check_limits(g, err);

	if (r < 0)
		return r;
	put_graph(&content, g);
	if (!content.full)
		r = compress(&content, ret, err);
	if (r == 0 && (content.full || ret->n - before > REMOTE_GRAPH_PACKED_MAX))
		r = error_new(err, ERR_INVALID, 0, "a cache cannot have %zu records", g->records.n);
	return r;
}
