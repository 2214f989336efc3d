/* SPDX-License-Identifier: Apache-2.0 */
/* A call of gRPC as both ends see it: a path, metadata, messages either way, a status. */
#ifndef KILN_ENGINE_RPC_RPC_H
#define KILN_ENGINE_RPC_RPC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/vec.h"

/* gRPC's numbers. */
enum rpc_status {
	RPC_OK = 0,
	RPC_CANCELED = 1,
	RPC_UNKNOWN = 2,
	RPC_INVALID = 3,
	RPC_DEADLINE = 4,
	RPC_NOTFOUND = 5,
	RPC_EXISTS = 6,
	RPC_DENIED = 7,
	RPC_EXHAUSTED = 8,
	RPC_UNIMPLEMENTED = 12,
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14,
	RPC_UNAUTHENTICATED = 16,
};

enum {
	RPC_MESSAGE_MAX = 16 << 20, /* what BuildKit takes; its clients take 4 MiB by default */
	RPC_STREAMS_MAX = 250,	    /* calls of a peer at once on a connection */
	RPC_HEADERS_MAX = 64 << 10, /* bytes of a call's names and values */
	RPC_STREAM_WINDOW = 4 << 20,
	RPC_CONN_WINDOW = 16 << 20,
};

/* One of a call's metadata; several may have one name. A value whose name ends in "-bin" is base64,
 * as on the wire. */
struct rpc_header {
	char *name, *value;
};

struct rpc_conn;

/* One call, of ours or of the peer. Owned by its connection and by whoever holds a reference. What is in
 * it belongs to the connection's thread, or to whoever holds the lock of its loop (rpc_loop.h). */
struct rpc_call {
	struct rpc_conn *conn; /* NULL once the stream is over */
	int32_t stream;
	unsigned refs;
	bool is_ours;			/* made by us, answered by the peer */
	char *path;			/* "/package.Service/Method" */
	VEC(struct rpc_header) headers; /* that the peer sent; of ours also its trailers */
	size_t header_bytes;

	struct buf in; /* bytes of messages that have come; in_at of them are taken */
	size_t in_at, unacknowledged;
	bool in_ended; /* no more will come */

	struct buf out;
	size_t out_at;
	bool answered, out_ended;
	VEC(struct rpc_header) answer; /* metadata that goes before the first message */

	enum rpc_status status;	 /* of ours: once closed */
	char *message;		 /* may be NULL */
	char *details;		 /* grpc-status-details-bin, base64; may be NULL */
	bool has_status, closed; /* closed: nothing can be sent or will come */
	int64_t deadline;	 /* times_monotonic_ns; 0: none */
	struct cancel *on_close; /* set when it closes; borrowed, may be NULL */
	pthread_cond_t changed;	 /* of the loop */
};

void rpc_call_ref(struct rpc_call *c);
void rpc_call_unref(struct rpc_call *c);
/* The first value of that name; NULL if there is none. Borrowed. */
const char *rpc_call_header(const struct rpc_call *c, const char *name);

/* As grpc-message is sent: everything but printable ASCII as %XX. Heap. */
char *rpc_percent_encode(const char *text);
char *rpc_percent_decode(const char *text);
/* "100m", "5S": nanoseconds; -1 if it is not one. */
int64_t rpc_parse_timeout(const char *text);

#endif
