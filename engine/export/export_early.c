/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/export_early.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/pool.h"
#include "engine/export/export_make.h"
#include "engine/registry/push.h"

/* Compressing has threads of its own; uploads are those that one push has at a time. */
enum { EARLY_THREADS = 4 };

enum { NOT_IN_IMAGE = -1 };

struct early_task;

struct early_chain {
	int *outputs; /* by vertex id: the output that holds the image so far, or NOT_IN_IMAGE */
	struct map begun; /* ids of layers -> this */
};

struct export_early {
	struct early_plan plan;
	struct early_chain *chains; /* one an image */
	struct pool *pool;	    /* NULL: nothing was begun yet */
	VEC(struct early_task *) tasks;
	struct cancel stop;
	atomic_bool no_upload; /* one failed */
	struct job *job;
};

/* Layer number `i` of an image. */
struct early_task {
	struct pool_item item;
	struct export_early *early;
	size_t n_keep, i;
	int64_t layers[]; /* up to and with it */
};

/* --- which results --- */

/* What v's result stands on; *ret_output is the number of the parent's output. */
static const struct vertex *parent_of(const struct vertex *v, int *ret_output)
{
	const struct op *op = &v->op;
	int input = OP_INPUT_NONE;

	if (op->kind == OP_EXEC) {
		const struct op_mount *root = op_exec_root(&op->exec);

		input = root ? root->input : OP_INPUT_NONE;
	} else if (op->kind == OP_FILE && op->file.n > 0) {
		input = op->file.actions[op->file.n - 1].input;
		while (input >= (int)v->n_inputs)
			input = op->file.actions[(size_t)input - v->n_inputs].input;
	} else if (op->kind == OP_MERGE && v->n_inputs > 0) {
		input = 0;
	}
	if (input < 0)
		return NULL;
	*ret_output = (int)v->inputs[input].output;
	return v->inputs[input].vertex;
}

static void find_chain(const struct early_plan *p, const struct early_image *image,
		       struct early_chain *ret)
{
	const struct vertex *v = image->target.vertex;
	int output = (int)image->target.output;

	ret->outputs = xcalloc(p->graph->n + 1, sizeof(*ret->outputs));
	for (size_t i = 0; i < p->graph->n; i++)
		ret->outputs[i] = NOT_IN_IMAGE;
	for (; v; v = parent_of(v, &output))
		ret->outputs[v->id] = output;
}

static bool writes_layers(const struct export_options *o)
{
	return o->type != EXPORT_LOCAL && o->type != EXPORT_TAR && o->type != EXPORT_NONE;
}

/* --- one layer --- */

static void upload(struct early_task *t, const struct export_options *o,
		   const struct layer_blob_options *lo, const struct layer_body *body)
{
	struct export_early *e = t->early;
	_cleanup_free_ struct layer_body *bodies = xcalloc(t->i + 1, sizeof(*bodies));
	_cleanup_strv_ struct strv names = {0};
	struct push_image image = {.layers = t->layers,
				   .bodies = bodies,
				   .n_layers = t->i + 1,
				   .n_keep = t->n_keep,
				   .options = *lo};
	struct push_job push = {.store = e->plan.store,
				.registry = o->registry,
				.job = e->job,
				.cancel = &e->stop,
				.fetcher = o->layers.fetcher};
	int r = export_full_names(o, &names, NULL);

	bodies[t->i] = *body;
	for (size_t i = 0; r == 0 && i < names.n && !atomic_load(&e->no_upload); i++)
		r = push_layer(&push, names.v[i], &image, t->i, NULL);
	if (r < 0)
		atomic_store(&e->no_upload, true);
	push_job_release(&push);
}

static void make(struct early_task *t, const struct export_options *o,
		 const struct layer_blob_options *lo, bool push)
{
	struct export_early *e = t->early;
	const struct layer_chain chain = {e->plan.store, t->layers, t->i + 1, t->n_keep};
	struct layer_body body;

	if (layer_blob_make_one(&chain, lo, &e->stop, &body, NULL) < 0)
		return;
	if (push)
		upload(t, o, lo, &body);
	layer_body_release(&body);
}

