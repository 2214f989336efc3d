/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the targets of a graph: reuses what the cache has, runs the rest in parallel.
 *
 * The solver knows no file system and no cache store: `struct solver_ops` runs ops and digests what
 * they select, `struct cache_backend` finds and keeps results. A `struct result` is the engine's
 * and opaque here; NULL is the empty rootfs ("scratch") wherever a result is passed.
 *
 * For every vertex that a target reaches (docs/formats-op.md, "Keys"):
 *   1. sources are pinned, all at once; a source known only by its content (a local context) is
 * run;
 *   2. its definition key is computed from its op and its inputs' definition keys, and looked up;
 *   3. if it is needed and missed, its inputs are made, then the content key is computed
 *      from what the op selects of them, and looked up;
 *   4. if that missed too, it runs, and its result is added under both keys.
 * A copy that no record can exist for (cache_backend.knows) skips 2 and 3: what it copies is
 * digested while it is copied, and then its keys are computed.
 * A vertex is needed if it is a target or if a needed vertex missed and has it as input.
 *
 * Threads: solver_solve runs its event loop on the calling thread and returns when everything it
 * started has ended. `run`, `pin`, `content` and the cache callbacks with a job are called on
 * workers, several at once; all callbacks must be thread safe. Several solves may run at once.
 *
 * Events: first every vertex that a target reaches emits VERTEX_PLANNED, in graph order. Then one that
 * works emits VERTEX_STARTED and then DONE, FAILED or CANCELED; one that was
 * found emits only VERTEX_CACHED, unless it reported something before, such as a wait. Hits by
 * definition are emitted in graph order.
 */
#ifndef KILN_SOLVER_SOLVER_H
#define KILN_SOLVER_SOLVER_H

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"
#include "solver/cachekey.h"
#include "solver/graph.h"
#include "solver/progress.h"

struct result;

/* What a source stands for right now. */
struct pin {
	bool has_key; /* false: known only by its content, see solver_ops.content */
	struct digest
		key; /* of everything that shapes the result: commit and subdirectory, layers and
		      * platform, ...; the op itself (its name, its attributes) adds nothing */
};

#define SOLVER_NOT_HOLLOW ((size_t)-1)

/* What runs ops. All may block; they get a job to report through and poll job_cancel(job). */
struct solver_ops {
	/* For OP_SOURCE only. Nothing is shown of the job unless it reports or fails. A source
	 * without key is run at once, once per solve (its VERTEX_STARTED .. DONE are always shown),
	 * and its consumers use the content digest of what they select in their definition key too.
	 */
	int (*pin)(void *data, struct job *job, const struct vertex *v, struct pin *ret,
		   struct error **err);
	/* The digest of `in`, input number `input` of v, as v's op selects it: op_use_next
	 * (solver/op_key.h) lists what that is. *ret_available = false where it cannot be told
	 * without fetching (a layer that is still remote): then v has no content key. Not called
	 * for NULL. */
	int (*content)(void *data, struct job *job, const struct vertex *v, size_t input,
		       struct result *in, struct digest *ret, bool *ret_available,
		       struct error **err);
	/* Fills ret_outputs[0 .. n_outputs), each a reference that the solver takes (nothing on
	 * failure). n_outputs is op_n_outputs(&v->op). `inputs` has one result per vertex input,
	 * borrowed.
	 *
	 * *ret_hollow is SOLVER_NOT_HOLLOW on entry. Where the failure is that a reused input
	 * is not available after all (its lazy blob is gone or does not verify), set it to the
	 * input's number: if that result came from the cache the record is forgotten, the input
	 * runs and then v is tried again; else the error stands. */
	int (*run)(void *data, struct job *job, const struct vertex *v,
		   struct result *const *inputs, struct result **ret_outputs, size_t n_outputs,
		   size_t *ret_hollow, struct error **err);
	/* Optional. What else v's result depends on that neither its op nor its inputs show: true
	 * puts *ret into both its keys. On the solver's thread. */
	bool (*salt)(void *data, const struct vertex *v, struct digest *ret);
	struct result *(*ref)(struct result *r); /* NULL gives NULL */
	void (*unref)(struct result *r);	 /* accepts NULL */
};

struct cache_query {
	const struct vertex *v;
	const struct digest *key;
	/* A content key: the result found is put on top of `inputs`. Else a definition key. */
	bool by_content;
	/* One a vertex input. By content: all of them. By definition: those that are known so far,
	 * NULL where it is not known or scratch; a result made of others than these is not found,
	 * so that everything that one build uses belongs together. */
	struct result *const *inputs;
	struct result **outputs; /* filled on a hit as `run` does */
	size_t n_outputs;
};

enum cache_answer {
	CACHE_MISS,
	CACHE_HIT,
	CACHE_EXPIRED, /* there is one, but it is too old to be used: v has to run afresh */
	CACHE_OTHER,   /* there is one, but it is made of other inputs: what was made of it in turn
			* does not belong to this build either */
};

