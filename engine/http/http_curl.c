/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/http/http_curl.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "base/times.h"

enum {
	CONNECT_TIMEOUT_S = 20,
	WAITING_S = 3,	 /* people want to know for whom */
	IDLE_MAX_S = 60, /* nothing comes or goes for so long */
	/* A server that got something large takes its time before it answers: this rate at
	 * least. */
	DIGEST_RATE_MIN = 8 << 20,
	POLL_MS = 250, /* how soon `stop` is noticed */
	IDLE_MAX = 8,
	HEADERS_MAX = 256 << 10,
	BODY_MAX = 1 << 20,
};

/* An easy handle with the connections it keeps open (they live in its multi handle). */
struct slot {
	struct slot *next;
	CURLM *multi;
	CURL *easy;
	char reason[CURL_ERROR_SIZE];
};

struct http {
	CURLSH *share;					  /* NULL before the first request */
	pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST]; /* protect what `share` holds, by kind */
	pthread_mutex_t lock;				  /* protects share, idle, n_idle */
	struct slot *idle;
	unsigned n_idle;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
}

static void share_lock(CURL *easy, curl_lock_data kind, curl_lock_access access, void *data)
{
	struct http *h = data;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&h->share_locks[kind]);
}

static void share_unlock(CURL *easy, curl_lock_data kind, void *data)
{
	struct http *h = data;

	(void)easy;
	pthread_mutex_unlock(&h->share_locks[kind]);
}

struct http *http_new(void)
{
	struct http *h = NEW(struct http);

	pthread_mutex_init(&h->lock, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(h->share_locks); i++)
		pthread_mutex_init(&h->share_locks[i], NULL);
	return h;
}

