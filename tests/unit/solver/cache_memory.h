/* SPDX-License-Identifier: Apache-2.0 */
/* A cache backend in memory, for solves without a store. A hit by content gives the result as it
 * was made; nothing is put on top of other inputs. Thread safe. */
#ifndef KILN_TESTS_CACHE_MEMORY_H
#define KILN_TESTS_CACHE_MEMORY_H

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "solver/op_key.h"
#include "solver/solver.h"

struct cache_memory_record {
	const struct solver_ops *ops;
	size_t refs; /* keys */
	size_t n;
	struct result *outputs[];
};

struct cache_memory {
	const struct solver_ops *ops;
	pthread_mutex_t lock; /* protects keys and the records' refs */
	struct map keys;      /* struct cache_memory_record; NULL: forgotten */
	size_t n_keys;
	struct map known; /* key forms of ops that something was added for */
};

static inline struct cache_memory *cache_memory_new(const struct solver_ops *ops)
{
	struct cache_memory *c = NEW(struct cache_memory);

	c->ops = ops;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static inline void cache_memory_record_unref(struct cache_memory_record *r)
{
	if (!r || --r->refs > 0)
		return;
	for (size_t i = 0; i < r->n; i++)
		r->ops->unref(r->outputs[i]);
	free(r);
}

static inline void cache_memory_free_value(void *value)
{
	cache_memory_record_unref(value);
}

static inline void cache_memory_free(struct cache_memory *c)
{
	if (!c)
		return;
	map_release(&c->keys, cache_memory_free_value);
	map_release(&c->known, NULL);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static inline size_t cache_memory_size(struct cache_memory *c)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = c->n_keys;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static inline void cache_memory_set(struct cache_memory *c, const struct digest *key,
				    struct cache_memory_record *r)
{
	void **slot = map_put(&c->keys, key->b, DIGEST_SIZE);
	struct cache_memory_record *old = *slot;

	if (r)
		r->refs++;
	c->n_keys += (r != NULL) - (size_t)(old != NULL);
	*slot = r;
	cache_memory_record_unref(old);
}

static inline int cache_memory_find(void *data, const struct cache_query *q, enum cache_answer *ret,
				    struct error **err)
{
	struct cache_memory *c = data;
	struct cache_memory_record *r;

	(void)err;
	pthread_mutex_lock(&c->lock);
	r = map_get(&c->keys, q->key->b, DIGEST_SIZE);
	*ret = r && r->n == q->n_outputs ? CACHE_HIT : CACHE_MISS;
	for (size_t i = 0; *ret == CACHE_HIT && i < q->n_outputs; i++)
		q->outputs[i] = c->ops->ref(r->outputs[i]);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static inline int cache_memory_add(void *data, const struct cache_entry *e, struct error **err)
{
	struct digest op = op_key(&e->v->op, e->v->n_inputs);
	struct cache_memory *c = data;
	struct cache_memory_record *r =
		xcalloc(1, sizeof(*r) + e->n_outputs * sizeof(r->outputs[0]));

	(void)err;
	r->ops = c->ops;
	r->n = e->n_outputs;
	r->refs = 1;
	for (size_t i = 0; i < e->n_outputs; i++)
		r->outputs[i] = c->ops->ref(e->outputs[i]);
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < e->n_keys; i++)
		cache_memory_set(c, &e->keys[i], r);
	*map_put(&c->known, op.b, DIGEST_SIZE) = c;
	cache_memory_record_unref(r);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static inline int cache_memory_link_key(void *data, const struct digest *content,
					const struct cache_entry *e, struct error **err)
{
	struct cache_memory *c = data;
	struct cache_memory_record *r;

	(void)err;
	pthread_mutex_lock(&c->lock);
	r = map_get(&c->keys, content->b, DIGEST_SIZE);
	if (r)
		cache_memory_set(c, &e->keys[0], r);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static inline void cache_memory_forget(void *data, const struct digest *keys, size_t n_keys,
				       const struct vertex *v)
{
	struct cache_memory *c = data;

	(void)v;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < n_keys; i++)
		cache_memory_set(c, &keys[i], NULL);
	pthread_mutex_unlock(&c->lock);
}

static inline bool cache_memory_knows(void *data, const struct vertex *v)
{
	struct digest op = op_key(&v->op, v->n_inputs);
	struct cache_memory *c = data;
	bool ret;

	pthread_mutex_lock(&c->lock);
	ret = map_get(&c->known, op.b, DIGEST_SIZE) != NULL;
	pthread_mutex_unlock(&c->lock);
	return ret;
}

/* Its data is a struct cache_memory. */
static const struct cache_backend cache_memory_backend = {
	.find = cache_memory_find,
	.add = cache_memory_add,
	.link = cache_memory_link_key,
	.forget = cache_memory_forget,
	.knows = cache_memory_knows,
};

#endif
