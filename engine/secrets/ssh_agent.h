/* SPDX-License-Identifier: Apache-2.0 */
/* Key files as an ssh agent: an ssh-agent of our own (package openssh-client) that holds them for
 * as long as the build lasts. */
#ifndef KILN_ENGINE_SECRETS_SSH_AGENT_H
#define KILN_ENGINE_SECRETS_SSH_AGENT_H

#include "base/cancel.h"
#include "base/error.h"
#include "base/strv.h"
#include "store/store.h"

struct ssh_agent;

/* `files` are private keys without passphrases; of pipes `cancel` ends the wait. */
int ssh_agent_start(struct store *s, const struct strv *files, const struct cancel *cancel,
		    struct ssh_agent **ret, struct error **err) _must_check_;
/* Its keys are gone when this returns. */
void ssh_agent_stop(struct ssh_agent *a);

const char *ssh_agent_socket(const struct ssh_agent *a); /* borrowed; for this process's children */

#endif