/* With the first request, since most builds make none and libcurl takes its time to load. */
static void start_locked(struct http *h)
{
	if (h->share)
		return;
	pthread_once(&global_once, global_init);
	h->share = curl_share_init();
	if (!h->share)
		abort();
	curl_share_setopt(h->share, CURLSHOPT_LOCKFUNC, share_lock);
	curl_share_setopt(h->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
	curl_share_setopt(h->share, CURLSHOPT_USERDATA, h);
	curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

static void slot_free(struct slot *s)
{
	curl_easy_cleanup(s->easy);
	curl_multi_cleanup(s->multi);
	free(s);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->idle) {
		struct slot *s = h->idle;

		h->idle = s->next;
		slot_free(s);
	}
	if (h->share)
		curl_share_cleanup(h->share);
	for (size_t i = 0; i < ARRAY_SIZE(h->share_locks); i++)
		pthread_mutex_destroy(&h->share_locks[i]);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static struct slot *slot_take(struct http *h)
{
	struct slot *s;

	pthread_mutex_lock(&h->lock);
	start_locked(h);
	s = h->idle;
	if (s) {
		h->idle = s->next;
		h->n_idle--;
	}
	pthread_mutex_unlock(&h->lock);
	if (!s) {
		s = NEW(struct slot);
		s->multi = curl_multi_init();
		s->easy = curl_easy_init();
		if (!s->multi || !s->easy)
			abort();
	}
	return s;
}

static void slot_give(struct http *h, struct slot *s)
{
	bool keep;

	curl_easy_reset(s->easy);
	pthread_mutex_lock(&h->lock);
	keep = h->n_idle < IDLE_MAX;
	if (keep) {
		s->next = h->idle;
		h->idle = s;
		h->n_idle++;
	}
	pthread_mutex_unlock(&h->lock);
	if (!keep)
		slot_free(s);
}

/* What the callbacks of one transfer share. */
struct transfer {
	const struct http_request *req;
	struct http_response *resp;
	CURL *easy;
	size_t header_bytes;
	bool started; /* the first piece of the body has been seen */
	bool to_sink;
	bool told;     /* that it is waited for */
	uint64_t skip; /* bytes of the body that an earlier try delivered */
	uint64_t sent;
	uint64_t received;	 /* of the body */
	int64_t begun, moved_at; /* monotonic ns */
	int64_t here;	/* ns spent by our own callbacks, which the peer is not to blame for */
	uint64_t moved; /* bytes in both directions at `moved_at` */
	int r;		/* a callback's failure, with *err set */
	struct error **err;
};

static size_t on_header(char *p, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	size_t len = size * n, name;
	char *line;

	t->header_bytes += len;
	if (t->header_bytes > HEADERS_MAX) {
		t->r = error_new(t->err, ERR_INVALID, 0, "the answer's headers exceed %d bytes",
				 HEADERS_MAX);
		return 0;
	}
	/* A status line: what came before was an interim answer (100, or a proxy's). */
	if (len > 5 && memcmp(p, "HTTP/", 5) == 0) {
		strv_release(&t->resp->headers);
		return len;
	}
	for (name = 0; name < len && p[name] != ':'; name++)
		;
	if (name == 0 || name == len)
		return len;
	line = xstrndup(p, len);
	for (size_t i = 0; i < name; i++)
		line[i] = (char)tolower((unsigned char)line[i]);
	for (size_t i = strlen(line); i > name && strchr("\r\n\t ", line[i - 1]); i--)
		line[i - 1] = '\0';
	strv_push_take(&t->resp->headers, line);
	return len;
}

static bool is_page(const struct http_response *resp)
{
	const char *type = http_header(resp, "content-type");

	return type && strncmp(type, "text/html", strlen("text/html")) == 0;
}

/* At the start of a body: does it go to the sink, and does it start where we left off? */
static int start_body(struct transfer *t)
{
	const struct http_request *req = t->req;
	uint64_t at = req->delivered ? *req->delivered : 0;
	uint64_t first;
	const char *range, *first_at;
	long status = 0;

	t->started = true;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	t->to_sink = req->sink && (status == 200 || status == 206) &&
		     !(req->no_page && is_page(t->resp));
	t->resp->body.max = req->max ? req->max : BODY_MAX;
	if (!t->to_sink || at == 0)
		return 0;
	if (status == 200) { /* the server knows no ranges: drop what we have */
		t->skip = at;
		return 0;
	}
	range = http_header(t->resp, "content-range");
	first_at = range && strncmp(range, "bytes ", 6) == 0 ? range + 6 : "";
	if (number_take(&first_at, 10, UINT64_MAX, &first) < 0 || *first_at != '-' || first != at)
		return error_new(t->err, ERR_INVALID, 0,
				 "the server answered a request for bytes %llu- with range \"%s\"",
				 (unsigned long long)at, range ? range : "");
	return 0;
}

static int take_body(struct transfer *t, const char *p, size_t n)
{
	const struct http_request *req = t->req;
	int r;

	if (!t->to_sink) {
		long status = 0;

		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		buf_add(&t->resp->body, p, n);
		if (t->resp->body.full && status < 300)
			return error_new(t->err, ERR_INVALID, 0,
					 "the answer exceeds the limit of %zu bytes",
					 t->resp->body.max);
		return 0;
	}
	if (t->skip > 0) {
		size_t drop = t->skip < n ? (size_t)t->skip : n;

		t->skip -= drop;
		p += drop;
		n -= drop;
	}
	if (n == 0)
		return 0;
	r = req->sink(req->sink_data, p, n, t->err);
	if (r == 0 && req->delivered)
		*req->delivered += n;
	return r;
}

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	int64_t before = times_monotonic_ns();

	t->received += size * n;
	if (!t->started)
		t->r = start_body(t);
	if (t->r == 0)
		t->r = take_body(t, p, size * n);
	t->here += times_monotonic_ns() - before;
	return t->r < 0 ? 0 : size * n;
}

static size_t on_read(char *p, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	uint64_t left = t->req->body_n - t->sent;
	size_t want = size * n < left ? size * n : (size_t)left;
	ssize_t got;

	if (t->req->body) {
		memcpy(p, (const char *)t->req->body + t->sent, want);
		got = (ssize_t)want;
	} else {
		got = pread(t->req->body_fd, p, want, (off_t)(t->req->body_at + t->sent));
	}
	if (got < 0 || (got == 0 && want > 0)) {
		t->r = error_new(t->err, ERR_IO, got < 0 ? errno : EIO, "read what is to be sent");
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)got;
	if (t->req->sent)
		t->req->sent(t->req->sent_data, t->sent);
	return (size_t)got;
}

static int on_seek(void *data, curl_off_t offset, int origin)
{
	struct transfer *t = data;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static struct curl_slist *append(struct curl_slist *list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(list, line);

	if (!longer)
		abort();
	return longer;
}

static struct curl_slist *set_headers(const struct http_request *req, bool with_authorization)
{
	/* No "Expect: 100-continue": registries that do not know it cost a second each. */
	struct curl_slist *list = append(NULL, "Expect:");

	for (size_t i = 0; req->headers && i < req->headers->n; i++)
		list = append(list, req->headers->v[i]);
	if (with_authorization && req->authorization) {
		_cleanup_free_ char *line = xasprintf("Authorization: %s", req->authorization);

		list = append(list, line);
	}
	return list;
}

static void set_method(CURL *e, struct transfer *t)
{
	const char *method = t->req->method ? t->req->method : "GET";
	bool body = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
		    strcmp(method, "DELETE") != 0;

	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	if (body) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->req->body_n);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, t);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
	}
	if (strcmp(method, "HEAD") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static void set_options(struct http *h, struct slot *s, struct transfer *t, const char *url,
			struct curl_slist *headers)
{
	const struct http_request *req = t->req;
	CURL *e = s->easy;

	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_SHARE, h->share);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->reason);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_USERAGENT, "kiln/0.1");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	/* A name that is being looked up is left to its thread, which may wait for minutes. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 128L << 10);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	if (req->ca)
		curl_easy_setopt(e, CURLOPT_CAINFO, req->ca);
	if (req->insecure) {
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	/* A proxy cannot know this machine's loopback. */
	if (http_url_is_loopback(url))
		curl_easy_setopt(e, CURLOPT_PROXY, "");
	if (req->sink && req->delivered && *req->delivered > 0) {
		_cleanup_free_ char *range =
			xasprintf("%llu-", (unsigned long long)*req->delivered);

		curl_easy_setopt(e, CURLOPT_RANGE, range);
	}
	set_method(e, t);
}

