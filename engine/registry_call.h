/* One call to a registry's API: servers, TLS or not, authentication, error answers. Private to
 * registry*.c. */
#ifndef KILN_ENGINE_REGISTRY_CALL_H
#define KILN_ENGINE_REGISTRY_CALL_H

#include "engine/registry.h"

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
		  char **ret_server, struct error **err);

#endif
