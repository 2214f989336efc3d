/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of steps.
 *
 * The default is a network namespace of its own with user-mode networking by pasta: it reaches what
 * this machine reaches and nothing on the machine itself. Setting one up costs tens of
 * milliseconds, so a pool keeps them: a network serves one step at a time and goes back when that
 * step's processes are gone. All end with the pool, and with kiln however it dies. Thread safe.
 */
#ifndef KILN_ENGINE_SANDBOX_NETWORK_H
#define KILN_ENGINE_SANDBOX_NETWORK_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strv.h"

struct network_pool;
struct network;

struct network_pool *network_pool_new(void);
/* Tells all networks to end, none of which may be in use. */
void network_pool_dismiss(struct network_pool *p);
void network_pool_free(struct network_pool *p); /* does so, too, and waits until they have */

/* Can isolated networks be made here? If not, steps share the host's; *ret_why says why not. */
bool network_available(const char **ret_why);
/* Has this machine a way out at all? pasta does nothing without a default route. */
bool network_routed(void);
/* Takes a network from the pool, or makes one; waits a little if others may soon put theirs
 * back. */
int network_acquire(struct network_pool *p, struct network **ret, struct error **err) _must_check_;
void network_put(struct network_pool *p, struct network *n);

/* A network of one container, with published ports: "8080:80", "127.0.0.1:8080:80/udp". With
 * `reach_host` what this machine serves on its address can be reached, too, though not what it
 * serves on its loopback. */
int network_open(const struct strv *publish, bool reach_host, struct network **ret,
		 struct error **err) _must_check_;
void network_close(struct network *n);

int network_fd(const struct network *n); /* of the namespace; borrowed */

/* What stands for this machine in --add-host. */
#define NETWORK_HOST_GATEWAY "host-gateway"
/* This machine's address towards the outside, IPv4; heap. NULL if it has none. */
char *network_host_address(void);

/* The text of /etc/resolv.conf for a container: the host's, without resolvers that only the host's
 * loopback has when the network is `isolated`. */
char *network_resolv_conf(bool isolated);
/* The text of /etc/hosts: localhost, the container's own name, `extra` as "name=address". */
char *network_hosts(const char *hostname, const struct strv *extra);

#endif
