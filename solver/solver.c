/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/solver.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/vec.h"
#include "solver/op_key.h"
#include "solver/sched.h"
#include "solver/task.h"

static size_t mark_reachable(const struct edge *targets, size_t n_targets, bool *reachable)
{
	VEC(const struct vertex *) stack = {0};
	size_t n = 0;

	for (size_t i = 0; i < n_targets; i++)
		if (targets[i].vertex)
			vec_push(&stack, targets[i].vertex);
	while (stack.n > 0) {
		const struct vertex *v = vec_pop(&stack);

		if (reachable[v->id])
			continue;
		reachable[v->id] = true;
		n++;
		for (size_t i = 0; i < v->n_inputs; i++)
			if (v->inputs[i].vertex)
				vec_push(&stack, v->inputs[i].vertex);
	}
	vec_release(&stack);
	return n;
}

static void node_init(struct arena *a, struct node *n, const struct vertex *v,
		      struct node *const *by_id)
{
	n->v = v;
	n->must_run = v->meta.ignore_cache;
	n->n_outputs = op_n_outputs(&v->op);
	n->inputs = arena_alloc(a, v->n_inputs * sizeof(*n->inputs));
	n->parts = arena_alloc(a, v->n_inputs * sizeof(*n->parts));
	for (size_t i = 0; i < v->n_inputs; i++) {
		if (!v->inputs[i].vertex)
			continue;
		n->inputs[i] = by_id[v->inputs[i].vertex->id];
		n->inputs[i]->n_consumers++;
		n->inputs_missing++;
		n->parts_missing++;
	}
}

static void link_consumers(struct arena *a, struct node *nodes, size_t n_nodes)
{
	for (size_t i = 0; i < n_nodes; i++) {
		nodes[i].consumers =
			arena_alloc(a, nodes[i].n_consumers * sizeof(*nodes[i].consumers));
		nodes[i].n_consumers = 0;
	}
	for (size_t i = 0; i < n_nodes; i++)
		for (size_t k = 0; k < nodes[i].v->n_inputs; k++) {
			struct node *in = nodes[i].inputs[k];

			if (in)
				in->consumers[in->n_consumers++] =
					(struct consumer){.node = &nodes[i], .input = k};
		}
}

/* Makes a node for every vertex that a target reaches; *ret_by_id (heap) finds them. */
static void make_nodes(struct solve *s, const struct graph *g, const struct edge *targets,
		       size_t n_targets, struct node ***ret_by_id)
{
	_cleanup_free_ bool *reachable = xcalloc(g->n + 1, sizeof(*reachable));
	struct node **by_id = xcalloc(g->n + 1, sizeof(struct node *));
	size_t n = mark_reachable(targets, n_targets, reachable), most_inputs = 0;

	s->nodes = xcalloc(n + 1, sizeof(*s->nodes));
	for (size_t i = 0; i < g->n; i++) {
		if (!reachable[i])
			continue;
		by_id[i] = &s->nodes[s->n_nodes++];
		if (g->vertices[i]->n_inputs > most_inputs)
			most_inputs = g->vertices[i]->n_inputs;
		node_init(&s->arena, by_id[i], g->vertices[i], by_id);
	}
	link_consumers(&s->arena, s->nodes, s->n_nodes);
	s->known_inputs = task_results_new(most_inputs);
	s->stats.vertices = s->n_nodes;
	*ret_by_id = by_id;
}

static void node_release(const struct solver_ops *ops, struct node *n)
{
	if (n->job)
		job_close(n->job, -ERR_CANCELED, NULL);
	task_results_free(ops, n->outputs, n->n_outputs);
	free(n->contents);
}

/* A graph that names an output its vertex does not have is the frontend's mistake. */
static int check_edge(const struct edge *e, struct error **err)
{
	if (!e->vertex || e->output < op_n_outputs(&e->vertex->op))
		return 0;
	return error_new(err, ERR_INTERNAL, 0, "output %u of '%s' does not exist", e->output,
			 e->vertex->meta.name ? e->vertex->meta.name : "");
}

static int check_edges(const struct solve *s, const struct edge *targets, size_t n_targets,
		       struct error **err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_targets; i++)
		r = check_edge(&targets[i], err);
	for (size_t i = 0; r == 0 && i < s->n_nodes; i++)
		for (size_t k = 0; r == 0 && k < s->nodes[i].v->n_inputs; k++)
			r = check_edge(&s->nodes[i].v->inputs[k], err);
	return r;
}

