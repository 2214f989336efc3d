/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/times.h"

struct result **task_results_new(size_t n)
{
	return xcalloc(n > 0 ? n : 1, sizeof(struct result *));
}

void task_results_free(const struct solver_ops *ops, struct result **v, size_t n)
{
	if (!v)
		return;
	for (size_t i = 0; i < n; i++)
		ops->unref(v[i]);
	free(v);
}

/* A hit whose layers are gone does not count. */
static int hold(struct task *t, const struct digest *key)
{
	const struct cache_backend *cache = t->o->cache;
	bool held = true;
	int r = 0;

	if (cache->hold)
		r = cache->hold(t->o->cache_data, t->outputs, t->n_outputs, &held, &t->err);
	if (r == 0 && held)
		return 0;
	if (r == 0)
		cache->forget(t->o->cache_data, key, 1, t->v);
	task_results_free(t->o->ops, TAKE_PTR(t->outputs), t->n_outputs);
	t->answer = CACHE_MISS;
	return r;
}

static int find(struct task *t, const struct digest *key, bool by_content)
{
	struct result **outputs = task_results_new(t->n_outputs);
	const struct cache_query query = {
		.v = t->v,
		.key = key,
		.by_content = by_content,
		.inputs = t->inputs,
		.outputs = outputs,
		.n_outputs = t->n_outputs,
	};
	int r;

	r = t->o->cache->find(t->o->cache_data, &query, &t->answer, &t->err);
	if (r < 0 || t->answer != CACHE_HIT) {
		free(outputs);
		return r;
	}
	t->outputs = outputs;
	return hold(t, key);
}

static struct cache_entry entry_of(const struct task *t)
{
	return (struct cache_entry){
		.v = t->v,
		.inputs = t->inputs,
		.parts = t->contents,
		.salt = t->has_salt ? &t->salt : NULL,
		.outputs = t->outputs,
		.n_outputs = t->n_outputs,
	};
}

static int find_by_content(struct task *t)
{
	struct cache_entry e;
	int r;

	r = find(t, &t->content_key, true);
	if (r < 0 || t->answer != CACHE_HIT || !t->has_key)
		return r;
	e = entry_of(t);
	e.keys = &t->key;
	e.n_keys = 1;
	return t->o->cache->link(t->o->cache_data, &t->content_key, &e, &t->err);
}

static int content_of(struct task *t, size_t input, struct digest *ret, bool *ret_available)
{
	int r;

	*ret_available = false;
	r = t->o->ops->content(t->o->ops_data, t->job, t->v, input, t->inputs[input], ret,
			       ret_available, &t->err);
	return r < 0 ? r : 0;
}

/* Fills t->contents and with it the content key, if all of it can be told. */
static int digest_inputs(struct task *t)
{
	bool all = true;

	t->contents = xcalloc(t->n_inputs + 1, sizeof(*t->contents));
	for (size_t i = 0; i < t->n_inputs; i++) {
		struct key_part *part = &t->contents[i];
		bool available = true;
		int r = 0;

		part->kind = KEY_PART_CONTENT;
		if (!t->inputs[i])
			part->kind = KEY_PART_SCRATCH;
		else if (t->parts[i].kind == KEY_PART_CONTENT)
			part->digest = t->parts[i].digest;
		else
			r = content_of(t, i, &part->digest, &available);
		if (r < 0)
			return r;
		if (!available)
			part->kind = KEY_PART_DEFINITION;
		all = all && available;
	}
	if (all)
		t->content_key = cachekey_content(&t->v->op, t->has_salt ? &t->salt : NULL,
						  t->contents, t->n_inputs);
	t->has_content_key = all;
	return 0;
}

static int prepare(struct task *t)
{
	int r = digest_inputs(t);

	return r == 0 && t->has_content_key && t->find_content ? find_by_content(t) : r;
}

/* The keys of a vertex whose files were digested while they were copied. */
static int learn_keys(struct task *t)
{
	int r = digest_inputs(t);

	t->has_key = r == 0;
	for (size_t i = 0; i < t->n_inputs && r == 0; i++) {
		if (t->parts[i].kind == KEY_PART_DEFINITION)
			continue;
		t->parts[i] = t->contents[i];
		t->has_key = t->has_key && t->contents[i].kind != KEY_PART_DEFINITION;
	}
	if (t->has_key)
		t->key = cachekey_definition(&t->v->op, t->has_salt ? &t->salt : NULL, t->parts,
					     t->n_inputs);
	return r;
}

static int add(struct task *t, const struct cache_entry *e)
{
	size_t size = t->n_outputs * sizeof(struct result *);
	_cleanup_free_ struct result **before = task_results_new(t->n_outputs);
	int r;

	memcpy(before, t->outputs, size);
	r = t->o->cache->add(t->o->cache_data, e, &t->err);
	t->replaced = memcmp(before, t->outputs, size) != 0;
	return r;
}

