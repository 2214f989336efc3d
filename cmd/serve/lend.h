/* SPDX-License-Identifier: Apache-2.0 */
/* What a build asks the client for by its server (cmd/build/build_host.h). */
#ifndef KILN_CMD_SERVE_LEND_H
#define KILN_CMD_SERVE_LEND_H

#include <jansson.h>

#include "base/vec.h"
#include "cmd/serve/agent.h"
#include "cmd/serve/session.h"

struct lend {
	struct server *server;
	struct session *session;
	const char *dir; /* of the build */
	VEC(struct agent *) agents;
};

/* The answer to a question. */
json_t *lend_answer(struct lend *l, const json_t *question);
void lend_release(struct lend *l);

#endif
