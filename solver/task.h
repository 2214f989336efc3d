/* Inside of the solver: one call into the engine on a worker, with everything it reads and makes,
 * so that workers share nothing with the event loop. */
#ifndef KILN_SOLVER_TASK_H
#define KILN_SOLVER_TASK_H

#include "base/pool.h"
#include "solver/sched.h"

enum task_kind {
	TASK_PIN,
	TASK_CONTENT, /* digest of one input, for the definition key */
	TASK_PREPARE, /* digests of all inputs, look up by content */
	TASK_RUN,
};

struct task {
	struct pool_item item;
	enum task_kind kind;
	const struct solver_options *o;
	struct node *node; /* the loop's; workers read only v through the copy below */
	const struct vertex *v;
	struct job *job;
	struct result **inputs; /* references; one a vertex input */
	size_t n_inputs, n_outputs;
	size_t input;		/* TASK_CONTENT */
	struct key_part *parts; /* TASK_PREPARE: those of kind CONTENT are known already */

	/* Keys to look up and to add under. */
	bool has_key, has_content_key;
	struct digest key, content_key;
	bool find_key, find_content;

	int r;
	struct error *err;
	struct pin pin;
	struct digest content;
	bool available;		 /* TASK_CONTENT */
	bool found;		 /* outputs came from the cache */
	struct result **outputs; /* NULL unless found or run */
	size_t hollow;
};

struct task *task_new(struct solve *s, struct node *n, enum task_kind kind, struct job *job);
/* Drops references and what was not taken. Does not close the job. */
void task_free(struct task *t);
void task_submit(struct solve *s, struct task *t);

/* For outputs arrays. */
struct result **task_results_new(size_t n);
void task_results_free(const struct solver_ops *ops, struct result **v, size_t n);

#endif
