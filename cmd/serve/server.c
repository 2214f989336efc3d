/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/serve/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/spawn.h"
#include "cmd/serve/api.pb-c.h"

static serve_method health, empty_answer, empty_stream;

/* What is not here is answered with UNIMPLEMENTED, as gRPC has it. */
static const struct {
	const char *path;
	serve_method *run;
} methods[] = {
	{"/grpc.health.v1.Health/Check", health},
	{"/moby.buildkit.v1.Control/DiskUsage", serve_disk_usage},
	{"/moby.buildkit.v1.Control/Info", serve_info},
	{"/moby.buildkit.v1.Control/ListWorkers", serve_list_workers},
	{"/moby.buildkit.v1.Control/Prune", serve_prune},
	/* No history is kept: nothing has been built that anybody could list. */
	{"/moby.buildkit.v1.Control/ListenBuildHistory", empty_stream},
	/* Traces of clients are taken and dropped. */
	{"/moby.buildkit.v1.Control/Solve", serve_solve},
	{"/moby.buildkit.v1.Control/Status", serve_status},
	{"/moby.buildkit.v1.frontend.LLBBridge/Ping", serve_ping},
	{"/moby.buildkit.v1.frontend.LLBBridge/Return", serve_return},
	{"/moby.buildkit.v1.frontend.LLBBridge/Solve", serve_bridge_solve},
	{"/opentelemetry.proto.collector.trace.v1.TraceService/Export", empty_answer},
};

char *serve_text(const char *s)
{
	return (char *)(uintptr_t)s;
}

void serve_send(struct server *s, struct rpc_call *c, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *packed = xmalloc(n + 1);

	protobuf_c_message_pack(m, packed);
	(void)!rpc_send(s->loop, c, packed, n);
}

void serve_done(struct server *s, struct rpc_call *c)
{
	rpc_finish(s->loop, c, RPC_OK, NULL, NULL);
}

void serve_reply(struct server *s, struct rpc_call *c, const ProtobufCMessage *m)
{
	serve_send(s, c, m);
	serve_done(s, c);
}

void serve_fail(struct server *s, struct rpc_call *c, enum rpc_status status, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	rpc_finish(s->loop, c, status, text, NULL);
}

void *serve_unpack(struct server *s, struct rpc_call *c, const ProtobufCMessageDescriptor *type,
		   const struct buf *request)
{
	void *m = protobuf_c_message_unpack(type, NULL, request->n, (const uint8_t *)request->p);

	if (!m)
		serve_fail(s, c, RPC_INVALID, "%s: the request is malformed", c->path);
	return m;
}

int serve_command(struct server *s, struct rpc_call *c, const char *const *arguments,
		  struct buf *out, struct error **err)
{
	_cleanup_(cancel_release) struct cancel gone;
	_cleanup_strv_ struct strv argv = {0};
	int r;

	strv_push(&argv, "/proc/self/exe");
	for (; *arguments; arguments++)
		strv_push(&argv, *arguments);
	cancel_init(&gone);
	rpc_watch(s->loop, c, &gone);
	r = spawn_run((const char *const *)argv.v, NULL, out, NULL, &gone, err);
	rpc_watch(s->loop, c, NULL);
	return r;
}

static void health(struct server *s, struct rpc_call *c, const struct buf *request)
{
	Bk__HealthResponse m;

	(void)request;
	bk__health_response__init(&m);
	m.status = 1; /* SERVING */
	serve_reply(s, c, &m.base);
}

static void empty_answer(struct server *s, struct rpc_call *c, const struct buf *request)
{
	(void)request;
	(void)!rpc_send(s->loop, c, "", 0);
	serve_done(s, c);
}

static void empty_stream(struct server *s, struct rpc_call *c, const struct buf *request)
{
	(void)request;
	serve_done(s, c);
}

void server_handle(void *data, struct rpc_call *c)
{
	_cleanup_buf_ struct buf request = BUF_INIT;
	struct server *s = data;

	if (strcmp(c->path, "/moby.buildkit.v1.Control/Session") == 0) {
		serve_session(s, c);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].path, c->path) != 0)
			continue;
		if (rpc_recv(s->loop, c, &request) > 0)
			methods[i].run(s, c, &request);
		else
			serve_fail(s, c, RPC_INVALID, "%s: there is no request", c->path);
		return;
	}
	serve_fail(s, c, RPC_UNIMPLEMENTED, "kiln does not serve %s", c->path);
}
