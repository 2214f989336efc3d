/* SPDX-License-Identifier: Apache-2.0 */
/* Why a process of a step has failed, as far as what it leaves tells: the hint below the error, which
 * itself says no more than BuildKit's. Nothing is added where nothing is known. */
#ifndef KILN_ENGINE_EXEC_EXPLAIN_STEP_H
#define KILN_ENGINE_EXEC_EXPLAIN_STEP_H

#include "engine/exec/op_exec.h"

/* What ran out: memory or processes of its control group (may be NULL), or the disk; or the signal
 * that its status stands for. `dir`: where the step writes. Asked before any of them goes. */
void explain_limits(const struct exec_options *o, const struct cgroup *group, const char *dir,
		    int status, struct error **err);

struct failed_step {
	const struct exec_options *o;
	const struct op_exec *op;
	const struct result *root; /* what it began with; NULL: nothing */
	struct result *const *inputs;
	size_t n_inputs;
	int status;
};

/* A program that could not be started: a script without its interpreter or with the line ends of
 * another system, a file that is not executable, an image without a shell, a command written in a
 * way that nothing understands. */
void explain_program(const struct failed_step *step, struct error **err);

#endif