static int run_and_add(struct task *t)
{
	int64_t start = times_monotonic_ns();
	struct result **outputs = task_results_new(t->n_outputs);
	struct cache_entry e;
	struct digest keys[2];
	int r;

	job_start(t->job);
	r = t->o->ops->run(t->o->ops_data, t->job, t->v, t->inputs, outputs, t->n_outputs,
			   &t->hollow, &t->err);
	if (r < 0) {
		free(outputs);
		e = entry_of(t);
		if (t->o->cache && t->o->cache->failed && r != -ERR_CANCELED)
			t->o->cache->failed(t->o->cache_data, &e);
		return r;
	}
	t->outputs = outputs;
	if (t->late)
		r = learn_keys(t);
	if (r < 0)
		return r;
	e = entry_of(t);
	e.keys = keys;
	e.duration_ns = times_monotonic_ns() - start;
	if (t->has_key)
		keys[e.n_keys++] = t->key;
	if (t->has_content_key)
		keys[e.n_keys++] = t->content_key;
	e.has_content_key = t->has_content_key;
	return t->o->cache && e.n_keys > 0 ? add(t, &e) : 0;
}

static int find_again(struct task *t)
{
	int r = 0;

	if (t->find_key)
		r = find(t, &t->key, false);
	if (r >= 0 && t->answer != CACHE_HIT && t->find_content)
		r = find_by_content(t);
	return r;
}

static int run(struct task *t)
{
	const struct cache_backend *cache = t->o->cache;
	void *lock = NULL;
	bool waited = false;
	int r = 0;

	/* Who must run does not profit from waiting for others. */
	if (!cache || !cache->lock || (!t->find_key && !t->find_content))
		return run_and_add(t);
	r = cache->lock(t->o->cache_data, t->job, t->find_key ? &t->key : &t->content_key, &lock,
			&waited, &t->err);
	if (r < 0)
		return r;
	if (waited)
		r = find_again(t);
	if (r >= 0 && t->answer != CACHE_HIT)
		r = run_and_add(t);
	cache->unlock(t->o->cache_data, lock);
	return r;
}

static void process(struct pool_item *item)
{
	/* `item` is the first member. */
	struct task *t = (struct task *)(void *)item;

	switch (t->kind) {
	case TASK_PIN:
		t->r = t->o->ops->pin(t->o->ops_data, t->job, t->v, &t->pin, &t->err);
		return;
	case TASK_CONTENT:
		t->r = content_of(t, t->input, &t->content, &t->available);
		return;
	case TASK_PREPARE:
		t->r = prepare(t);
		return;
	case TASK_RUN:
		t->r = cancel_is_set(job_cancel(t->job))
			       ? error_new(&t->err, ERR_CANCELED, 0, "canceled")
			       : run(t);
		return;
	}
}

struct key_part *task_parts_copy(const struct key_part *parts, size_t n)
{
	struct key_part *copy = NULL;

	if (parts && n > 0) {
		copy = xreallocarray(NULL, n, sizeof(*copy));
		memcpy(copy, parts, n * sizeof(*copy));
	}
	return copy;
}

struct task *task_new(struct solve *s, struct node *n, enum task_kind kind, struct job *job)
{
	struct task *t = NEW(struct task);

	t->item.process = process;
	t->kind = kind;
	t->o = s->o;
	t->node = n;
	t->v = n->v;
	t->job = job;
	t->n_outputs = n->n_outputs;
	t->hollow = SOLVER_NOT_HOLLOW;
	t->n_inputs = n->v->n_inputs;
	t->inputs = task_results_new(t->n_inputs);
	for (size_t i = 0; i < t->n_inputs; i++) {
		const struct node *in = n->inputs[i];

		/* A content task is for one input; the others may not be complete yet. */
		if (in && in->complete)
			t->inputs[i] = s->o->ops->ref(in->outputs[n->v->inputs[i].output]);
	}
	t->has_key = n->key_state == KEY_KNOWN;
	t->key = n->key;
	t->has_salt = n->has_salt;
	t->salt = n->salt;
	t->parts = task_parts_copy(n->parts, t->n_inputs);
	t->find_key = s->o->cache && t->has_key && !n->fresh && !n->must_run;
	return t;
}

void task_free(struct task *t)
{
	task_results_free(t->o->ops, t->inputs, t->n_inputs);
	task_results_free(t->o->ops, t->outputs, t->n_outputs);
	free(t->parts);
	free(t->contents);
	error_free(t->err);
	free(t);
}

void task_submit(struct solve *s, struct task *t)
{
	s->in_flight++;
	pool_submit(s->pool, &t->item);
}
