/* SPDX-License-Identifier: Apache-2.0 */
/* A fake engine for solver tests: results are texts, ops are functions of texts.
 *
 * A vertex is a source ("local://x" is known only by content, anything else is pinned) or an exec
 * whose args[0] says what it does:
 *	const:X		leaves X whatever the inputs are
 *	mod:N:...	leaves "a=<0..N>;b=<0..N>", hashes of the op and what it selects
 *	fail...		fails
 *	block...	waits to be cancelled
 *	gate...		waits until fake.gate such steps are running at once
 *	now:...		like mod, but different in every build
 *	anything else	leaves "text(input,input)"
 * What a step selects of an input is the whole, or of "a=1;b=2" the field that its mount names. */
#ifndef KILN_TESTS_FAKE_H
#define KILN_TESTS_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/strv.h"
#include "base/vec.h"
#include "solver/solver.h"

#include "cache_memory.h"

struct result {
	atomic_uint refs;
	atomic_bool hollow;
	bool remote; /* its content cannot be told */
	char *text;
};

struct fake {
	struct graph g;
	struct cache_memory *cache;
	const struct cache_backend *backend; /* its data is the cache */
	const struct solver_ops *ops;	     /* fake_ops */
	struct strv sources;		     /* "identifier=what it holds now" */
	struct cancel cancel;
	unsigned max_parallelism;
	struct solver_stats stats;
	struct strv told; /* "name=value", of solver_options.made */
	unsigned epoch;	  /* what "now" steps see */
	bool keep_made;
	const char *salt; /* of steps whose text begins with "salted"; NULL: none */
	void (*on_run)(struct fake *f, const struct vertex *v, char *const *selected);

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	struct strv ran;	   /* texts and identifiers in the order they began */
	struct strv events;	   /* "CACHED name" */
	VEC(struct result *) made; /* with keep_made: references to what execs left */
	unsigned running, most_running;
	unsigned gate, at_gate;
};

static inline struct result *result_of(char *text)
{
	struct result *r = NEW(struct result);

	atomic_init(&r->refs, 1);
	r->text = text;
	return r;
}

static inline struct result *fake_ref(struct result *r)
{
	if (r)
		atomic_fetch_add(&r->refs, 1);
	return r;
}

static inline void fake_unref(struct result *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	free(r->text);
	free(r);
}

static inline const char *fake_source_get(struct fake *f, const char *identifier)
{
	return env_get(&f->sources, identifier);
}

/* Identifiers double as environment names, so they have no '='. */
static inline void fake_source_set(struct fake *f, const char *identifier, const char *value)
{
	env_set(&f->sources, identifier, value);
}

static inline const char *selector_of(const struct vertex *v, size_t input)
{
	return v->op.kind == OP_EXEC ? v->op.exec.mounts[input].selector : "";
}

/* Heap. */
static inline char *select_text(const char *text, const char *selector)
{
	size_t n = strlen(selector);

	if (n == 0)
		return xstrdup(text);
	for (const char *p = text; p && *p;) {
		const char *end = strchrnul(p, ';');

		if (strncmp(p, selector, n) == 0 && p[n] == '=')
			return xstrndup(p + n + 1, (size_t)(end - p) - n - 1);
		p = *end ? end + 1 : end;
	}
	return xstrdup("");
}

/* What the op makes of what it selected; heap. */
static inline char *compute(unsigned epoch, const char *text, char *const *selected, size_t n)
{
	struct buf b = BUF_INIT;
	unsigned mod = 0;

	if (strncmp(text, "const:", 6) == 0)
		return xstrdup(text + 6);
	buf_addf(&b, "%s(", text);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i > 0 ? "," : "", selected[i]);
	buf_addc(&b, ')');
	if (strncmp(text, "now:", 4) == 0) {
		mod = 100;
		buf_addf(&b, "%u", epoch);
	}
	if (mod > 0 || sscanf(text, "mod:%u:", &mod) == 1) {
		struct digest d = digest_of(b.p, b.n);

		buf_clear(&b);
		buf_addf(&b, "a=%u;b=%u", d.b[0] % mod, d.b[1] % mod);
	}
	return buf_take(&b);
}

static inline int fake_pin(void *data, struct job *job, const struct vertex *v, struct pin *ret,
			   struct error **err)
{
	struct fake *f = data;
	const char *value = fake_source_get(f, v->op.source.identifier);

	(void)job;
	if (!value)
		return error_new(err, ERR_NOTFOUND, 0, "pin '%s'", v->op.source.identifier);
	ret->has_key = strncmp(v->op.source.identifier, "local://", 8) != 0;
	ret->key = digest_of(value, strlen(value));
	return 0;
}

static inline int fake_content(void *data, struct job *job, const struct vertex *v, size_t input,
			       struct result *in, struct digest *ret, bool *ret_available,
			       struct error **err)
{
	_cleanup_free_ char *text = select_text(in->text, selector_of(v, input));

