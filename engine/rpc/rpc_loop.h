/* SPDX-License-Identifier: Apache-2.0 */
/* A server of gRPC: one thread moves the bytes of all connections, those of sockets and those that
 * run inside of calls; each call of a peer is answered by a thread of its own, which blocks as it
 * likes.
 *
 * One lock protects all connections and calls. It is a leaf: held for no system call but by the
 * thread that moves bytes, and by that one never over a wait.
 */
#ifndef KILN_ENGINE_RPC_RPC_LOOP_H
#define KILN_ENGINE_RPC_RPC_LOOP_H

#include "base/cancel.h"
#include "base/error.h"
#include "engine/rpc/rpc_conn.h"

struct rpc_loop;

/* Answers a call, which ends with RPC_INTERNAL if this returns without having finished it. */
typedef void rpc_handler(void *data, struct rpc_call *c);

/* `listen_fd` is taken over: a socket that listens. */
int rpc_loop_start(int listen_fd, rpc_handler *handler, void *data, struct rpc_loop **ret,
		   struct error **err) _must_check_;
/* Takes no more calls, closes every connection and waits for the handlers. */
void rpc_loop_stop(struct rpc_loop *loop);

/* --- for handlers; all of them block until it is done or the call is over --- */

/* The next message: 1; 0 at the end; -1: the call was cut off. *ret is replaced. */
int rpc_recv(struct rpc_loop *loop, struct rpc_call *c, struct buf *ret) _must_check_;
/* -1 if the call is over. Waits while much is queued. */
int rpc_send(struct rpc_loop *loop, struct rpc_call *c, const void *p, size_t n) _must_check_;
/* Metadata of the answer; before anything is sent. */
void rpc_add_answer(struct rpc_loop *loop, struct rpc_call *c, const char *name, const char *value);
void rpc_finish(struct rpc_loop *loop, struct rpc_call *c, enum rpc_status status,
		const char *message, const char *details);
/* From now on its end sets that switch; NULL: no more. */
void rpc_watch(struct rpc_loop *loop, struct rpc_call *c, struct cancel *cancel);
/* Has it ended, or been cut off? */
bool rpc_is_over(struct rpc_loop *loop, const struct rpc_call *c);
/* Waits until the call is over, or its peer sends no more. */
void rpc_wait_closed(struct rpc_loop *loop, struct rpc_call *c);

/* --- calls of ours, over a connection that runs inside of a call --- */

struct rpc_tunnel;
/* The peer serves inside of this call, whose messages are moby.buildkit.v1.BytesMessage. */
struct rpc_tunnel *rpc_tunnel_open(struct rpc_loop *loop, struct rpc_call *inside);
/* Its calls are closed. Nobody may use it any more. */
void rpc_tunnel_close(struct rpc_loop *loop, struct rpc_tunnel *t);
/* A call over it, to be released; NULL: the tunnel has ended. `ns`: how long it may take, 0: any time. */
struct rpc_call *rpc_start(struct rpc_loop *loop, struct rpc_tunnel *t, const char *path,
			   const struct rpc_header *headers, size_t n, int64_t ns) _must_check_;
/* Says that no more is sent. */
void rpc_end(struct rpc_loop *loop, struct rpc_call *c);
/* Cuts it off; whoever waits for it goes on. It is still to be released. */
void rpc_abort(struct rpc_loop *loop, struct rpc_call *c);
/* Cuts it off if it is not over, and gives the reference back. NULL is allowed. */
void rpc_release(struct rpc_loop *loop, struct rpc_call *c);
/* Once it is over: its status; *err says what the peer said. */
enum rpc_status rpc_result(struct rpc_loop *loop, struct rpc_call *c, struct error **err);

#endif
