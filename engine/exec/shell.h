/* SPDX-License-Identifier: Apache-2.0 */
/* A shell in the place of a step's process. */
#ifndef KILN_ENGINE_EXEC_SHELL_H
#define KILN_ENGINE_EXEC_SHELL_H

#include "engine/sandbox/sandbox_plan.h"

/* Changes the plan of a step, which has run or not, into that of the step's shell on a terminal:
 * same root, mounts, user, directory, variables and network. What the process left in the root and
 * in bind mounts is there; its tmpfs mounts are new. */
int shell_plan(struct sandbox_plan *p, struct error **err) _must_check_;

#endif
