/* SPDX-License-Identifier: Apache-2.0 */
/* A build that `kiln serve` has started asks it for what the client has: secrets, agents, credentials.
 *
 * On a socket that the build inherits (--host-fd), one JSON document a line. The build asks
 * {"ask": "secret" | "agent" | "credentials", "of": ID}, one question at a time, and gets
 * {"found": false}, {"error": TEXT} or {"found": true, ...} with "value" (base64), "socket" (a path), or
 * "username" and "secret". At its end it says {"error": TEXT, ...} if it failed, with "file", "data"
 * (base64), "line" and "end_line" where it is about a place in a Dockerfile, and "status" of a step.
 * A build whose server is gone is canceled.
 */
#ifndef KILN_CMD_BUILD_BUILD_HOST_H
#define KILN_CMD_BUILD_BUILD_HOST_H

#include "base/cancel.h"
#include "base/error.h"
#include "engine/secrets/grants.h"

struct build_host;

int build_host_open(int fd, struct cancel *cancel, struct build_host **ret,
		    struct error **err) _must_check_;
void build_host_close(struct build_host *h);
/* From now on what these do not know is asked for. */
void build_host_lend(struct build_host *h, struct grants *g);
/* Tells of the failure. `name` and `data` are the Dockerfile's, if it is about one. */
void build_host_fail(struct build_host *h, const struct error *err, const char *name,
		     const struct buf *data);

#endif
