/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/sched.h"

#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "solver/op_key.h"
#include "solver/task.h"

#define NS_PER_MS INT64_C(1000000)
/* After this time a RUN step is no longer one that has just begun. */
#define RECENT_NS (150 * NS_PER_MS)

/* Queues. */

static void waiting_push(struct node_queue *q, struct node *n)
{
	n->next_waiting = NULL;
	if (q->last)
		q->last->next_waiting = n;
	else
		q->first = n;
	q->last = n;
}

static struct node *waiting_pop(struct node_queue *q)
{
	struct node *n = q->first;

	if (n) {
		q->first = n->next_waiting;
		if (!q->first)
			q->last = NULL;
	}
	return n;
}

void sched_touch(struct solve *s, struct node *n)
{
	if (n->queued)
		return;
	n->queued = true;
	n->next_ready = NULL;
	if (s->ready.last)
		s->ready.last->next_ready = n;
	else
		s->ready.first = n;
	s->ready.last = n;
}

void sched_need(struct solve *s, struct node *n)
{
	if (n->needed)
		return;
	n->needed = true;
	sched_touch(s, n);
}

/* Jobs. */

/* What events say of n; valid until the next call. */
static struct event_vertex about(struct solve *s, const struct node *n)
{
	const struct vertex *v = n->v;

	s->told_inputs.n = 0;
	for (size_t i = 0; i < v->n_inputs; i++)
		if (v->inputs[i].vertex)
			vec_push(&s->told_inputs, v->inputs[i].vertex->digest);
	return (struct event_vertex){
		.name = v->meta.name ? v->meta.name : "",
		.inputs = s->told_inputs.v,
		.n_inputs = s->told_inputs.n,
		.group = v->meta.progress_group,
		.group_name = v->meta.progress_group_name,
		.group_weak = v->meta.progress_group_weak,
	};
}

static struct job *open_job(struct solve *s, const struct node *n)
{
	const struct event_vertex tell = about(s, n);

	return job_open_quiet(s->o->progress, &s->stop, &n->v->digest, &tell);
}

void sched_announce_plan(struct solve *s)
{
	struct event e = {.kind = EVENT_VERTEX};

	for (size_t i = 0; s->o->progress && i < s->n_nodes; i++) {
		e.vertex = s->nodes[i].v->digest;
		e.v = about(s, &s->nodes[i]);
		e.v.time = times_now_ns();
		s->o->progress->emit(s->o->progress->data, &e);
	}
}

static void announce_cached(struct solve *s, const struct node *n)
{
	const struct event_vertex tell = about(s, n);

	progress_cached(s->o->progress, &n->v->digest, &tell);
}

void sched_announce(struct solve *s, bool all)
{
	for (; s->announced < s->n_nodes; s->announced++) {
		struct node *n = &s->nodes[s->announced];

		if (!n->settled && !all)
			return;
		if (n->definition_hit)
			announce_cached(s, n);
	}
}

/* The first failure stops the solve. `n` may be NULL. Takes *err. */
static void fail(struct solve *s, const struct node *n, int r, struct error **err)
{
	if (s->r < 0)
		return;
	s->r = r;
	s->error = TAKE_PTR(*err);
	if (n && n->v->meta.file)
		error_at(&s->error, r, n->v->meta.file, n->v->meta.span);
	if (n && n->v->meta.if_missing && r == -ERR_NOTFOUND)
		error_hint(&s->error, r, "%s", n->v->meta.if_missing);
	cancel_set(&s->stop);
}

void sched_interrupt(struct solve *s)
{
	if (s->interrupted)
		return;
	s->interrupted = true;
	if (s->r == 0)
		s->r = error_new(&s->error, ERR_CANCELED, 0, "canceled");
	cancel_set(&s->stop);
}

/* Definition keys. */

static void key_known(struct solve *s, struct node *n, enum key_state state);

static void part_known(struct solve *s, const struct consumer *c)
{
	if (--c->node->parts_missing == 0)
		sched_touch(s, c->node);
}

