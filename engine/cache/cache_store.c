/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/cache_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "engine/cache/cache_record.h"
#include "engine/cache/layer_twin.h"
#include "engine/cache/op_content.h"
#include "engine/cache/step_trace.h"
#include "engine/tree/result.h"
#include "solver/op_key.h"
#include "store/lock.h"
#include "store/record.h"
#include "store/trace.h"

void cache_policy_release(struct cache_policy *p)
{
	for (size_t i = 0; i < p->ttls.n; i++)
		free(p->ttls.v[i].steps);
	vec_release(&p->ttls);
	strv_release(&p->reasons);
}

void cache_store_init(struct cache_store *c, struct store *s, const struct cache_policy *policy,
		      struct remote_imports *imports, struct cache_uses *uses)
{
	*c = (struct cache_store){.store = s, .policy = policy, .imports = imports, .uses = uses};
	miss_log_init(&c->misses, s);
	pthread_mutex_init(&c->lock, NULL);
}

int cache_store_finish(struct cache_store *c, struct error **err)
{
	return c->used.n ? record_touch(c->store, c->used.v, c->used.n, err) : 0;
}

void cache_store_release(struct cache_store *c)
{
	miss_log_release(&c->misses);
	vec_release(&c->used);
	vec_release(&c->refused);
	pthread_mutex_destroy(&c->lock);
}

/* --- Finding --- */

static bool is_expired(struct cache_store *c, int64_t created, const struct vertex *v)
{
	int64_t age = times_now_ns() - created;

	if (v->op.kind == OP_SOURCE)
		return false;
	for (size_t i = 0; i < c->policy->ttls.n; i++) {
		const struct cache_ttl *ttl = &c->policy->ttls.v[i];

		if (age <= ttl->ns || (ttl->steps && !vertex_matches(v, ttl->steps)))
			continue;
		miss_log_note(&c->misses, v, "its result is %lld s old, --cache-ttl allows %lld s",
			      (long long)(age / NS_PER_S), (long long)(ttl->ns / NS_PER_S));
		return true;
	}
	return false;
}

static int find_here(struct cache_store *c, const struct cache_query *q, enum cache_answer *ret,
		     struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT};
	bool found;
	int r;

	r = record_look(c->store, q->key, &found, &rec, err);
	if (r < 0 || !found)
		return r;
	if (is_expired(c, rec.created, q->v)) {
		*ret = CACHE_EXPIRED;
		return 0;
	}
	if (!cache_record_is_readable(&rec, q))
		return record_remove(c->store, rec.id, err);
	if (!q->by_content && !cache_record_fits(&rec, q)) {
		*ret = CACHE_OTHER;
		return 0;
	}
	if (!cache_record_outputs(&rec, q))
		return record_remove(c->store, rec.id, err);
	*ret = CACHE_HIT;
	cache_uses_note(c->uses, q->v, rec.id, q->inputs, q->outputs, q->n_outputs);
	pthread_mutex_lock(&c->lock);
	vec_push(&c->used, rec.id);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static void cache_burst(void *data, bool begins)
{
	struct cache_store *c = data;

	if (begins)
		record_view_begin(c->store);
	else
		record_view_end(c->store);
}

static int cache_hold(void *data, struct result *const *outputs, size_t n, bool *ret_held,
		      struct error **err)
{
	struct cache_store *c = data;
	int r = 0;

	*ret_held = true;
	for (size_t i = 0; i < n && r == 0 && *ret_held; i++)
		if (outputs[i] && outputs[i]->n_layers > 0)
			r = record_hold(c->store, outputs[i]->layers, outputs[i]->n_layers,
					ret_held, err);
	return r;
}

/* --- Keeping --- */

static int own_key(struct cache_store *c, const struct vertex *v, struct result *const *inputs,
		   const struct digest *content, struct digest *ret, struct error **err)
{
	bool own;
	int r = op_content_is_own(c->store, c->imports, v, inputs, &own, err);

	*ret = r == 0 && !own ? remote_hearsay(content) : *content;
	return r;
}

static bool is_storable(const struct cache_entry *e)
{
	for (size_t i = 0; i < e->n_outputs; i++)
		if (e->outputs[i] && e->outputs[i]->tree)
			return false; /* a plain tree lives outside the store */
	return true;
}

/* A trace is a service to people: a missing one is not a failure. */
static void make_trace(struct cache_store *c, const struct cache_entry *e, char **ret_place,
		       struct buf *ret)
{
	const char *project = c->policy->project ? c->policy->project : "";

