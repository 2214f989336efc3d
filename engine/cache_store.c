#include "engine/cache_store.h"

#include <string.h>

#include "engine/result.h"
#include "store/lock.h"
#include "store/record.h"

/* record.data: for every output, two little-endian 32-bit numbers: its layers, and how many of
 * those the step added (docs/formats.md, "Cache record"). */
enum { OUTPUT_SIZE = 8 };

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

void cache_store_init(struct cache_store *c, struct store *s)
{
	*c = (struct cache_store){.store = s};
	pthread_mutex_init(&c->lock, NULL);
}

int cache_store_finish(struct cache_store *c, struct error **err)
{
	return c->used.n ? record_touch(c->store, c->used.v, c->used.n, err) : 0;
}

void cache_store_release(struct cache_store *c)
{
	vec_release(&c->used);
	pthread_mutex_destroy(&c->lock);
}

/* The input whose tree the op changes, whose layers therefore lie below its own; -1: none. */
static int base_input(const struct op *op)
{
	switch (op->kind) {
	case OP_EXEC:
		for (size_t i = 0; i < op->exec.n_mounts; i++)
			if (strcmp(op->exec.mounts[i].dest, "/") == 0)
				return op->exec.mounts[i].input;
		return -1;
	case OP_FILE:
		return op->file.n ? op->file.actions[0].input : -1;
	case OP_SOURCE:
	case OP_MERGE:
	case OP_DIFF:
	case OP_BUILD:
		break;
	}
	return -1;
}

static const struct result *base_of(const struct vertex *v, struct result *const *inputs)
{
	int input = base_input(&v->op);

	return input >= 0 && (size_t)input < v->n_inputs ? inputs[input] : NULL;
}

/* The chain of an output: the recorded one, or the step's own layers on top of `base`. NULL if the
 * record does not fit. */
static struct result *output_result(const struct record *rec, size_t first, const char *counts,
				    const struct result *base, bool on_base)
{
	uint32_t n = get_u32(counts), own = get_u32(counts + 4);
	struct result *r, *next;

	if (first + n > rec->n_layers || own > n)
		return NULL;
	if (!on_base)
		return result_new_rootfs(rec->layers + first, n);
	r = result_new_rootfs(base ? base->layers : NULL, base ? base->n_layers : 0);
	for (size_t i = first + n - own; i < first + n; i++) {
		next = result_extend(r, rec->layers[i]);
		result_unref(r);
		r = next;
	}
	return r;
}

static bool fill_outputs(const struct record *rec, const struct vertex *v,
			 struct result *const *inputs, struct result **ret, size_t n)
{
	const struct result *base = inputs ? base_of(v, inputs) : NULL;
	size_t first = 0;

	if (rec->data.n != n * OUTPUT_SIZE)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *counts = rec->data.p + i * OUTPUT_SIZE;

		ret[i] = output_result(rec, first, counts, base, inputs != NULL);
		if (!ret[i]) {
			while (i > 0)
				result_unref(ret[--i]);
			return false;
		}
		first += get_u32(counts);
	}
	return true;
}

static int cache_find(void *data, const struct digest *key, const struct vertex *v,
		      struct result *const *inputs, bool *ret_found, struct result **ret,
		      size_t n_outputs, struct error **err)
{
	_cleanup_(record_release) struct record rec = {0};
	struct cache_store *c = data;
	int r;

	*ret_found = false;
	/* Merges and diffs are lists of their inputs' layers: making one costs nothing, and its
	 * inputs' layers have to be these, not equal ones. */
	if (inputs && v->op.kind != OP_EXEC && v->op.kind != OP_FILE)
		return 0;
	r = record_find(c->store, key, ret_found, &rec, err);
	if (r < 0 || !*ret_found)
		return r;
	*ret_found = fill_outputs(&rec, v, inputs, ret, n_outputs);
	if (!*ret_found)
		return record_remove(c->store, rec.id, err);
	pthread_mutex_lock(&c->lock);
	vec_push(&c->used, rec.id);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static void describe(struct record *rec, const struct vertex *v, struct result *const *inputs,
		     struct result *const *outputs, size_t n)
{
	const struct result *base = inputs ? base_of(v, inputs) : NULL;
	size_t below = base ? base->n_layers : 0, total = 0;

	for (size_t i = 0; i < n; i++)
		total += outputs[i] ? outputs[i]->n_layers : 0;
	rec->layers = xcalloc(total, sizeof(*rec->layers));
	for (size_t i = 0; i < n; i++) {
		const struct result *out = outputs[i];
		size_t count = out ? out->n_layers : 0;
		bool extends =
			count >= below && below > 0 &&
			memcmp(out->layers, base->layers, below * sizeof(*base->layers)) == 0;

		if (count > 0)
			memcpy(rec->layers + rec->n_layers, out->layers,
			       count * sizeof(*rec->layers));
		rec->n_layers += count;
		put_u32(&rec->data, (uint32_t)count);
		put_u32(&rec->data, (uint32_t)(extends ? count - below : count));
	}
	rec->description = xstrdup(v->meta.name ? v->meta.name : "");
}

static int cache_add(void *data, const struct digest *keys, size_t n_keys, const struct vertex *v,
		     struct result *const *inputs, struct result *const *outputs, size_t n_outputs,
		     int64_t duration_ns, struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT, .duration = duration_ns};
	struct cache_store *c = data;

	for (size_t i = 0; i < n_outputs; i++)
		if (outputs[i] && outputs[i]->tree)
			return 0; /* a plain tree lives outside the store */
	describe(&rec, v, inputs, outputs, n_outputs);
	return record_add(c->store, &rec, keys, n_keys, err);
}

/* The definition stands for the chain as it is now, which may differ from the one the content key
 * found: a record of its own. */
static int cache_link(void *data, const struct digest *content, const struct digest *definition,
		      const struct vertex *v, struct result *const *outputs, size_t n_outputs,
		      struct error **err)
{
	(void)content;
	return cache_add(data, definition, 1, v, NULL, outputs, n_outputs, 0, err);
}

static void cache_forget(void *data, const struct digest *keys, size_t n_keys,
			 const struct vertex *v)
{
	struct cache_store *c = data;

	(void)v;
	for (size_t i = 0; i < n_keys; i++) {
		_cleanup_(record_release) struct record rec = {0};
		bool found = false;

		/* A record that cannot be removed now is found hollow again, nothing worse. */
		if (record_find(c->store, &keys[i], &found, &rec, NULL) == 0 && found)
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

const struct cache_backend cache_store_backend = {
	.find = cache_find,
	.add = cache_add,
	.link = cache_link,
	.forget = cache_forget,
	.lock = cache_lock,
	.unlock = cache_unlock,
};
