/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/rpc_conn.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/times.h"

enum {
	PREFIX = 5,	       /* of a message: a flag and its size */
	RESETS_AT_ONCE = 1000, /* that a peer may send, and how many more each second */
	RESETS_PER_SECOND = 100,
	HEADERS_OUT_MAX = 32,
};

struct rpc_conn {
	nghttp2_session *session;
	enum rpc_role role;
	struct rpc_events events;
	VEC(struct rpc_call *) calls;
	bool failed;
};

static struct rpc_call *call_new(struct rpc_conn *conn)
{
	struct rpc_call *c = NEW(struct rpc_call);

	*c = (struct rpc_call){.conn = conn, .refs = 1, .in = BUF_INIT, .out = BUF_INIT};
	pthread_cond_init(&c->changed, NULL);
	vec_push(&conn->calls, c);
	return c;
}

static struct rpc_call *call_of(nghttp2_session *s, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(s, stream);
}

static void tell(struct rpc_call *c)
{
	if (c->conn && c->conn->events.changed)
		c->conn->events.changed(c->conn->events.data, c);
}

/* The stream is over: no part of nghttp2 knows the call any more. */
static void call_close(struct rpc_call *c, enum rpc_status status)
{
	struct rpc_conn *conn = c->conn;

	if (!conn)
		return;
	if (!c->has_status)
		c->status = status;
	c->closed = c->in_ended = c->out_ended = c->has_status = true;
	if (c->on_close)
		cancel_set(c->on_close);
	tell(c);
	for (size_t i = 0; i < conn->calls.n; i++)
		if (conn->calls.v[i] == c) {
			conn->calls.v[i] = vec_last(&conn->calls);
			conn->calls.n--;
			break;
		}
	c->conn = NULL;
	rpc_call_unref(c);
}

/* --- what is sent --- */

static nghttp2_nv pair(const char *name, const char *value)
{
	/* nghttp2 copies both and changes neither. */
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
			    .value = (uint8_t *)(uintptr_t)value,
			    .namelen = strlen(name),
			    .valuelen = strlen(value)};
}

/* After the last message of an answer. */
static int send_trailer(struct rpc_call *c)
{
	_cleanup_free_ char *number = xasprintf("%d", (int)c->status);
	_cleanup_free_ char *message = rpc_percent_encode(c->message ? c->message : "");
	nghttp2_nv nv[3];
	size_t n = 0;

	nv[n++] = pair("grpc-status", number);
	if (*message)
		nv[n++] = pair("grpc-message", message);
	if (c->details)
		nv[n++] = pair("grpc-status-details-bin", c->details);
	return nghttp2_submit_trailer(c->conn->session, c->stream, nv, n);
}

static ssize_t read_out(nghttp2_session *s, int32_t stream, uint8_t *to, size_t size,
			uint32_t *flags, nghttp2_data_source *source, void *data)
{
	struct rpc_call *c = source->ptr;
	size_t n = c->out.n - c->out_at;

	(void)s;
	(void)stream;
	(void)data;
	if (n == 0 && !c->out_ended)
		return NGHTTP2_ERR_DEFERRED;
	if (n > size)
		n = size;
	memcpy(to, c->out.p + c->out_at, n);
	c->out_at += n;
	if (c->out_at == c->out.n) {
		buf_clear(&c->out);
		c->out_at = 0;
	}
	if (c->out_ended && c->out.n == 0) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (!c->is_ours) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			if (send_trailer(c) != 0)
				return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		}
	}
	tell(c);
	return (ssize_t)n;
}

static void answer(struct rpc_call *c)
{
	nghttp2_data_provider body = {.source.ptr = c, .read_callback = read_out};
	nghttp2_nv nv[HEADERS_OUT_MAX];
	size_t n = 0;

	if (c->answered || c->is_ours)
		return;
	c->answered = true;
	nv[n++] = pair(":status", "200");
	nv[n++] = pair("content-type", "application/grpc");
	for (size_t i = 0; i < c->answer.n && n < HEADERS_OUT_MAX; i++)
		nv[n++] = pair(c->answer.v[i].name, c->answer.v[i].value);
	if (nghttp2_submit_response(c->conn->session, c->stream, nv, n, &body) != 0)
		c->conn->failed = true;
}