static int transfer_error(struct slot *s, CURLcode code, const char *url, struct http_response *ret,
			  enum http_failure *failure, struct error **err)
{
	const char *reason = *s->reason ? s->reason : curl_easy_strerror(code);
	long os_errno = 0, verify = 0;
	int r;

	(void)url;
	*failure = HTTP_FAILURE_FINAL;
	curl_easy_getinfo(s->easy, CURLINFO_OS_ERRNO, &os_errno);
	curl_easy_getinfo(s->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		r = error_new(err, ERR_UNAVAILABLE, 0, "unknown host: %s", reason);
		return error_hint(err, r, "check the name and this machine's DNS");
	case CURLE_COULDNT_CONNECT:
		r = error_new(err, ERR_UNAVAILABLE, (int)os_errno, "connect%s%s",
			      os_errno ? "" : ": ", os_errno ? "" : reason);
		return os_errno == ECONNREFUSED
			       ? error_hint(err, r,
					    "nothing listens there: check the port, and "
					    "that the server runs")
			       : r;
	case CURLE_OPERATION_TIMEDOUT:
		return error_new(err, ERR_TIMEOUT, 0, "no answer in time: %s", reason);
	case CURLE_PEER_FAILED_VERIFICATION:
		r = error_new(err, ERR_DENIED, 0, "the server's certificate does not verify: %s",
			      verify != X509_V_OK ? X509_verify_cert_error_string(verify) : reason);
		return error_hint(
			err, r,
			"name the authority's certificate as \"ca\" in kiln's configuration");
	case CURLE_SSL_CACERT_BADFILE:
		return error_new(err, ERR_INVALID, 0, "the configured \"ca\" cannot be used: %s",
				 reason);
	case CURLE_SSL_CONNECT_ERROR:
		ret->tls_failed = true;
		return error_new(err, ERR_UNAVAILABLE, 0, "TLS handshake: %s", reason);
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		*failure = HTTP_FAILURE_BROKEN;
		return error_new(err, ERR_UNAVAILABLE, 0, "the connection broke: %s", reason);
	default:
		return error_new(err, ERR_UNAVAILABLE, 0, "%s", reason);
	}
}

static bool stopped(const struct http_request *req)
{
	return cancel_is_set(req->cancel) || (req->stop && atomic_load(req->stop));
}

