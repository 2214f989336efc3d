/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up a host's addresses without having to wait for it: the resolver of the C library heeds
 * neither Ctrl-C nor a time limit, and a server that is silent keeps it for minutes. */
#ifndef KILN_ENGINE_HTTP_RESOLVE_H
#define KILN_ENGINE_HTTP_RESOLVE_H

#include <netdb.h>

#include "base/cancel.h"
#include "base/error.h"

/* Stream addresses of a host, to be freed with freeaddrinfo. ERR_UNAVAILABLE (unknown host),
 * ERR_TIMEOUT, ERR_CANCELED (`cancel` may be NULL). */
int resolve_host(const char *host, const char *port, struct cancel *cancel, int timeout_ms,
		 struct addrinfo **ret, struct error **err) _must_check_;

#endif
