/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the targets of a plan: each becomes a request like that of `kiln build`, and all are solved as one
 * graph, in which what they share is one. */
#ifndef KILN_CMD_BAKE_BAKE_BUILD_H
#define KILN_CMD_BAKE_BAKE_BUILD_H

#include "cmd/cli/opt.h"
#include "frontend/bake/bake_plan.h"

struct bake_run {
	const struct command *self;
	const struct bake_plan *plan;
	const char *progress, *metadata_file;
	const char *call; /* --call; NULL: each target's own */
};

/* The exit status; errors are printed. */
int bake_build(const struct bake_run *given);

#endif
