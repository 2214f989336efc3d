/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/bake_build.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/bake/bake_request.h"
#include "cmd/build/build_cache.h"
#include "cmd/build/build_report.h"
#include "cmd/build/build_request.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "engine/remote_cache/remote_import.h"
#include "engine/stream/out_file.h"
#include "store/space.h"

enum target_state { TARGET_NEW, TARGET_BUSY, TARGET_DONE };

struct target {
	const struct bake_target *plan;
	struct build_request request;
	enum target_state state;
	int r; /* what compiling for a call gave */
	struct error *err;
};

/* Passes events on, and remembers which step failed first. */
struct failure_watch {
	struct progress progress;
	const struct progress *to;
	pthread_mutex_t lock; /* protects the rest */
	bool failed;
	struct digest vertex;
};

struct bake {
	const struct bake_run *run;
	struct build_session session;
	struct display *display;
	struct failure_watch watch;
	struct target *targets; /* in the plan's order */
	size_t n;
	enum display_mode mode;
};

static void emit(void *data, const struct event *event)
{
	struct failure_watch *w = data;

	if (event->kind == EVENT_VERTEX && event->v.state == VERTEX_FAILED) {
		pthread_mutex_lock(&w->lock);
		if (!w->failed)
			w->vertex = event->vertex;
		w->failed = true;
		pthread_mutex_unlock(&w->lock);
	}
	w->to->emit(w->to->data, event);
}

/* --- requests --- */

static int name_error(const struct target *t, int r, struct error **err)
{
	return r < 0 ? error_wrap(err, r, "target %s", t->plan->name) : r;
}

static const char *call_of(const struct bake *b, const struct bake_target *t)
{
	return b->run->call ? b->run->call : bake_target_text(t, BAKE_CALL);
}

static int prepare_target(struct bake *b, struct target *t, struct error **err)
{
	struct build_request *q = &t->request;
	int r;

	q->session = &b->session;
	q->name = b->n > 1 ? t->plan->name : NULL;
	r = bake_request_options(&b->session.graph.arena, t->plan, &q->options, err);
	if (r == 0)
		r = build_call_parse(call_of(b, t->plan), &q->call, err);
	if (r == 0)
		r = build_input_check(&q->options, err);
	if (r == 0 && q->call.method == CALL_BUILD)
		r = build_outputs_check(&q->options, err);
	return name_error(t, r, err);
}

static int prepare(struct bake *b, struct error **err)
{
	int r = 0;

	b->n = b->run->plan->targets.n;
	b->targets = xcalloc(b->n, sizeof(*b->targets));
	for (size_t i = 0; i < b->n; i++)
		b->targets[i].plan = &b->run->plan->targets.v[i];
	for (size_t i = 0; i < b->n && r == 0; i++)
		r = prepare_target(b, &b->targets[i], err);
	return r;
}

static struct target *find(struct bake *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->targets[i].plan->name, name) == 0)
			return &b->targets[i];
	return NULL;
}

/* A context "target:NAME" is what that target makes, for each platform. */
static void add_link(struct target *t, const char *name, const struct target *other)
{
	const struct build_request *q = &other->request;

	for (size_t i = 0; i < q->n_platforms; i++) {
		struct named_context c = {.built = &q->compiled[i]};
		char text[64];

		c.value = xasprintf("target:%s", other->plan->name);
		c.name = q->n_platforms > 1
				 ? xasprintf("%s::%s", name,
					     platform_format(&q->compiled[i].platform, text))
				 : xstrdup(name);
		vec_push(&t->request.options.contexts, c);
	}
}

