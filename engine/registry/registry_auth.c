/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry/registry_auth.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/map.h"
#include "base/times.h"
#include "engine/config/docker_auth.h"

enum {
	TOKEN_DEFAULT_S = 60, /* lifetime of a token that does not say (token.md) */
	TOKEN_MARGIN_S = 10,  /* a token is not used so shortly before its end */
	TOKEN_ANSWER_MAX = 1 << 20,
	CHALLENGES_MAX = 16,
};

struct known {
	char *authorization;
	int64_t expires; /* monotonic ns; 0: never */
	bool held;	 /* for whom it was fetched alone, until that has used it */
};

struct registry_auth {
	struct http *http;
	pthread_mutex_t lock; /* protects known */
	struct map known;     /* "url scope" (Bearer) or "url" (Basic) -> struct known */
	const char *try_host; /* NULL: only stored credentials */
	const struct credentials *try_credentials;
};

void auth_challenges_release(struct auth_challenges *c)
{
	for (size_t i = 0; i < c->list.n; i++) {
		free(c->list.v[i].realm);
		free(c->list.v[i].service);
		free(c->list.v[i].scope);
	}
	vec_release(&c->list);
}

static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(const char *p)
{
	size_t n = 0;

	while (is_token_char(p[n]))
		n++;
	return n;
}

static const char *skip(const char *p, const char *what)
{
	return p + strspn(p, what);
}

/* A token or a quoted string; NULL if there is neither. */
static const char *parse_value(const char *p, char **ret)
{
	struct buf b = BUF_INIT;

	if (*p != '"') {
		size_t n = token_length(p);

		if (n == 0)
			return NULL;
		*ret = xstrndup(p, n);
		return p + n;
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		buf_addc(&b, *p);
	}
	if (*p != '"') {
		buf_release(&b);
		return NULL;
	}
	*ret = buf_take(&b);
	return p + 1;
}

static void set_param(struct auth_challenge *c, const char *name, size_t n, char *value)
{
	char **field = NULL;

	if (c && n == 5 && strncasecmp(name, "realm", n) == 0)
		field = &c->realm;
	else if (c && n == 7 && strncasecmp(name, "service", n) == 0)
		field = &c->service;
	else if (c && n == 5 && strncasecmp(name, "scope", n) == 0)
		field = &c->scope;
	if (!field) {
		free(value);
		return;
	}
	free(*field);
	*field = value;
}

static struct auth_challenge *begin(struct auth_challenges *ret, const char *scheme, size_t n)
{
	enum auth_scheme kind;

	if (n == 5 && strncasecmp(scheme, "basic", n) == 0)
		kind = AUTH_BASIC;
	else if (n == 6 && strncasecmp(scheme, "bearer", n) == 0)
		kind = AUTH_BEARER;
	else
		return NULL;
	if (ret->list.n == CHALLENGES_MAX)
		return NULL;
	vec_push(&ret->list, (struct auth_challenge){.scheme = kind});
	return &vec_last(&ret->list);
}

/* Past the token68 that some schemes have in place of parameters ("Negotiate YWJj=="). */
static const char *skip_token68(const char *p)
{
	const char *end = p;

	while (is_token_char(*end) || *end == '/')
		end++;
	end = skip(skip(end, "="), " \t");
	return !*end || *end == ',' ? end : p;
}

int auth_challenges_parse(const char *value, struct auth_challenges *ret)
{
	struct auth_challenge *current = NULL;
	const char *p = skip(value, " \t,");

	while (*p) {
		size_t n = token_length(p);
		const char *after = skip(p + n, " \t");

		if (n == 0)
			return -EINVAL;
		if (*after == '=' && after[1] != '=') { /* a parameter of the current challenge */
			char *text = NULL;
			const char *end = parse_value(skip(after + 1, " \t"), &text);

			if (!end)
				return -EINVAL;
			set_param(current, p, n, text);
			p = end;
		} else {
			if (*after && *after != ',' && after == p + n)
				return -EINVAL;
			current = begin(ret, p, n);
			p = skip_token68(after);
		}
		p = skip(p, " \t,");
	}
	return 0;
}

static void known_free(void *p)
{
	struct known *k = p;

	explicit_bzero(k->authorization, strlen(k->authorization));
	free(k->authorization);
	free(k);
}

struct registry_auth *registry_auth_new(struct http *http)
{
	struct registry_auth *a = NEW(struct registry_auth);

