/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/http/http.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/number.h"
#include "base/times.h"
#include "engine/http/http_curl.h"

enum {
	REDIRECTS_MAX = 10,
	TRIES_MAX = 5,
	PAUSE_FIRST_MS = 200,
	PAUSE_MAX_MS = 10000,
	RETRY_AFTER_MAX_S = 60, /* a server that asks for more is reported instead */
};

void http_response_release(struct http_response *r)
{
	strv_release(&r->headers);
	buf_release(&r->body);
	free(r->url);
	*r = (struct http_response)HTTP_RESPONSE_INIT;
}

const char *http_header_next(const struct http_response *r, const char *name, size_t *at)
{
	size_t n = strlen(name);

	while (*at < r->headers.n) {
		const char *line = r->headers.v[(*at)++];

		if (strncmp(line, name, n) != 0 || line[n] != ':')
			continue;
		line += n + 1;
		return line + strspn(line, " \t");
	}
	return NULL;
}

const char *http_header(const struct http_response *r, const char *name)
{
	size_t at = 0;

	return http_header_next(r, name, &at);
}

char *http_escape(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	struct buf b = BUF_INIT;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    strchr("-._~", c)) {
			buf_addc(&b, (char)c);
		} else {
			buf_addc(&b, '%');
			buf_addc(&b, hex[c >> 4]);
			buf_addc(&b, hex[c & 15]);
		}
	}
	return buf_take(&b);
}

int http_check_pace(int64_t ns, uint64_t bytes, struct error **err)
{
	int64_t s = ns / NS_PER_S;

	if (s <= HTTP_GRACE_S + (int64_t)(bytes / HTTP_RATE_MIN))
		return 0;
	return error_new(err, ERR_TIMEOUT, 0,
			 "too slow: %llu bytes in %lld s; the minimum is %d bytes a second",
			 (unsigned long long)bytes, (long long)s, HTTP_RATE_MIN);
}

static bool is_safe(const struct http_request *req)
{
	return !req->method || strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
}

static bool may_repeat(const struct http_request *req)
{
	return req->repeatable || is_safe(req);
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a redirect leads (http_url_next). */
static int redirect_target(const struct http_request *req, const char *from,
			   const struct http_response *resp, char **ret, struct error **err)
{
	const char *location = http_header(resp, "location");
	int r;

	if (!location)
		return error_new(err, ERR_INVALID, 0, "redirect (%d) without a location",
				 resp->status);
	r = http_url_next(from, location, req->insecure || req->plain, ret, err);
	return r < 0 ? error_wrap(err, r, "redirect (%d)", resp->status) : 0;
}

/* One try: the exchange and the redirects that follow from it. */
static int try_once(struct http *h, const struct http_request *req, struct http_response *ret,
		    enum http_failure *failure, struct error **err)
{
	_cleanup_free_ char *url = xstrdup(req->url);

	for (unsigned hops = 0;; hops++) {
		bool same = http_url_same_origin(req->url, url);
		char *next = NULL;
		int r;

		http_response_release(ret);
		ret->url = xstrdup(url);
		*failure = HTTP_FAILURE_FINAL;
		r = http_exchange(h, req, url, same, ret, failure, err);
		if (r < 0) {
			_cleanup_free_ char *where = http_url_display(url);

			return error_wrap(err, r, "%s %s", req->method ? req->method : "GET",
					  where);
		}
		if (!is_redirect(ret->status) || req->keep_redirect ||
		    (!is_safe(req) && ret->status != 307 && ret->status != 308))
			return 0;
		if (hops == REDIRECTS_MAX)
			return error_new(err, ERR_INVALID, 0, "GET %s: more than %d redirects",
					 req->url, REDIRECTS_MAX);
		r = redirect_target(req, url, ret, &next, err);
		if (r < 0) {
			_cleanup_free_ char *where = http_url_display(url);

			return error_wrap(err, r, "GET %s", where);
		}
		free(url);
		url = next;
	}
}

static bool is_temporary(const struct http_request *req, int status)
{
	if (status == 429 || status == 503)
		return true;
	if (status == 500)
		return req->repeatable;
	return may_repeat(req) && (status == 502 || status == 504);
}

/* Milliseconds to wait before another try; -1: not worth it. */
static int pause_ms(const struct http_response *resp, unsigned tries)
{
	const char *after = http_header(resp, "retry-after");
	uint32_t random = 0;
	uint64_t s;
	int ms = PAUSE_FIRST_MS << (tries < 6 ? tries : 6);

	if (after) {
		int r = number_parse(after, 10, RETRY_AFTER_MAX_S, &s);

		if (r == 0 || r == -ERANGE)
			return r < 0 ? -1 : (int)s * 1000;
	}
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	/* Spread, so that many builds do not come back at once. */
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random = 0;
	return ms / 2 + (int)(random % (uint32_t)(ms / 2 + 1));
}

static int wait_ms(const struct http_request *req, int ms, struct error **err)
{
	int64_t until = times_monotonic_ns() + (int64_t)ms * 1000000;

	for (;;) {
		struct pollfd pfd = {.fd = req->cancel ? req->cancel->fd : -1, .events = POLLIN};
		int64_t left = (until - times_monotonic_ns()) / 1000000;

		if (cancel_is_set(req->cancel) || (req->stop && atomic_load(req->stop)))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		if (left <= 0)
			return 0;
		if (poll(&pfd, 1, left < 250 ? (int)left + 1 : 250) < 0 && errno != EINTR)
			return error_new(err, ERR_IO, errno, "wait");
	}
}

int http_perform(struct http *h, const struct http_request *req, struct http_response *ret,
		 struct error **err)
{
	unsigned tries_max = req->tries ? req->tries : TRIES_MAX;
	uint64_t before = 0;

	for (unsigned tries = 0;; tries++) {
		uint64_t at = req->delivered ? *req->delivered : 0;
		_cleanup_(error_freep) struct error *failed = NULL;
		enum http_failure failure;
		int r, ms;

		if (at > before) /* it moved: start counting anew */
			tries = 0;
		before = at;
		r = try_once(h, req, ret, &failure, &failed);
		if (r == 0 && !is_temporary(req, ret->status))
			return 0;
		ms = tries + 1 < tries_max ? pause_ms(ret, tries) : -1;
		if (r < 0 && (failure != HTTP_FAILURE_BROKEN || !may_repeat(req)))
			ms = -1;
		if (ms < 0) {
			if (r < 0 && err)
				*err = TAKE_PTR(failed);
			return r;
		}
		r = wait_ms(req, ms, err);
		if (r < 0)
			return r;
	}
}