static int compile_target(struct bake *b, struct target *t, struct error **err)
{
	const struct bake_value *contexts = t->plan->field[BAKE_CONTEXTS];
	int r = 0;

	if (t->state != TARGET_NEW)
		return 0;
	t->state = TARGET_BUSY;
	for (size_t i = 0; contexts && i < contexts->n && r == 0; i++) {
		const char *value = contexts->v[i]->s;
		struct target *other =
			strncmp(value, "target:", 7) == 0 ? find(b, value + 7) : NULL;

		if (!other)
			continue;
		r = compile_target(b, other, err);
		if (r == 0)
			add_link(t, contexts->names[i], other);
	}
	if (r < 0)
		return r;
	r = build_request_grant(&t->request, err);
	if (r == 0)
		r = build_request_compile(&t->request, err);
	t->state = TARGET_DONE;
	/* A question is answered also where it cannot be built. */
	if (r < 0 && t->request.call.method != CALL_BUILD && t->request.n_platforms > 0) {
		t->r = r;
		t->err = err ? TAKE_PTR(*err) : NULL;
		return 0;
	}
	if (r == 0 && t->request.call.method == CALL_BUILD)
		build_request_foresee(&t->request);
	return name_error(t, r, err);
}

/* The caches of all are read for all. */
static int import(struct bake *b, struct error **err)
{
	struct build_options all = {0};
	int r;

	for (size_t i = 0; i < b->n; i++) {
		const struct build_options *o = &b->targets[i].request.options;

		for (size_t k = 0; k < o->imports.n; k++)
			vec_push(&all.imports, o->imports.v[k]);
	}
	r = build_cache_import(&all, b->session.engine, b->session.progress, err);
	vec_release(&all.imports);
	return r;
}

static int solve(struct bake *b, struct error **err)
{
	_cleanup_free_ struct build_outputs **all = xcalloc(b->n, sizeof(struct build_outputs *));
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->targets[i].request.call.method == CALL_BUILD)
			all[n++] = &b->targets[i].request.outputs;
	return n > 0 ? build_outputs_make_all(all, n, err) : 0;
}

static int build(struct bake *b, struct error **err)
{
	int r = build_session_open(&b->session, err);

	if (r == 0)
		r = import(b, err);
	for (size_t i = 0; i < b->n && r == 0; i++)
		r = compile_target(b, &b->targets[i], err);
	if (r < 0)
		return r;
	b->session.engine->cache_policy.project = "bake";
	return solve(b, err);
}

/* --- what failed --- */

static bool needs(const struct vertex *v, const struct digest *wanted, bool *seen)
{
	if (!v || seen[v->id])
		return false;
	seen[v->id] = true;
	if (digest_equal(&v->digest, wanted))
		return true;
	for (size_t i = 0; i < v->n_inputs; i++)
		if (needs(v->inputs[i].vertex, wanted, seen))
			return true;
	return false;
}

static bool uses_failed(const struct bake *b, const struct target *t)
{
	_cleanup_free_ bool *seen = xcalloc(b->session.graph.n + 1, sizeof(*seen));

	for (size_t i = 0; i < t->request.n_platforms; i++)
		if (needs(t->request.compiled[i].target.vertex, &b->watch.vertex, seen))
			return true;
	return false;
}

/* Says which targets a step that failed is of. *ret: one of them. */
static int name_failed(const struct bake *b, int r, const struct target **ret, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	_cleanup_free_ char *list = NULL;

	for (size_t i = 0; i < b->n && b->watch.failed; i++) {
		if (!uses_failed(b, &b->targets[i]))
			continue;
		if (!*ret)
			*ret = &b->targets[i];
		strv_push(&names, b->targets[i].plan->name);
	}
	list = strv_join(&names, ", ");
	return names.n > 0 ? error_wrap(err, r, "target%s %s", names.n > 1 ? "s" : "", list) : r;
}

static int report_error(const struct bake *b, int r, struct error **err)
{
	const struct target *of = NULL;
	const struct df_file *file;

	/* It failed while it was read, and says so. */
	for (size_t i = 0; i < b->n && !of; i++) {
		const char *start = b->targets[i].plan->name;
		size_t n = strlen(start);
		const char *text = error_text(*err);

		if (strncmp(text, "target ", 7) == 0 && strncmp(text + 7, start, n) == 0 &&
		    text[7 + n] == ':')
			of = &b->targets[i];
	}
	if (!of)
		r = name_failed(b, r, &of, err);
	file = of && of->request.n_platforms > 0 ? of->request.compiled[0].file : NULL;
	return build_report_error(file, r, err);
}