	*ret_place = step_trace_place(project, e->v);
	if (step_trace_encode(c->store, e, e->salt, ret, NULL) < 0)
		buf_clear(ret);
}

static bool is_traced(const struct vertex *v)
{
	return v->op.kind == OP_EXEC || v->op.kind == OP_FILE;
}

static void cache_failed(void *data, const struct cache_entry *e)
{
	_cleanup_buf_ struct buf trace = BUF_INIT;
	_cleanup_free_ char *place = NULL;
	struct cache_store *c = data;

	if (!c->policy->explain || !is_traced(e->v))
		return;
	make_trace(c, e, &place, &trace);
	miss_log_ran(&c->misses, e->v, place, &trace);
}

/* `from` as for cache_record_describe: that of a step that did not run here. */
static int add_record(struct cache_store *c, const struct cache_entry *e,
		      const struct remote_record *from, struct record *rec,
		      const struct digest *keys, size_t n_keys, struct error **err)
{
	struct trace_entry entry = {.op = op_key(&e->v->op, e->v->n_inputs),
				    .kind = (int)e->v->op.kind};
	_cleanup_buf_ struct buf trace = BUF_INIT;
	_cleanup_free_ char *place = NULL;
	int r;

	cache_record_describe(rec, e, from);
	if (is_traced(e->v))
		make_trace(c, e, &place, &trace);
	if (is_traced(e->v) && c->policy->explain && !from)
		miss_log_ran(&c->misses, e->v, place, &trace);
	entry.place = place;
	entry.data = trace.p;
	entry.n = trace.n;
	rec->trace = trace.n > 0 ? &entry : NULL;
	r = record_add(c->store, rec, keys, n_keys, err);
	rec->trace = NULL;
	if (r == 0)
		cache_uses_note(c->uses, e->v, rec->id, e->inputs, e->outputs, e->n_outputs);
	return r;
}

static int cache_add(void *data, const struct cache_entry *e, struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT,
						       .duration = e->duration_ns};
	struct cache_store *c = data;
	struct digest keys[4];
	size_t n = e->n_keys;
	bool has_twin;
	int r;

	if (!is_storable(e) || n + 1 > ARRAY_SIZE(keys))
		return 0;
	memcpy(keys, e->keys, n * sizeof(*keys));
	if (e->has_content_key) {
		r = own_key(c, e->v, e->inputs, &e->keys[n - 1], &keys[n - 1], err);
		if (r < 0)
			return r;
	}
	r = layer_twin_settle(c, e, &keys[n], &has_twin, err);
	if (r < 0)
		return r;
	return add_record(c, e, NULL, &rec, keys, n + has_twin, err);
}

/* The definition stands for the chain as it is now, which may differ from the one the content key
 * found: a record of its own, as old as the other one. The content key moves to it, so that both
 * keys of a step are exported together. */
static int cache_link(void *data, const struct digest *content, const struct cache_entry *e,
		      struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT};
	_cleanup_(record_release) struct record found = {.data = BUF_INIT};
	struct cache_store *c = data;
	struct digest keys[4];
	bool is_found;
	int r;

	if (!is_storable(e) || e->n_keys + 1 > ARRAY_SIZE(keys))
		return 0;
	r = own_key(c, e->v, e->inputs, content, &keys[e->n_keys], err);
	if (r == 0)
		r = record_look(c->store, content, &is_found, &found, err);
	if (r == 0 && !is_found)
		r = record_look(c->store, &keys[e->n_keys], &is_found, &found, err);
	if (r < 0)
		return r;
	if (is_found) {
		rec.created = found.created;
		rec.duration = found.duration;
	}
	memcpy(keys, e->keys, e->n_keys * sizeof(*keys));
	cache_record_describe(&rec, e, NULL);
	r = record_add(c->store, &rec, keys, e->n_keys + 1, err);
	if (r == 0)
		cache_uses_note(c->uses, e->v, rec.id, e->inputs, e->outputs, e->n_outputs);
	return r;
}

/* --- Imported results --- */

/* The store finds it by the key that found it here, and by no other that the record lists: those
 * are for the writer of the cache to choose. */
static int adopt(struct cache_store *c, const struct cache_query *q,
		 const struct remote_record *from, struct error **err)
{
	_cleanup_(record_release) struct record rec = {
		.data = BUF_INIT, .created = from->created, .duration = from->duration};
	struct cache_entry e = {
		.v = q->v, .inputs = q->inputs, .outputs = q->outputs, .n_outputs = q->n_outputs};
	struct digest key = *q->key;
	int r = q->by_content ? own_key(c, q->v, q->inputs, q->key, &key, err) : 0;

	return r < 0 ? r : add_record(c, &e, from, &rec, &key, 1, err);
}

