/* SPDX-License-Identifier: Apache-2.0 */
/* Vertices in the making.
 *
 * What a context source must send (its followpaths) is known only when all stages are lowered, but
 * a vertex of the graph is final when it is added. So lowering makes drafts, and draft_emit turns
 * those that the target needs into vertices. A draft is made after its inputs. NULL stands for
 * scratch.
 */
#ifndef KILN_FRONTEND_DRAFT_H
#define KILN_FRONTEND_DRAFT_H

#include "base/vec.h"
#include "solver/graph.h"

/* Paths that are used of a context; absolute, cleaned. */
struct path_use {
	bool whole;
	VEC(const char *) paths;
	struct map seen;
};

struct draft_inputs;

struct draft {
	struct vertex v;	     /* without its inputs before draft_emit */
	struct draft *const *inputs; /* not NULL each; v.n_inputs */
	const struct path_use *use;  /* a local source: its followpaths; else NULL */
	bool wanted;
	struct vertex *vertex; /* after draft_emit: v, or one of the graph that is equal */
	/* Where draft_input last put it, so that it need not search. */
	const struct draft_inputs *input_of;
	size_t input_number;
};

struct drafts {
	struct arena *arena;
	VEC(struct draft *) list;
};

/* The distinct inputs of a draft. */
struct draft_inputs {
	VEC(struct draft *) list;
};
/* The number of `d` among the inputs, added if new; OP_INPUT_NONE for scratch. */
int draft_input(struct draft_inputs *inputs, struct draft *d);

/* `inputs` may be NULL; it is released. */
struct draft *draft_new(struct drafts *ds, const struct op *op, struct draft_inputs *inputs,
			const struct vertex_meta *meta);
/* What is in the graph already; NULL for scratch. */
struct draft *draft_of_edge(struct drafts *ds, struct edge e);
struct edge draft_emit(struct drafts *ds, struct graph *g, struct draft *target);
void drafts_release(struct drafts *ds);

/* Records the use of `path` (any form, seen from the root). */
void path_use_add(struct path_use *use, struct arena *a, const char *path);
void path_use_release(struct path_use *use);

#endif
