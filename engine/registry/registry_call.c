/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry/registry_call.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/printable.h"
#include "engine/registry/registry_auth.h"
#include "solver/progress.h"

enum {
	SERVER_MESSAGE_MAX = 300,
	/* A mirror that has to fetch what it is asked for says so in less. */
	MIRROR_ANSWER_S = 10,
};

struct registry {
	const struct config *config;
	struct http *http;
	struct registry_auth *auth;
	struct cancel *cancel;
	_Atomic(const struct progress *) progress;
	unsigned mirror_patience;
	pthread_mutex_t lock; /* protects what follows */
	struct map schemes;   /* host -> "http" or "https", where it was found out */
	struct map slow;      /* mirrors that did not answer in time: URL -> a mark */
};

struct registry *registry_new(const struct config *config)
{
	struct registry *r = NEW(struct registry);

	r->config = config;
	r->mirror_patience = MIRROR_ANSWER_S;
	r->http = http_new();
	r->auth = registry_auth_new(r->http);
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	registry_auth_free(r->auth);
	http_free(r->http);
	map_release(&r->schemes, NULL);
	map_release(&r->slow, NULL);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void registry_set_cancel(struct registry *r, struct cancel *cancel)
{
	r->cancel = cancel;
}

void registry_set_progress(struct registry *r, const struct progress *progress)
{
	atomic_store(&r->progress, progress);
}

void registry_set_mirror_patience(struct registry *r, unsigned s)
{
	r->mirror_patience = s;
}

struct cancel *registry_cancel(const struct registry *r)
{
	return r->cancel;
}

bool registry_is_insecure(struct registry *r, const char *host)
{
	const struct registry_config *rc = config_registry(r->config, host);

	return rc && rc->insecure;
}

/* Where one call goes. */
struct server {
	char *host;   /* for messages, credentials and configuration */
	char *url;    /* scheme://host:port */
	char *prefix; /* of a mirror's repositories: "hub/proxy"; NULL: none */
	bool guessed; /* the scheme is a guess: the other one may be tried */
	const char *ca;
	bool insecure;
	bool hasty; /* others can be asked: do not wait for it long */
};

static void server_release(struct server *s)
{
	free(s->host);
	free(s->url);
	free(s->prefix);
}

static const char plain[] = "http", tls[] = "https";

static const char *known_scheme(struct registry *r, const char *host)
{
	const char *scheme;

	pthread_mutex_lock(&r->lock);
	scheme = map_gets(&r->schemes, host);
	pthread_mutex_unlock(&r->lock);
	return scheme;
}

static void remember_scheme(struct registry *r, const char *host, const char *scheme)
{
	pthread_mutex_lock(&r->lock);
	*map_puts(&r->schemes, host) = (void *)(uintptr_t)scheme;
	pthread_mutex_unlock(&r->lock);
}

static void set_trust(struct registry *r, struct server *s, const struct registry_config *fallback)
{
	const struct registry_config *rc = config_registry(r->config, s->host);

	rc = rc ? rc : fallback;
	s->ca = rc ? rc->ca : NULL;
	s->insecure = rc && rc->insecure;
}

/* A mirror at http://host/hub/proxy has library/x as hub/proxy/library/x. */
static struct server mirror_server(struct registry *r, const struct registry_config *rc,
				   const char *url)
{
	const char *host = strstr(url, "://") + 3;
	size_t n = strcspn(host, "/");
	struct server s = {.url = xstrndup(url, (size_t)(host - url) + n),
			   .host = xstrndup(host, n)};

	if (host[n])
		s.prefix = xstrdup(host + n + 1);
	set_trust(r, &s, rc);
	return s;
}

static struct server origin_server(struct registry *r, const char *host)
{
	struct server s = {.host = xstrdup(host)};
	const char *scheme;