/* What a run of v made, or (in `link`) what was found for it by content. */
struct cache_entry {
	const struct vertex *v;
	const struct digest *keys;
	size_t n_keys;
	bool has_content_key;	      /* the last of them is one */
	struct result *const *inputs; /* one a vertex input */
	const struct key_part *parts; /* one a vertex input: their content; kind
				       * KEY_PART_DEFINITION where it could not be told; NULL:
				       * nothing was asked */
	const struct digest *salt;    /* what solver_ops.salt gave; NULL: nothing */
	struct result **outputs;      /* NULL in `failed` */
	size_t n_outputs;
	int64_t duration_ns;
};

/* Where results are kept between solves. */
struct cache_backend {
	/* By definition on the solver's thread, where it must not block for long, and on a worker
	 * after a lock was waited for; by content on a worker. What is found may go away until it
	 * is held. Most of it never is, since nothing is made of it. */
	int (*find)(void *data, const struct cache_query *q, enum cache_answer *ret,
		    struct error **err);
	/* Optional. What is found between two of these, on the solver's thread, may be as old as
	 * the first: finding much in a row is to be cheap. It does not block in between. */
	void (*burst)(void *data, bool begins);
	/* Optional. Sees to it that outputs that were found stay for as long as the solve runs.
	 * *ret_held = false if they are gone already: the record is then forgotten. Where find was
	 * called. */
	int (*hold)(void *data, struct result *const *outputs, size_t n, bool *ret_held,
		    struct error **err);
	/* Keeps the outputs under all the keys; a key that exists is moved. May replace an output
	 * by one of equal content that it already has. On a worker. */
	int (*add)(void *data, const struct cache_entry *e, struct error **err);
	/* After a hit by content: e->keys[0], the definition, stands for the outputs too from now
	 * on. On a worker. */
	int (*link)(void *data, const struct digest *content, const struct cache_entry *e,
		    struct error **err);
	/* Optional. A run failed, which leaves nothing to keep. On a worker. */
	void (*failed)(void *data, const struct cache_entry *e);
	/* Optional. Could any result be found for v's op, whatever its inputs are? If not, the
	 * files that it copies are digested as they are copied and not before. A wrong yes costs
	 * time, a wrong no a run. On the solver's thread. */
	bool (*knows)(void *data, const struct vertex *v);
	/* A record turned out hollow: forgets it under all the keys. */
	void (*forget)(void *data, const struct digest *keys, size_t n_keys,
		       const struct vertex *v);
	/* Optional, both or none: the lock that lets one process run a step while others wait for
	 * it.
	 * `*ret_waited` = true if somebody else held it: the solver then looks again. On a worker;
	 * poll job_cancel(job) while waiting (-ERR_CANCELED). No worker holds two. */
	int (*lock)(void *data, struct job *job, const struct digest *key, void **ret_lock,
		    bool *ret_waited, struct error **err);
	void (*unlock)(void *data, void *lock);
};

struct solver_stats {
	size_t vertices; /* reachable from the targets */
	size_t definition_hits, content_hits;
	size_t runs;   /* sources without key included */
	size_t hollow; /* hits that had to be run after all */
};

struct solver_options {
	const struct solver_ops *ops;
	void *ops_data;
	const struct cache_backend *cache; /* NULL: nothing is looked up or kept */
	void *cache_data;
	const struct progress *progress; /* NULL: silent */
	struct cancel *cancel;		 /* Ctrl-C; may be NULL */
	/* OP_EXEC at once. 0: max(64, 8 x cores), of which max(16, 4 x cores) have begun in the
	 * last 150 ms: steps that wait for something do not keep others waiting, and many short
	 * ones do not all begin at once, each with a network to be made. */
	unsigned max_parallelism;
	unsigned workers;	    /* threads for everything else; 0: max(8, 2 x cores) */
	struct solver_stats *stats; /* filled at the end, also on failure; may be NULL */
	/* Optional. Told of the outputs (borrowed) of every vertex that had to be made, as
	 * soon as they stand, while others are still worked on: what goes out can set out then. On
	 * the solver's thread, where it must not block; may come twice for a hollow hit. */
	void (*made)(void *data, const struct vertex *v, struct result *const *outputs,
		     size_t n_outputs);
	void *made_data;
};

/* ret[i] = a reference to the result of targets[i], NULL for scratch; untouched on failure.
 *
 * The first failure cancels the rest, which is waited for; its error is returned, placed at the
 * vertex's source line if it had no place. A set o->cancel gives ERR_CANCELED. */
int solver_solve(const struct solver_options *o, const struct graph *g, const struct edge *targets,
		 size_t n_targets, struct result **ret, struct error **err) _must_check_;

#endif
