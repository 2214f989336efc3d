#include "solver/cache_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

struct record {
	const struct solver_ops *ops;
	size_t refs; /* keys */
	size_t n;
	struct result *outputs[];
};

struct cache_memory {
	const struct solver_ops *ops;
	pthread_mutex_t lock; /* protects keys and the records' refs */
	struct map keys;      /* struct record; NULL: forgotten */
	size_t n_keys;
};

struct cache_memory *cache_memory_new(const struct solver_ops *ops)
{
	struct cache_memory *c = NEW(struct cache_memory);

	c->ops = ops;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void record_unref(struct record *r)
{
	if (!r || --r->refs > 0)
		return;
	for (size_t i = 0; i < r->n; i++)
		r->ops->unref(r->outputs[i]);
	free(r);
}

static void free_value(void *value)
{
	record_unref(value);
}

void cache_memory_free(struct cache_memory *c)
{
	if (!c)
		return;
	map_release(&c->keys, free_value);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

size_t cache_memory_size(struct cache_memory *c)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = c->n_keys;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void set(struct cache_memory *c, const struct digest *key, struct record *r)
{
	void **slot = map_put(&c->keys, key->b, DIGEST_SIZE);
	struct record *old = *slot;

	if (r)
		r->refs++;
	c->n_keys += (r != NULL) - (size_t)(old != NULL);
	*slot = r;
	record_unref(old);
}

static int find(void *data, const struct digest *key, const struct vertex *v,
		struct result *const *inputs, bool *ret_found, struct result **ret_outputs,
		size_t n_outputs, struct error **err)
{
	struct cache_memory *c = data;
	struct record *r;

	(void)v, (void)inputs, (void)err;
	pthread_mutex_lock(&c->lock);
	r = map_get(&c->keys, key->b, DIGEST_SIZE);
	*ret_found = r && r->n == n_outputs;
	for (size_t i = 0; *ret_found && i < n_outputs; i++)
		ret_outputs[i] = c->ops->ref(r->outputs[i]);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static int add(void *data, const struct digest *keys, size_t n_keys, const struct vertex *v,
	       struct result *const *inputs, struct result *const *outputs, size_t n_outputs,
	       int64_t duration_ns, struct error **err)
{
	struct cache_memory *c = data;
	struct record *r = xcalloc(1, sizeof(*r) + n_outputs * sizeof(r->outputs[0]));

	(void)v, (void)inputs, (void)duration_ns, (void)err;
	r->ops = c->ops;
	r->n = n_outputs;
	r->refs = 1;
	for (size_t i = 0; i < n_outputs; i++)
		r->outputs[i] = c->ops->ref(outputs[i]);
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < n_keys; i++)
		set(c, &keys[i], r);
	record_unref(r);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static int link_key(void *data, const struct digest *content, const struct digest *definition,
		    const struct vertex *v, struct result *const *outputs, size_t n_outputs,
		    struct error **err)
{
	struct cache_memory *c = data;
	struct record *r;

	(void)v, (void)outputs, (void)n_outputs, (void)err;
	pthread_mutex_lock(&c->lock);
	r = map_get(&c->keys, content->b, DIGEST_SIZE);
	if (r)
		set(c, definition, r);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static void forget(void *data, const struct digest *keys, size_t n_keys, const struct vertex *v)
{
	struct cache_memory *c = data;

	(void)v;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < n_keys; i++)
		set(c, &keys[i], NULL);
	pthread_mutex_unlock(&c->lock);
}

const struct cache_backend cache_memory_backend = {
	.find = find,
	.add = add,
	.link = link_key,
	.forget = forget,
};