/* How often each op occurs in the graph, by the key form. */
static void count_ops(struct solve *s)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		struct digest d = op_key(&s->nodes[i].v->op, s->nodes[i].v->n_inputs);
		void **slot = map_put(&s->ops, d.b, DIGEST_SIZE);

		*slot = *slot ? (void *)s : (void *)&s->nodes[i];
	}
	s->ops_counted = true;
}

/* Is there nothing that could be found for n's op? Where the op occurs twice the two may turn out
 * equal, and then one of them is not run: their keys have to be known before. */
static bool is_unheard(struct solve *s, const struct node *n)
{
	struct digest d;

	if (!s->o->cache || !s->o->cache->knows)
		return false;
	if (!s->ops_counted)
		count_ops(s);
	d = op_key(&n->v->op, n->v->n_inputs);
	return map_get(&s->ops, d.b, DIGEST_SIZE) == n &&
	       !s->o->cache->knows(s->o->cache_data, n->v);
}

/* Of a source without key every consumer uses the content that it selects. */
static void request_contents(struct solve *s, struct node *n)
{
	for (size_t i = 0; i < n->n_consumers; i++) {
		const struct consumer *c = &n->consumers[i];
		struct task *t;

		/* Known already where the source runs a second time. */
		if (c->node->key_state != KEY_UNKNOWN)
			continue;
		if (n->outputs[c->node->v->inputs[c->input].output] && is_unheard(s, c->node)) {
			c->node->parts_late++;
			part_known(s, c);
			continue;
		}
		if (!n->outputs[c->node->v->inputs[c->input].output]) {
			c->node->parts[c->input].kind = KEY_PART_SCRATCH;
			part_known(s, c);
			continue;
		}
		t = task_new(s, c->node, TASK_CONTENT, open_job(s, c->node));
		t->input = c->input;
		task_submit(s, t);
	}
}

/* Borrowed results of those inputs that have one; valid until the next call. */
static struct result **known_inputs(struct solve *s, const struct node *n)
{
	for (size_t i = 0; i < n->v->n_inputs; i++) {
		const struct node *in = n->inputs[i];

		s->known_inputs[i] = in && in->outputs ? in->outputs[n->v->inputs[i].output] : NULL;
	}
	return s->known_inputs;
}

static int find_by_definition(struct solve *s, struct node *n, bool *ret_found)
{
	enum cache_answer answer = CACHE_MISS;
	struct cache_query query;
	struct error *err = NULL;
	int r;

	*ret_found = false;
	if (!s->o->cache || n->key_state != KEY_KNOWN || n->fresh || n->must_run)
		return 0;
	n->looked_at = s->n_made;
	query = (struct cache_query){
		.v = n->v,
		.key = &n->key,
		.inputs = known_inputs(s, n),
		.outputs = task_results_new(n->n_outputs),
		.n_outputs = n->n_outputs,
	};
	r = s->o->cache->find(s->o->cache_data, &query, &answer, &err);
	if (r < 0)
		fail(s, n, r, &err);
	if (r < 0 || answer != CACHE_HIT) {
		error_free(err);
		free(query.outputs);
		/* What was made of the one that is too old is too old as well, and what was made of
		 * one of other inputs is of those. */
		n->must_run = n->must_run || answer == CACHE_EXPIRED;
		n->fresh = n->fresh || answer == CACHE_EXPIRED || answer == CACHE_OTHER;
		return r < 0 ? r : 0;
	}
	n->outputs = query.outputs;
	n->from_cache = true;
	s->stats.definition_hits++;
	*ret_found = true;
	return 0;
}

static void key_known(struct solve *s, struct node *n, enum key_state state)
{
	n->key_state = state;
	if (n->content_only) {
		n->settled = true;
		sched_need(s, n);
		return;
	}
	if (find_by_definition(s, n, &n->definition_hit) < 0)
		return;
	n->settled = true;
	sched_announce(s, false);
	for (size_t i = 0; i < n->n_consumers; i++)
		part_known(s, &n->consumers[i]);
}