/* --- results --- */

static int answer(struct target *t, bool first)
{
	struct error *err = TAKE_PTR(t->err);
	const char *description = bake_target_text(t->plan, BAKE_DESCRIPTION);
	int r;

	show(stdout, "%s%s\n", first ? "" : "\n", t->plan->name);
	if (description && *description)
		show(stdout, "%s\n", description);
	printf("\n");
	r = build_call_answer(&t->request.call, &t->request.compiled[0], t->r, &err);
	return r < 0 ? build_report_error(t->request.compiled[0].file, r, &err) : r;
}

static int write_metadata(const struct bake *b, struct error **err)
{
	_cleanup_json_ json_t *doc = json_object();
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < b->n; i++) {
		const struct build_outputs *o = &b->targets[i].request.outputs;

		json_t *target = NULL;
		int r = build_report_metadata(o, "", &target, err);

		if (r < 0)
			return error_wrap(err, r, "target %s", b->targets[i].plan->name);
		json_object_set_new(doc, b->targets[i].plan->name, target);
	}
	js_dump_go(doc, 2, true, &text);
	return out_file_write_all(b->run->metadata_file, text.p, text.n, b->session.cancel, err);
}

static int finish(struct bake *b, int r, struct error **err)
{
	int status = 0;
	bool first = true;

	if (b->session.engine)
		remote_imports_stop(b->session.engine->imports);
	display_close(b->display, r < 0);
	if (b->mode != DISPLAY_QUIET)
		session_warn(b->session.store);
	for (size_t i = 0; i < b->n && b->mode != DISPLAY_QUIET; i++)
		if (b->targets[i].request.n_platforms > 0 &&
		    b->targets[i].request.call.method == CALL_BUILD)
			build_report_warnings(&b->targets[i].request.compiled[0].lint);
	if (r == 0 && b->run->metadata_file)
		r = write_metadata(b, err);
	if (r < 0)
		return report_error(b, r, err);
	for (size_t i = 0; i < b->n; i++) {
		int one;

		if (b->targets[i].request.call.method == CALL_BUILD)
			continue;
		one = answer(&b->targets[i], first);
		first = false;
		status = status ? status : one;
	}
	return status;
}

static int run(struct bake *b, struct error **err)
{
	int r = prepare(b, err);

	if (r == 0 && b->run->metadata_file)
		r = out_file_check(b->run->metadata_file, err);
	if (r == 0)
		r = session_open_store(&b->session.store, err);
	if (r < 0)
		return session_fail(error_wrap(err, r, "failed to build"), err);
	b->session.cancel = session_cancel();
	r = display_open(b->mode, "Building", &b->display, err);
	if (r < 0)
		return session_fail(error_wrap(err, r, "failed to build"), err);
	b->watch.to = display_progress(b->display);
	b->session.progress = &b->watch.progress;
	r = build(b, err);
	if (b->session.engine)
		engine_dismiss(b->session.engine);
	r = finish(b, r, err);
	if (!cancel_is_set(b->session.cancel))
		(void)!space_maintain(b->session.store, NULL);
	store_settle(b->session.store);
	return r;
}

static void release(struct bake *b)
{
	for (size_t i = 0; i < b->n; i++) {
		build_request_release(&b->targets[i].request);
		error_free(b->targets[i].err);
	}
	free(b->targets);
	build_session_close(&b->session);
	pthread_mutex_destroy(&b->watch.lock);
}

int bake_build(const struct bake_run *given)
{
	struct bake b = {.run = given, .mode = DISPLAY_AUTO};
	const char *mode = given->progress ? given->progress : getenv("BUILDKIT_PROGRESS");
	struct error *err = NULL;
	int status;

	pthread_mutex_init(&b.watch.lock, NULL);
	b.watch.progress = (struct progress){.emit = emit, .data = &b.watch};
	graph_init(&b.session.graph);
	if (mode && *mode && display_mode_parse(mode, &b.mode, &err) < 0)
		status = session_usage(given->self, &err);
	else
		status = run(&b, &err);
	release(&b);
	return status;
}