	(void)data, (void)job, (void)err;
	*ret = digest_of(text, strlen(text));
	*ret_available = !in->remote;
	return 0;
}

static inline int wait_at_gate(struct fake *f, struct error **err)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&f->lock);
	f->at_gate++;
	pthread_cond_broadcast(&f->changed);
	while (f->at_gate < f->gate && r == 0)
		r = pthread_cond_timedwait(&f->changed, &f->lock, &until);
	pthread_mutex_unlock(&f->lock);
	return r == 0 ? 0 : error_new(err, ERR_TIMEOUT, 0, "the others never came");
}

static inline int behave(struct fake *f, struct job *job, const char *text, struct error **err)
{
	struct pollfd pfd = {.fd = job_cancel(job)->fd, .events = POLLIN};

	if (strncmp(text, "fail", 4) == 0)
		return error_new(err, ERR_PROCESS, 0, "%s did", text);
	if (strncmp(text, "block", 5) == 0) {
		assert_int_equal(poll(&pfd, 1, 20000), 1);
		return error_new(err, ERR_CANCELED, 0, "canceled");
	}
	return strncmp(text, "gate", 4) == 0 ? wait_at_gate(f, err) : 0;
}

static inline void count_run(struct fake *f, const char *text, int begin)
{
	pthread_mutex_lock(&f->lock);
	if (begin) {
		strv_push(&f->ran, text);
		if (++f->running > f->most_running)
			f->most_running = f->running;
	} else {
		f->running--;
	}
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static inline int run_exec(struct fake *f, struct job *job, const struct vertex *v,
			   struct result *const *inputs, struct result **ret, size_t *ret_hollow,
			   struct error **err)
{
	const char *text = v->op.exec.args.v[0];
	_cleanup_strv_ struct strv selected = {0};
	int r;

	for (size_t i = 0; i < v->n_inputs; i++) {
		if (inputs[i] && atomic_load(&inputs[i]->hollow)) {
			*ret_hollow = i;
			return error_new(err, ERR_CORRUPT, 0, "input %zu is hollow", i);
		}
		strv_push_take(&selected,
			       select_text(inputs[i] ? inputs[i]->text : "", selector_of(v, i)));
	}
	r = behave(f, job, text, err);
	if (r < 0)
		return r;
	if (f->on_run)
		f->on_run(f, v, selected.v);
	ret[0] = result_of(compute(f->epoch, text, selected.v, selected.n));
	if (f->keep_made) {
		pthread_mutex_lock(&f->lock);
		vec_push(&f->made, fake_ref(ret[0]));
		pthread_mutex_unlock(&f->lock);
	}
	return 0;
}

static inline int fake_run(void *data, struct job *job, const struct vertex *v,
			   struct result *const *inputs, struct result **ret_outputs,
			   size_t n_outputs, size_t *ret_hollow, struct error **err)
{
	bool source = v->op.kind == OP_SOURCE;
	const char *text = source ? v->op.source.identifier : v->op.exec.args.v[0];
	struct fake *f = data;
	int r = 0;

	assert_int_equal(n_outputs, 1);
	count_run(f, text, 1);
	if (source) {
		ret_outputs[0] = result_of(xstrdup(fake_source_get(f, text)));
		ret_outputs[0]->remote = strstr(text, "remote") != NULL;
	} else {
		r = run_exec(f, job, v, inputs, ret_outputs, ret_hollow, err);
	}
	count_run(f, text, 0);
	return r;
}

static inline bool fake_salt(void *data, const struct vertex *v, struct digest *ret)
{
	struct fake *f = data;

	if (!f->salt || v->op.kind != OP_EXEC || strncmp(v->op.exec.args.v[0], "salted", 6) != 0)
		return false;
	*ret = digest_of(f->salt, strlen(f->salt));
	return true;
}

static const struct solver_ops fake_ops = {
	.salt = fake_salt,
	.pin = fake_pin,
	.content = fake_content,
	.run = fake_run,
	.ref = fake_ref,
	.unref = fake_unref,
};

static inline void fake_emit(void *data, const struct event *e)
{
	static const char *const states[] = {"PLANNED", "STARTED", "CACHED",
					     "DONE",	"FAILED",  "CANCELED"};
	struct fake *f = data;

	if (e->kind != EVENT_VERTEX)
		return;
	pthread_mutex_lock(&f->lock);
	strv_pushf(&f->events, "%s %s", states[e->v.state], e->v.name);
	pthread_mutex_unlock(&f->lock);
}

static inline void fake_init(struct fake *f)
{
	*f = (struct fake){
		.max_parallelism = 4, .backend = &cache_memory_backend, .ops = &fake_ops};
	graph_init(&f->g);
	f->cache = cache_memory_new(&fake_ops);
	cancel_init(&f->cancel);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
}

/* Keeps the cache and the sources; drops graph, log and events. */
static inline void fake_next_build(struct fake *f)
{
	graph_release(&f->g);
	strv_release(&f->ran);
	strv_release(&f->events);
	strv_release(&f->told);
	f->most_running = f->at_gate = 0;
}

static inline void fake_release(struct fake *f)
{
	fake_next_build(f);
	cache_memory_free(f->cache);
	strv_release(&f->sources);
	for (size_t i = 0; i < f->made.n; i++)
		fake_unref(f->made.v[i]);
	vec_release(&f->made);
	cancel_release(&f->cancel);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
}

static inline struct vertex *fake_source(struct fake *f, const char *identifier)
{
	struct op op = {.kind = OP_SOURCE};
	struct vertex_meta meta = {0};

	op.source.identifier = arena_strdup(&f->g.arena, identifier);
	meta.name = op.source.identifier;
	return graph_add(&f->g, &op, NULL, 0, &meta);
}

struct fake_step {
	const char *text;
	struct vertex *inputs[4]; /* NULL: scratch */
	const char *selectors[4]; /* NULL: whole */
	size_t n;
	bool ignore_cache;
	const char *proxy; /* makes another vertex of equal keys */
	const char *file;
	unsigned line;
};

static inline struct vertex *fake_exec(struct fake *f, const struct fake_step *step)
{
	struct op_mount *mounts = arena_alloc(&f->g.arena, 4 * sizeof(*mounts));
	const char **args = arena_alloc(&f->g.arena, sizeof(*args));
	struct op op = {.kind = OP_EXEC};
	struct vertex_meta meta = {.ignore_cache = step->ignore_cache, .file = step->file};
	struct edge edges[4];

	args[0] = meta.name = arena_strdup(&f->g.arena, step->text);
	meta.span.line = step->line;
	op.exec.args = (struct op_strings){.v = args, .n = 1};
	op.exec.proxy.http = step->proxy ? arena_strdup(&f->g.arena, step->proxy) : "";
	op.exec.mounts = mounts;
	op.exec.n_mounts = step->n;
	for (size_t i = 0; i < step->n; i++) {
		const char *selector = step->selectors[i] ? step->selectors[i] : "";

		edges[i] = (struct edge){.vertex = step->inputs[i]};
		mounts[i] = (struct op_mount){.input = (int)i, .output = i == 0 ? 0 : -1};
		mounts[i].selector = arena_strdup(&f->g.arena, selector);
		mounts[i].dest = i == 0 ? "/" : arena_printf(&f->g.arena, "/m%zu", i);
		mounts[i].readonly = selector[0] != '\0';
	}
	return graph_add(&f->g, &op, edges, step->n, &meta);
}

static inline struct vertex *fake_exec1(struct fake *f, const char *text, struct vertex *input)
{
	return fake_exec(f, &(struct fake_step){.text = text, .inputs = {input}, .n = 1});
}

static inline struct vertex *fake_exec2(struct fake *f, const char *text, struct vertex *a,
					struct vertex *b, const char *selector)
{
	return fake_exec(
		f, &(struct fake_step){
			   .text = text, .inputs = {a, b}, .selectors = {NULL, selector}, .n = 2});
}

static inline void fake_made(void *data, const struct vertex *v, struct result *const *outputs,
			     size_t n_outputs)
{
	struct fake *f = data;

	if (n_outputs > 0 && outputs[0])
		strv_pushf(&f->told, "%s=%s", v->meta.name, outputs[0]->text);
}

static inline int fake_solve_edges(struct fake *f, const struct edge *targets, size_t n,
				   struct result **ret, struct error **err)
{
	const struct progress progress = {.emit = fake_emit, .data = f};
	const struct solver_options o = {
		.ops = f->ops,
		.ops_data = f,
		.cache = f->backend,
		.cache_data = f->cache,
		.progress = &progress,
		.cancel = &f->cancel,
		.max_parallelism = f->max_parallelism,
		.stats = &f->stats,
		.made = fake_made,
		.made_data = f,
	};

	return solver_solve(&o, &f->g, targets, n, ret, err);
}

static inline int fake_solve(struct fake *f, struct vertex *target, char **ret, struct error **err)
{
	const struct edge edge = {.vertex = target};
	struct result *result = NULL;
	int r;

	r = fake_solve_edges(f, &edge, 1, &result, err);
	if (r >= 0 && ret)
		*ret = xstrdup(result ? result->text : NULL);
	fake_unref(result);
	return r;
}

/* Solves and compares the target's text and everything that ran, in order, joined by blanks. */
static inline void fake_expect(struct fake *f, struct vertex *target, const char *text,
			       const char *ran)
{
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_free_ char *result = NULL, *all = NULL;

	if (fake_solve(f, target, &result, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_string_equal(result, text);
	all = strv_join(&f->ran, " ");
	assert_string_equal(all, ran);
}

static inline size_t fake_count(const struct strv *list, const char *item)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += strcmp(list->v[i], item) == 0;
	return n;
}

#endif
