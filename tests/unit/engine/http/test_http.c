/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/times.h"
#include "engine/http/http.h"
#include "engine/http/http_curl.h"
#include "fake_server.h"
#include "hostile_urls.h"

/* What the handlers below are to do, and what they saw. */
struct script {
	const char *body;
	size_t cut; /* drop the connection after so many bytes of the body */
	int cuts;   /* ... this many times */
	bool no_ranges;
	int failures; /* answers with this status first */
	int failure_status;
	const char *failure_headers;
	char redirect[256];
	char authorization[256];
	char range[64];
};

static struct http *http;

static void scripted(struct fake_server *s, const struct fake_request *req, int fd)
{
	struct script *sc = s->data;
	_cleanup_free_ char *auth = fake_header(req, "authorization");
	_cleanup_free_ char *range = fake_header(req, "range"), *headers = NULL;
	size_t n = sc->body ? strlen(sc->body) : 0, at = 0;
	int status = 200;

	snprintf(sc->authorization, sizeof(sc->authorization), "%s", auth ? auth : "none");
	snprintf(sc->range, sizeof(sc->range), "%s", range ? range : "none");
	if (sc->failures > 0) {
		sc->failures--;
		fake_answer(fd, sc->failure_status, sc->failure_headers ? sc->failure_headers : "",
			    "no", 2);
		return;
	}
	if (sc->redirect[0] && strcmp(req->target, "/end") != 0) {
		headers = xasprintf("Location: %s\r\n", sc->redirect);
		fake_answer(fd, 307, headers, NULL, 0);
		return;
	}
	if (range && !sc->no_ranges) {
		at = strtoull(range + 6, NULL, 10);
		status = 206;
		headers = xasprintf("Content-Range: bytes %zu-%zu/%zu\r\n", at, n - 1, n);
	}
	if (sc->cuts > 0) {
		_cleanup_free_ char *head =
			xasprintf("HTTP/1.1 %d OK\r\nContent-Length: %zu\r\n%s\r\n", status, n - at,
				  headers ? headers : "");

		sc->cuts--;
		fake_send(fd, head, strlen(head));
		fake_send(fd, sc->body + at, sc->cut);
		return;
	}
	fake_answer(fd, status, headers ? headers : "", sc->body + at, n - at);
}

static int collect(void *data, const void *p, size_t n, struct error **err)
{
	(void)err;
	buf_add(data, p, n);
	return 0;
}

struct get {
	struct buf body;
	uint64_t delivered;
	struct http_response resp;
	struct error *err;
	int r;
};
#define GET_INIT                                             \
	{                                                    \
		.body = BUF_INIT, .resp = HTTP_RESPONSE_INIT \
	}

static void get_release(struct get *g)
{
	buf_release(&g->body);
	http_response_release(&g->resp);
	error_free(g->err);
}

static void do_get(struct get *g, const char *url, struct http_request req)
{
	req.url = url;
	req.sink = collect;
	req.sink_data = &g->body;
	req.delivered = &g->delivered;
	g->r = http_perform(http, &req, &g->resp, &g->err);
}

static void a_body_that_breaks_off_is_resumed_where_it_stopped(void **state)
{
	struct script sc = {.body = "0123456789abcdefghij", .cut = 5, .cuts = 2};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){0});
	fake_stop(&s);
	assert_int_equal(g.r, 0);
	assert_string_equal(g.body.p, sc.body);
	assert_string_equal(sc.range, "bytes=10-");
	assert_int_equal(s.requests, 3);
}

static void a_server_without_ranges_is_read_again_and_nothing_comes_twice(void **state)
{
	struct script sc = {.body = "0123456789abcdefghij", .cut = 7, .cuts = 1, .no_ranges = true};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){0});
	fake_stop(&s);
	assert_int_equal(g.r, 0);
	assert_string_equal(g.body.p, sc.body);
	assert_int_equal(g.delivered, strlen(sc.body));
}

static void a_server_that_is_busy_is_asked_again_after_what_it_says(void **state)
{
	struct script sc = {.body = "fine",
			    .failures = 1,
			    .failure_status = 429,
			    .failure_headers = "Retry-After: 1\r\n"};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	int64_t start = times_monotonic_ns();
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){0});
	fake_stop(&s);
	assert_int_equal(g.r, 0);
	assert_int_equal(g.resp.status, 200);
	assert_string_equal(g.body.p, "fine");
	assert_true(times_monotonic_ns() - start >= 900000000);
}

static void a_server_that_wants_an_hour_is_not_waited_for(void **state)
{
	struct script sc = {.body = "fine",
			    .failures = 1,
			    .failure_status = 503,
			    .failure_headers = "Retry-After: 3600\r\n"};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){0});
	fake_stop(&s);
	assert_int_equal(g.r, 0);
	assert_int_equal(g.resp.status, 503);
	assert_int_equal(s.requests, 1);
}

