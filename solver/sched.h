/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the solver: the state of one solve, and what its event loop does with it.
 *
 * Everything here belongs to the thread of solver_solve; workers see only their struct task
 * (solver/task.h). The scheduler is a set of idempotent steps: whatever changes about a node, it is
 * put on the ready queue, and sched_advance does what has become possible.
 *
 * A node's life:  key unknown -> settled (looked up by definition, hit or not)
 *                 needed -> inputs complete -> PREPARING (content key) -> QUEUED -> RUNNING ->
 * complete A hit completes as soon as it is needed. A hollow hit goes from complete back to needed.
 */
#ifndef KILN_SOLVER_SCHED_H
#define KILN_SOLVER_SCHED_H

#include "base/arena.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/vec.h"
#include "solver/cachekey.h"
#include "solver/solver.h"

struct node;
struct task;

struct consumer {
	struct node *node;
	size_t input;
};

enum key_state {
	KEY_UNKNOWN,
	KEY_KNOWN,
	KEY_NONE, /* none: content that is not known is part of it */
	KEY_LATE, /* nothing can be found under it; it is known when the inputs are complete, or
		   * once the vertex has run */
};

enum phase { PHASE_IDLE, PHASE_PREPARING, PHASE_PARKED, PHASE_QUEUED, PHASE_RUNNING };

/* A first-in first-out list of nodes, each at most once in it. */
struct node_queue {
	struct node *first, *last;
};

struct node {
	const struct vertex *v;
	struct node **inputs; /* one a vertex input; NULL: scratch */
	struct consumer *consumers;
	size_t n_consumers;
	size_t n_outputs;

	enum key_state key_state;
	struct digest key;
	bool pinning;
	bool content_only;	/* a source without key */
	size_t parts_missing;	/* inputs whose part of the definition key is unknown */
	struct key_part *parts; /* of the definition key; content parts are also reused */
	bool part_unavailable;
	size_t parts_late; /* own parts that are digested while the vertex runs */
	bool has_salt;
	struct digest salt;
	/* Not to be found by definition: it, or something it is made of, must run afresh, so that
	 * an older result under this key may be stale. What is then found by content is not. */
	bool fresh;
	bool settled;
	bool definition_hit; /* found when it was settled; hits that come later are announced at
				once */
	bool must_run;	     /* not to be found at all: ignore_cache, or found and hollow */

	bool needed;
	bool look_again; /* by definition: another node has just added a result under the key */
	enum phase phase;
	size_t inputs_missing; /* inputs that are not complete */
	bool has_content_key;
	struct digest content_key;
	struct key_part *contents; /* parts of the content key; NULL: not asked for */
	bool from_cache;	   /* some of `outputs` is older than this solve */
	bool complete;
	uint64_t looked_at, made_at; /* see solve.n_made; 0: never */
	struct result **outputs;     /* NULL unless found or complete */
	struct job *job;	     /* open from PREPARING to complete */

	bool queued; /* in solve.ready */
	struct node *next_ready;
	struct node *next_waiting; /* in solve.execs or another node's parked */
	struct node_queue parked;  /* nodes of an equal key that wait for this one */
};

/* A RUN step that has begun a moment ago. */
struct recent {
	const struct node *node;
	int64_t began;
};

struct solve {
	const struct solver_options *o;
	struct arena arena; /* what hangs on nodes and stays as it is */
	struct node *nodes; /* those reachable, in graph order */
	size_t n_nodes;
	struct pool *pool;
	size_t in_flight; /* tasks submitted and not collected */
	struct node_queue ready;
	struct node_queue execs; /* waiting for one of the max_parallelism places */
	unsigned n_execs, max_execs;
	VEC(struct recent) recent; /* the earliest first; at most max_recent are started */
	unsigned max_recent;
	struct map
		ops; /* key form of an op -> the node that alone has it; anything else: several */
	bool ops_counted;
	struct map makers; /* key -> node that last began to make a result for it */
	uint64_t n_made;   /* results added; the clock of made_at and looked_at */
	struct result *
		*known_inputs; /* those of the look-up that is made; room for all of a node */
	VEC(struct digest) told_inputs; /* those of the event that is made */
	size_t announced;   /* nodes before this one were announced as cached if they are */
	struct cancel stop; /* given to jobs; set by the first failure and by o->cancel */
	bool interrupted;
	int r; /* the first failure */
	struct error *error;
	struct solver_stats stats;
};

/* Marks a target. */
void sched_need(struct solve *s, struct node *n);
void sched_touch(struct solve *s, struct node *n);
/* Hands out free places for RUN steps. */
void sched_start_execs(struct solve *s);
/* How long until there may be one though no step ends, in milliseconds; -1: until one ends. */
int sched_exec_timeout(const struct solve *s);
/* Works off the ready queue. */
void sched_advance(struct solve *s);
/* Takes a finished task and frees it. */
void sched_collect(struct solve *s, struct task *t);
/* Announces the definition hits that come next in graph order; all = true: all that are known. */
/* Tells of every vertex that it will be looked up, and made if it is needed. */
void sched_announce_plan(struct solve *s);
void sched_announce(struct solve *s, bool all);
void sched_interrupt(struct solve *s);

#endif
