/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the graph of a cache outside the store; who wrote it may be hostile. */
#include <string.h>
#include <zstd.h>

#include "base/mp.h"
#include "engine/remote_cache/remote_graph.h"

static const char what[] = "cache graph";

static int bad(const struct mp_reader *r, const char *text, struct error **err)
{
	return error_new(err, ERR_CORRUPT, 0, "%s: %s (at offset %zu)", what, text,
			 (size_t)(r->p - r->start));
}

/* An array of at least `min` and at most `max` elements. */
static int get_array(struct mp_reader *r, size_t min, size_t max, size_t *ret, struct error **err)
{
	int k = mp_get_array(r, ret, err);

	if (k == 0 && (*ret < min || *ret > max))
		k = bad(r, "an array of that length is not allowed", err);
	return k;
}

/* All members of all maps are there, in their order. */
static int get_key(struct mp_reader *r, struct mp_map *m, const char *key, struct error **err)
{
	struct mp_text text;
	int k = mp_map_next(r, m, &text, err);

	if (k < 0)
		return k;
	return k > 0 && mp_text_is(text, key) ? 0 : bad(r, "unexpected key", err);
}

static int end_map(struct mp_reader *r, const struct mp_map *m, struct error **err)
{
	return m->left == 0 ? 0 : bad(r, "unexpected key", err);
}

/* Elements of a sorted array: each one's bytes are above those of the one before. */
struct order {
	const uint8_t *before;
	size_t n;
};

static int check_order(struct mp_reader *r, struct order *o, const uint8_t *start,
		       struct error **err)
{
	size_t n = (size_t)(r->p - start);
	int c = o->before ? memcmp(o->before, start, o->n < n ? o->n : n) : -1;

	if (c > 0 || (c == 0 && o->n >= n))
		return bad(r, "the entries are out of order", err);
	*o = (struct order){.before = start, .n = n};
	return 0;
}

/* --- parts --- */

static int get_layer(struct mp_reader *r, struct remote_graph *g, struct error **err)
{
	struct remote_layer layer = {0};
	bool nil = true;
	struct mp_map m;
	int k = mp_get_map(r, &m, err);

	if (k == 0)
		k = get_key(r, &m, "created", err);
	if (k == 0)
		k = mp_get_int(r, &layer.created, err);
	if (k == 0)
		k = get_key(r, &m, "diff_id", err);
	if (k == 0)
		k = mp_get_digest(r, &layer.diff_id, err);
	if (k == 0)
		k = get_key(r, &m, "tree", err);
	if (k == 0)
		k = mp_get_nil(r, &nil, err);
	if (k == 0 && !nil) {
		layer.has_tree = true;
		k = mp_get_digest(r, &layer.tree, err);
	}
	if (k == 0)
		k = end_map(r, &m, err);
	if (k == 0 && g->layers.n > 0 &&
	    memcmp(vec_last(&g->layers).diff_id.b, layer.diff_id.b, DIGEST_SIZE) >= 0)
		k = bad(r, "the entries are out of order", err);
	if (k == 0)
		(void)remote_graph_layer(g, &layer);
	return k;
}

static int get_chain(struct mp_reader *r, struct remote_graph *g, struct remote_chain *ret,
		     struct error **err)
{
	uint32_t *layers;
	size_t n;
	int k = get_array(r, 0, REMOTE_CHAIN_MAX, &n, err);

	if (k < 0)
		return k;
	layers = arena_alloc(&g->arena, (n + 1) * sizeof(*layers));
	for (size_t i = 0; i < n && k == 0; i++) {
		uint64_t number = 0;

		k = mp_get_uint(r, UINT32_MAX, &number, err);
		if (k == 0 && number >= g->layers.n)
			k = bad(r, "there is no such layer", err);
		layers[i] = (uint32_t)number;
	}
	*ret = (struct remote_chain){.known = true, .layers = layers, .n = n};
	return k;
}

static int get_inputs(struct mp_reader *r, struct remote_graph *g, struct remote_record *ret,
		      struct error **err)
{
	struct remote_chain *inputs;
	size_t n;
	int k = get_array(r, 0, REMOTE_INPUTS_MAX, &n, err);