static enum key_state make_key(struct node *n)
{
	bool none = n->part_unavailable, late = n->parts_late > 0;

	n->fresh = n->v->meta.ignore_cache;
	for (size_t i = 0; i < n->v->n_inputs; i++) {
		const struct node *in = n->inputs[i];

		if (!in || in->content_only)
			continue;
		n->fresh = n->fresh || in->fresh;
		none = none || in->key_state == KEY_NONE;
		late = late || in->key_state == KEY_LATE;
		n->parts[i] = (struct key_part){
			.kind = KEY_PART_DEFINITION,
			.digest = in->key,
			.output = n->v->inputs[i].output,
			.selection = op_selection(&n->v->op, i),
		};
	}
	if (none || late)
		return none ? KEY_NONE : KEY_LATE;
	n->key = cachekey_definition(&n->v->op, n->has_salt ? &n->salt : NULL, n->parts,
				     n->v->n_inputs);
	return KEY_KNOWN;
}

static void compute_key(struct solve *s, struct node *n)
{
	if (s->o->ops->salt)
		n->has_salt = s->o->ops->salt(s->o->ops_data, n->v, &n->salt);
	key_known(s, n, make_key(n));
}

/* The inputs are complete, so their keys are known: looks up what could not be looked up before. */
static int compute_late_key(struct solve *s, struct node *n, bool *ret_found)
{
	*ret_found = false;
	if (n->key_state != KEY_LATE)
		return 0;
	n->key_state = make_key(n);
	return find_by_definition(s, n, ret_found);
}

static void advance_key(struct solve *s, struct node *n)
{
	if (n->v->op.kind != OP_SOURCE) {
		if (n->parts_missing == 0)
			compute_key(s, n);
		return;
	}
	if (n->pinning)
		return;
	n->pinning = true;
	task_submit(s, task_new(s, n, TASK_PIN, open_job(s, n)));
}

/* Nodes that add a result, by the keys that others could find it under. */

static void keys_of(const struct node *n, const struct digest *ret[2])
{
	ret[0] = n->key_state == KEY_KNOWN ? &n->key : NULL;
	ret[1] = n->has_content_key ? &n->content_key : NULL;
}

static bool is_running(const struct node *n)
{
	return n->phase == PHASE_QUEUED || n->phase == PHASE_RUNNING;
}

/* Another node that is adding a result that n could use, or has since n was looked up. */
static struct node *maker_for(const struct solve *s, const struct node *n)
{
	const struct digest *keys[2];

	if (!s->o->cache || n->must_run)
		return NULL;
	keys_of(n, keys);
	for (size_t i = 0; i < 2; i++) {
		struct node *other = keys[i] && !(i == 0 && n->fresh)
					     ? map_get(&s->makers, keys[i]->b, DIGEST_SIZE)
					     : NULL;

		if (other && (is_running(other) || other->made_at > n->looked_at))
			return other;
	}
	return NULL;
}

static void register_maker(struct solve *s, struct node *n)
{
	const struct digest *keys[2];

	keys_of(n, keys);
	for (size_t i = 0; i < 2; i++) {
		void **slot = keys[i] ? map_put(&s->makers, keys[i]->b, DIGEST_SIZE) : NULL;

		if (slot && (!*slot || !is_running(*slot)))
			*slot = n;
	}
}

/* Those that waited for n look again: it has added its result, or never will. */
static void wake_parked(struct solve *s, struct node *n)
{
	struct node *waiting;

	while ((waiting = waiting_pop(&n->parked))) {
		waiting->phase = PHASE_IDLE;
		waiting->look_again = true;
		sched_touch(s, waiting);
	}
}

/* Bringing about. */

