/* SPDX-License-Identifier: Apache-2.0 */
/* One call to a registry's API: servers, TLS or not, authentication, error answers. Private to
 * registry*.c. */
#ifndef KILN_ENGINE_REGISTRY_REGISTRY_CALL_H
#define KILN_ENGINE_REGISTRY_REGISTRY_CALL_H

#include "engine/registry/registry.h"

struct registry_call {
	const char *host;  /* the registry */
	const char *path;  /* "/v2/..." or, once a server is known, a whole URL */
	const char *scope; /* "repository:library/python:pull" */
	const char *what;  /* what is asked for, for messages: "docker.io/library/x:latest" */
	bool origin_only;  /* no mirrors */
	struct http_request http; /* url and authorization are filled in */
};

/* Success is a 2xx. *ret_server (heap, may be NULL) names the server that answered last. */
int registry_call(struct registry *r, const struct registry_call *call, struct http_response *ret,
		  char **ret_server, struct error **err) _must_check_;

/* Is the registry itself configured as "insecure"? */
bool registry_is_insecure(struct registry *r, const char *host);
/* What a request for a manifest or an index takes: a header line. */
extern const char registry_accept_manifests[];
/* "message" of a registry's JSON error, else its code, with nothing in it that moves a cursor;
 * appends nothing if `p` is not such a document. */
void registry_error_text(const void *p, size_t n, struct buf *ret);

#endif
