/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln serve`: BuildKit's API on a socket.
 *
 * The server itself opens no store and runs no step. It speaks the protocol, and has what is asked
 * for done by kiln's other commands, each a process of its own: what they do is what it does, a
 * build that dies takes nothing along, and a server that has run for long is as it was at first.
 */
#ifndef KILN_CMD_SERVE_SERVER_H
#define KILN_CMD_SERVE_SERVER_H

#include <protobuf-c/protobuf-c.h>

#include "base/cancel.h"
#include "base/strv.h"
#include "engine/rpc/rpc_loop.h"

/* What Info says of BuildKit's version: clients ask it for what is served. */
#define SERVE_BUILDKIT "v0.30.0"

struct server {
	struct rpc_loop *loop;
	const char *version; /* kiln's */
	char *dir;	     /* for what builds receive; this server's alone */
	struct strv allow;   /* entitlements that clients may ask for */

	pthread_mutex_t lock;	/* protects what follows */
	pthread_cond_t changed; /* any of it */
	struct session *sessions;
	struct build *builds;
};

/* Answers every call: an rpc_handler with a struct server. */
void server_handle(void *data, struct rpc_call *c);

/* --- for methods --- */

/* Does something with what came, and ends the call. */
typedef void serve_method(struct server *s, struct rpc_call *c, const struct buf *request);

/* A message as an answer; serve_done ends a call that went well. */
void serve_send(struct server *s, struct rpc_call *c, const ProtobufCMessage *m);
void serve_done(struct server *s, struct rpc_call *c);
void serve_reply(struct server *s, struct rpc_call *c, const ProtobufCMessage *m); /* both */
void serve_fail(struct server *s, struct rpc_call *c, enum rpc_status status, const char *fmt, ...)
	_printf_(4, 5);
/* NULL: the call has been ended, as the message is not of that type. To be freed with
 * protobuf_c_message_free_unpacked. */
void *serve_unpack(struct server *s, struct rpc_call *c, const ProtobufCMessageDescriptor *type,
		   const struct buf *request) _must_check_;

/* Runs `kiln ARGUMENT...` until it ends or the call does; *out has its standard output. */
int serve_command(struct server *s, struct rpc_call *c, const char *const *arguments,
		  struct buf *out, struct error **err) _must_check_;

/* A string of ours in a message that is only packed, which does not write to it. */
char *serve_text(const char *s);

/* Takes no request first: its messages are a connection's bytes. */
void serve_session(struct server *s, struct rpc_call *c);
serve_method serve_ping, serve_bridge_solve, serve_return, serve_solve, serve_status;
serve_method serve_list_workers, serve_info, serve_disk_usage, serve_prune;

#endif
