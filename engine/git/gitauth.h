/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials for git servers, from the secrets and agents that the build was given. */
#ifndef KILN_ENGINE_GIT_GITAUTH_H
#define KILN_ENGINE_GIT_GITAUTH_H

#include "engine/secrets/grants.h"

/* Ids of secrets; NULL: none. With ".HOST" behind them they are for one host; without, for the host
 * of the repository that the build names, never for one that only a submodule names. */
struct gitauth_names {
	const char *header; /* the value of Authorization as it is */
	const char *token;
};
/* The Authorization header for `url`, a repository or submodule of `main_url`; *ret (heap) stays
 * NULL if there is none. Host-specific secrets come first, headers before tokens. */
int gitauth_header(const struct grants *grants, const struct gitauth_names *names, const char *url,
		   const char *main_url, char **ret, struct error **err) _must_check_;

/* The agent of --ssh default, else of this process; NULL if there is none. Borrowed. */
const char *gitauth_ssh_socket(const struct grants *grants);

#endif
