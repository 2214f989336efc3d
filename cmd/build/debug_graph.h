/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln debug graph`: what a Dockerfile compiles to. */
#ifndef KILN_CMD_BUILD_DEBUG_GRAPH_H
#define KILN_CMD_BUILD_DEBUG_GRAPH_H

#include "cmd/cli/opt.h"
#include "frontend/frontend.h"

/* Compiles as `kiln build` with these arguments would, and prints the graph (cmd_build.c). Returns
 * the exit status. */
int build_debug_graph(const struct command *self, int argc, char **argv, bool json);

/* Prints what the targets reach to stdout: as JSON, or in the language of Graphviz's dot. 0, or
 * negative. */
int debug_graph_print(const struct graph *g, const struct frontend_result *compiled, size_t n,
		      bool json, struct error **err) _must_check_;

#endif
