/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/cache_export.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/pool.h"
#include "engine/export/cache_send.h"
#include "store/record.h"

enum { SENDERS_MAX = 4 };

struct remote_exports {
	struct remote_export_plan plan;
	struct remote_target *targets;
	size_t n;
	bool *in_image;	   /* by vertex id: its layers are the images' */
	struct pool *pool; /* NULL: nothing was begun yet */
	VEC(struct early_send *) begun;
	struct cancel stop; /* for what is begun early */
};

/* Layer number i of a chain, to one target. */
struct early_send {
	struct pool_item item;
	struct remote_target *target;
	size_t i;
	int64_t layers[];
};

/* --- early --- */

static void process(struct pool_item *item)
{
	struct early_send *s = (struct early_send *)(void *)item;

	if (!cancel_is_set(&s->target->stop))
		(void)!remote_send_layer(s->target, s->layers, s->i, NULL);
}

static void begin(struct remote_exports *x, struct remote_target *t, const struct result *result,
		  size_t i)
{
	struct early_send *s;

	if (remote_target_has_begun(t, result->layers[i]))
		return;
	if (!x->pool && pool_open(SENDERS_MAX, &x->pool) < 0)
		return;
	s = xcalloc(1, sizeof(*s) + (i + 1) * sizeof(s->layers[0]));
	s->item.process = process;
	s->target = t;
	s->i = i;
	memcpy(s->layers, result->layers, (i + 1) * sizeof(s->layers[0]));
	vec_push(&x->begun, s);
	pool_submit(x->pool, &s->item);
}

/* What the image brings to the same registry is taken over from there in the end. */
static bool comes_by_image(const struct remote_exports *x, const struct remote_target *t,
			   const struct vertex *v)
{
	return x->in_image[v->id] && remote_target_elsewhere(t);
}

void remote_exports_made(void *data, const struct vertex *v, struct result *const *outputs,
			 size_t n_outputs)
{
	struct remote_exports *x = data;

	for (size_t k = 0; x && k < x->n; k++) {
		struct remote_target *t = &x->targets[k];

		if (!t->wanted[v->id] || v->op.kind == OP_SOURCE || comes_by_image(x, t, v))
			continue;
		for (size_t i = 0; i < n_outputs; i++)
			for (size_t l = 0; outputs[i] && l < outputs[i]->n_layers; l++)
				if (!x->plan.env.is_base_layer(x->plan.env.data,
							       outputs[i]->layers[l]))
					begin(x, t, outputs[i], l);
	}
}

static void end_early(struct remote_exports *x)
{
	pool_free(TAKE_PTR(x->pool));
	for (size_t i = 0; i < x->begun.n; i++)
		free(x->begun.v[i]);
	vec_release(&x->begun);
}

/* Ctrl-C while the last early transfers are waited for: a thread hears of it. */
struct watch {
	struct remote_exports *x;
	struct cancel over;
	pthread_t thread;
};

static void *watch_main(void *data)
{
	struct watch *w = data;
	const struct cancel *cancel = w->x->plan.env.cancel;
	struct pollfd fds[] = {{.fd = w->over.fd, .events = POLLIN},
			       {.fd = cancel->fd, .events = POLLIN}};

	while (!cancel_is_set(&w->over) && !cancel_is_set(cancel))
		(void)poll(fds, ARRAY_SIZE(fds), -1);
	for (size_t i = 0; cancel_is_set(cancel) && i < w->x->n; i++)
		cancel_set(&w->x->targets[i].stop);
	return NULL;
}

static void end_early_or_stop(struct remote_exports *x)
{
	struct watch w = {.x = x};
	bool watched;

	cancel_init(&w.over);
	watched = x->pool && x->plan.env.cancel &&
		  pthread_create(&w.thread, NULL, watch_main, &w) == 0;
	end_early(x);
	cancel_set(&w.over);
	if (watched)
		pthread_join(w.thread, NULL);
	cancel_release(&w.over);
}

/* --- the end --- */

/* A failed export fails the build unless it was asked not to. */
static int settle(struct remote_target *t, int r, struct error *why, struct error **err)
{
	_cleanup_free_ char *text = NULL;
	struct event_warning w = {0};

	if (r < 0 && t->spec->ignore_error && r != -ERR_CANCELED) {
		text = xasprintf("the cache was not exported to %s: %s", t->backend->name,
				 error_text(why));
		w.short_text = text;
		job_warn(t->job, &w);
		r = 0;
	}
	if (r < 0)
		(void)error_wrap(&why, r, "export the cache to %s", t->backend->name);
	job_close(TAKE_PTR(t->job), r, &why);
	if (r < 0 && err && !*err)
		*err = why;
	else
		error_free(why);
	return r;
}

/* Of results that no step had to read nobody has made sure yet that they stay. Those that are gone
 * are not exported. */
static int hold(struct store *s, struct cache_uses *uses, struct error **err)
{
	int r = 0;

	for (size_t i = uses->list.n; i-- > 0 && r == 0;) {
		const struct cache_use *use = &uses->list.v[i];
		bool held = true;

		for (size_t k = 0; k < use->n_outputs && held && r == 0; k++)
			if (use->outputs[k] && !use->outputs[k]->tree)
				r = record_hold(s, use->outputs[k]->layers,
						use->outputs[k]->n_layers, &held, err);
		if (!held)
			cache_uses_forget(uses, use->v);
	}
	return r;
}

int remote_exports_finish(struct remote_exports *x, struct cache_uses *uses, struct error **err)
{
	int ret;

	if (!x || x->n == 0)
		return 0;
	end_early_or_stop(x);
	ret = hold(x->plan.env.store, uses, err);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < x->n; i++) {
		struct error *why = NULL;
		int r = remote_target_finish(&x->targets[i], uses, &why);

		r = settle(&x->targets[i], r, why, err);
		ret = ret < 0 ? ret : r;
	}
	return ret;
}

/* --- life --- */

static int open_target(struct remote_exports *x, const struct remote_spec *spec, struct error **err)
{
	const struct remote_export_plan *p = &x->plan;
	struct remote_env env = {.store = p->env.store,
				 .registry = p->env.registry,
				 .config = p->env.config,
				 .cancel = p->env.cancel};
	struct remote_target *t = &x->targets[x->n];
	int r = remote_target_open(t, &p->env, &env, spec, p->progress, err);

	if (r < 0)
		return r;
	x->n++;
	t->pushed = p->pushed;
	t->wanted = remote_wanted(p->graph, p->targets, p->n_targets, spec->max);
	return 0;
}

int remote_exports_open(const struct remote_export_plan *plan, const struct remote_spec *specs,
			size_t n, struct remote_exports **ret, struct error **err)
{
	struct remote_exports *x = NEW(struct remote_exports);
	int r = 0;

	x->plan = *plan;
	x->targets = xcalloc(n + 1, sizeof(*x->targets));
	x->in_image = remote_wanted(plan->graph, plan->targets, plan->n_targets, false);
	for (size_t i = 0; i < n && r == 0; i++)
		if (!remote_spec_is_inline(&specs[i]))
			r = open_target(x, &specs[i], err);
	if (r < 0) {
		remote_exports_close(x);
		return r;
	}
	*ret = x;
	return 0;
}

void remote_exports_close(struct remote_exports *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n; i++)
		cancel_set(&x->targets[i].stop);
	end_early(x);
	for (size_t i = 0; i < x->n; i++)
		remote_target_close(&x->targets[i]);
	free(x->targets);
	free(x->in_image);
	free(x);
}
