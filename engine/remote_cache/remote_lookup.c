/* SPDX-License-Identifier: Apache-2.0 */
/* Finding results in imported caches, and entering them into the store when they are found. */
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "engine/remote_cache/remote_imported.h"
#include "engine/tree/result.h"
#include "solver/op_key.h"
#include "store/blob.h"

enum { FETCHES_MAX = 4 };

/* --- entering --- */

static struct digest chain_digest(const struct imported_graph *g, const struct remote_chain *c)
{
	_cleanup_hasher_ struct hasher h = {0};
	struct digest ret;

	hasher_init(&h);
	for (size_t i = 0; i < c->n; i++)
		hasher_add(&h, g->graph.layers.v[c->layers[i]].diff_id.b, DIGEST_SIZE);
	hasher_final(&h, &ret);
	return ret;
}

static void enter_key(struct map *keys, const struct digest *key, struct imported_graph *g,
		      const struct remote_record *r)
{
	void **slot = map_put(keys, key->b, DIGEST_SIZE);
	struct record_ref *ref = arena_alloc(&g->graph.arena, sizeof(*ref));

	*ref = (struct record_ref){.graph = g, .record = r, .next = *slot};
	*slot = ref;
}

static void enter_record(struct remote_imports *im, struct imported_graph *g,
			 const struct remote_record *r)
{
	for (size_t i = 0; i < r->n_keys; i++) {
		struct digest hearsay = remote_hearsay(&r->keys[i]);

		enter_key(&im->keys, &r->keys[i], g, r);
		*map_put(&im->hearsay, hearsay.b, DIGEST_SIZE) = (void *)(uintptr_t)&r->keys[i];
	}
}

void remote_imports_enter(struct remote_imports *im, struct imported_graph *g)
{
	pthread_mutex_lock(&im->lock);
	vec_push(&im->graphs, g);
	for (size_t i = 0; i < g->graph.records.n; i++)
		enter_record(im, g, &g->graph.records.v[i]);
	for (size_t i = 0; i < g->graph.trees.n; i++) {
		struct digest key = chain_digest(g, &g->graph.trees.v[i].chain);

		*map_put(&im->trees, key.b, DIGEST_SIZE) = &g->graph.trees.v[i].digest;
	}
	pthread_mutex_unlock(&im->lock);
}

/* --- layers --- */

/* The diff id of a layer of the store; NULL if it has none (it was made here and never left). */
static const struct digest *diff_id_of(struct remote_imports *im, int64_t id)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	struct digest *known = map_get(&im->diff_ids, &id, sizeof(id));

	if (known)
		return known;
	if (layer_get(im->env.store, id, &info, NULL) < 0 || !info.has_diff_id)
		return NULL;
	known = NEW(struct digest);
	*known = info.diff_id;
	*map_put(&im->diff_ids, &id, sizeof(id)) = known;
	return known;
}

/* One that is there and can be used is better than one to fetch. */
static int find_here(struct remote_imports *im, const struct digest *diff_id, int64_t *ret,
		     struct error **err)
{
	bool lost = false;
	int r = layer_find_diff_id(im->env.store, diff_id, ret, err);

	if (r == 0 && *ret != 0)
		r = layer_is_lost(im->env.store, *ret, &lost, err);
	if (lost)
		*ret = 0;
	return r;
}

/* The id of a layer of the graph; 0: it cannot be fetched. */
static int settle_layer(struct remote_imports *im, struct imported_graph *g, uint32_t number,
			int64_t *ret, struct error **err)
{
	const struct remote_layer *layer = &g->graph.layers.v[number];
	struct imported_layer *l = &g->layers[number];
	int r;

	*ret = l->id;
	if (l->id != 0) {
		/* What could not be fetched once will not come the second time. */
		bool lost = false;

		r = layer_is_lost(im->env.store, l->id, &lost, err);
		if (lost)
			*ret = 0;
		return r;
	}
	r = find_here(im, &layer->diff_id, ret, err);
	if (r == 0 && *ret == 0 && l->has_blob)
		r = layer_add_remote(im->env.store, &layer->diff_id, &l->blob, g->backend->source,
				     ret, err);
	if (r == 0 && *ret != 0 && l->has_blob)
		r = layer_claim(im->env.store, *ret, layer->created,
				layer->has_tree ? &layer->tree : NULL, err);
	if (r == 0)
		l->id = *ret;
	return r;
}