	set_trust(r, &s, NULL);
	/* The reference's name of Docker's hub is not that of its server. */
	if (strcmp(host, "docker.io") == 0) {
		s.url = xstrdup("https://registry-1.docker.io");
		return s;
	}
	scheme = known_scheme(r, host);
	s.guessed = !scheme && (s.insecure || config_host_is_loopback(host));
	/* Nearly all registries on loopback are plain, and one that expects TLS says so at once,
	 * where the other way round a plain one may wait for the end of a line. */
	if (!scheme)
		scheme = config_host_is_loopback(host) && !s.ca ? plain : tls;
	s.url = xasprintf("%s://%s", scheme, host);
	return s;
}

void registry_error_text(const void *p, size_t n, struct buf *ret)
{
	const char *message = NULL, *code = NULL;
	json_t *doc = NULL, *errors = NULL;

	if (js_parse("error", p, n, &doc, NULL) == 0 && json_is_object(doc) &&
	    js_array(doc, "errors", &errors, NULL) == 0) {
		const json_t *first = json_array_get(errors, 0);

		if (json_is_object(first) && js_string(first, "message", &message, NULL) == 0)
			(void)!js_string(first, "code", &code, NULL);
	}
	if (!message || !*message)
		message = code;
	if (message)
		printable_add_line(ret, message, strnlen(message, SERVER_MESSAGE_MAX));
	json_decref(doc);
}

/* The server that answered: its name, and where it had sent us to. */
static char *who_answered(const struct server *s, const struct http_response *resp)
{
	_cleanup_free_ char *host = NULL;

	if (!resp->url || http_url_same_origin(resp->url, s->url))
		return xstrdup(s->host);
	host = http_url_host(resp->url);
	return xasprintf("%s (by way of %s)", host, s->host);
}

static int status_error(const struct server *s, const struct registry_call *call,
			const struct http_response *resp, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *who = who_answered(s, resp);
	const char *comma;
	int r;

	registry_error_text(resp->body.p, resp->body.n, &b);
	comma = b.n > 0 ? ": " : "";
	switch (resp->status) {
	case 404:
		return error_new(err, ERR_NOTFOUND, 0, "%s: not found (registry %s%s%s)",
				 call->what, who, comma, b.p);
	case 401:
	case 403:
		r = error_new(err, ERR_DENIED, 0,
			      "%s: registry %s denies access, or it does not exist (%d%s%s)",
			      call->what, who, resp->status, comma, b.p);
		return error_hint(err, r, "check the name, or log in: kiln login %s", s->host);
	case 429:
		r = error_new(err, ERR_UNAVAILABLE, 0,
			      "%s: registry %s refuses further requests for now%s%s", call->what,
			      who, comma, b.p);
		return error_hint(err, r, "wait, or log in for a higher limit: kiln login %s",
				  s->host);
	default:
		return error_new(err, resp->status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID, 0,
				 "%s: registry %s answers %d%s%s", call->what, who, resp->status,
				 comma, b.p);
	}
}

/* The URL of a call at this server, which may be one that the server itself gave. */
static char *call_url(const struct server *s, const char *path)
{
	if (strstr(path, "://"))
		return xstrdup(path);
	return s->prefix ? xasprintf("%s/v2/%s/%s", s->url, s->prefix, path + strlen("/v2/"))
			 : xasprintf("%s%s", s->url, path);
}

static char *call_scope(const struct server *s, const char *scope)
{
	static const char kind[] = "repository:";
	size_t n = strlen(kind);

	return s->prefix && strncmp(scope, kind, n) == 0
		       ? xasprintf("%s%s/%s", kind, s->prefix, scope + n)
		       : xstrdup(scope);
}

/* A call that waits, and the step that tells so. */
struct waiting {
	struct registry *r;
	const struct server *server;
	const char *what;
	struct job *job;
};

static void tell_waiting(void *data)
{
	struct waiting *w = data;
	const struct progress *progress = atomic_load(&w->r->progress);
	_cleanup_free_ char *line = NULL;

	if (!progress || w->job)
		return;
	line = xasprintf("[internal] waiting for %s (%s)", w->server->host, w->what);
	w->job = job_open(progress, w->r->cancel, line);
}

/* One request with the authorization that is known, and again with the answer to a challenge. */
static int ask(struct registry *r, const struct server *s, const struct registry_call *call,
	       struct http_response *ret, struct error **err)
{
	struct auth_server as = {
		.url = s->url, .host = s->host, .ca = s->ca, .insecure = s->insecure};
	_cleanup_free_ char *url = call_url(s, call->path), *scope = call_scope(s, call->scope);
	/* An upload may be sent to a host of the registry's choice, which signs its own URLs. */
	bool own = http_url_same_origin(url, s->url);
	_cleanup_free_ char *authorization = own ? registry_auth_known(r->auth, &as, scope) : NULL;
	struct waiting w = {.r = r, .server = s, .what = call->what};
	struct http_request req = call->http;
	int res;

