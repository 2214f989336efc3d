/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln build --call=check|outline|targets` and --check: answers about a Dockerfile on stdout
 * instead of a build. */
#ifndef KILN_CMD_BUILD_BUILD_CALL_H
#define KILN_CMD_BUILD_BUILD_CALL_H

#include "frontend/frontend.h"

enum call_method {
	CALL_BUILD,
	CALL_CHECK,
	CALL_OUTLINE,
	CALL_TARGETS,
	CALL_DESCRIBE,
	CALL_GRAPH /* kiln debug graph, see cmd/build/debug_graph.h */
};

struct call {
	enum call_method method;
	bool json;
};

/* The value of --call: METHOD[,format=json|text]; "lint" is check. NULL is build. */
int build_call_parse(const char *text, struct call *ret, struct error **err) _must_check_;
/* Prints the answer. `r` and *err are what compiling gave; an error that the answer shows is freed
 * and the exit status returned; else r (negative) is returned with *err. */
int build_call_answer(const struct call *call, const struct frontend_result *compiled, int r,
		      struct error **err) _must_check_;

#endif
