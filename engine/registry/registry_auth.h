/* SPDX-License-Identifier: Apache-2.0 */
/* How registries are convinced: the WWW-Authenticate challenge of a 401, Basic credentials, and
 * Bearer tokens fetched from the challenge's realm and cached per server and scope until they
 * expire.
 *
 * Sources: RFC 7235 section 4.1; distribution's docs/spec/auth/token.md and oauth.md.
 */
#ifndef KILN_ENGINE_REGISTRY_REGISTRY_AUTH_H
#define KILN_ENGINE_REGISTRY_REGISTRY_AUTH_H

#include "base/alloc.h"
#include "base/vec.h"
#include "engine/http/http.h"

enum auth_scheme { AUTH_BASIC = 1, AUTH_BEARER };

struct auth_challenge {
	enum auth_scheme scheme;
	char *realm, *service, *scope; /* NULL where absent */
};
struct auth_challenges {
	VEC(struct auth_challenge) list;
};
/* Appends the Basic and Bearer challenges of one header value; other schemes are passed over.
 * 0, or -EINVAL where the value cannot be read (what came before it is kept). */
int auth_challenges_parse(const char *value, struct auth_challenges *ret) _must_check_;
void auth_challenges_release(struct auth_challenges *c);

/* The server a request goes to; borrowed strings. */
struct auth_server {
	const char *url;  /* "https://registry-1.docker.io" */
	const char *host; /* as in image references and in docker's config: "docker.io" */
	const char *ca;
	bool insecure;
};

struct registry_auth;
struct registry_auth *registry_auth_new(struct http *http); /* borrows http; thread safe */
void registry_auth_free(struct registry_auth *a);
DEFINE_FREEP(struct registry_auth, registry_auth_free)

/* Credentials that count for the server `host` instead of the stored ones: those of a log-in that
 * are to be tried. Borrowed; set before the first call. */
struct credentials;
void registry_auth_try(struct registry_auth *a, const char *host, const struct credentials *c);

/* The Authorization value that is known to serve `scope` ("repository:x:pull", several separated by
 * a space), or NULL: then ask without. Heap. */
char *registry_auth_known(struct registry_auth *a, const struct auth_server *server,
			  const char *scope);
/* Answers a 401: *ret (heap) is the Authorization value for another try. ERR_DENIED, with a hint to
 * log in, if there is no answer. */
int registry_auth_answer(struct registry_auth *a, const struct auth_server *server,
			 const char *scope, const struct http_response *challenge,
			 struct cancel *cancel, char **ret, struct error **err) _must_check_;
/* That answer was taken: others may use it now. A token may be good for one request, and who fetched
 * it must not find it spent by another. */
void registry_auth_used(struct registry_auth *a, const struct auth_server *server,
			const char *scope, const char *authorization);

#endif