	a->http = http;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

void registry_auth_free(struct registry_auth *a)
{
	if (!a)
		return;
	map_release(&a->known, known_free);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void registry_auth_try(struct registry_auth *a, const char *host, const struct credentials *c)
{
	a->try_host = host;
	a->try_credentials = c;
}

static char *find_known(struct registry_auth *a, const char *key)
{
	struct known *k;
	char *text = NULL;

	pthread_mutex_lock(&a->lock);
	k = map_gets(&a->known, key);
	if (k && !k->held && (k->expires == 0 || k->expires > times_monotonic_ns()))
		text = xstrdup(k->authorization);
	pthread_mutex_unlock(&a->lock);
	return text;
}

static void remember(struct registry_auth *a, const char *key, const char *authorization,
		     int64_t expires, bool held)
{
	struct known *k = NEW(struct known);
	void **slot;

	k->authorization = xstrdup(authorization);
	k->expires = expires;
	k->held = held;
	pthread_mutex_lock(&a->lock);
	slot = map_puts(&a->known, key);
	if (*slot)
		known_free(*slot);
	*slot = k;
	pthread_mutex_unlock(&a->lock);
}

char *registry_auth_known(struct registry_auth *a, const struct auth_server *server,
			  const char *scope)
{
	_cleanup_free_ char *key = xasprintf("%s %s", server->url, scope);
	char *text = find_known(a, key);

	return text ? text : find_known(a, server->url);
}

void registry_auth_used(struct registry_auth *a, const struct auth_server *server,
			const char *scope, const char *authorization)
{
	_cleanup_free_ char *key = xasprintf("%s %s", server->url, scope);
	struct known *k;

	pthread_mutex_lock(&a->lock);
	k = map_gets(&a->known, key);
	if (k && strcmp(k->authorization, authorization) == 0)
		k->held = false;
	pthread_mutex_unlock(&a->lock);
}

static char *basic_value(const struct credentials *c)
{
	_cleanup_free_ char *plain = xasprintf("%s:%s", c->username ? c->username : "", c->secret);
	size_t n = strlen(plain);
	_cleanup_free_ char *coded = base64_encode(plain, n);

	explicit_bzero(plain, n);
	return xasprintf("Basic %s", coded);
}

static int denied(const struct auth_server *server, const char *why, struct error **err)
{
	int r = error_new(err, ERR_DENIED, 0, "access denied: %s", why);

	return error_hint(err, r, "kiln login %s", server->host);
}

static void add_param(struct buf *b, const char *name, const char *value)
{
	_cleanup_free_ char *escaped = http_escape(value);

	buf_addf(b, "%s%s=%s", b->n > 0 ? "&" : "", name, escaped);
}

static void add_scopes(struct buf *b, const char *scope, bool joined)
{
	if (joined) { /* oauth.md: one parameter, separated by spaces */
		add_param(b, "scope", scope);
		return;
	}
	while (*scope) {
		size_t n = strcspn(scope, " ");
		_cleanup_free_ char *one = xstrndup(scope, n);

		add_param(b, "scope", one);
		scope += n + (scope[n] == ' ');
	}
}

static int parse_token(const struct buf *body, char **ret_token, int64_t *ret_lifetime,
		       struct error **err)
{
	const char *token = NULL;
	int64_t lifetime = 0;
	json_t *doc = NULL;
	int r = js_parse("the token answer", body->p, body->n, &doc, err);

	if (r == 0 && !json_is_object(doc))
		r = error_new(err, ERR_INVALID, 0, "the token answer is not a JSON object");
	if (r == 0)
		r = js_string(doc, "token", &token, err);
	/* Some send both fields, of which only one holds it. */
	if (r == 0 && (!token || !*token))
		r = js_string(doc, "access_token", &token, err);
	if (r == 0)
		r = js_int(doc, "expires_in", &lifetime, err);
	if (r == 0 && (!token || !*token))
		r = error_new(err, ERR_INVALID, 0, "the token answer holds no token");
	/* It becomes a header line. */
	for (const char *p = token; r == 0 && *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127)
			r = error_new(err, ERR_INVALID, 0, "the token holds bytes it must not");
	if (r == 0) {
		*ret_token = xstrdup(token);
		*ret_lifetime = lifetime > 0 && lifetime < 86400 ? lifetime : TOKEN_DEFAULT_S;
	}
	json_decref(doc);
	return r;
}

/* What a token is asked for, and with what. */
struct token_call {
	struct registry_auth *auth;
	const struct auth_server *server;
	const char *scope;
	const struct auth_challenge *challenge;
	const struct credentials *creds; /* NULL: none */
	struct cancel *cancel;
};

static int ask_realm(const struct token_call *t, const char *realm, struct http_response *resp,
		     struct error **err)
{
	const struct credentials *creds = t->creds;
	_cleanup_strv_ struct strv headers = {0};
	_cleanup_buf_ struct buf form = BUF_INIT;
	_cleanup_free_ char *authorization = NULL, *url = NULL;
	struct http_request req = {.max = TOKEN_ANSWER_MAX,
				   .ca = t->server->ca,
				   .insecure = t->server->insecure,
				   .cancel = t->cancel};
	int r;

	if (t->challenge->service)
		add_param(&form, "service", t->challenge->service);
	add_scopes(&form, t->scope, creds && creds->identity_token);
	if (creds && creds->identity_token) {
		add_param(&form, "client_id", "kiln");
		add_param(&form, "grant_type", "refresh_token");
		add_param(&form, "refresh_token", creds->secret);
		strv_push(&headers, "Content-Type: application/x-www-form-urlencoded");
		url = xstrdup(realm);
		req.method = "POST";
		req.headers = &headers;
		req.body = form.p;
		req.body_n = form.n;
	} else {
		url = xasprintf("%s%c%s", realm, strchr(realm, '?') ? '&' : '?', form.p);
		authorization = creds ? basic_value(creds) : NULL;
		req.authorization = authorization;
	}
	req.url = url;
	r = http_perform(t->auth->http, &req, resp, err);
	explicit_bzero(form.p, form.n);
	return r;
}

/* Whom may a password be sent to: to the realm that the registry named, but never in the clear over
 * a network. */
static int check_realm(const struct auth_server *server, const struct auth_challenge *c, char **ret,
		       struct error **err)
{
	int r;

	if (!c->realm)
		return error_new(err, ERR_INVALID, 0,
				 "it asks for a token but does not say where to get one");
	r = http_url_next(server->url, c->realm, server->insecure, ret, err);
	return r < 0 ? error_wrap(err, r, "the token server that it names") : 0;
}

static int fetch_token(const struct token_call *t, char **ret, struct error **err)
{
	_cleanup_(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT;
	_cleanup_free_ char *key = xasprintf("%s %s", t->server->url, t->scope), *token = NULL;
	_cleanup_free_ char *realm = NULL, *shown = NULL;
	int64_t lifetime = 0;
	int r = check_realm(t->server, t->challenge, &realm, err);

	if (r == 0)
		r = ask_realm(t, realm, &resp, err);
	if (r < 0)
		return error_wrap(err, r, "get a token");
	shown = http_url_display(resp.url);
	if (resp.status == 401 || resp.status == 403) {
		_cleanup_free_ char *why = xasprintf("its token server %s %s", shown,
						     t->creds ? "refuses the stored credentials"
							      : "asks for credentials");

		return denied(t->server, why, err);
	}
	if (resp.status != 200)
		return error_new(err, resp.status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID, 0,
				 "get a token: the token server %s answers %d", shown, resp.status);
	r = parse_token(&resp.body, &token, &lifetime, err);
	explicit_bzero(resp.body.p, resp.body.n);
	if (r < 0)
		return error_wrap(err, r, "get a token from %s", shown);
	*ret = xasprintf("Bearer %s", token);
	if (lifetime > TOKEN_MARGIN_S)
		remember(t->auth, key, *ret,
			 times_monotonic_ns() + (lifetime - TOKEN_MARGIN_S) * NS_PER_S, true);
	return 0;
}

static int answer(struct token_call *t, const struct auth_challenges *challenges, char **ret,
		  struct error **err)
{
	const struct auth_server *server = t->server;
	const struct auth_challenge *basic = NULL;

	for (size_t i = 0; i < challenges->list.n; i++) {
		t->challenge = &challenges->list.v[i];
		if (t->challenge->scheme == AUTH_BEARER)
			return fetch_token(t, ret, err);
		basic = basic ? basic : t->challenge;
	}
	if (!basic)
		return denied(server, "it offers no way to log in that kiln supports", err);
	if (!t->creds || t->creds->identity_token)
		return denied(server, "it asks for a user and a password", err);
	if (strncmp(server->url, "http://", 7) == 0 && !server->insecure &&
	    !http_url_is_loopback(server->url))
		return denied(server, "it asks for a password over plain HTTP", err);
	*ret = basic_value(t->creds);
	remember(t->auth, server->url, *ret, 0, false);
	return 0;
}

int registry_auth_answer(struct registry_auth *a, const struct auth_server *server,
			 const char *scope, const struct http_response *challenge,
			 struct cancel *cancel, char **ret, struct error **err)
{
	_cleanup_(auth_challenges_release) struct auth_challenges challenges = {0};
	_cleanup_(credentials_release) struct credentials creds = {0};
	struct token_call t = {.auth = a, .server = server, .scope = scope, .cancel = cancel};
	bool have_creds = false;
	const char *value;
	size_t at = 0;
	int r;

	while ((value = http_header_next(challenge, "www-authenticate", &at)))
		(void)!auth_challenges_parse(value, &challenges);
	if (a->try_host && strcmp(server->host, a->try_host) == 0) {
		t.creds = a->try_credentials;
		return answer(&t, &challenges, ret, err);
	}
	r = docker_auth_lookup(server->host, cancel, &have_creds, &creds, err);
	if (r < 0)
		return r;
	t.creds = have_creds ? &creds : NULL;
	return answer(&t, &challenges, ret, err);
}
