/* SPDX-License-Identifier: Apache-2.0 */
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
	TASK_RUN,     /* and look again after waiting for a lock; then keep what was made */
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
	size_t input; /* TASK_CONTENT */
	/* Parts of the definition key as far as they are known, and of the content key. Those of
	 * kind CONTENT among the former need not be asked for again. */
	struct key_part *parts, *contents;
	bool late; /* TASK_RUN: the definition key is computed after the run */

	/* Keys to look up and to add under. */
	bool has_key, has_content_key;
	struct digest key, content_key;
	bool has_salt;
	struct digest salt;
	bool find_key, find_content;

	int r;
	struct error *err;
	struct pin pin;
	struct digest content;
	bool available;		  /* TASK_CONTENT */
	enum cache_answer answer; /* CACHE_HIT: outputs came from the cache */
	bool replaced;		  /* some of the outputs that were made gave way to earlier ones */
	struct result **outputs;  /* NULL unless found or run */
	size_t hollow;
};

struct task *task_new(struct solve *s, struct node *n, enum task_kind kind, struct job *job);
/* Drops references and what was not taken. Does not close the job. */
void task_free(struct task *t);
void task_submit(struct solve *s, struct task *t);

/* Heap; NULL for none. */
struct key_part *task_parts_copy(const struct key_part *parts, size_t n);

/* For outputs arrays. */
struct result **task_results_new(size_t n);
void task_results_free(const struct solver_ops *ops, struct result **v, size_t n);

#endif