static unsigned cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 && n < 4096 ? (unsigned)n : 1;
}

static unsigned at_least(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

static int open_pool(struct solve *s, struct error **err)
{
	unsigned n = cores();
	unsigned workers = s->o->workers > 0 ? s->o->workers : at_least(8, 2 * n);
	int r;

	s->max_execs = s->o->max_parallelism > 0 ? s->o->max_parallelism : at_least(64, 8 * n);
	s->max_recent = s->o->max_parallelism > 0 ? s->max_execs : at_least(16, 4 * n);
	/* Execs never take the last workers: a slow RUN does not hold up a pull. Threads are
	 * started when needed only. */
	r = pool_open(s->max_execs + workers, &s->pool);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "start worker threads");
	return 0;
}

static void wait_for_event(struct solve *s)
{
	struct pollfd fds[2] = {
		{.fd = pool_fd(s->pool), .events = POLLIN},
		{.fd = s->o->cancel && !s->interrupted ? s->o->cancel->fd : -1, .events = POLLIN},
	};

	/* EINTR is an event like any other: everything is looked at again. */
	(void)poll(fds, 2, sched_exec_timeout(s));
}

static void loop(struct solve *s)
{
	struct pool_item *item;

	for (;;) {
		if (cancel_is_set(s->o->cancel))
			sched_interrupt(s);
		sched_advance(s);
		if (s->in_flight == 0)
			return;
		wait_for_event(s);
		/* Before the outcomes: what was interrupted has not failed. */
		if (cancel_is_set(s->o->cancel))
			sched_interrupt(s);
		while ((item = pool_collect(s->pool)))
			sched_collect(s, (struct task *)(void *)item);
		if (s->r == 0)
			sched_start_execs(s);
	}
}

static int take_results(struct solve *s, struct node *const *by_id, const struct edge *targets,
			size_t n_targets, struct result **ret, struct error **err)
{
	for (size_t i = 0; i < n_targets; i++)
		if (targets[i].vertex && !by_id[targets[i].vertex->id]->complete)
			return error_new(err, ERR_INTERNAL, 0, "the solver lost track of '%s'",
					 targets[i].vertex->meta.name);
	for (size_t i = 0; i < n_targets; i++) {
		const struct node *n = targets[i].vertex ? by_id[targets[i].vertex->id] : NULL;

		ret[i] = n ? s->o->ops->ref(n->outputs[targets[i].output]) : NULL;
	}
	return 0;
}

static int solve(struct solve *s, struct node *const *by_id, const struct edge *targets,
		 size_t n_targets, struct result **ret, struct error **err)
{
	int r;

	r = check_edges(s, targets, n_targets, err);
	if (r < 0)
		return r;
	r = open_pool(s, err);
	if (r < 0)
		return r;
	sched_announce_plan(s);
	for (size_t i = 0; i < s->n_nodes; i++)
		sched_touch(s, &s->nodes[i]);
	for (size_t i = 0; i < n_targets; i++)
		if (targets[i].vertex)
			sched_need(s, by_id[targets[i].vertex->id]);
	loop(s);
	sched_announce(s, true);
	if (s->r == 0)
		return take_results(s, by_id, targets, n_targets, ret, err);
	if (err) {
		error_free(*err);
		*err = TAKE_PTR(s->error);
	}
	return s->r;
}

int solver_solve(const struct solver_options *o, const struct graph *g, const struct edge *targets,
		 size_t n_targets, struct result **ret, struct error **err)
{
	_cleanup_free_ struct node **by_id = NULL;
	struct solve s = {.o = o};
	int r;

	cancel_init(&s.stop);
	make_nodes(&s, g, targets, n_targets, &by_id);
	r = solve(&s, by_id, targets, n_targets, ret, err);
	pool_free(s.pool);
	for (size_t i = 0; i < s.n_nodes; i++)
		node_release(o->ops, &s.nodes[i]);
	free(s.nodes);
	arena_release(&s.arena);
	free(s.known_inputs);
	vec_release(&s.told_inputs);
	vec_release(&s.recent);
	map_release(&s.makers, NULL);
	map_release(&s.ops, NULL);
	cancel_release(&s.stop);
	error_free(s.error);
	if (o->stats)
		*o->stats = s.stats;
	return r;
}