	req.url = url;
	req.cancel = req.cancel ? req.cancel : r->cancel;
	req.ca = s->ca;
	req.insecure = s->insecure;
	req.authorization = authorization;
	req.no_page = true;
	req.answer_s = s->hasty ? r->mirror_patience : 0;
	req.waiting = tell_waiting;
	req.waiting_data = &w;
	res = http_perform(r->http, &req, ret, err);
	if (w.job)
		job_close(TAKE_PTR(w.job), 0, NULL);
	if (res < 0 || ret->status != 401 || !own)
		return res;
	free(TAKE_PTR(authorization));
	res = registry_auth_answer(r->auth, &as, scope, ret, req.cancel, &authorization, err);
	if (res < 0)
		return error_wrap(err, res, "%s", call->what);
	req.authorization = authorization;
	res = http_perform(r->http, &req, ret, err);
	if (w.job)
		job_close(w.job, 0, NULL);
	if (res == 0 && ret->status != 401)
		registry_auth_used(r->auth, &as, scope, authorization);
	return res;
}

/* Does this look like talking TLS to a plain server, or the other way round? */
static bool is_wrong_scheme(const struct server *s, int res, const struct error *failed,
			    const struct http_response *resp)
{
	if (strncmp(s->url, "https:", 6) == 0)
		return res < 0 && resp->tls_failed;
	/* Servers of TLS answer 400 to plain text, or hang up. */
	return (res == 0 && resp->status == 400) ||
	       (res == -ERR_UNAVAILABLE && error_errno(failed) == 0);
}

static bool is_success(int res, const struct http_response *resp)
{
	return res == 0 && resp->status >= 200 && resp->status < 300;
}

/* Asks, and where the scheme was a wrong guess asks again with the other. */
static int ask_guessing(struct registry *r, struct server *s, const struct registry_call *call,
			struct http_response *ret, struct error **err)
{
	_cleanup_(error_freep) struct error *first = NULL, *second = NULL;
	bool was_plain = strncmp(s->url, "http:", 5) == 0;
	int res = ask(r, s, call, ret, &first), again;

	if (!is_wrong_scheme(s, res, first, ret)) {
		if (res == 0)
			remember_scheme(r, s->host, was_plain ? plain : tls);
		*err = TAKE_PTR(first);
		return res;
	}
	if (res == 0)
		res = status_error(s, call, ret, &first);
	free(s->url);
	s->url = xasprintf("%s://%s", was_plain ? tls : plain, s->host);
	again = ask(r, s, call, ret, &second);
	/* No better: then the first answer was meant. */
	if (again < 0 && is_wrong_scheme(s, again, second, ret)) {
		*err = TAKE_PTR(first);
		return res;
	}
	if (again == 0)
		remember_scheme(r, s->host, was_plain ? tls : plain);
	*err = TAKE_PTR(second);
	return again;
}

/* Is a 2xx what it says? What logs people in on a network, or stands for a registry that is gone,
 * answers with pages; and some registries with an error in JSON. */
static int check_answer(const struct server *s, const struct registry_call *call,
			const struct http_response *resp, struct error **err)
{
	const char *type = http_header(resp, "content-type");
	_cleanup_free_ char *who = who_answered(s, resp);
	_cleanup_buf_ struct buf said = BUF_INIT;

	if (resp->status == 200 && type && strncmp(type, "text/html", strlen("text/html")) == 0)
		return error_new(err, ERR_UNAVAILABLE, 0,
				 "%s: registry %s sent a page (text/html) in its place", call->what,
				 who);
	registry_error_text(resp->body.p, resp->body.n, &said);
	if (said.n > 0)
		return error_new(err, ERR_UNAVAILABLE, 0,
				 "%s: registry %s answers %d with an error: %s", call->what, who,
				 resp->status, said.p);
	return 0;
}

static int ask_server(struct registry *r, struct server *s, const struct registry_call *call,
		      struct http_response *ret, struct error **err)
{
	_cleanup_(error_freep) struct error *failed = NULL;
	int res = s->guessed && !strstr(call->path, "://") ? ask_guessing(r, s, call, ret, &failed)
							   : ask(r, s, call, ret, &failed);

