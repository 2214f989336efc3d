/* SPDX-License-Identifier: Apache-2.0 */
/* An ssh agent as a step sees it: a socket of its own that passes requests on to the real agent.
 *
 * A step may list keys and have things signed, nothing else: it cannot add, remove or lock keys. As
 * kiln connects to the agent, the step's user need not be allowed to. The protocol is that of
 * draft-miller-ssh-agent: a length of 4 bytes, a type byte and a body, one answer for each request.
 */
#ifndef KILN_ENGINE_SECRETS_SSH_FORWARD_H
#define KILN_ENGINE_SECRETS_SSH_FORWARD_H

#include <sys/types.h>

#include "base/error.h"

struct ssh_forward;

/* Listens at the socket `name` in the directory `dir`, which gets that owner and mode, on a thread
 * of its own, and passes on to the agent's socket. */
int ssh_forward_start(const char *agent, const char *dir, const char *name, uid_t uid, gid_t gid,
		      mode_t mode, struct ssh_forward **ret, struct error **err) _must_check_;
void ssh_forward_stop(struct ssh_forward *f);

#endif
