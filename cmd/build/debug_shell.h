/* SPDX-License-Identifier: Apache-2.0 */
/* Shells in steps of a build: --debug-shell, and `kiln debug shell`. */
#ifndef KILN_CMD_BUILD_DEBUG_SHELL_H
#define KILN_CMD_BUILD_DEBUG_SHELL_H

#include "cmd/cli/opt.h"
#include "cmd/progress/display.h"
#include "engine/exec/op_exec.h"
#include "solver/graph.h"

struct debug_shell {
	struct display *display; /* set before the first step runs */
	struct cancel *cancel;
	bool opened; /* out: somebody had a shell */
	int status;  /* out: of the last one */
};

/* `kiln debug shell STEP BUILD-ARGUMENTS...`: builds as `kiln build` would, up to the step
 * (cmd_build.c). Returns the exit status, the shell's own where there was one. */
int build_debug_shell(const struct command *self, int argc, char **argv, const char *step);

/* Offers a shell in every step that fails. */
void debug_shell_on_failure(struct debug_shell *d, struct exec_debugger *ret);
/* Opens one instead of running the only RUN step that `which`, a line or a glob, means; *ret_step
 * is the step. */
int debug_shell_before(struct debug_shell *d, const struct graph *g, const char *which,
		       struct exec_debugger *ret, struct vertex **ret_step,
		       struct error **err) _must_check_;

#endif
