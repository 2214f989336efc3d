/* SPDX-License-Identifier: Apache-2.0 */
/* Files between a client's session and folders of the server, by the protocol of fsutil: descriptions of
 * all entries, from which the receiver asks for the files that it wants. */
#ifndef KILN_CMD_SERVE_FILESYNC_H
#define KILN_CMD_SERVE_FILESYNC_H

#include "base/strv.h"
#include "cmd/serve/session.h"

/* Receives the client's local folder called `folder` into `dir`, which is empty. Of it only `follow` with what
 * its links lead to, if that is not empty, and not what `exclude` fits. What the client says of paths
 * never leads out of `dir`. Devices and sockets are left out. */
int filesync_receive(struct server *s, struct session *session, const char *folder,
		     const struct strv *follow, const struct strv *exclude, const char *dir,
		     struct error **err) _must_check_;

/* Sends a folder to where the client wants output `exporter` (0: the first). */
int filesync_send(struct server *s, struct session *session, unsigned exporter, const char *dir,
		  struct error **err) _must_check_;
/* The call by which the client takes output `exporter`; NULL if it has gone. To be released. */
struct rpc_call *filesync_open_output(struct server *s, struct session *session, unsigned exporter,
				      struct error **err) _must_check_;

#endif