static void a_redirect_to_another_host_takes_no_credentials_along(void **state)
{
	struct script from = {.body = ""}, to = {.body = "there"};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server a, b;

	(void)state;
	fake_start(&a, scripted, &from);
	fake_start(&b, scripted, &to);
	snprintf(from.redirect, sizeof(from.redirect), "http://%s/end", b.host);
	url = xasprintf("http://%s/x", a.host);
	do_get(&g, url, (struct http_request){.authorization = "Basic c2VjcmV0"});
	fake_stop(&a);
	fake_stop(&b);
	assert_int_equal(g.r, 0);
	assert_string_equal(g.body.p, "there");
	assert_string_equal(from.authorization, "Basic c2VjcmV0");
	assert_string_equal(to.authorization, "none");
	assert_non_null(strstr(g.resp.url, b.host));
}

static void a_redirect_within_the_host_keeps_them(void **state)
{
	struct script sc = {.body = "there", .redirect = "/end"};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){.authorization = "Bearer t"});
	fake_stop(&s);
	assert_int_equal(g.r, 0);
	assert_string_equal(sc.authorization, "Bearer t");
}

static void endless_redirects_end(void **state)
{
	struct script sc = {.body = "", .redirect = "/again"};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){0});
	fake_stop(&s);
	assert_int_equal(g.r, -ERR_INVALID);
	assert_non_null(strstr(error_text(g.err), "redirects"));
}

static void a_redirect_to_plain_http_on_a_network_is_refused(void **state)
{
	struct script sc = {.body = "", .redirect = "http://192.0.2.1/x?token=hidden"};
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){0});
	fake_stop(&s);
	assert_int_equal(g.r, -ERR_DENIED);
	assert_non_null(strstr(error_text(g.err), "plain HTTP"));
	assert_null(strstr(error_text(g.err), "hidden"));
}

static void a_document_beyond_its_limit_is_an_error(void **state)
{
	struct script sc = {.body = "0123456789"};
	struct http_response resp = HTTP_RESPONSE_INIT;
	struct http_request req = {.max = 9};
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;
	int r;

	(void)state;
	fake_start(&s, scripted, &sc);
	url = xasprintf("http://%s/x", s.host);
	req.url = url;
	r = http_perform(http, &req, &resp, &err);
	assert_int_equal(r, -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "limit of 9 bytes"));
	req.max = 10;
	assert_int_equal(http_perform(http, &req, &resp, NULL), 0);
	fake_stop(&s);
	assert_string_equal(resp.body.p, "0123456789");
	http_response_release(&resp);
}

static void silent(struct fake_server *s, const struct fake_request *req, int fd)
{
	char c;

	(void)req;
	cancel_set(s->data);
	(void)!recv(fd, &c, 1, 0); /* until the client goes */
}

static void a_cancelled_request_ends_at_once(void **state)
{
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;
	struct cancel cancel;
	int64_t start = times_monotonic_ns();

	(void)state;
	cancel_init(&cancel);
	fake_start(&s, silent, &cancel);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){.cancel = &cancel});
	fake_stop(&s);
	cancel_release(&cancel);
	assert_int_equal(g.r, -ERR_CANCELED);
	assert_true(times_monotonic_ns() - start < 3000000000);
}

static void a_refused_connection_says_so_and_is_not_retried(void **state)
{
	_cleanup_(get_release) struct get g = GET_INIT;
	struct script sc = {0};
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, scripted, &sc);
	fake_stop(&s);
	url = xasprintf("http://user:pw@%s/x?sig=hidden", s.host);
	do_get(&g, url, (struct http_request){0});
	assert_int_equal(g.r, -ERR_UNAVAILABLE);
	assert_non_null(strstr(error_text(g.err), "Connection refused"));
	assert_non_null(strstr(error_text(g.err), s.host));
	assert_null(strstr(error_text(g.err), "hidden"));
	assert_null(strstr(error_text(g.err), "pw"));
}

static void echo(struct fake_server *s, const struct fake_request *req, int fd)
{
	buf_add(s->data, req->body.p, req->body.n);
	fake_answer(fd, 201, "Location: /there\r\nX-Two:  a \r\n", NULL, 0);
}