	if (k < 0)
		return k;
	inputs = arena_alloc(&g->arena, (n + 1) * sizeof(*inputs));
	for (size_t i = 0; i < n && k == 0; i++) {
		bool nil;

		k = mp_get_nil(r, &nil, err);
		if (k == 0 && !nil)
			k = get_chain(r, g, &inputs[i], err);
	}
	ret->inputs = inputs;
	ret->n_inputs = n;
	return k;
}

static int get_keys(struct mp_reader *r, struct remote_graph *g, struct remote_record *ret,
		    struct error **err)
{
	struct digest *keys;
	size_t n;
	int k = get_array(r, 1, REMOTE_KEYS_MAX, &n, err);

	if (k < 0)
		return k;
	keys = arena_alloc(&g->arena, n * sizeof(*keys));
	for (size_t i = 0; i < n && k == 0; i++) {
		k = mp_get_digest(r, &keys[i], err);
		if (k == 0 && i > 0 && memcmp(keys[i - 1].b, keys[i].b, DIGEST_SIZE) >= 0)
			k = bad(r, "the entries are out of order", err);
	}
	ret->keys = keys;
	ret->n_keys = n;
	return k;
}

static int get_output(struct mp_reader *r, struct remote_graph *g, struct remote_output *ret,
		      struct error **err)
{
	uint64_t own = REMOTE_OWN_ALL;
	bool nil = true;
	struct mp_map m;
	int k = mp_get_map(r, &m, err);

	if (k == 0)
		k = get_key(r, &m, "layers", err);
	if (k == 0)
		k = get_chain(r, g, &ret->chain, err);
	if (k == 0)
		k = get_key(r, &m, "own", err);
	if (k == 0)
		k = mp_get_nil(r, &nil, err);
	if (k == 0 && !nil)
		k = mp_get_uint(r, ret->chain.n, &own, err);
	ret->own = (uint32_t)own;
	return k == 0 ? end_map(r, &m, err) : k;
}

static int get_outputs(struct mp_reader *r, struct remote_graph *g, struct remote_record *ret,
		       struct error **err)
{
	struct remote_output *outputs;
	size_t n;
	int k = get_array(r, 1, REMOTE_OUTPUTS_MAX, &n, err);

	if (k < 0)
		return k;
	outputs = arena_alloc(&g->arena, n * sizeof(*outputs));
	for (size_t i = 0; i < n && k == 0; i++)
		k = get_output(r, g, &outputs[i], err);
	ret->outputs = outputs;
	ret->n_outputs = n;
	return k;
}

static int get_name(struct mp_reader *r, struct remote_graph *g, struct remote_record *ret,
		    struct error **err)
{
	struct mp_text text;
	int k = mp_get_str(r, REMOTE_NAME_MAX, &text, err);

	if (k == 0 && memchr(text.p, '\0', text.n))
		k = bad(r, "a name with a NUL in it", err);
	if (k == 0)
		ret->name = arena_strndup(&g->arena, text.p, text.n);
	return k;
}

static int get_record(struct mp_reader *r, struct remote_graph *g, struct error **err)
{
	struct remote_record rec = {0};
	struct mp_map m;
	int k = mp_get_map(r, &m, err);

	if (k == 0)
		k = get_key(r, &m, "created", err);
	if (k == 0)
		k = mp_get_int(r, &rec.created, err);
	if (k == 0)
		k = get_key(r, &m, "duration", err);
	if (k == 0)
		k = mp_get_int(r, &rec.duration, err);
	if (k == 0)
		k = get_key(r, &m, "inputs", err);
	if (k == 0)
		k = get_inputs(r, g, &rec, err);
	if (k == 0)
		k = get_key(r, &m, "keys", err);
	if (k == 0)
		k = get_keys(r, g, &rec, err);
	if (k == 0)
		k = get_key(r, &m, "name", err);
	if (k == 0)
		k = get_name(r, g, &rec, err);
	if (k == 0)
		k = get_key(r, &m, "op", err);
	if (k == 0)
		k = mp_get_digest(r, &rec.op, err);
	if (k == 0)
		k = get_key(r, &m, "outputs", err);
	if (k == 0)
		k = get_outputs(r, g, &rec, err);
	if (k == 0)
		k = end_map(r, &m, err);
	if (k == 0)
		vec_push(&g->records, rec);
	return k;
}

