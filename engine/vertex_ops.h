/* SPDX-License-Identifier: Apache-2.0 */
/* What the solver asks of the engine (solver/solver.h, struct solver_ops): each kind of op handed
 * to the module that does it. */
#ifndef KILN_ENGINE_VERTEX_OPS_H
#define KILN_ENGINE_VERTEX_OPS_H

#include "base/cancel.h"
#include "solver/solver.h"

struct engine;

struct vertex_ops {
	struct engine *engine;
	bool *is_read; /* per vertex id: some op reads its tree, as exporting and merging do not */
	bool *needs_dir; /* per vertex id: its layers are of use as dirs only */
};

void vertex_ops_init(struct vertex_ops *o, struct engine *e, const struct graph *g,
		     const struct edge *targets, size_t n_targets);
void vertex_ops_release(struct vertex_ops *o);

extern const struct solver_ops vertex_solver_ops; /* data: struct vertex_ops */

#endif