static void complete(struct solve *s, struct node *n)
{
	n->complete = true;
	n->phase = PHASE_IDLE;
	if (s->o->made)
		s->o->made(s->o->made_data, n->v, n->outputs, n->n_outputs);
	wake_parked(s, n);
	for (size_t i = 0; i < n->n_consumers; i++)
		if (--n->consumers[i].node->inputs_missing == 0)
			sched_touch(s, n->consumers[i].node);
	if (n->content_only)
		request_contents(s, n);
}

static void complete_cached(struct solve *s, struct node *n)
{
	if (n->job)
		job_close_cached(TAKE_PTR(n->job));
	else
		announce_cached(s, n);
	complete(s, n);
}

static void submit_run(struct solve *s, struct node *n)
{
	struct task *t = task_new(s, n, TASK_RUN, n->job);

	t->has_content_key = n->has_content_key;
	t->content_key = n->content_key;
	t->find_content = s->o->cache && n->has_content_key && !n->must_run;
	t->contents = task_parts_copy(n->contents, n->v->n_inputs);
	t->late = s->o->cache && n->key_state == KEY_LATE;
	n->phase = PHASE_RUNNING;
	if (n->v->op.kind == OP_EXEC) {
		struct recent recent = {n, times_monotonic_ns()};

		s->n_execs++;
		vec_push(&s->recent, recent);
	}
	task_submit(s, t);
}

/* Steps that take long wait for something most of the time: they leave room for others to begin. */
static void forget_recent(struct solve *s, const struct node *ended)
{
	int64_t now = times_monotonic_ns();
	size_t n = 0;

	for (size_t i = 0; i < s->recent.n; i++)
		if (s->recent.v[i].node != ended && now - s->recent.v[i].began < RECENT_NS)
			s->recent.v[n++] = s->recent.v[i];
	s->recent.n = n;
}

int sched_exec_timeout(const struct solve *s)
{
	int64_t left;

	if (!s->execs.first || s->n_execs >= s->max_execs || s->recent.n == 0 || s->r < 0)
		return -1;
	left = s->recent.v[0].began + RECENT_NS - times_monotonic_ns();
	return left > 0 ? (int)(left / NS_PER_MS) + 1 : 0;
}

/* A node whose input turned hollow in the meantime starts over later. */
void sched_start_execs(struct solve *s)
{
	if (s->execs.first)
		forget_recent(s, NULL);
	while (s->n_execs < s->max_execs && s->recent.n < s->max_recent && s->execs.first) {
		struct node *n = waiting_pop(&s->execs);

		if (n->inputs_missing == 0) {
			submit_run(s, n);
			continue;
		}
		n->phase = PHASE_IDLE;
		wake_parked(s, n);
	}
}

static void enter_run(struct solve *s, struct node *n)
{
	struct node *other;

	n->phase = PHASE_IDLE;
	if (n->inputs_missing > 0)
		return;
	other = maker_for(s, n);
	if (other && is_running(other)) {
		n->phase = PHASE_PARKED;
		waiting_push(&other->parked, n);
		return;
	}
	if (other) {
		n->look_again = true;
		sched_touch(s, n);
		return;
	}
	if (n->v->op.kind == OP_EXEC) {
		n->phase = PHASE_QUEUED;
		waiting_push(&s->execs, n);
		sched_start_execs(s);
	} else {
		submit_run(s, n);
	}
	register_maker(s, n);
}

static void start_prepare(struct solve *s, struct node *n)
{
	struct task *t;

	if (!n->job)
		n->job = open_job(s, n);
	n->has_content_key = false;
	if (n->v->n_inputs == 0 || !s->o->cache || n->key_state == KEY_LATE) {
		enter_run(s, n);
		return;
	}
	t = task_new(s, n, TASK_PREPARE, n->job);
	t->find_content = !n->must_run;
	n->phase = PHASE_PREPARING;
	n->looked_at = s->n_made;
	task_submit(s, t);
}

/* Drops what n has. Those that were found because of it are looked up anew, once it has something
 * else: they may be made of what turned out not to be there, or of another run than what follows.
 */