static int find_imported(struct cache_store *c, const struct cache_query *q, enum cache_answer *ret,
			 struct error **err)
{
	const struct remote_record *from = NULL;
	int r = remote_imports_find(c->imports, q, &from, err);

	if (r < 0 || !from)
		return r;
	*ret = is_expired(c, from->created, q->v) ? CACHE_EXPIRED : CACHE_HIT;
	if (*ret == CACHE_HIT)
		r = adopt(c, q, from, err);
	for (size_t i = 0; i < q->n_outputs && (r < 0 || *ret != CACHE_HIT); i++) {
		result_unref(q->outputs[i]);
		q->outputs[i] = NULL;
	}
	return r;
}

static int cache_find(void *data, const struct cache_query *q, enum cache_answer *ret,
		      struct error **err)
{
	struct cache_store *c = data;
	int r;

	*ret = CACHE_MISS;
	/* Merges and diffs are lists of their inputs' layers: making one costs nothing, and its
	 * inputs' layers have to be these, not equal ones. */
	if (q->by_content && q->v->op.kind != OP_EXEC && q->v->op.kind != OP_FILE)
		return 0;
	r = find_here(c, q, ret, err);
	if (r == 0 && (*ret == CACHE_MISS || *ret == CACHE_OTHER) && c->imports &&
	    q->v->op.kind != OP_SOURCE)
		r = find_imported(c, q, ret, err);
	return r;
}

static void cache_forget(void *data, const struct digest *keys, size_t n_keys,
			 const struct vertex *v)
{
	struct cache_store *c = data;

	miss_log_note(&c->misses, v, "its cached result is no longer available");
	cache_uses_forget(c->uses, v);
	if (c->imports)
		remote_imports_refuse(c->imports, keys, n_keys);
	for (size_t i = 0; i < n_keys; i++) {
		_cleanup_(record_release) struct record rec = {0};
		bool found = false;

		/* A record that cannot be removed now is found hollow again, nothing worse. */
		if (record_find(c->store, &keys[i], &found, &rec, NULL) < 0 || !found)
			continue;
		pthread_mutex_lock(&c->lock);
		for (size_t k = 0; k < rec.n_layers; k++)
			vec_push(&c->refused, rec.layers[k]);
		pthread_mutex_unlock(&c->lock);
		(void)!record_remove(c->store, rec.id, NULL);
	}
}

static int cache_lock(void *data, struct job *job, const struct digest *key, void **ret_lock,
		      bool *ret_waited, struct error **err)
{
	static const char waiting[] = "waiting for another build that runs this step";
	struct cache_store *c = data;
	struct lock *lock = NULL;
	int r = lock_step(c->store, key, true, NULL, &lock, err);

	*ret_waited = r == 0 && !lock;
	if (*ret_waited) {
		job_status(job, waiting, 0, 0, false);
		r = lock_step(c->store, key, false, job_cancel(job), &lock, err);
		job_status(job, waiting, 0, 0, true);
	}
	if (r == 0)
		*ret_lock = lock;
	return r;
}

static void cache_unlock(void *data, void *lock)
{
	(void)data;
	lock_release(lock);
}

/* Only a plain copy tells what it copied: an archive that is unpacked is not read as a file. */
static bool is_plain_copy(const struct op *op)
{
	if (op->kind != OP_FILE)
		return false;
	for (size_t i = 0; i < op->file.n; i++)
		if (op->file.actions[i].kind == FILE_COPY &&
		    op->file.actions[i].copy.attempt_unpack)
			return false;
	return true;
}

static bool cache_knows(void *data, const struct vertex *v)
{
	struct cache_store *c = data;
	struct digest op;
	bool ret = true;

	if (!is_plain_copy(&v->op))
		return true;
	op = op_key(&v->op, v->n_inputs);
	if (trace_has_op(c->store, &op, &ret, NULL) < 0 || ret)
		return true;
	/* An imported cache may have what is made of v and not v itself: then v's key is needed. */
	return c->imports && remote_imports_any(c->imports);
}

const struct cache_backend cache_store_backend = {
	.find = cache_find,
	.burst = cache_burst,
	.hold = cache_hold,
	.add = cache_add,
	.link = cache_link,
	.failed = cache_failed,
	.knows = cache_knows,
	.forget = cache_forget,
	.lock = cache_lock,
	.unlock = cache_unlock,
};