static void process(struct pool_item *item)
{
	struct early_task *t = (struct early_task *)(void *)item;
	const struct early_plan *p = &t->early->plan;

	for (size_t i = 0; i < p->n_outputs && !cancel_is_set(&t->early->stop); i++) {
		const struct export_options *o = &p->outputs[i];
		bool push = o->type == EXPORT_REGISTRY || o->push;
		struct layer_blob_options lo;

		if (!writes_layers(o))
			continue;
		if (o->type != EXPORT_REGISTRY) {
			lo = o->type == EXPORT_IMAGE ? export_store_options(o, p->n_images)
						     : export_layer_options(o);
			make(t, o, &lo, false);
		}
		if (push) {
			lo = export_push_options(o);
			make(t, o, &lo, true);
		}
	}
}

static void begin(struct export_early *e, struct early_chain *chain, const struct result *result,
		  size_t i, size_t n_keep)
{
	struct early_task *t;

	*map_put(&chain->begun, &result->layers[i], sizeof(result->layers[i])) = chain;
	if (!e->pool && pool_open(EARLY_THREADS, &e->pool) < 0)
		return;
	t = xcalloc(1, sizeof(*t) + (i + 1) * sizeof(t->layers[0]));
	t->item.process = process;
	t->early = e;
	t->i = i;
	t->n_keep = n_keep;
	memcpy(t->layers, result->layers, (i + 1) * sizeof(t->layers[0]));
	vec_push(&e->tasks, t);
	pool_submit(e->pool, &t->item);
}

/* Results are told of often, with all their layers: below one that was begun all are. */
static void begin_new(struct export_early *e, struct early_chain *chain,
		      const struct result *result, size_t n_keep)
{
	size_t k = result->n_layers;

	while (k > 0 && !map_get(&chain->begun, &result->layers[k - 1], sizeof(int64_t)))
		k--;
	for (; k < result->n_layers; k++)
		begin(e, chain, result, k, n_keep);
}

void export_early_made(void *data, const struct vertex *v, struct result *const *outputs,
		       size_t n_outputs)
{
	struct export_early *e = data;

	for (size_t i = 0; e->chains && i < e->plan.n_images; i++) {
		int output = e->chains[i].outputs[v->id];
		const struct result *result =
			output >= 0 && (size_t)output < n_outputs ? outputs[output] : NULL;

		/* When the only image is complete it is exported anyway. */
		if (e->plan.n_images == 1 && v == e->plan.images[i].last)
			continue;
		if (result && !result->tree)
			begin_new(e, &e->chains[i], result, e->plan.images[i].n_keep);
	}
}

/* --- the whole --- */

struct export_early *export_early_open(const struct early_plan *plan)
{
	static const char title[] = "[internal] push layers of finished steps";
	const struct event_vertex about = {.name = title};
	const struct digest id = digest_of(title, strlen(title));
	struct export_early *e = NEW(struct export_early);
	bool any = false;

	e->plan = *plan;
	cancel_init(&e->stop);
	for (size_t i = 0; i < plan->n_outputs; i++)
		any |= writes_layers(&plan->outputs[i]);
	if (!any)
		return e;
	/* Shown once something is uploaded. */
	e->job = job_open_quiet(plan->progress, &e->stop, &id, &about);
	e->chains = xcalloc(plan->n_images + 1, sizeof(*e->chains));
	for (size_t i = 0; i < plan->n_images; i++)
		find_chain(plan, &plan->images[i], &e->chains[i]);
	return e;
}

void export_early_close(struct export_early *e, bool stop)
{
	if (!e)
		return;
	stop = stop || (e->pool && !pool_wait(e->pool, e->plan.cancel));
	if (stop)
		cancel_set(&e->stop);
	pool_free(e->pool);
	for (size_t i = 0; i < e->tasks.n; i++)
		free(e->tasks.v[i]);
	vec_release(&e->tasks);
	if (e->job)
		job_close(e->job, stop ? -ERR_CANCELED : 0, NULL);
	for (size_t i = 0; e->chains && i < e->plan.n_images; i++) {
		free(e->chains[i].outputs);
		map_release(&e->chains[i].begun, NULL);
	}
	free(e->chains);
	cancel_release(&e->stop);
	free(e);
}