static void drop_outputs(struct solve *s, struct node *n)
{
	task_results_free(s->o->ops, TAKE_PTR(n->outputs), n->n_outputs);
	n->from_cache = false;
	for (size_t i = 0; i < n->n_consumers; i++) {
		struct node *c = n->consumers[i].node;

		c->inputs_missing += n->complete;
		if (c->from_cache)
			drop_outputs(s, c);
	}
	n->complete = false;
	sched_touch(s, n);
}

/* What was found for n cannot be made present: n runs. */
static void refuse(struct solve *s, struct node *n)
{
	const struct digest *keys[2];
	struct digest v[2];
	size_t n_keys = 0;

	keys_of(n, keys);
	for (size_t i = 0; i < 2; i++)
		if (keys[i])
			v[n_keys++] = *keys[i];
	s->o->cache->forget(s->o->cache_data, v, n_keys, n->v);
	s->stats.hollow++;
	n->must_run = true;
	drop_outputs(s, n);
}

/* Of what was found only this much is touched: what is needed. True if it is there to stay. */
static bool hold_found(struct solve *s, struct node *n)
{
	const struct cache_backend *cache = s->o->cache;
	struct error *err = NULL;
	bool held = true;
	int r = 0;

	if (!n->outputs)
		return false;
	if (cache->hold)
		r = cache->hold(s->o->cache_data, n->outputs, n->n_outputs, &held, &err);
	if (r < 0)
		fail(s, n, r, &err);
	else if (!held)
		refuse(s, n);
	return r == 0 && held;
}

static void advance_need(struct solve *s, struct node *n)
{
	bool found;

	if (hold_found(s, n)) {
		complete(s, n);
		return;
	}
	if (n->look_again) {
		n->look_again = false;
		if (find_by_definition(s, n, &found) < 0)
			return;
		if (found && hold_found(s, n)) {
			complete_cached(s, n);
			return;
		}
	}
	for (size_t i = 0; i < n->v->n_inputs; i++)
		if (n->inputs[i])
			sched_need(s, n->inputs[i]);
	if (n->inputs_missing > 0 || compute_late_key(s, n, &found) < 0)
		return;
	if (found && hold_found(s, n))
		complete_cached(s, n);
	else if (s->r == 0)
		start_prepare(s, n);
}

static void burst(struct solve *s, bool begins)
{
	if (s->o->cache && s->o->cache->burst)
		s->o->cache->burst(s->o->cache_data, begins);
}

void sched_advance(struct solve *s)
{
	burst(s, true);
	while (s->ready.first && s->r == 0) {
		struct node *n = s->ready.first;

		s->ready.first = n->next_ready;
		if (!s->ready.first)
			s->ready.last = NULL;
		n->queued = false;
		if (n->key_state == KEY_UNKNOWN)
			advance_key(s, n);
		if (s->r == 0 && n->settled && n->needed && !n->complete && n->phase == PHASE_IDLE)
			advance_need(s, n);
	}
	burst(s, false);
}

/* Finished tasks. */

/* The job stays open: the step goes on when its inputs are there. */
static void start_over(struct solve *s, struct node *n)
{
	n->phase = PHASE_IDLE;
	wake_parked(s, n);
	sched_touch(s, n);
}

/* Has t worked on what its node's inputs still are? */
static bool has_current_inputs(const struct task *t)
{
	const struct node *n = t->node;

	for (size_t i = 0; i < t->n_inputs; i++) {
		const struct node *in = n->inputs[i];

		if (in && (!in->complete || in->outputs[n->v->inputs[i].output] != t->inputs[i]))
			return false;
	}
	return true;
}

/* The run of t->node failed for want of an input. True if that can be mended: by running the input,
 * or because somebody else had it run in the meantime. */
static bool mend_hollow(struct solve *s, const struct task *t)
{
	struct node *n = t->node;
	struct node *in;

	if (t->hollow >= n->v->n_inputs || !n->inputs[t->hollow] || s->r < 0)
		return false;
	in = n->inputs[t->hollow];
	if (in->complete && in->outputs[n->v->inputs[t->hollow].output] == t->inputs[t->hollow]) {
		if (!in->from_cache)
			return false;
		refuse(s, in);
	}
	start_over(s, n);
	return true;
}

