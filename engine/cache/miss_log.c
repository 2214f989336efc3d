/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/miss_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/times.h"
#include "engine/cache/explain.h"
#include "engine/cache/step_trace.h"
#include "store/trace.h"

/* How many earlier traces are compared to find the nearest. */
enum { SAME_PLACE_MAX = 8, SAME_KIND_MAX = 64 };

void miss_log_init(struct miss_log *l, struct store *s)
{
	*l = (struct miss_log){.store = s};
	pthread_mutex_init(&l->lock, NULL);
}

void miss_log_release(struct miss_log *l)
{
	for (size_t i = 0; i < l->misses.n; i++) {
		free(l->misses.v[i].step);
		free(l->misses.v[i].reasons);
	}
	vec_release(&l->misses);
	pthread_mutex_destroy(&l->lock);
}

/* With the lock held. */
static struct miss *miss_of(struct miss_log *l, const struct vertex *v)
{
	for (size_t i = 0; i < l->misses.n; i++)
		if (l->misses.v[i].vertex == v->id)
			return &l->misses.v[i];
	vec_push(&l->misses,
		 ((struct miss){.vertex = v->id,
				.step = xstrdup(v->meta.name ? v->meta.name : "a step")}));
	return &vec_last(&l->misses);
}

void miss_log_note(struct miss_log *l, const struct vertex *v, const char *fmt, ...)
{
	char *text;
	struct miss *m;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&l->lock);
	m = miss_of(l, v);
	if (!m->reasons)
		m->reasons = TAKE_PTR(text);
	pthread_mutex_unlock(&l->lock);
	free(text);
}

static void release_traces(struct trace *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		trace_release(&v[i]);
	free(v);
}

/* The most alike of the traces that can be read, the newest of equals; NULL if there is none. */
static json_t *nearest(struct miss_log *l, const char *place, int kind, const json_t *now)
{
	struct trace *list = NULL;
	json_t *best = NULL;
	unsigned most = 0;
	size_t n = 0;

	if (trace_list(l->store, place, kind, place ? SAME_PLACE_MAX : SAME_KIND_MAX, &list, &n,
		       NULL) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		json_t *t;
		unsigned likeness;

		if (step_trace_decode(list[i].data.p, list[i].data.n, &t, NULL) < 0)
			continue;
		likeness = explain_likeness(now, t);
		if (best && likeness <= most) {
			json_decref(t);
			continue;
		}
		json_decref(best);
		best = t;
		most = likeness;
	}
	release_traces(list, n);
	return best;
}

/* A step of another place, if it does the same but for its surroundings; names it in `ret`. */
static json_t *near_elsewhere(struct miss_log *l, int kind, const json_t *now, struct buf *ret)
{
	json_t *then = nearest(l, NULL, kind, now);

	if (then && !explain_is_same_command(now, then)) {
		json_decref(then);
		return NULL;
	}
	if (then)
		buf_addf(ret,
			 "compared with '%s': ", json_string_value(json_object_get(then, "name")));
	return then;
}

static void compare(struct miss_log *l, const struct vertex *v, const char *place,
		    const struct buf *trace, struct buf *ret)
{
	_cleanup_json_ json_t *now = NULL, *then = NULL;
	_cleanup_buf_ struct buf differs = BUF_INIT;

	if (trace->n == 0 || step_trace_decode(trace->p, trace->n, &now, NULL) < 0) {
		buf_adds(ret, "what its key is made of is not known");
		return;
	}
	if (*place)
		then = nearest(l, place, 0, now);
	if (!then)
		then = near_elsewhere(l, (int)v->op.kind, now, ret);
	if (!then) {
		buf_adds(ret, "no step like it is in the cache");
		return;
	}
	explain_difference(now, then, &differs);
	buf_add(ret, differs.p, differs.n);
	if (differs.n == 0)
		buf_adds(ret,
			 "nothing differs from when it ran last, but that result was replaced, "
			 "removed or built on another run of a step before it");
}

void miss_log_ran(struct miss_log *l, const struct vertex *v, const char *place,
		  const struct buf *trace)
{
	_cleanup_buf_ struct buf reasons = BUF_INIT;
	struct miss *m;

	if (v->meta.ignore_cache)
		miss_log_note(l, v, "%s asks for it",
			      v->meta.ignore_reason ? v->meta.ignore_reason : "--no-cache");
	else
		compare(l, v, place, trace, &reasons);
	if (reasons.n > 0)
		miss_log_note(l, v, "%s", reasons.p);
	pthread_mutex_lock(&l->lock);
	m = miss_of(l, v);
	m->ran = true;
	pthread_mutex_unlock(&l->lock);
}

static int by_vertex(const void *a, const void *b)
{
	const struct miss *x = a, *y = b;

	return (x->vertex > y->vertex) - (x->vertex < y->vertex);
}

void miss_log_lines(struct miss_log *l, struct strv *ret)
{
	pthread_mutex_lock(&l->lock);
	if (l->misses.n > 0)
		qsort(l->misses.v, l->misses.n, sizeof(*l->misses.v), by_vertex);
	for (size_t i = 0; i < l->misses.n; i++)
		if (l->misses.v[i].ran)
			strv_pushf(ret, "%s: %s", l->misses.v[i].step, l->misses.v[i].reasons);
	pthread_mutex_unlock(&l->lock);
}