static int get_tree(struct mp_reader *r, struct remote_graph *g, struct error **err)
{
	struct remote_tree tree;
	struct mp_map m;
	int k = mp_get_map(r, &m, err);

	if (k == 0)
		k = get_key(r, &m, "digest", err);
	if (k == 0)
		k = mp_get_digest(r, &tree.digest, err);
	if (k == 0)
		k = get_key(r, &m, "layers", err);
	if (k == 0)
		k = get_chain(r, g, &tree.chain, err);
	if (k == 0)
		k = end_map(r, &m, err);
	if (k == 0)
		vec_push(&g->trees, tree);
	return k;
}

/* --- the whole --- */

static int get_layers(struct mp_reader *r, struct mp_map *m, struct remote_graph *g,
		      struct error **err)
{
	size_t n = 0;
	int k = get_key(r, m, "layers", err);

	if (k == 0)
		k = mp_get_array(r, &n, err);
	for (size_t i = 0; k == 0 && i < n; i++)
		k = get_layer(r, g, err);
	return k;
}

static int get_all(struct mp_reader *r, struct mp_map *m, const char *key,
		   int (*get)(struct mp_reader *r, struct remote_graph *g, struct error **err),
		   struct remote_graph *g, struct error **err)
{
	struct order order = {0};
	size_t n;
	int k = get_key(r, m, key, err);

	if (k == 0)
		k = mp_get_array(r, &n, err);
	for (size_t i = 0; k == 0 && i < n; i++) {
		const uint8_t *start = r->p;

		k = get(r, g, err);
		if (k == 0)
			k = check_order(r, &order, start, err);
	}
	return k;
}

static int get_graph(struct mp_reader *r, struct remote_graph *g, struct error **err)
{
	uint64_t version = 0;
	struct mp_map m;
	size_t n;
	int k = get_array(r, 2, 2, &n, err);

	if (k == 0)
		k = mp_get_uint(r, UINT64_MAX, &version, err);
	if (k == 0 && version != REMOTE_GRAPH_VERSION)
		k = error_new(err, ERR_UNSUPPORTED, 0, "%s: version %llu is not known", what,
			      (unsigned long long)version);
	if (k == 0)
		k = mp_get_map(r, &m, err);
	if (k == 0)
		k = get_layers(r, &m, g, err);
	if (k == 0)
		k = get_all(r, &m, "records", get_record, g, err);
	if (k == 0)
		k = get_all(r, &m, "trees", get_tree, g, err);
	if (k == 0)
		k = end_map(r, &m, err);
	return k == 0 ? mp_finish(r, err) : k;
}

static int decompress(const void *p, size_t n, struct buf *ret, struct error **err)
{
	unsigned long long size;
	char *to;
	size_t got;

	if (n > REMOTE_GRAPH_PACKED_MAX)
		return error_new(err, ERR_CORRUPT, 0, "%s: it has %zu bytes", what, n);
	size = ZSTD_getFrameContentSize(p, n);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ||
	    size > REMOTE_GRAPH_MAX)
		return error_new(err, ERR_CORRUPT, 0, "%s: not a zstd frame of an allowed size",
				 what);
	to = buf_reserve(ret, (size_t)size);
	got = ZSTD_decompress(to, (size_t)size, p, n);
	if (ZSTD_isError(got) || got != size)
		return error_new(err, ERR_CORRUPT, 0, "%s: %s", what,
				 ZSTD_isError(got) ? ZSTD_getErrorName(got) : "it is too short");
	buf_commit(ret, got);
	return 0;
}

int remote_graph_unpack(const void *p, size_t n, struct remote_graph *ret, struct error **err)
{
	_cleanup_buf_ struct buf content = BUF_INIT;
	struct mp_reader r;
	int k = decompress(p, n, &content, err);

	if (k < 0)
		return k;
	r = mp_reader(what, content.p, content.n);
	k = get_graph(&r, ret, err);
	if (k < 0)
		remote_graph_release(ret);
	return k;
}