/* Appends layers [from, n) of a chain; *ret_whole = false if one cannot be fetched. */
static int settle_chain(struct remote_imports *im, struct imported_graph *g,
			const struct remote_chain *c, size_t from, int64_t *ret, bool *ret_whole,
			struct error **err)
{
	*ret_whole = true;
	for (size_t i = from; i < c->n && *ret_whole; i++) {
		int r = settle_layer(im, g, c->layers[i], &ret[i - from], err);

		if (r < 0)
			return r;
		*ret_whole = ret[i - from] != 0;
	}
	return 0;
}

/* --- finding --- */

static bool is_chain(struct remote_imports *im, struct imported_graph *g,
		     const struct remote_chain *c, const struct result *r)
{
	if (c->n != r->n_layers)
		return false;
	for (size_t i = 0; i < c->n; i++) {
		const struct digest *diff_id;

		if (g->layers[c->layers[i]].id == r->layers[i])
			continue;
		diff_id = diff_id_of(im, r->layers[i]);
		if (!diff_id || !digest_equal(diff_id, &g->graph.layers.v[c->layers[i]].diff_id))
			return false;
	}
	return true;
}

/* Was it made of the inputs that this build uses? See cache_query. */
static bool fits_inputs(struct remote_imports *im, struct imported_graph *g,
			const struct remote_record *rec, const struct cache_query *q)
{
	for (size_t i = 0; i < rec->n_inputs; i++) {
		const struct result *now = q->inputs[i];

		if (now && !now->tree && rec->inputs[i].known &&
		    !is_chain(im, g, &rec->inputs[i], now))
			return false;
	}
	return true;
}

static int make_output(struct remote_imports *im, struct imported_graph *g,
		       const struct remote_output *out, const struct cache_query *q, size_t i,
		       struct result **ret, struct error **err)
{
	const struct remote_chain *c = &out->chain;
	bool on_input = q->by_content && out->own != REMOTE_OWN_ALL, whole;
	const struct result *base = on_input ? result_base_of(q->v, i, q->inputs) : NULL;
	size_t from = on_input ? c->n - out->own : 0, below = base ? base->n_layers : 0;
	_cleanup_free_ int64_t *layers = xcalloc(below + c->n + 1, sizeof(*layers));
	int r;

	if (below > 0)
		memcpy(layers, base->layers, below * sizeof(*layers));
	r = settle_chain(im, g, c, from, layers + below, &whole, err);
	*ret = r == 0 && whole ? result_new_rootfs(layers, below + c->n - from) : NULL;
	return r;
}

/* *ret_found = false where a layer cannot be fetched. */
static int make_outputs(struct remote_imports *im, const struct record_ref *ref,
			const struct cache_query *q, bool *ret_found, struct error **err)
{
	size_t n = 0;
	int r = 0;

	*ret_found = true;
	for (; n < q->n_outputs && *ret_found; n++) {
		r = make_output(im, ref->graph, &ref->record->outputs[n], q, n, &q->outputs[n],
				err);
		*ret_found = r == 0 && q->outputs[n];
	}
	while (!*ret_found && n > 0) {
		result_unref(q->outputs[--n]);
		q->outputs[n] = NULL;
	}
	return r;
}

