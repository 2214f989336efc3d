/* SPDX-License-Identifier: Apache-2.0 */
/* One thing to build, and what it shares with others of the same command.
 *
 * `kiln build` has one request, `kiln bake` one a target: each is compiled into the session's graph, in
 * which equal steps are one, and all are solved at once (build_outputs_make).
 *
 *	build_session_open(&session, err);
 *	build_request_grant(&q, err);		what its steps are given
 *	build_request_compile(&q, err);		reads its Dockerfile, adds to the graph
 *	build_request_foresee(&q);		what its outputs are going to need
 */
#ifndef KILN_CMD_BUILD_BUILD_REQUEST_H
#define KILN_CMD_BUILD_BUILD_REQUEST_H

#include "cmd/build/build_call.h"
#include "cmd/build/build_input.h"
#include "cmd/build/build_options.h"
#include "cmd/build/build_outputs.h"
#include "engine/engine.h"

struct build_session {
	struct store *store;
	struct cancel *cancel;
	const struct progress *progress;
	struct engine *engine;
	struct graph graph;
	int64_t started;    /* ns */
	struct strv agents; /* ID=PATHS of the ssh agents that were given */
	bool has_limits;    /* the limits of steps are set */
};

struct build_request {
	struct build_session *session; /* borrowed */
	const char *name; /* of the target, in steps and messages; NULL: it is the only one */
	struct build_options options;
	struct call call; /* not CALL_BUILD: a question instead of a build */
	struct build_input input;
	struct frontend_result *compiled; /* one per platform */
	size_t n_platforms;
	struct build_outputs outputs;
};

/* Opens the engine; store, cancel and progress are set. */
int build_session_open(struct build_session *s, struct error **err) _must_check_;
void build_session_close(struct build_session *s);

int build_request_grant(struct build_request *q, struct error **err) _must_check_;
int build_request_compile(struct build_request *q, struct error **err) _must_check_;
void build_request_foresee(struct build_request *q);
void build_request_release(struct build_request *q);

#endif