static void resume(struct rpc_call *c)
{
	answer(c);
	/* It fails where nothing waits, which is as good. */
	(void)nghttp2_session_resume_data(c->conn->session, c->stream);
}

void rpc_call_send(struct rpc_call *c, const void *p, size_t n)
{
	unsigned char prefix[PREFIX] = {0, (unsigned char)(n >> 24), (unsigned char)(n >> 16),
					(unsigned char)(n >> 8), (unsigned char)n};

	if (c->closed || c->out_ended)
		return;
	if (c->out_at > c->out.n / 2) {
		memmove(c->out.p, c->out.p + c->out_at, c->out.n - c->out_at);
		buf_truncate(&c->out, c->out.n - c->out_at);
		c->out_at = 0;
	}
	buf_add(&c->out, prefix, sizeof(prefix));
	buf_add(&c->out, p, n);
	resume(c);
}

size_t rpc_call_queued(const struct rpc_call *c)
{
	return c->out.n - c->out_at;
}

void rpc_call_end(struct rpc_call *c)
{
	if (c->closed || c->out_ended)
		return;
	c->out_ended = true;
	resume(c);
}

void rpc_call_finish(struct rpc_call *c, enum rpc_status status, const char *message,
		     const char *details)
{
	if (c->closed || c->out_ended)
		return;
	c->status = status;
	c->message = xstrdup(message);
	c->details = xstrdup(details);
	c->has_status = true;
	rpc_call_end(c);
}

void rpc_call_abort(struct rpc_call *c)
{
	if (!c->conn)
		return;
	(void)nghttp2_submit_rst_stream(c->conn->session, NGHTTP2_FLAG_NONE, c->stream,
					NGHTTP2_CANCEL);
	(void)nghttp2_session_set_stream_user_data(c->conn->session, c->stream, NULL);
	call_close(c, RPC_CANCELED);
}

/* --- what comes --- */

/* The size of the message at hand with its prefix; 0: not known yet. */
static size_t next_size(const struct rpc_call *c)
{
	const unsigned char *p = (const unsigned char *)c->in.p + c->in_at;

	if (c->in.n - c->in_at < PREFIX)
		return 0;
	return PREFIX + ((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4]);
}

static bool has_message(const struct rpc_call *c)
{
	size_t n = next_size(c);

	return n > 0 && c->in.n - c->in_at >= n;
}

/* Lets the peer send as much more. */
static void acknowledge(struct rpc_call *c)
{
	if (c->conn && c->unacknowledged > 0)
		(void)nghttp2_session_consume(c->conn->session, c->stream, c->unacknowledged);
	c->unacknowledged = 0;
}

bool rpc_call_next(struct rpc_call *c, struct buf *ret)
{
	size_t n = next_size(c);

	if (!has_message(c))
		return false;
	buf_clear(ret);
	buf_add(ret, c->in.p + c->in_at + PREFIX, n - PREFIX);
	c->in_at += n;
	if (c->in_at == c->in.n) {
		buf_clear(&c->in);
		c->in_at = 0;
	} else if (c->in_at > c->in.n / 2) {
		memmove(c->in.p, c->in.p + c->in_at, c->in.n - c->in_at);
		buf_truncate(&c->in, c->in.n - c->in_at);
		c->in_at = 0;
	}
	/* What has come of a message that is larger than the window must not hold it up. */
	if (!has_message(c))
		acknowledge(c);
	return true;
}

bool rpc_call_at_end(const struct rpc_call *c)
{
	return c->in_ended && !has_message(c);
}

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *frame, void *data)
{
	struct rpc_conn *conn = data;
	struct rpc_call *c;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	c = call_new(conn);
	c->stream = frame->hd.stream_id;
	return nghttp2_session_set_stream_user_data(s, c->stream, c);
}