/* Has the peer had its time? */
static int check_pace(struct transfer *t)
{
	uint64_t moved = t->header_bytes + t->received + t->sent;
	int64_t now = times_monotonic_ns(), s = NS_PER_S, idle_max = IDLE_MAX_S;

	if (moved != t->moved) {
		t->moved = moved;
		t->moved_at = now;
	}
	if (t->header_bytes == 0) {
		if (now - t->moved_at > WAITING_S * s && t->req->waiting && !t->told) {
			t->told = true;
			t->req->waiting(t->req->waiting_data);
		}
		if (t->req->answer_s && t->sent == t->req->body_n)
			idle_max = t->req->answer_s;
		idle_max += (int64_t)(t->sent / DIGEST_RATE_MIN);
	}
	if (now - t->moved_at > idle_max * s)
		return error_new(t->err, ERR_TIMEOUT, 0, "no answer in time: nothing came for %d s",
				 (int)idle_max);
	return http_check_pace(now - t->begun - t->here, moved, t->err);
}

static int drive(struct slot *s, struct transfer *t, CURLcode *ret_code)
{
	struct curl_waitfd wait = {.fd = t->req->cancel ? t->req->cancel->fd : -1,
				   .events = CURL_WAIT_POLLIN};
	int running = 1, left;

	while (running > 0) {
		CURLMcode m = curl_multi_perform(s->multi, &running);

		if (m == CURLM_OK && running > 0)
			m = curl_multi_poll(s->multi, &wait, wait.fd >= 0 ? 1 : 0, POLL_MS, NULL);
		if (m != CURLM_OK)
			return error_new(t->err, ERR_INTERNAL, 0, "%s", curl_multi_strerror(m));
		if (running > 0 && stopped(t->req))
			return error_new(t->err, ERR_CANCELED, 0, "canceled");
		if (running > 0 && check_pace(t) < 0)
			return -ERR_TIMEOUT;
	}
	for (;;) {
		CURLMsg *msg = curl_multi_info_read(s->multi, &left);

		if (!msg)
			return error_new(t->err, ERR_INTERNAL, 0, "the transfer ended silently");
		if (msg->msg == CURLMSG_DONE) {
			*ret_code = msg->data.result;
			return 0;
		}
	}
}

/* OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that has gone must not kill the
 * program. */
static bool block_sigpipe(sigset_t *old)
{
	sigset_t pipe, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, old);
	return sigismember(&pending, SIGPIPE) == 1;
}

static void restore_sigpipe(const sigset_t *old, bool was_pending)
{
	static const struct timespec now;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	if (!was_pending)
		while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

int http_exchange(struct http *h, const struct http_request *req, const char *url,
		  bool with_authorization, struct http_response *ret,
		  enum http_failure *ret_failure, struct error **err)
{
	struct transfer t = {.req = req, .resp = ret, .err = err};
	struct slot *s = slot_take(h);
	struct curl_slist *headers = set_headers(req, with_authorization);
	CURLcode code = CURLE_OK;
	bool sigpipe_pending;
	sigset_t old;
	long status = 0;
	int r;

	*ret_failure = HTTP_FAILURE_NONE;
	t.easy = s->easy;
	t.begun = t.moved_at = times_monotonic_ns();
	s->reason[0] = '\0';
	set_options(h, s, &t, url, headers);
	sigpipe_pending = block_sigpipe(&old);
	curl_multi_add_handle(s->multi, s->easy);
	r = drive(s, &t, &code);
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	ret->status = (int)status;
	if (r == 0 && t.r < 0)
		r = t.r;
	else if (r == 0 && code != CURLE_OK)
		r = transfer_error(s, code, url, ret, ret_failure, err);
	if (r < 0 && *ret_failure == HTTP_FAILURE_NONE)
		*ret_failure = HTTP_FAILURE_FINAL;
	curl_multi_remove_handle(s->multi, s->easy);
	restore_sigpipe(&old, sigpipe_pending);
	slot_give(h, s);
	curl_slist_free_all(headers);
	return r;
}

/* What nanoseconds of an int64_t cannot hold is not taken for a date either. */
int64_t http_date(const char *text)
{
	int64_t seconds = text ? curl_getdate(text, NULL) : 0;

	return seconds > 0 && seconds < INT64_MAX / NS_PER_S ? seconds : 0;
}