static int find(struct remote_imports *im, const struct cache_query *q,
		const struct remote_record **ret, struct error **err)
{
	const struct record_ref *ref = map_get(&im->keys, q->key->b, DIGEST_SIZE);
	struct digest op;
	int r = 0;

	*ret = NULL;
	if (!ref || map_get(&im->refused, q->key->b, DIGEST_SIZE))
		return 0;
	op = op_key(&q->v->op, q->v->n_inputs);
	for (; ref && !*ret && r == 0; ref = ref->next) {
		const struct remote_record *rec = ref->record;
		bool found;

		/* A key stands for an op of this shape; anything else is a lie. */
		if (!digest_equal(&rec->op, &op) || rec->n_outputs != q->n_outputs ||
		    rec->n_inputs != q->v->n_inputs)
			continue;
		if (!q->by_content && !fits_inputs(im, ref->graph, rec, q))
			continue;
		r = make_outputs(im, ref, q, &found, err);
		if (found)
			*ret = rec;
	}
	return r;
}

int remote_imports_find(struct remote_imports *im, const struct cache_query *q,
			const struct remote_record **ret, struct error **err)
{
	int r;

	remote_imports_wait(im);
	pthread_mutex_lock(&im->lock);
	r = find(im, q, ret, err);
	pthread_mutex_unlock(&im->lock);
	return r;
}

bool remote_imports_any(struct remote_imports *im)
{
	bool ret;

	remote_imports_wait(im);
	pthread_mutex_lock(&im->lock);
	ret = im->keys.n > 0;
	pthread_mutex_unlock(&im->lock);
	return ret;
}

/* What a stack of layers is found by in `trees`. */
static bool chain_key(struct remote_imports *im, const int64_t *layers, size_t n,
		      struct digest *ret)
{
	_cleanup_hasher_ struct hasher h = {0};

	if (im->trees.n == 0)
		return false;
	hasher_init(&h);
	for (size_t i = 0; i < n; i++) {
		const struct digest *diff_id = diff_id_of(im, layers[i]);

		if (!diff_id)
			return false;
		hasher_add(&h, diff_id->b, DIGEST_SIZE);
	}
	hasher_final(&h, ret);
	return true;
}

static bool find_tree(struct remote_imports *im, const int64_t *layers, size_t n,
		      struct digest *ret)
{
	const struct digest *tree = NULL;
	struct digest key;

	if (chain_key(im, layers, n, &key))
		tree = map_get(&im->trees, key.b, DIGEST_SIZE);
	if (tree)
		*ret = *tree;
	return tree != NULL;
}

bool remote_imports_tree(struct remote_imports *im, const int64_t *layers, size_t n,
			 struct digest *ret)
{
	bool found;

	remote_imports_wait(im);
	pthread_mutex_lock(&im->lock);
	found = find_tree(im, layers, n, ret);
	pthread_mutex_unlock(&im->lock);
	return found;
}

void remote_imports_refuse_tree(struct remote_imports *im, const int64_t *layers, size_t n)
{
	struct digest key;

	remote_imports_wait(im);
	pthread_mutex_lock(&im->lock);
	if (chain_key(im, layers, n, &key))
		*map_put(&im->trees, key.b, DIGEST_SIZE) = NULL;
	pthread_mutex_unlock(&im->lock);
}

void remote_imports_input(struct remote_imports *im, const struct digest *keys, size_t n,
			  size_t input, struct remote_graph *to, struct remote_chain *ret)
{
	*ret = (struct remote_chain){0};
	remote_imports_wait(im);
	pthread_mutex_lock(&im->lock);
	for (size_t i = 0; i < n && !ret->known; i++) {
		const struct record_ref *ref = map_get(&im->keys, keys[i].b, DIGEST_SIZE);

		if (ref && input < ref->record->n_inputs && ref->record->inputs[input].known)
			*ret = remote_graph_copy_chain(to, &ref->graph->graph,
						       &ref->record->inputs[input]);
	}
	pthread_mutex_unlock(&im->lock);
}

