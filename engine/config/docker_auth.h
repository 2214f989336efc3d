/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's configuration: $DOCKER_CONFIG/config.json, else ~/.docker/config.json. Credentials for
 * registries are looked for in the document in $DOCKER_AUTH_CONFIG first. Read anew on each
 * look-up; helper programs (credHelpers, credsStore) are run as docker runs them:
 * `docker-credential-NAME get` with the server's name on stdin.
 */
#ifndef KILN_ENGINE_CONFIG_DOCKER_AUTH_H
#define KILN_ENGINE_CONFIG_DOCKER_AUTH_H

#include <stdbool.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/strv.h"

struct credentials {
	char *username; /* NULL with an identity token */
	char *secret;	/* password or identity (refresh) token; wiped on release */
	bool identity_token;
};
void credentials_release(struct credentials *c);

/* Looks up the registry `host` ("docker.io", "127.0.0.1:5000"). *ret_found = false if nothing is
 * known: then the registry is asked anonymously. A config file that cannot be parsed and a helper
 * that fails are errors naming them. */
int docker_auth_lookup(const char *host, struct cancel *cancel, bool *ret_found,
		       struct credentials *ret, struct error **err) _must_check_;

/* Somebody else is asked instead, of whose machine the credentials are. NULL: nobody. */
typedef int docker_auth_fn(void *data, const char *host, bool *ret_found, struct credentials *ret,
			   struct error **err);
void docker_auth_by(docker_auth_fn *find, void *data);

/* `kiln login`: keeps credentials that were found to be good, with the helper program that the
 * config file names for this registry, else in the file itself (mode 0600), whose other content
 * stays. *ret_where (heap) says in which of them, for people; *ret_plain whether that is in the
 * clear. */
int docker_auth_store(const char *host, const struct credentials *c, struct cancel *cancel,
		      char **ret_where, bool *ret_plain, struct error **err) _must_check_;
/* `kiln logout`: *ret_found = false if nothing was stored. */
int docker_auth_erase(const char *host, struct cancel *cancel, bool *ret_found,
		      struct error **err) _must_check_;

/* The proxies that docker gives its builds ("proxies", "default"), as build arguments in both
 * spellings, HTTP_PROXY=... and http_proxy=..., appended to `ret`. */
int docker_config_proxies(struct strv *ret, struct error **err) _must_check_;

#endif
