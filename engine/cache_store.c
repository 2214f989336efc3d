#include "engine/cache_store.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/times.h"
#include "engine/layer_twin.h"
#include "engine/result.h"
#include "engine/step_trace.h"
#include "solver/op_key.h"
#include "store/lock.h"
#include "store/record.h"
#include "store/trace.h"

/* record.data: a version, for every output how many of the record's layers are its and how many of
 * those the step added, and for every input which layers it was (docs/formats.md, "Cache
 * record data"). */
enum { DATA_VERSION = 2, HEADER_SIZE = 8, OUTPUT_SIZE = 8, INPUT_SIZE = 8 };
#define NS_PER_SECOND 1000000000
#define OWN_ALL UINT32_MAX /* of an output that is not on top of an input */

static void put_u32(struct buf *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		buf_addc(b, (char)(uint8_t)(v >> (8 * i)));
}

static uint32_t get_u32(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v |= (uint32_t)(uint8_t)p[i] << (8 * i);
	return v;
}

void cache_policy_release(struct cache_policy *p)
{
	for (size_t i = 0; i < p->ttls.n; i++)
		free(p->ttls.v[i].steps);
	vec_release(&p->ttls);
	strv_release(&p->reasons);
}

void cache_store_init(struct cache_store *c, struct store *s, const struct cache_policy *policy)
{
	*c = (struct cache_store){.store = s, .policy = policy};
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

/* The input whose tree an output is, changed, whose layers therefore lie below its own; -1: none.
 */
static int base_input(const struct op *op, size_t output)
{
	switch (op->kind) {
	case OP_EXEC:
		for (size_t i = 0; i < op->exec.n_mounts; i++)
			if (op->exec.mounts[i].output == (int)output)
				return op->exec.mounts[i].input;
		return -1;
	case OP_FILE:
		return op->file.n && output == 0 ? op->file.actions[0].input : -1;
	case OP_SOURCE:
	case OP_MERGE:
	case OP_DIFF:
	case OP_BUILD:
		break;
	}
	return -1;
}

static const struct result *base_of(const struct vertex *v, size_t output,
				    struct result *const *inputs)
{
	int input = base_input(&v->op, output);

	return input >= 0 && (size_t)input < v->n_inputs ? inputs[input] : NULL;
}

/* Which layers an input is; 0: it is none (a context), or not known. Layer ids are never used
 * again. */
static uint64_t chain_id(const struct result *r)
{
	if (!r || r->tree)
		return 0;
	return XXH3_64bits_withSeed(r->layers, r->n_layers * sizeof(*r->layers), 1) | 1;
}

/* --- Finding ----------------------------------------------------------------------------------
 */

static bool is_readable(const struct record *rec, const struct cache_query *q)
{
	size_t size = HEADER_SIZE + q->n_outputs * OUTPUT_SIZE + q->v->n_inputs * INPUT_SIZE;

	return rec->data.n == size && get_u32(rec->data.p) == DATA_VERSION &&
	       get_u32(rec->data.p + 4) == q->n_outputs;
}

static const char *output_counts(const struct record *rec, size_t output)
{
	return rec->data.p + HEADER_SIZE + output * OUTPUT_SIZE;
}

/* Was the result made of the inputs that this build uses? A definition stands for what was last
 * made by it, so an input that was run again since, with another outcome, shows only here. */
static bool fits_inputs(const struct record *rec, const struct cache_query *q)
{
	const char *p = output_counts(rec, q->n_outputs);

	for (size_t i = 0; i < q->v->n_inputs; i++, p += INPUT_SIZE) {
		uint64_t now = chain_id(q->inputs[i]);
		uint64_t then = get_u32(p) | (uint64_t)get_u32(p + 4) << 32;

		if (now != 0 && then != 0 && now != then)
			return false;
	}
	return true;
}

/* The chain of an output: the recorded one, or the step's own layers on top of what the input is
 * now. NULL if the record does not fit. */
static struct result *output_result(const struct record *rec, const struct cache_query *q,
				    size_t output, size_t first)
{
	const char *counts = output_counts(rec, output);
	uint32_t n = get_u32(counts), own = get_u32(counts + 4);
	const struct result *base;
	struct result *r, *next;

	if (n > rec->n_layers - first || (own > n && own != OWN_ALL))
		return NULL;
	if (!q->by_content || own == OWN_ALL)
		return result_new_rootfs(rec->layers + first, n);
	base = base_of(q->v, output, q->inputs);
	r = result_new_rootfs(base ? base->layers : NULL, base ? base->n_layers : 0);
	for (size_t i = first + n - own; i < first + n; i++) {
		next = result_extend(r, rec->layers[i]);
		result_unref(r);
		r = next;
	}
	return r;
}

static bool fill_outputs(const struct record *rec, const struct cache_query *q)
{
	size_t first = 0;

	for (size_t i = 0; i < q->n_outputs; i++) {
		q->outputs[i] = output_result(rec, q, i, first);
		if (!q->outputs[i]) {
			while (i > 0)
				result_unref(q->outputs[--i]);
			return false;
		}
		first += get_u32(output_counts(rec, i));
	}
	return true;
}

static bool is_expired(struct cache_store *c, const struct record *rec, const struct vertex *v)
{
	int64_t age = times_now_ns() - rec->created;

	if (v->op.kind == OP_SOURCE)
		return false;
	for (size_t i = 0; i < c->policy->ttls.n; i++) {
		const struct cache_ttl *ttl = &c->policy->ttls.v[i];

		if (age <= ttl->ns || (ttl->steps && !vertex_matches(v, ttl->steps)))
			continue;
		miss_log_note(&c->misses, v, "its result is %lld s old, --cache-ttl allows %lld s",
			      (long long)(age / NS_PER_SECOND),
			      (long long)(ttl->ns / NS_PER_SECOND));
		return true;
	}
	return false;
}

static int cache_find(void *data, const struct cache_query *q, enum cache_answer *ret,
		      struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT};
	struct cache_store *c = data;
	bool found;
	int r;

	*ret = CACHE_MISS;
	/* Merges and diffs are lists of their inputs' layers: making one costs nothing, and its
	 * inputs' layers have to be these, not equal ones. */
	if (q->by_content && q->v->op.kind != OP_EXEC && q->v->op.kind != OP_FILE)
		return 0;
	r = record_find(c->store, q->key, &found, &rec, err);
	if (r < 0 || !found)
		return r;
	if (is_expired(c, &rec, q->v)) {
		*ret = CACHE_EXPIRED;
		return 0;
	}
	if (!is_readable(&rec, q))
		return record_remove(c->store, rec.id, err);
	if (!q->by_content && !fits_inputs(&rec, q))
		return 0;
	if (!fill_outputs(&rec, q))
		return record_remove(c->store, rec.id, err);
	*ret = CACHE_HIT;
	pthread_mutex_lock(&c->lock);
	vec_push(&c->used, rec.id);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* --- Keeping ----------------------------------------------------------------------------------
 */

/* Is `out` the layers of `base` and more on top? */
static bool extends(const struct result *out, const struct result *base)
{
	size_t below = base ? base->n_layers : 0;

	return !(base && base->tree) && out->n_layers >= below &&
	       (below == 0 ||
		memcmp(out->layers, base->layers, below * sizeof(*base->layers)) == 0);
}

static void describe_output(struct record *rec, const struct result *out, const struct result *base)
{
	size_t n = out ? out->n_layers : 0, below = base ? base->n_layers : 0;

	if (n > 0)
		memcpy(rec->layers + rec->n_layers, out->layers, n * sizeof(*rec->layers));
	rec->n_layers += n;
	put_u32(&rec->data, (uint32_t)n);
	put_u32(&rec->data, out && extends(out, base) ? (uint32_t)(n - below) : OWN_ALL);
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* For people (store/du.h). */
static const char *type_of(const struct op *op)
{
	const char *identifier = op->kind == OP_SOURCE ? op->source.identifier : "";

	if (op->kind != OP_SOURCE)
		return "regular";
	if (starts_with(identifier, "http://") || starts_with(identifier, "https://"))
		return "source.http";
	if (starts_with(identifier, "git://"))
		return "source.git.checkout";
	return starts_with(identifier, "local://") ? "source.local" : "source.image";
}

static void describe(struct record *rec, const struct cache_entry *e)
{
	size_t total = 0;

	for (size_t i = 0; i < e->n_outputs; i++)
		total += e->outputs[i] ? e->outputs[i]->n_layers : 0;
	rec->layers = xcalloc(total + 1, sizeof(*rec->layers));
	put_u32(&rec->data, DATA_VERSION);
	put_u32(&rec->data, (uint32_t)e->n_outputs);
	for (size_t i = 0; i < e->n_outputs; i++)
		describe_output(rec, e->outputs[i], base_of(e->v, i, e->inputs));
	for (size_t i = 0; i < e->v->n_inputs; i++) {
		uint64_t id = chain_id(e->inputs[i]);

		put_u32(&rec->data, (uint32_t)id);
		put_u32(&rec->data, (uint32_t)(id >> 32));
	}
	rec->description = xstrdup(e->v->meta.name ? e->v->meta.name : "");
	rec->type = type_of(&e->v->op);
}

static bool is_storable(const struct cache_entry *e)
{
	for (size_t i = 0; i < e->n_outputs; i++)
		if (e->outputs[i] && e->outputs[i]->tree)
			return false; /* a plain tree lives outside the store */
	return true;
}

/* A trace is a service to people: that there is none is no failure. */
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

static int add_record(struct cache_store *c, const struct cache_entry *e, struct record *rec,
		      const struct digest *keys, size_t n_keys, struct error **err)
{
	struct digest op = op_key(&e->v->op, e->v->n_inputs);
	_cleanup_buf_ struct buf trace = BUF_INIT;
	_cleanup_free_ char *place = NULL;
	int r;

	describe(rec, e);
	if (!is_traced(e->v))
		return record_add(c->store, rec, keys, n_keys, err);
	make_trace(c, e, &place, &trace);
	if (c->policy->explain)
		miss_log_ran(&c->misses, e->v, place, &trace);
	r = record_add(c->store, rec, keys, n_keys, err);
	if (r == 0 && trace.n > 0)
		(void)trace_put(c->store, rec->id, &op, (int)e->v->op.kind, place, trace.p, trace.n,
				NULL);
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
	r = layer_twin_settle(c, e, &keys[n], &has_twin, err);
	if (r < 0)
		return r;
	return add_record(c, e, &rec, keys, n + has_twin, err);
}

/* The definition stands for the chain as it is now, which may differ from the one the content key
 * found: a record of its own, as old as the other one. */
static int cache_link(void *data, const struct digest *content, const struct cache_entry *e,
		      struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT};
	_cleanup_(record_release) struct record found = {.data = BUF_INIT};
	struct cache_store *c = data;
	bool is_found;
	int r;

	if (!is_storable(e))
		return 0;
	r = record_find(c->store, content, &is_found, &found, err);
	if (r < 0)
		return r;
	if (is_found) {
		rec.created = found.created;
		rec.duration = found.duration;
	}
	describe(&rec, e);
	return record_add(c->store, &rec, e->keys, e->n_keys, err);
}

static void cache_forget(void *data, const struct digest *keys, size_t n_keys,
			 const struct vertex *v)
{
	struct cache_store *c = data;

	miss_log_note(&c->misses, v, "its result could not be had any more");
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
		(void)record_remove(c->store, rec.id, NULL);
	}
}

static int cache_lock(void *data, struct job *job, const struct digest *key, void **ret_lock,
		      bool *ret_waited, struct error **err)
{
	struct cache_store *c = data;
	struct lock *lock = NULL;
	int r = lock_step(c->store, key, true, NULL, &lock, err);

	*ret_waited = r == 0 && !lock;
	if (*ret_waited)
		r = lock_step(c->store, key, false, job_cancel(job), &lock, err);
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
	return trace_has_op(c->store, &op, &ret, NULL) < 0 || ret;
}

const struct cache_backend cache_store_backend = {
	.find = cache_find,
	.add = cache_add,
	.link = cache_link,
	.failed = cache_failed,
	.knows = cache_knows,
	.forget = cache_forget,
	.lock = cache_lock,
	.unlock = cache_unlock,
};
