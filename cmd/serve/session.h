/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: a client serves, inside of a call that it made, what a build of its needs of it: files,
 * credentials, secrets, agents, and somebody who takes what is exported. */
#ifndef KILN_CMD_SERVE_SESSION_H
#define KILN_CMD_SERVE_SESSION_H

#include "cmd/serve/server.h"

struct session;

/* The session of that id, which may come a moment later than who asks; to be given back. */
int session_find(struct server *s, const char *id, struct session **ret,
		 struct error **err) _must_check_;
void session_put(struct server *s, struct session *session);

/* Starts a call of the client's; rpc_release it. */
int session_call(struct server *s, struct session *session, const char *path,
		 const struct rpc_header *headers, size_t n, struct rpc_call **ret,
		 struct error **err) _must_check_;
/* One question and its answer (protobuf_c_message_free_unpacked). ERR_NOTFOUND if it says so. */
int session_ask(struct server *s, struct session *session, const char *path,
		const ProtobufCMessage *question, const ProtobufCMessageDescriptor *type,
		void **ret, struct error **err) _must_check_;

#endif
