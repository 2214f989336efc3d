/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a connection of gRPC against a peer that sends anything: the first byte says which end
 * it is, and in pieces of how many bytes the rest comes. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "engine/rpc/rpc_bytes.h"
#include "engine/rpc/rpc_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_called(void *data, struct rpc_call *c)
{
	(void)data;
	(void)c;
}

/* What comes is taken for wrapped bytes, too, and sent back. */
static void on_changed(void *data, struct rpc_call *c)
{
	struct buf message = BUF_INIT, bytes = BUF_INIT;

	(void)data;
	while (rpc_call_next(c, &message)) {
		(void)!rpc_bytes_unpack(message.p, message.n, &bytes);
		rpc_call_send(c, message.p, message.n);
	}
	if (rpc_call_at_end(c))
		rpc_call_finish(c, RPC_OK, NULL, NULL);
	buf_release(&message);
	buf_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rpc_events events = {.called = on_called, .changed = on_changed};
	bool is_client = size > 0 && data[0] & 1, goes_on = true;
	size_t piece = size > 0 ? (size_t)data[0] / 2 + 1 : 1;
	struct rpc_conn *conn = rpc_conn_new(is_client ? RPC_CLIENT : RPC_SERVER, &events);
	struct rpc_call *c = is_client ? rpc_conn_call(conn, "/a.B/C", NULL, 0) : NULL;

	for (size_t at = 1; at < size && goes_on; at += piece) {
		const uint8_t *out;

		goes_on = rpc_conn_feed(conn, data + at, size - at < piece ? size - at : piece);
		while (goes_on && rpc_conn_drain(conn, &out) > 0)
			;
	}
	rpc_conn_free(conn);
	if (c)
		rpc_call_unref(c);
	return 0;
}
