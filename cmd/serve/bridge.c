/* SPDX-License-Identifier: Apache-2.0 */
/* BuildKit's LLBBridge, by which a client's own process is the frontend of its build, and the Solve and
 * Status of Control beside it. What a frontend is asked for is done when the client returns it, once it
 * is known what becomes of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/number.h"
#include "base/times.h"
#include "cmd/serve/build.h"
#include "cmd/serve/session.h"

/* The build that a call of LLBBridge belongs to; NULL: the call has been ended. */
static struct build *build_of(struct server *s, struct rpc_call *c)
{
	const char *ref = rpc_call_header(c, "buildkit-controlapi-buildid");
	struct build *b = ref ? build_find(s, ref, false) : NULL;

	if (!b)
		serve_fail(s, c, RPC_NOTFOUND, "there is no build \"%s\"", ref ? ref : "");
	return b;
}

void serve_ping(struct server *s, struct rpc_call *c, const struct buf *request)
{
	/* What clients may count on: a frontend is solved, its result returned. */
	static const char *const caps[] = {"solve.base", "solve.inlinereturn", "return",
					   "returnmap",	 "proto.refarray",     "frontend.caps"};
	Bk__Cap cap[ARRAY_SIZE(caps)], *list[ARRAY_SIZE(caps)];
	Bk__PingResponse m;

	(void)request;
	bk__ping_response__init(&m);
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		bk__cap__init(&cap[i]);
		cap[i].id = serve_text(caps[i]);
		cap[i].enabled = true;
		list[i] = &cap[i];
	}
	m.frontend_caps = list;
	m.n_frontend_caps = ARRAY_SIZE(caps);
	serve_reply(s, c, &m.base);
}

static void fill_asked(const Bk__BridgeSolveRequest *q, struct asked *ret)
{
	for (size_t i = 0; i < q->n_frontend_opt; i++)
		strv_pushf(&ret->attrs, "%s=%s", q->frontend_opt[i]->key,
			   q->frontend_opt[i]->value);
	for (size_t i = 0; i < q->n_cache_imports; i++) {
		struct strv import = {0};

		strv_pushf(&import, "type=%s", q->cache_imports[i]->type);
		for (size_t k = 0; k < q->cache_imports[i]->n_attrs; k++)
			strv_pushf(&import, "%s=%s", q->cache_imports[i]->attrs[k]->key,
				   q->cache_imports[i]->attrs[k]->value);
		vec_push(&ret->cache_imports, import);
	}
}

