/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests over libcurl, which nothing outside http*.c knows of.
 *
 * A struct http keeps idle connections and TLS sessions; it is thread safe, and each request uses
 * one connection of its own for its time. Redirects are followed by hand (of what is sent only 307
 * and 308, which ask for it to be sent again): `authorization` goes to the scheme, host and port of
 * the request's URL and nowhere else, and HTTPS never turns into plain HTTP unless the request
 * allows insecure servers. Requests that failed for now (429, 502-504, a connection that broke) are
 * tried again with growing pauses, or after what Retry-After says; a streamed body goes on where it
 * stopped, by a Range request. No transfer goes on for ever: one that stands still for a minute, or
 * is slower than HTTP_RATE_MIN on the whole, fails with ERR_TIMEOUT.
 */
#ifndef KILN_ENGINE_HTTP_HTTP_H
#define KILN_ENGINE_HTTP_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/strv.h"

/* A transfer may take HTTP_GRACE_S, and a second more for each HTTP_RATE_MIN bytes that
 * went over. */
enum { HTTP_GRACE_S = 120, HTTP_RATE_MIN = 16 << 10 };
/* ERR_TIMEOUT if one that moved so much in this time is slower; for other protocols, too. */
int http_check_pace(int64_t ns, uint64_t bytes, struct error **err) _must_check_;

struct http;
struct http *http_new(void);
void http_free(struct http *h); /* no request may be running */
DEFINE_FREEP(struct http, http_free)

/* Takes a piece of a body; a failure ends the transfer with that error. */
typedef int (*http_sink_fn)(void *data, const void *p, size_t n, struct error **err);

struct http_request {
	const char *method; /* NULL: GET */
	const char *url;
	const struct strv *headers; /* "Name: value"; NULL: none */
	const char *authorization;  /* value of the header; NULL: none */
	const char *ca;		    /* PEM file trusted beside the system's; NULL: none */
	bool insecure;		    /* certificates are not checked; plain HTTP is allowed */
	bool plain;		    /* a redirect may lead to plain HTTP on a network */
	bool keep_redirect;	    /* a 3xx is the answer, do not follow it */
	/* Doing it twice does no harm: it is tried again like a GET, and after a 500 too. */
	bool repeatable;
	bool no_page;	   /* an answer of type text/html is collected and not given to `sink` */
	unsigned tries;	   /* how often at most; 0: 5 */
	unsigned answer_s; /* wait so long for the answer to begin (ERR_TIMEOUT); 0: 60 s */

	/* What is sent: `body_n` bytes of `body`, or of the file `body_fd` from `body_at` on if
	 * body is NULL. */
	const void *body;
	int body_fd;
	uint64_t body_at, body_n;
	void (*sent)(void *data, uint64_t total); /* progress of sending; NULL: none */
	void *sent_data;

	/* What comes back. With `sink`, a 200 or 206 body goes there and *delivered counts what the
	 * sink took: when the same request is made again it resumes there. Without, and for all
	 * other statuses, the body is collected, at most `max` bytes: more is ERR_INVALID for a 2xx
	 * and cut for the rest. */
	http_sink_fn sink;
	void *sink_data;
	uint64_t *delivered;
	size_t max; /* 0: 1 MiB */

	void (*waiting)(
		void *data); /* no answer came for a while; once a try, NULL: nobody cares */
	void *waiting_data;

	struct cancel *cancel;	 /* may be NULL */
	const atomic_bool *stop; /* the same as a plain flag, noticed a little later; may be NULL */
};

struct http_response {
	int status;
	struct strv headers; /* "name: value", name in lower case */
	struct buf body;
	char *url; /* where the answer came from, after redirects */
	/* The server closed or garbled the TLS handshake: perhaps it speaks plain HTTP. */
	bool tls_failed;
};
#define HTTP_RESPONSE_INIT       \
	{                        \
		.body = BUF_INIT \
	}
void http_response_release(struct http_response *r);
/* First header of that lower-case name after position *at (start with 0), or NULL. */
const char *http_header(const struct http_response *r, const char *name);
const char *http_header_next(const struct http_response *r, const char *name, size_t *at);

/* Success means that an answer arrived, whatever its status. Errors: ERR_UNAVAILABLE (unknown host,
 * refused, broken), ERR_TIMEOUT, ERR_DENIED (a certificate that does not verify), ERR_INVALID (an
 * answer that is not valid HTTP or is too large), ERR_CANCELED, or the sink's. */
int http_perform(struct http *h, const struct http_request *req, struct http_response *ret,
		 struct error **err) _must_check_;

/* "https://host:port/path" without user, query and fragment, for messages. Heap. */
char *http_url_display(const char *url);
/* What a server names as the place to ask next (a redirect, the location of an upload, a token
 * realm), absolute or seen from `from`: heap, without fragment. It is http or https (else
 * ERR_INVALID) and, or it is ERR_DENIED, brings no user and is plain HTTP only if `plain`, or if
 * `from` is plain as well and it is on this machine's loopback. */
int http_url_next(const char *from, const char *to, bool plain, char **ret,
		  struct error **err) _must_check_;
/* "host" or "host:port" as the URL has it, "" if it is not a URL. Heap. */
char *http_url_host(const char *url);
/* Is its host this machine's loopback (config_host_is_loopback)? */
bool http_url_is_loopback(const char *url);
/* Do both URLs name the same scheme, host and port? */
bool http_url_same_origin(const char *a, const char *b);
/* Seconds since the epoch of a date in a header, in any of the forms of HTTP
 * ("Sun, 06 Nov 1994 08:49:37 GMT"); 0 if it is not a date, is before 1970 or after 2261, or
 * NULL. */
int64_t http_date(const char *text);
/* Percent-encodes everything but unreserved characters. Heap. */
char *http_escape(const char *text);

#endif
