/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a connection in one thread, which hand each other their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/times.h"
#include "engine/rpc/rpc_bytes.h"
#include "engine/rpc/rpc_conn.h"

struct ends {
	struct rpc_conn *client, *server;
	struct rpc_call *called; /* the last that the client made, at the server */
	size_t n_called;
	size_t moved; /* bytes from the client to the server */
};

static void on_called(void *data, struct rpc_call *c)
{
	struct ends *e = data;

	if (e->called)
		rpc_call_unref(e->called);
	rpc_call_ref(c);
	e->called = c;
	e->n_called++;
}

static void ends_open(struct ends *e)
{
	const struct rpc_events events = {.called = on_called, .data = e};

	*e = (struct ends){0};
	e->client = rpc_conn_new(RPC_CLIENT, &events);
	e->server = rpc_conn_new(RPC_SERVER, &events);
}

static void ends_close(struct ends *e)
{
	if (e->called)
		rpc_call_unref(e->called);
	rpc_conn_free(e->client);
	rpc_conn_free(e->server);
}

/* Until neither has anything to say. */
static bool pump(struct ends *e)
{
	const uint8_t *p;
	ssize_t n, m;

	do {
		n = rpc_conn_drain(e->client, &p);
		if (n > 0) {
			e->moved += (size_t)n;
			if (!rpc_conn_feed(e->server, p, (size_t)n))
				return false;
		}
		m = rpc_conn_drain(e->server, &p);
		if (m > 0 && !rpc_conn_feed(e->client, p, (size_t)m))
			return false;
	} while (n > 0 || m > 0);
	return n == 0 && m == 0;
}

static void a_call_is_answered(void **state)
{
	const struct rpc_header sent[] = {{(char[]){"k"}, (char[]){"v"}}};
	struct ends e;
	struct buf got = BUF_INIT;
	struct rpc_call *c;

	(void)state;
	ends_open(&e);
	c = rpc_conn_call(e.client, "/a.B/C", sent, 1);
	rpc_call_send(c, "question", 8);
	rpc_call_end(c);
	assert_true(pump(&e));
	assert_string_equal(e.called->path, "/a.B/C");
	assert_string_equal(rpc_call_header(e.called, "k"), "v");
	assert_null(rpc_call_header(e.called, "l"));
	assert_true(rpc_call_next(e.called, &got));
	assert_string_equal(got.p, "question");
	assert_false(rpc_call_next(e.called, &got));
	assert_true(rpc_call_at_end(e.called));
	rpc_call_send(e.called, "", 0);
	rpc_call_send(e.called, "answer", 6);
	rpc_call_finish(e.called, RPC_NOTFOUND, "100% n\xc3\xb6", "ZGV0");
	rpc_call_finish(e.called, RPC_OK, NULL, NULL); /* only the first counts */
	assert_true(pump(&e));
	assert_true(rpc_call_next(c, &got));
	assert_int_equal(got.n, 0);
	assert_true(rpc_call_next(c, &got));
	assert_string_equal(got.p, "answer");
	assert_true(c->closed);
	assert_int_equal(c->status, RPC_NOTFOUND);
	assert_string_equal(c->message, "100% n\xc3\xb6");
	assert_string_equal(rpc_call_header(c, "grpc-status-details-bin"), "ZGV0");
	rpc_call_unref(c);
	buf_release(&got);
	ends_close(&e);
}

/* A sender gets no further than the window while nobody takes what it sent. */
static void a_slow_reader_holds_the_sender_up(void **state)
{
	_cleanup_free_ char *piece = xcalloc(1, 1 << 20);
	struct buf got = BUF_INIT;
	struct ends e;
	struct rpc_call *c;
	size_t taken = 0;

	(void)state;
	ends_open(&e);
	c = rpc_conn_call(e.client, "/a.B/C", NULL, 0);
	for (int i = 0; i < 24; i++)
		rpc_call_send(c, piece, 1 << 20);
	rpc_call_end(c);
	assert_true(pump(&e));
	assert_true(e.moved < RPC_STREAM_WINDOW + (2 << 20));
	assert_true(e.called->in.n < RPC_STREAM_WINDOW + (2 << 20));
	do {
		while (rpc_call_next(e.called, &got))
			taken++;
		assert_true(pump(&e));
		assert_true(e.called->in.n < RPC_STREAM_WINDOW + (2 << 20));
	} while (!rpc_call_at_end(e.called));
	assert_int_equal(taken, 24);
	rpc_call_unref(c);
	buf_release(&got);
	ends_close(&e);
}

static void messages_have_a_limit(void **state)
{
	const size_t sizes[] = {RPC_MESSAGE_MAX, RPC_MESSAGE_MAX + 1};
	_cleanup_free_ char *big = xcalloc(1, RPC_MESSAGE_MAX + 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct buf got = BUF_INIT;
		struct ends e;
		struct rpc_call *c;

		ends_open(&e);
		c = rpc_conn_call(e.client, "/a.B/C", NULL, 0);
		rpc_call_send(c, big, sizes[i]); /* larger than any window */
		rpc_call_end(c);
		assert_true(pump(&e));
		assert_int_equal(rpc_call_next(e.called, &got), i == 0);
		if (i == 1)
			assert_int_equal(c->status, RPC_EXHAUSTED);
		rpc_call_unref(c);
		buf_release(&got);
		ends_close(&e);
	}
}