static void what_is_sent_arrives(void **state)
{
	_cleanup_buf_ struct buf got = BUF_INIT;
	struct http_response resp = HTTP_RESPONSE_INIT;
	struct http_request req = {.method = "PUT", .body = "payload", .body_n = 7};
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, echo, &got);
	url = xasprintf("http://%s/x", s.host);
	req.url = url;
	assert_int_equal(http_perform(http, &req, &resp, NULL), 0);
	assert_int_equal(resp.status, 201);
	assert_string_equal(http_header(&resp, "location"), "/there");
	assert_string_equal(http_header(&resp, "x-two"), "a");
	assert_null(http_header(&resp, "x-three"));
	assert_string_equal(got.p, "payload");
	buf_clear(&got);
	req.body = NULL;
	req.body_fd = open(__FILE__, O_RDONLY | O_CLOEXEC);
	if (req.body_fd >= 0) {
		req.body_n = 100;
		assert_int_equal(http_perform(http, &req, &resp, NULL), 0);
		assert_int_equal(got.n, 100);
		close(req.body_fd);
	}
	fake_stop(&s);
	http_response_release(&resp);
}

static void origins_are_scheme_host_and_port(void **state)
{
	(void)state;
	assert_true(http_url_same_origin("https://a/x", "https://A:443/y?z"));
	assert_false(http_url_same_origin("https://a/x", "http://a/x"));
	assert_false(http_url_same_origin("https://a/x", "https://a:444/x"));
	assert_false(http_url_same_origin("https://a/x", "https://a.evil/x"));
	assert_false(http_url_same_origin("https://a/x", "https://a@evil/x"));
}

static void what_servers_name_is_http_without_a_user_and_no_less_safe(void **state)
{
	static const struct {
		const char *from, *to;
		int r;
		const char *url;
	} cases[] = {
		{"https://h:1/v2/x", "/v2/y?q#f", 0, "https://h:1/v2/y?q"},
		{"https://h/v2/x", "y", 0, "https://h/v2/y"},
		{"https://h/v2/x", "https://o/z", 0, "https://o/z"},
		{"https://h/v2/x", "HTTPS://o/z", 0, "https://o/z"},
		{"http://127.0.0.1:5/x", "http://localhost:6/y", 0, "http://localhost:6/y"},
		{"http://127.0.0.1:5/x", "http://[::1]:6/y", 0, "http://[::1]:6/y"},
		{"http://u:p@127.0.0.1/x", "/y", 0, "http://u:p@127.0.0.1/y"},
		{"http://u:p@127.0.0.1/x", "http://127.0.0.2/y", 0, "http://127.0.0.2/y"},
		{"https://h/v2/x", "http://h/y", -ERR_DENIED, NULL},
		{"https://h/v2/x", "HTTP://h/y", -ERR_DENIED, NULL},
		{"https://h/v2/x", "http://127.0.0.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://h/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "//h/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://127.0.0.1:80@192.0.2.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://localhost@192.0.2.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://127.0.0.1\\@192.0.2.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://[::1]@192.0.2.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "//127.0.0.1@192.0.2.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://u@127.0.0.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://:p@127.0.0.1/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://127.0.0.1.example/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://127.example/y", -ERR_DENIED, NULL},
		{"http://127.0.0.1/x", "http://localhost.example/y", -ERR_DENIED, NULL},
		{"https://h/v2/x", "https://u:p@o/y", -ERR_DENIED, NULL},
		{"https://h/v2/x", "file:///etc/passwd", -ERR_INVALID, NULL},
		{"https://h/v2/x", "ftp://h/y", -ERR_INVALID, NULL},
		{"https://h/v2/x", "http://", -ERR_INVALID, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		_cleanup_free_ char *url = NULL;
		int r = http_url_next(cases[i].from, cases[i].to, false, &url, &err);

		if (r != cases[i].r || (url && strcmp(url, cases[i].url) != 0))
			fail_msg("'%s' from '%s': %d '%s'", cases[i].to, cases[i].from, r,
				 url ? url : error_text(err));
		if (err && strstr(error_text(err), "p@"))
			fail_msg("'%s' tells a password", error_text(err));
	}
}

/* From https no plain HTTP is asked at all, this machine's own included. */
static void expect_refused(const char *from, const char *to)
{
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_free_ char *url = NULL;
	int r = http_url_next(from, to, false, &url, &err);

	if ((r != -ERR_DENIED && r != -ERR_INVALID) || url)
		fail_msg("'%s' from '%s': %d '%s'", to, from, r, url ? url : "");
}

static void hostile_urls_are_never_the_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_free_ char *url = hostile_url(hostile_users[i], "127.0.0.1:7");

		expect_refused("http://127.0.0.1:5/x", url);
		expect_refused("https://h.example/x", url);
	}
	for (size_t i = 0; i < ARRAY_SIZE(hostile_networks); i++) {
		_cleanup_free_ char *url = hostile_url(hostile_networks[i], "");

		expect_refused("http://127.0.0.1:5/x", url);
		if (url[0] != '/')
			expect_refused("https://h.example/x", url);
	}
}