	if (res < 0) {
		if (err)
			*err = TAKE_PTR(failed);
		return error_wrap(err, res, "registry %s", s->host);
	}
	return is_success(res, ret) ? check_answer(s, call, ret, err)
				    : status_error(s, call, ret, err);
}

/* Does this failure mean that another server may do better? */
static bool passes_on(int r)
{
	return r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT || r == -ERR_NOTFOUND ||
	       r == -ERR_DENIED || r == -ERR_INVALID;
}

static bool is_silent(int r)
{
	return r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT;
}

/* Which of two servers' failures is told: a server that was there and had no answer says more than
 * one that could not be reached; of two that could not be reached both are told. Consumes both. */
static struct error *choose(int r_before, struct error *before, int r, struct error *now, int *ret)
{
	struct error *both = NULL;

	if (is_silent(r) && !is_silent(r_before) && before) {
		error_free(now);
		*ret = r_before;
		return before;
	}
	*ret = r;
	if (!before || !is_silent(r_before) || !is_silent(r)) {
		error_free(before);
		return now;
	}
	error_new(&both, error_code(now), 0, "%s; %s", error_text(before), error_text(now));
	if (error_hint_text(now))
		error_hint(&both, r, "%s", error_hint_text(now));
	error_free(before);
	error_free(now);
	return both;
}

static bool is_slow(struct registry *r, const char *mirror)
{
	bool slow;

	pthread_mutex_lock(&r->lock);
	slow = map_gets(&r->slow, mirror) != NULL;
	pthread_mutex_unlock(&r->lock);
	return slow;
}

static void mark_slow(struct registry *r, const char *mirror)
{
	pthread_mutex_lock(&r->lock);
	*map_puts(&r->slow, mirror) = r;
	pthread_mutex_unlock(&r->lock);
}

/* What was asked so far, and the failure that is to be told. */
struct attempt {
	struct registry *r;
	const struct registry_call *call;
	struct http_response *ret;
	char **ret_server;
	struct error *best;
	int best_r;
};

/* Asks one server; false: it does not help to ask another. `a->best_r` is 0 after success. */
static bool attempt(struct attempt *a, struct server *s, int *ret)
{
	struct error *failed = NULL;
	int res = ask_server(a->r, s, a->call, a->ret, &failed);

	*ret = res;
	if (a->ret_server) {
		free(*a->ret_server);
		*a->ret_server = xstrdup(s->host);
	}
	if (res == 0)
		a->best_r = 0;
	else
		a->best = choose(a->best_r, a->best, res, failed, &a->best_r);
	return res < 0 && passes_on(res);
}

/* The mirrors in order, then the registry, and last the mirrors that once did not answer in time:
 * those are waited for, where nobody else has it. */
int registry_call(struct registry *r, const struct registry_call *call, struct http_response *ret,
		  char **ret_server, struct error **err)
{
	const struct registry_config *rc =
		call->origin_only ? NULL : config_registry(r->config, call->host);
	struct attempt a = {.r = r, .call = call, .ret = ret, .ret_server = ret_server};
	size_t n_mirrors = rc ? rc->mirrors.n : 0;
	bool more = true;
	int res = 0;

	for (size_t i = 0; i < 2 * n_mirrors + 1 && more; i++) {
		const char *mirror = i == n_mirrors ? NULL : rc->mirrors.v[i % (n_mirrors + 1)];
		_cleanup_(server_release) struct server s = {0};

		if (mirror && is_slow(r, mirror) != (i > n_mirrors))
			continue;
		s = mirror ? mirror_server(r, rc, mirror) : origin_server(r, call->host);
		s.hasty = i < n_mirrors;
		more = attempt(&a, &s, &res);
		if (s.hasty && res == -ERR_TIMEOUT)
			mark_slow(r, mirror);
	}
	if (a.best_r < 0 && err)
		*err = TAKE_PTR(a.best);
	error_free(a.best);
	return a.best_r;
}

int registry_login(struct registry *r, const char *host, const struct credentials *c,
		   struct cancel *cancel, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_(error_freep) struct error *failed = NULL;
	struct registry_call call = {.host = host,
				     .path = "/v2/",
				     .scope = "",
				     .what = "the registry",
				     .origin_only = true,
				     .http = {.cancel = cancel}};
	int res;

	registry_auth_try(r->auth, host, c);
	res = registry_call(r, &call, &resp, NULL, &failed);
	if (res == -ERR_DENIED)
		return error_new(err, ERR_DENIED, 0,
				 "log in to %s: the user name or the password is wrong", host);
	if (res < 0 && err)
		*err = TAKE_PTR(failed);
	return res < 0 ? error_wrap(err, res, "log in to %s", host) : 0;
}