static void fail_task(struct solve *s, struct task *t)
{
	/* What ends after the stop ends because of it. */
	int r = s->r < 0 ? -ERR_CANCELED : t->r;

	job_close(t->job, r, &t->err);
	if (t->job == t->node->job)
		t->node->job = NULL;
	fail(s, t->node, t->r, &t->err);
}

static void collect_pin(struct solve *s, struct task *t)
{
	struct node *n = t->node;

	job_close(t->job, 0, NULL);
	n->content_only = !t->pin.has_key;
	n->fresh = n->v->meta.ignore_cache && t->pin.has_key;
	if (t->pin.has_key)
		n->key = cachekey_source(&n->v->op, &t->pin.key);
	key_known(s, n, t->pin.has_key ? KEY_KNOWN : KEY_NONE);
	sched_touch(s, n);
}

static void collect_content(struct solve *s, struct task *t)
{
	struct consumer c = {.node = t->node, .input = t->input};

	job_close(t->job, 0, NULL);
	if (t->available)
		t->node->parts[t->input] =
			(struct key_part){.kind = KEY_PART_CONTENT, .digest = t->content};
	else
		t->node->part_unavailable = true;
	part_known(s, &c);
}

static void take_outputs(struct node *n, struct task *t)
{
	n->outputs = TAKE_PTR(t->outputs);
	n->from_cache = t->answer == CACHE_HIT || t->replaced;
}

static void collect_prepare(struct solve *s, struct task *t)
{
	struct node *n = t->node;

	n->has_content_key = t->has_content_key;
	n->content_key = t->content_key;
	free(n->contents);
	n->contents = TAKE_PTR(t->contents);
	if (t->answer != CACHE_HIT) {
		n->must_run = n->must_run || t->answer == CACHE_EXPIRED;
		enter_run(s, n);
		return;
	}
	s->stats.content_hits++;
	take_outputs(n, t);
	complete_cached(s, n);
}

static void collect_run(struct solve *s, struct task *t)
{
	struct node *n = t->node;

	take_outputs(n, t);
	if (t->late) {
		n->key_state = t->has_key ? KEY_KNOWN : KEY_NONE;
		n->key = t->key;
		n->has_content_key = t->has_content_key;
		n->content_key = t->content_key;
	}
	if (t->answer == CACHE_HIT) {
		s->stats.content_hits++;
		complete_cached(s, n);
		return;
	}
	s->stats.runs++;
	n->made_at = ++s->n_made;
	job_close(TAKE_PTR(n->job), 0, NULL);
	complete(s, n);
}

/* Nothing new is started after a stop; what was made in spite of it was added to the cache. */
static void discard(struct task *t)
{
	bool worked = t->kind == TASK_RUN || t->kind == TASK_PIN;

	if (t->job == t->node->job)
		t->node->job = NULL;
	job_close(t->job, worked ? 0 : -ERR_CANCELED, NULL);
}

void sched_collect(struct solve *s, struct task *t)
{
	s->in_flight--;
	if (t->kind == TASK_RUN && t->node->v->op.kind == OP_EXEC) {
		s->n_execs--;
		forget_recent(s, t->node);
		if (s->r == 0)
			sched_start_execs(s);
	}
	if (t->r < 0) {
		if (t->kind != TASK_RUN || !mend_hollow(s, t))
			fail_task(s, t);
	} else if (s->r < 0) {
		discard(t);
	} else if (t->kind == TASK_PIN) {
		collect_pin(s, t);
	} else if (t->kind == TASK_CONTENT) {
		collect_content(s, t);
	} else if (t->answer == CACHE_HIT && !has_current_inputs(t)) {
		start_over(s, t->node);
	} else if (t->kind == TASK_PREPARE) {
		collect_prepare(s, t);
	} else {
		collect_run(s, t);
	}
	task_free(t);
}
