/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/cache_uses.h"

#include <stdlib.h>

static struct result **take_refs(struct result *const *results, size_t n)
{
	struct result **ret = xcalloc(n + 1, sizeof(struct result *));

	for (size_t i = 0; i < n; i++)
		ret[i] = result_ref(results[i]);
	return ret;
}

static void drop_refs(struct result **results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		result_unref(results[i]);
	free(results);
}

static void use_release(struct cache_use *use)
{
	drop_refs(use->inputs, use->v->n_inputs);
	drop_refs(use->outputs, use->n_outputs);
}

void cache_uses_init(struct cache_uses *u)
{
	*u = (struct cache_uses){0};
	pthread_mutex_init(&u->lock, NULL);
}

void cache_uses_release(struct cache_uses *u)
{
	for (size_t i = 0; i < u->list.n; i++)
		use_release(&u->list.v[i]);
	vec_release(&u->list);
	pthread_mutex_destroy(&u->lock);
}

static void forget(struct cache_uses *u, const struct vertex *v)
{
	for (size_t i = u->list.n; i-- > 0;) {
		if (u->list.v[i].v != v)
			continue;
		use_release(&u->list.v[i]);
		u->list.v[i] = vec_last(&u->list);
		u->list.n--;
	}
}

void cache_uses_note(struct cache_uses *u, const struct vertex *v, int64_t record,
		     struct result *const *inputs, struct result *const *outputs, size_t n_outputs)
{
	struct cache_use use = {.v = v, .record = record, .n_outputs = n_outputs};

	if (!u)
		return;
	use.inputs = take_refs(inputs, v->n_inputs);
	use.outputs = take_refs(outputs, n_outputs);
	pthread_mutex_lock(&u->lock);
	forget(u, v);
	vec_push(&u->list, use);
	pthread_mutex_unlock(&u->lock);
}

void cache_uses_forget(struct cache_uses *u, const struct vertex *v)
{
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	forget(u, v);
	pthread_mutex_unlock(&u->lock);
}
