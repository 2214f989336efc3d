/* SPDX-License-Identifier: Apache-2.0 */
/* An ssh agent of a client as a socket of this machine, which a build connects to. */
#ifndef KILN_CMD_SERVE_AGENT_H
#define KILN_CMD_SERVE_AGENT_H

#include "cmd/serve/session.h"

struct agent;

/* Listens at `path`, which only this user may connect to. */
int agent_open(struct server *s, struct session *session, const char *id, const char *path,
	       struct agent **ret, struct error **err) _must_check_;
/* Ends every conversation. */
void agent_close(struct agent *a);
const char *agent_id(const struct agent *a);
const char *agent_path(const struct agent *a);

#endif