static void a_peer_has_limits(void **state)
{
	_cleanup_free_ char *value = xcalloc(1, 40 << 10);
	const struct rpc_header headers[] = {{(char[]){"a"}, value}, {(char[]){"b"}, value}};
	VEC(struct rpc_call *) calls = {0};
	struct ends e;

	(void)state;
	memset(value, 'x', (40 << 10) - 1);
	ends_open(&e);
	assert_true(pump(&e)); /* the client knows the limit now */
	for (int i = 0; i < RPC_STREAMS_MAX + 50; i++)
		vec_push(&calls, rpc_conn_call(e.client, "/a.B/C", NULL, 0));
	assert_true(pump(&e));
	assert_int_equal(e.n_called, RPC_STREAMS_MAX);
	for (size_t i = 0; i < calls.n; i++)
		rpc_call_unref(calls.v[i]);
	vec_release(&calls);
	ends_close(&e);

	ends_open(&e);
	rpc_call_unref(rpc_conn_call(e.client, "/a.B/C", headers, 2));
	(void)pump(&e);
	assert_int_equal(e.n_called, 0);
	ends_close(&e);

	ends_open(&e);
	for (int i = 0; i < 5000; i++) {
		struct rpc_call *c = rpc_conn_call(e.client, "/a.B/C", NULL, 0);

		(void)pump(&e);
		if (!c)
			break;
		rpc_call_abort(c);
		rpc_call_unref(c);
		(void)pump(&e);
	}
	/* Rapid reset: it was told to go. */
	assert_true(rpc_conn_is_over(e.server));
	assert_true(e.n_called < 2000);
	ends_close(&e);
}

static void calls_end_with_their_connection_or_time(void **state)
{
	struct ends e;
	struct rpc_call *c, *late;
	struct cancel gone;

	(void)state;
	ends_open(&e);
	c = rpc_conn_call(e.client, "/a.B/C", NULL, 0);
	late = rpc_conn_call(e.client, "/a.B/D", NULL, 0);
	assert_true(pump(&e));
	cancel_init(&gone);
	late->on_close = &gone;
	late->deadline = 5;
	assert_int_equal(rpc_conn_expire(e.client, 3), 5);
	assert_int_equal(rpc_conn_expire(e.client, 6), 0);
	assert_true(late->closed && cancel_is_set(&gone));
	assert_int_equal(late->status, RPC_DEADLINE);
	assert_false(c->closed);
	rpc_conn_free(e.client);
	e.client = NULL;
	assert_true(c->closed);
	assert_int_equal(c->status, RPC_UNAVAILABLE);
	rpc_call_send(c, "x", 1); /* nothing happens */
	rpc_call_abort(c);
	rpc_call_unref(c);
	rpc_call_unref(late);
	cancel_release(&gone);
	ends_close(&e);
}

static void texts_are_coded(void **state)
{
	char *text = rpc_percent_encode("a%\n");

	(void)state;
	assert_string_equal(text, "a%25%0A");
	free(text);
	text = rpc_percent_decode("a%25%0A%zz%00%");
	assert_string_equal(text, "a%\n%zz%00%");
	free(text);
	assert_int_equal(rpc_parse_timeout("14999984u"), 14999984000);
	assert_int_equal(rpc_parse_timeout("2S"), 2 * NS_PER_S);
	assert_true(rpc_parse_timeout("99999999H") > 0);
	assert_int_equal(rpc_parse_timeout("2"), -1);
	assert_int_equal(rpc_parse_timeout("S"), -1);
	assert_int_equal(rpc_parse_timeout("123456789S"), -1);
}

static void bytes_are_wrapped(void **state)
{
	_cleanup_buf_ struct buf packed = BUF_INIT, got = BUF_INIT;
	_cleanup_free_ char *big = xcalloc(1, 300);

	(void)state;
	rpc_bytes_pack(big, 300, &packed);
	assert_int_equal(packed.n, 303);
	assert_int_equal(rpc_bytes_unpack(packed.p, packed.n, &got), 0);
	assert_int_equal(got.n, 300);
	for (size_t n = 1; n < packed.n; n++)
		assert_true(rpc_bytes_unpack(packed.p, n, &got) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_answered),
		cmocka_unit_test(a_slow_reader_holds_the_sender_up),
		cmocka_unit_test(messages_have_a_limit),
		cmocka_unit_test(a_peer_has_limits),
		cmocka_unit_test(calls_end_with_their_connection_or_time),
		cmocka_unit_test(texts_are_coded),
		cmocka_unit_test(bytes_are_wrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