static void redirect_refused(const char *to)
{
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct script sc = {0};
	struct fake_server s;

	fake_start(&s, scripted, &sc);
	snprintf(sc.redirect, sizeof(sc.redirect), "%s", to);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){.authorization = "Basic dTpw"});
	if (g.r != -ERR_DENIED && g.r != -ERR_INVALID)
		fail_msg("'%s': %d", to, g.r);
	fake_stop(&s);
	assert_int_equal(s.requests, 1);
}

static void redirects_to_a_user_or_out_of_this_machine_ask_nobody(void **state)
{
	struct script other = {.body = "stolen"};
	struct fake_server away;

	(void)state;
	fake_start(&away, scripted, &other);
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_free_ char *to = hostile_url(hostile_users[i], away.host);

		redirect_refused(to);
	}
	for (size_t i = 0; i < ARRAY_SIZE(hostile_networks); i++) {
		_cleanup_free_ char *to = hostile_url(hostile_networks[i], away.host);

		redirect_refused(to);
	}
	fake_stop(&away);
	assert_int_equal(away.requests, 0);
}

static void a_transfer_may_take_what_fits_its_size(void **state)
{
	const int64_t s = 1000000000;

	(void)state;
	assert_int_equal(http_check_pace(100 * s, 0, NULL), 0);
	assert_int_equal(http_check_pace(122 * s, 0, NULL), -ERR_TIMEOUT);
	/* 100 bytes a second are never enough, 100 KiB always. */
	assert_int_equal(http_check_pace(130 * s, 13000, NULL), -ERR_TIMEOUT);
	assert_int_equal(http_check_pace(3600 * s, 360000, NULL), -ERR_TIMEOUT);
	assert_int_equal(http_check_pace(3600 * s, 3600 * (100 << 10), NULL), 0);
}

static void hang(struct fake_server *s, const struct fake_request *req, int fd)
{
	char c;

	(void)s;
	(void)req;
	/* Until the client gives up. */
	while (recv(fd, &c, 1, 0) > 0)
		;
}

static void a_server_that_does_not_answer_is_left_when_its_time_is_up(void **state)
{
	_cleanup_(get_release) struct get g = GET_INIT;
	_cleanup_free_ char *url = NULL;
	struct fake_server s;

	(void)state;
	fake_start(&s, hang, NULL);
	url = xasprintf("http://%s/x", s.host);
	do_get(&g, url, (struct http_request){.answer_s = 1});
	fake_stop(&s);
	assert_int_equal(g.r, -ERR_TIMEOUT);
	assert_int_equal(s.requests, 1);
}

static int setup(void **state)
{
	(void)state;
	http = http_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_free(http);
	return 0;
}

static void a_date_is_read_in_each_form_of_http(void **state)
{
	(void)state;
	assert_int_equal(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	assert_int_equal(http_date("Sun Nov  6 08:49:37 1994"), 784111777);
	assert_int_equal(http_date("Sun, 06 Nov 9999 08:49:37 GMT"), 0);
	assert_int_equal(http_date("yesterday"), 0);
	assert_int_equal(http_date(""), 0);
	assert_int_equal(http_date(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_date_is_read_in_each_form_of_http),
		cmocka_unit_test(a_body_that_breaks_off_is_resumed_where_it_stopped),
		cmocka_unit_test(a_server_without_ranges_is_read_again_and_nothing_comes_twice),
		cmocka_unit_test(a_server_that_is_busy_is_asked_again_after_what_it_says),
		cmocka_unit_test(a_server_that_wants_an_hour_is_not_waited_for),
		cmocka_unit_test(a_redirect_to_another_host_takes_no_credentials_along),
		cmocka_unit_test(a_redirect_within_the_host_keeps_them),
		cmocka_unit_test(endless_redirects_end),
		cmocka_unit_test(a_redirect_to_plain_http_on_a_network_is_refused),
		cmocka_unit_test(a_document_beyond_its_limit_is_an_error),
		cmocka_unit_test(a_cancelled_request_ends_at_once),
		cmocka_unit_test(a_refused_connection_says_so_and_is_not_retried),
		cmocka_unit_test(what_is_sent_arrives),
		cmocka_unit_test(origins_are_scheme_host_and_port),
		cmocka_unit_test(what_servers_name_is_http_without_a_user_and_no_less_safe),
		cmocka_unit_test(hostile_urls_are_never_the_next),
		cmocka_unit_test(redirects_to_a_user_or_out_of_this_machine_ask_nobody),
		cmocka_unit_test(a_transfer_may_take_what_fits_its_size),
		cmocka_unit_test(a_server_that_does_not_answer_is_left_when_its_time_is_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