static void add_key(struct digest *keys, size_t *n, const struct digest *key)
{
	for (size_t i = 0; i < *n; i++)
		if (digest_equal(&keys[i], key))
			return;
	if (*n < REMOTE_KEYS_MAX)
		keys[(*n)++] = *key;
}

/* Is it said of just this result? */
static bool tells_of(struct remote_imports *im, const struct record_ref *ref,
		     struct result *const *outputs, size_t n_outputs)
{
	const struct remote_record *r = ref->record;
	bool same = r->n_outputs == n_outputs;

	for (size_t i = 0; i < n_outputs && same; i++)
		same = outputs[i] && !outputs[i]->tree &&
		       is_chain(im, ref->graph, &r->outputs[i].chain, outputs[i]);
	return same;
}

void remote_imports_keys(struct remote_imports *im, struct result *const *outputs, size_t n_outputs,
			 struct digest *keys, size_t *n)
{
	size_t own = *n;

	remote_imports_wait(im);
	pthread_mutex_lock(&im->lock);
	for (size_t i = 0; i < own; i++) {
		const struct digest *said = map_get(&im->hearsay, keys[i].b, DIGEST_SIZE);
		const struct record_ref *ref;

		if (said)
			keys[i] = *said;
		ref = map_get(&im->keys, keys[i].b, DIGEST_SIZE);
		for (; ref; ref = ref->next)
			for (size_t k = 0;
			     k < ref->record->n_keys && tells_of(im, ref, outputs, n_outputs); k++)
				add_key(keys, n, &ref->record->keys[k]);
	}
	pthread_mutex_unlock(&im->lock);
}

void remote_imports_refuse(struct remote_imports *im, const struct digest *keys, size_t n)
{
	remote_imports_wait(im);
	pthread_mutex_lock(&im->lock);
	for (size_t i = 0; i < n; i++)
		*map_put(&im->refused, keys[i].b, DIGEST_SIZE) = im;
	pthread_mutex_unlock(&im->lock);
}

/* --- fetching --- */

struct fetch_one {
	struct remote_backend *backend;
	struct layer_info info;
};

struct fetches {
	VEC(struct fetch_one) list;
	struct job *job;
};

static struct remote_backend *backend_of(const struct remote_imports *im, const char *source)
{
	for (size_t i = 0; source && i < im->sources.n; i++) {
		struct remote_backend *b = im->sources.v[i].backend;

		if (b->fetches && strcmp(b->source, source) == 0)
			return b;
	}
	return NULL;
}

static int fetch_nth(void *data, size_t i, struct error **err)
{
	struct fetches *f = data;
	struct remote_backend *b = f->list.v[i].backend;

	return b->ops->fetch_blob(b, &f->list.v[i].info.blob, f->job, err);
}

int remote_imports_fetch(struct remote_imports *im, const int64_t *layers, size_t n,
			 struct job *job, struct error **err)
{
	struct fetches f = {.job = job};
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct fetch_one one = {0};

		r = layer_get(im->env.store, layers[i], &one.info, err);
		one.backend = r == 0 ? backend_of(im, one.info.source) : NULL;
		if (one.backend && !one.info.has_dir && one.info.has_blob &&
		    !blob_exists(im->env.store, &one.info.blob.digest, NULL))
			vec_push(&f.list, one);
		else
			layer_info_release(&one.info);
	}
	if (r == 0 && f.list.n > 0) {
		remote_imports_wait(im);
		r = parallel_for_threads(FETCHES_MAX, f.list.n, fetch_nth, &f, err);
	}
	for (size_t i = 0; i < f.list.n; i++)
		layer_info_release(&f.list.v[i].info);
	vec_release(&f.list);
	return r;
}

struct digest remote_hearsay(const struct digest *content)
{
	_cleanup_hasher_ struct hasher h = {0};
	struct digest ret;

	hasher_init(&h);
	hasher_add_string(&h, "kiln content by hearsay");
	hasher_add(&h, content->b, sizeof(content->b));
	hasher_final(&h, &ret);
	return ret;
}