static void take_status(struct rpc_call *c, const char *name, const char *value)
{
	if (strcmp(name, "grpc-status") == 0 && !c->has_status) {
		c->has_status = true;
		c->status = RPC_UNKNOWN;
		for (int i = 0; i <= 16; i++) {
			_cleanup_free_ char *number = xasprintf("%d", i);

			if (strcmp(number, value) == 0)
				c->status = (enum rpc_status)i;
		}
	} else if (strcmp(name, "grpc-message") == 0 && !c->message) {
		c->message = rpc_percent_decode(value);
	} else if (strcmp(name, ":status") == 0 && strcmp(value, "200") != 0 && !c->message) {
		c->message = xasprintf("HTTP status %s", value);
	}
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, nghttp2_rcbuf *name,
		     nghttp2_rcbuf *value, uint8_t flags, void *data)
{
	struct rpc_call *c = call_of(s, frame->hd.stream_id);
	const nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	struct rpc_header header;

	(void)flags;
	(void)data;
	if (!c)
		return 0;
	c->header_bytes += n.len + v.len + 32;
	if (c->header_bytes > RPC_HEADERS_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	header.name = xstrndup((const char *)n.base, n.len);
	header.value = xstrndup((const char *)v.base, v.len);
	vec_push(&c->headers, header);
	if (c->is_ours)
		take_status(c, header.name, header.value);
	else if (strcmp(header.name, ":path") == 0 && !c->path)
		c->path = xstrdup(header.value);
	return 0;
}

static void take_request(struct rpc_conn *conn, struct rpc_call *c)
{
	const char *type = rpc_call_header(c, "content-type");
	const char *method = rpc_call_header(c, ":method");
	const char *timeout = rpc_call_header(c, "grpc-timeout");
	int64_t ns = timeout ? rpc_parse_timeout(timeout) : 0;

	if (ns > 0)
		c->deadline = times_monotonic_ns() + ns;
	if (!c->path || !method || strcmp(method, "POST") != 0 || !type ||
	    strncmp(type, "application/grpc", 16) != 0)
		rpc_call_finish(c, RPC_INVALID, "this is not a gRPC request", NULL);
	else if (ns < 0)
		rpc_call_finish(c, RPC_INVALID, "grpc-timeout is not a duration", NULL);
	else
		conn->events.called(conn->events.data, c);
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *data)
{
	struct rpc_conn *conn = data;
	struct rpc_call *c = call_of(s, frame->hd.stream_id);

	if (!c || (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
		return 0;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		c->in_ended = true;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		take_request(conn, c);
	if (c->in_ended)
		tell(c);
	return 0;
}

/* A message that cannot be taken ends its call. */
static bool is_acceptable(struct rpc_call *c)
{
	const char *what = NULL;

	if (c->in.n - c->in_at >= PREFIX && c->in.p[c->in_at] != 0)
		what = "compressed messages are not taken";
	if (next_size(c) > PREFIX + RPC_MESSAGE_MAX)
		what = "the message is larger than 16 MiB";
	if (what && !c->is_ours)
		rpc_call_finish(c, what[0] == 'c' ? RPC_UNIMPLEMENTED : RPC_EXHAUSTED, what, NULL);
	return !what;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *p, size_t n,
		   void *data)
{
	struct rpc_call *c = call_of(s, stream);

	(void)flags;
	(void)data;
	if (!c || (!c->is_ours && c->out_ended)) {
		(void)nghttp2_session_consume(s, stream, n);
		return 0;
	}
	buf_add(&c->in, p, n);
	c->unacknowledged += n;
	if (!is_acceptable(c)) {
		acknowledge(c);
		buf_clear(&c->in);
		c->in_at = 0;
		c->in_ended = true;
		if (c->is_ours)
			(void)nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, stream,
							NGHTTP2_CANCEL);
	} else if (!has_message(c)) {
		acknowledge(c);
	}
	tell(c);
	return 0;
}

static int on_close(nghttp2_session *s, int32_t stream, uint32_t code, void *data)
{
	struct rpc_call *c = call_of(s, stream);

	(void)data;
	if (c)
		call_close(c, code == NGHTTP2_NO_ERROR ? RPC_INTERNAL : RPC_CANCELED);
	return 0;
}

/* A call of ours that never began: the peer wants no more of them. */
static int on_not_sent(nghttp2_session *s, const nghttp2_frame *frame, int code, void *data)
{
	struct rpc_conn *conn = data;

	(void)code;
	if (call_of(s, frame->hd.stream_id))
		return 0; /* on_close follows */
	for (size_t i = 0; frame->hd.type == NGHTTP2_HEADERS && i < conn->calls.n; i++) {
		struct rpc_call *c = conn->calls.v[i];

		if (!c->is_ours || c->stream != frame->hd.stream_id)
			continue;
		call_close(c, RPC_UNAVAILABLE);
		break;
	}
	return 0;
}

/* --- the connection --- */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
}

static void set_options(nghttp2_option *option)
{
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_stream_reset_rate_limit(option, RESETS_AT_ONCE, RESETS_PER_SECOND);
}

struct rpc_conn *rpc_conn_new(enum rpc_role role, const struct rpc_events *events)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, RPC_STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, RPC_STREAMS_MAX},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RPC_HEADERS_MAX},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};
	struct rpc_conn *conn = NEW(struct rpc_conn);
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r;

	conn->role = role;
	conn->events = *events;
	/* Of these only memory can fail. */
	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
		abort();
	set_callbacks(callbacks);
	set_options(option);
	r = role == RPC_SERVER
		    ? nghttp2_session_server_new2(&conn->session, callbacks, conn, option)
		    : nghttp2_session_client_new2(&conn->session, callbacks, conn, option);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	if (r != 0)
		abort();
	/* A server says nothing of pushes. */
	r = nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings,
				    ARRAY_SIZE(settings) - (role == RPC_SERVER ? 1 : 0));
	if (r == 0)
		r = nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0,
							  RPC_CONN_WINDOW);
	conn->failed = r != 0;
	return conn;
}

