/* SPDX-License-Identifier: Apache-2.0 */
/* One end of an HTTP/2 connection that carries gRPC, without any I/O of its own: bytes that came are
 * fed, bytes that are to go are drained. So it works over a socket as well as inside of a call of
 * another connection (BuildKit's sessions). Not thread safe.
 *
 * A peer is let send only as fast as messages are taken: rpc_call_next gives its window back.
 * What a hostile peer can do is bounded (rpc.h): messages, headers, calls at once, resets.
 */
#ifndef KILN_ENGINE_RPC_RPC_CONN_H
#define KILN_ENGINE_RPC_RPC_CONN_H

#include <stddef.h>

#include "base/error.h"
#include "engine/rpc/rpc.h"

enum rpc_role { RPC_SERVER, RPC_CLIENT };

struct rpc_events {
	/* The peer has called: path and headers are there. Take a reference to keep it. */
	void (*called)(void *data, struct rpc_call *c);
	/* Something came for it, was sent of it, or it has ended. */
	void (*changed)(void *data, struct rpc_call *c);
	void *data;
};

struct rpc_conn *rpc_conn_new(enum rpc_role role, const struct rpc_events *events);
/* Closes every call. Not from within an event. */
void rpc_conn_free(struct rpc_conn *conn);

/* False: the connection cannot go on. */
bool rpc_conn_feed(struct rpc_conn *conn, const void *p, size_t n) _must_check_;
/* Bytes to send, borrowed until the next call; 0: none now; -1: the connection cannot go on. */
ssize_t rpc_conn_drain(struct rpc_conn *conn, const uint8_t **ret);
/* Neither end has anything to say any more. */
bool rpc_conn_is_over(const struct rpc_conn *conn);
/* When the first of its calls is due; 0: none. Calls that are are closed. */
int64_t rpc_conn_expire(struct rpc_conn *conn, int64_t now);

/* Calls the peer; a reference is the caller's. NULL if the connection is going down. */
struct rpc_call *rpc_conn_call(struct rpc_conn *conn, const char *path,
			       const struct rpc_header *headers, size_t n) _must_check_;

/* Takes the next message: true, or false if there is none (yet). *ret is replaced. */
bool rpc_call_next(struct rpc_call *c, struct buf *ret) _must_check_;
/* Is all taken, and will no more come? */
bool rpc_call_at_end(const struct rpc_call *c);
/* Queues a message; nothing happens if it is closed. */
void rpc_call_send(struct rpc_call *c, const void *p, size_t n);
/* What is queued and not yet sent. */
size_t rpc_call_queued(const struct rpc_call *c);
/* Of ours: says that no more is sent. */
void rpc_call_end(struct rpc_call *c);
/* Of the peer's: ends it with a status. `details` is base64 or NULL. Only the first counts. */
void rpc_call_finish(struct rpc_call *c, enum rpc_status status, const char *message,
		     const char *details);
/* Ends it at once, whatever is under way. */
void rpc_call_abort(struct rpc_call *c);

#endif
