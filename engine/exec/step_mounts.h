/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of an exec op beside its root: RUN --mount. */
#ifndef KILN_ENGINE_EXEC_STEP_MOUNTS_H
#define KILN_ENGINE_EXEC_STEP_MOUNTS_H

#include "engine/exec/op_exec.h"

/* What the mounts of one step hold on to until it has ended. */
struct step_mounts {
	VEC(struct mount_use *) caches; /* one per mount of the op, NULL if it is not a cache */
	VEC(struct ssh_forward *) agents;
	VEC(char *) dirs; /* of the agents' sockets, below the scratch directory */
};
#define STEP_MOUNTS_INIT \
	{                \
		0        \
	}

/* Adds every mount of `op` but the root to the plan, and secret and ssh variables to its
 * environment. The plan's scratch directory must be set. */
int step_mounts_add(const struct exec_options *o, const struct op_exec *op,
		    struct result *const *inputs, size_t n_inputs, struct job *job,
		    struct sandbox_plan *p, struct step_mounts *ret, size_t *ret_hollow,
		    struct error **err) _must_check_;
void step_mounts_release(struct step_mounts *m);

#endif