void rpc_conn_free(struct rpc_conn *conn)
{
	if (!conn)
		return;
	while (conn->calls.n > 0) {
		struct rpc_call *c = vec_last(&conn->calls);

		(void)nghttp2_session_set_stream_user_data(conn->session, c->stream, NULL);
		call_close(c, RPC_UNAVAILABLE);
	}
	vec_release(&conn->calls);
	nghttp2_session_del(conn->session);
	free(conn);
}

bool rpc_conn_feed(struct rpc_conn *conn, const void *p, size_t n)
{
	return !conn->failed && nghttp2_session_mem_recv(conn->session, p, n) == (ssize_t)n &&
	       !conn->failed;
}

ssize_t rpc_conn_drain(struct rpc_conn *conn, const uint8_t **ret)
{
	ssize_t n = conn->failed ? -1 : nghttp2_session_mem_send(conn->session, ret);

	return n < 0 ? -1 : n;
}

bool rpc_conn_is_over(const struct rpc_conn *conn)
{
	return conn->failed || (!nghttp2_session_want_read(conn->session) &&
				!nghttp2_session_want_write(conn->session));
}

int64_t rpc_conn_expire(struct rpc_conn *conn, int64_t now)
{
	int64_t first = 0;

	for (size_t i = 0; i < conn->calls.n; i++) {
		struct rpc_call *c = conn->calls.v[i];

		if (c->deadline == 0)
			continue;
		if (c->deadline > now) {
			if (first == 0 || c->deadline < first)
				first = c->deadline;
			continue;
		}
		c->deadline = 0;
		if (!c->is_ours)
			rpc_call_finish(c, RPC_DEADLINE, "the call's time is over", NULL);
		c->status = RPC_DEADLINE;
		if (c->on_close)
			cancel_set(c->on_close);
		if (c->is_ours) {
			c->has_status = true;
			rpc_call_abort(c);
			i--;
		}
	}
	return first;
}

struct rpc_call *rpc_conn_call(struct rpc_conn *conn, const char *path,
			       const struct rpc_header *headers, size_t n)
{
	struct rpc_call *c = call_new(conn);
	nghttp2_data_provider body = {.source.ptr = c, .read_callback = read_out};
	_cleanup_free_ nghttp2_nv *nv = xcalloc(n + 7, sizeof(*nv));
	size_t k = 0;

	c->is_ours = c->answered = true;
	c->path = xstrdup(path);
	nv[k++] = pair(":method", "POST");
	nv[k++] = pair(":scheme", "http");
	nv[k++] = pair(":path", path);
	nv[k++] = pair(":authority", "localhost");
	nv[k++] = pair("content-type", "application/grpc");
	nv[k++] = pair("te", "trailers");
	nv[k++] = pair("user-agent", "kiln");
	for (size_t i = 0; i < n; i++)
		nv[k++] = pair(headers[i].name, headers[i].value);
	rpc_call_ref(c);
	c->stream = nghttp2_submit_request(conn->session, NULL, nv, k, &body, c);
	if (c->stream >= 0)
		return c;
	call_close(c, RPC_UNAVAILABLE);
	rpc_call_unref(c);
	return NULL;
}