/* Its number, by which it can be returned; 0: too late, something has been. */
static size_t keep_asked(struct server *s, struct build *b, const Bk__BridgeSolveRequest *q)
{
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	if (!b->returned) {
		vec_push(&b->asked, (struct asked){0});
		fill_asked(q, &vec_last(&b->asked));
		n = b->asked.n;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* Why a request of LLBBridge cannot be served; NULL: it can. */
static const char *refuse(const Bk__BridgeSolveRequest *q)
{
	for (size_t i = 0; i < q->n_frontend_opt; i++)
		if (strcmp(q->frontend_opt[i]->key, "requestid") == 0)
			return "kiln does not serve subrequests (--check, --call) yet";
	if (q->definition && q->definition->n_def > 0)
		return "kiln does not serve builds of LLB yet";
	if (*q->frontend && strcmp(q->frontend, "dockerfile.v0") != 0)
		return "kiln serves the frontend dockerfile.v0 alone";
	if (q->n_frontend_inputs > 0)
		return "kiln does not serve inputs of frontends yet";
	if (q->evaluate)
		return "kiln does not serve results before they are returned yet";
	if (q->n_source_policies > 0)
		return "kiln does not serve source policies yet";
	return NULL;
}

void serve_bridge_solve(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__BridgeSolveRequest *q =
		serve_unpack(s, c, &bk__bridge_solve_request__descriptor, request);
	_cleanup_free_ char *id = NULL;
	struct build *b = NULL;
	Bk__BridgeSolveResponse m;
	Bk__Result result;
	Bk__Ref ref;

	if (!q)
		return;
	if (refuse(q))
		serve_fail(s, c, RPC_UNIMPLEMENTED, "%s", refuse(q));
	else
		b = build_of(s, c);
	if (b) {
		bk__bridge_solve_response__init(&m);
		bk__result__init(&result);
		bk__ref__init(&ref);
		m.result = &result;
		/* Without a frontend there is nothing, which is a result, too. */
		if (*q->frontend) {
			id = xasprintf("%zu", keep_asked(s, b, q));
			ref.id = id;
			result.ref = &ref;
			result.result_case = BK__RESULT__RESULT_REF;
		}
		serve_reply(s, c, &m.base);
	}
	build_put(s, b);
	bk__bridge_solve_request__free_unpacked(q, NULL);
}

/* The number of what is returned; 0: nothing. */
static size_t chosen_of(const Bk__Result *result, size_t n_asked)
{
	const char *id = "";
	uint64_t n = 0;

	if (result && result->result_case == BK__RESULT__RESULT_REF)
		id = result->ref->id;
	else if (result && result->result_case == BK__RESULT__RESULT_REF_OLD)
		id = result->ref_old;
	else if (result && result->result_case == BK__RESULT__RESULT_REFS &&
		 result->refs->n_refs > 0 && result->refs->refs[0]->value)
		id = result->refs->refs[0]->value->id;
	return number_parse(id, 10, n_asked, &n) < 0 ? 0 : (size_t)n;
}

void serve_return(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__ReturnRequest *q = serve_unpack(s, c, &bk__return_request__descriptor, request);
	struct build *b = q ? build_of(s, c) : NULL;

	if (b) {
		pthread_mutex_lock(&s->lock);
		if (!b->returned) {
			b->returned = true;
			b->chosen = chosen_of(q->result, b->asked.n);
			b->failed = q->error != NULL;
			b->failure = xstrdup(q->error ? q->error->message : NULL);
		}
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
		(void)!rpc_send(s->loop, c, "", 0);
		serve_done(s, c);
	}
	build_put(s, b);
	if (q)
		bk__return_request__free_unpacked(q, NULL);
}

/* --- Control --- */

void serve_status(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__StatusRequest *q = serve_unpack(s, c, &bk__status_request__descriptor, request);
	struct build *b = q ? build_find(s, q->ref, false) : NULL;
	_cleanup_free_ char *now = times_rfc3339(times_now_ns());
	size_t sent = 0;

	if (!b) {
		if (q)
			serve_fail(s, c, RPC_NOTFOUND, "there is no build \"%s\"", q->ref);
		goto out;
	}
	/* By this clients correct their clock. */
	rpc_add_answer(s->loop, c, "buildkit-current-timestamp", now);
	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct buf copy = BUF_INIT;
		int r;

		while (sent == b->events.n && !b->over)
			pthread_cond_wait(&s->changed, &s->lock);
		if (sent == b->events.n)
			break;
		buf_add(&copy, b->events.v[sent].p, b->events.v[sent].n);
		sent++;
		pthread_mutex_unlock(&s->lock);
		r = rpc_send(s->loop, c, copy.p, copy.n);
		buf_release(&copy);
		pthread_mutex_lock(&s->lock);
		if (r < 0)
			break;
	}
	pthread_mutex_unlock(&s->lock);
	serve_done(s, c);
out:
	build_put(s, b);
	if (q)
		bk__status_request__free_unpacked(q, NULL);
}

static const char *refuse_solve(const Bk__SolveRequest *q)
{
	if (q->definition && q->definition->n_def > 0)
		return "kiln does not serve builds of LLB yet";
	if (*q->frontend && strcmp(q->frontend, "dockerfile.v0") != 0)
		return "kiln serves the frontend dockerfile.v0 alone";
	if (q->n_frontend_inputs > 0)
		return "kiln does not serve inputs of frontends yet";
	if (q->source_policy || *q->source_policy_session)
		return "kiln does not serve source policies yet";
	if (q->proxy_network)
		return "kiln does not serve proxy networks";
	return NULL;
}

/* Waits until the client's frontend has returned something. */
static int wait_returned(struct server *s, struct rpc_call *c, struct build *b, struct error **err)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	while (!b->returned && !rpc_is_over(s->loop, c)) {
		struct timespec until;

		/* The end of the call is told to others; it is looked at now and then. */
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 1;
		(void)pthread_cond_timedwait(&s->changed, &s->lock, &until);
	}
	if (!b->returned)
		r = error_new(err, ERR_CANCELED, 0, "the client has gone");
	else if (b->failed)
		r = error_new(err, ERR_INVALID, 0, "%s", b->failure);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void add_pair(struct arena *a, Bk__SolveResponse *m, const char *key, const char *value)
{
	Bk__Pair *pair = ARENA_NEW(a, Bk__Pair);

	bk__pair__init(pair);
	pair->key = arena_strdup(a, key);
	pair->value = arena_strdup(a, value);
	m->exporter_response[m->n_exporter_response++] = pair;
}

/* Strings as they are, documents as base64. */
static void answer(struct server *s, struct rpc_call *c, json_t *metadata)
{
	struct arena arena = ARENA_INIT;
	Bk__SolveResponse m;
	const char *key;
	json_t *value;

	bk__solve_response__init(&m);
	m.exporter_response =
		arena_alloc(&arena, (json_object_size(metadata) + 1) * sizeof(void *));
	json_object_foreach(metadata, key, value)
	{
		_cleanup_buf_ struct buf text = BUF_INIT;
		_cleanup_free_ char *coded = NULL;

		if (!json_is_string(value)) {
			js_dump(value, false, &text);
			coded = base64_encode(text.p, text.n);
		}
		add_pair(&arena, &m, key, coded ? coded : json_string_value(value));
	}
	serve_reply(s, c, &m.base);
	arena_release(&arena);
}

static int solve(struct server *s, struct rpc_call *c, struct build *b, const Bk__SolveRequest *q,
		 struct build_end *ret, struct error **err)
{
	const struct asked *asked = NULL;
	struct asked own = {0};
	int r = 0;

	if (*q->frontend) {
		for (size_t i = 0; i < q->n_frontend_attrs; i++)
			strv_pushf(&own.attrs, "%s=%s", q->frontend_attrs[i]->key,
				   q->frontend_attrs[i]->value);
		asked = &own;
	} else {
		r = wait_returned(s, c, b, err);
		if (r == 0 && b->chosen > 0)
			asked = &b->asked.v[b->chosen - 1];
	}
	if (r == 0 && asked)
		r = build_run(s, c, b, q, asked, ret, err);
	strv_release(&own.attrs);
	return r;
}

void serve_solve(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__SolveRequest *q = serve_unpack(s, c, &bk__solve_request__descriptor, request);
	_cleanup_(build_end_release) struct build_end end = {0};
	_cleanup_free_ char *text = NULL;
	struct error *err = NULL;
	const char *hint;
	struct build *b;
	int r;

	if (!q)
		return;
	b = refuse_solve(q) ? NULL : build_find(s, q->ref, true);
	if (!b) {
		serve_fail(s, c, refuse_solve(q) ? RPC_UNIMPLEMENTED : RPC_EXISTS, "%s",
			   refuse_solve(q) ? refuse_solve(q)
					   : "there is a build of that ref already");
		bk__solve_request__free_unpacked(q, NULL);
		return;
	}
	r = solve(s, c, b, q, &end, &err);
	hint = error_hint_text(err);
	text = xasprintf("%s%s%s", error_text(err), hint ? "\n" : "", hint ? hint : "");
	pthread_mutex_lock(&s->lock);
	b->over = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (r == 0)
		answer(s, c, end.metadata);
	else
		rpc_finish(s->loop, c, r == -ERR_CANCELED ? RPC_CANCELED : RPC_UNKNOWN, text,
			   end.details);
	error_free(err);
	build_put(s, b);
	bk__solve_request__free_unpacked(q, NULL);
}
