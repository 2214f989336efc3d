/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/s3/s3_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/times.h"
#include "engine/s3/s3_xml.h"

enum { SERVER_MESSAGE_MAX = 300 };

/* "host:port" of a URL, without a port that its scheme has anyway. */
static char *host_header(const char *origin)
{
	const char *host = strstr(origin, "://") + 3;
	const char *standard = strncmp(origin, "https:", 6) == 0 ? ":443" : ":80";
	size_t n = strlen(host), port = strlen(standard);

	if (n > port && strcmp(host + n - port, standard) == 0)
		n -= port;
	return xstrndup(host, n);
}

static void set_place(struct s3 *s)
{
	const char *host = strstr(s->o.endpoint, "://") + 3;
	size_t n = strcspn(host, "/");
	int scheme = (int)(host - s->o.endpoint);

	if (s->o.path_style)
		s->origin = xasprintf("%.*s%.*s", scheme, s->o.endpoint, (int)n, host);
	else
		s->origin =
			xasprintf("%.*s%s.%.*s", scheme, s->o.endpoint, s->o.bucket, (int)n, host);
	s->base = xasprintf("%s/%s%s", host + n, s->o.path_style ? s->o.bucket : "",
			    s->o.path_style ? "/" : "");
	s->host = host_header(s->origin);
}

struct s3 *s3_new(struct s3_options *o, const struct config *config, struct cancel *const *cancel)
{
	struct s3 *s = NEW(struct s3);
	const char *host = strstr(o->endpoint, "://") + 3;
	_cleanup_free_ char *name = xstrndup(host, strcspn(host, "/"));
	const struct registry_config *trust = config_registry(config, name);

	s->o = *o;
	*o = (struct s3_options){0};
	s->http = http_new();
	s->cancel = cancel;
	s->ca = trust ? trust->ca : NULL;
	s->insecure = trust && trust->insecure;
	set_place(s);
	return s;
}

void s3_free(struct s3 *s)
{
	if (!s)
		return;
	http_free(s->http);
	s3_options_release(&s->o);
	free(s->origin);
	free(s->host);
	free(s->base);
	free(s);
}

/* What a server says went wrong: <Error><Code>..</Code><Message>..</Message></Error>. */
struct answer {
	char *code, *message, *region;
};

static void answer_release(struct answer *a)
{
	free(a->code);
	free(a->message);
	free(a->region);
}

/* Text from outside, with nothing in it that moves a cursor. */
static char *cleaned(const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	printable_add_line(&b, text, strnlen(text, SERVER_MESSAGE_MAX));
	return buf_take(&b);
}

static int on_element(void *data, const char *path, const char *text)
{
	struct answer *a = data;
	char **field = strcmp(path, "Error/Code") == 0	    ? &a->code
		       : strcmp(path, "Error/Message") == 0 ? &a->message
		       : strcmp(path, "Error/Region") == 0  ? &a->region
							    : NULL;

	if (field && !*field)
		*field = cleaned(text);
	return 0;
}

static void read_answer(const struct http_response *resp, struct answer *a)
{
	const char *region = http_header(resp, "x-amz-bucket-region");

	(void)!s3_xml_walk(resp->body.p, resp->body.n, on_element, a);
	if (region && !a->region)
		a->region = cleaned(region);
}

static bool is_code(const struct answer *a, const char *code)
{
	return a->code && strcmp(a->code, code) == 0;
}

static int hint_denied(const struct s3 *s, const struct answer *a, int r, struct error **err)
{
	if (!s->o.credentials.access_key)
		return error_hint(err, r,
				  "no credentials were given, so it was asked anonymously: set "
				  "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
	if (is_code(a, "InvalidAccessKeyId"))
		return error_hint(err, r, "it does not know the access key '%s'",
				  s->o.credentials.access_key);
	if (is_code(a, "SignatureDoesNotMatch"))
		return error_hint(err, r, "the secret of the access key '%s' is wrong",
				  s->o.credentials.access_key);
	if (is_code(a, "ExpiredToken"))
		return error_hint(err, r, "the session token has expired: get a new one");
	if (is_code(a, "RequestTimeTooSkewed"))
		return error_hint(err, r, "set this machine's clock");
	/* The answer to a HEAD says no more than 403. */
	return error_hint(err, r,
			  "check the access key '%s' and its secret; it needs s3:GetObject and "
			  "s3:ListBucket, to export s3:PutObject and s3:AbortMultipartUpload, to "
			  "remove s3:DeleteObject",
			  s->o.credentials.access_key);
}

/* The bucket is served by another region, or the signature is for another one. */
static int wrong_region(const struct s3 *s, const struct answer *a, struct error **err)
{
	int r = error_new(err, ERR_INVALID, 0, "bucket '%s' at %s is not in region '%s'",
			  s->o.bucket, s->o.endpoint, s->o.region);

	if (a->region && strcmp(a->region, s->o.region) != 0)
		return error_hint(err, r, "give region=%s, or set AWS_REGION", a->region);
	return error_hint(err, r, "give the bucket's region with region=, or set AWS_REGION");
}

static int status_error(const struct s3 *s, const char *what, const struct http_response *resp,
			struct error **err)
{
	_cleanup_(answer_release) struct answer a = {0};
	_cleanup_free_ char *said = NULL;
	int status = resp->status, r;

	read_answer(resp, &a);
	said = xasprintf("%d%s%s%s%s", status, a.code ? " " : "", a.code ? a.code : "",
			 a.message && *a.message ? ": " : "", a.message ? a.message : "");
	if (is_code(&a, "NoSuchBucket"))
		return error_new(err, ERR_NOTFOUND, 0, "there is no bucket '%s' at %s", s->o.bucket,
				 s->o.endpoint);
	if (status == 404)
		return error_new(err, ERR_NOTFOUND, 0, "%s: not in bucket '%s' at %s", what,
				 s->o.bucket, s->o.endpoint);
	if ((status >= 300 && status < 400) || is_code(&a, "AuthorizationHeaderMalformed"))
		return wrong_region(s, &a, err);
	if (status == 401 || status == 403) {
		r = error_new(err, ERR_DENIED, 0, "%s: %s denies access to bucket '%s' (%s)", what,
			      s->o.endpoint, s->o.bucket, said);
		return hint_denied(s, &a, r, err);
	}
	/* 200 is here too: copying may fail after the answer has begun. */
	return error_new(
		err, status >= 500 || status == 429 || status < 300 ? ERR_UNAVAILABLE : ERR_INVALID,
		0, "%s: bucket '%s' at %s answers %s", what, s->o.bucket, s->o.endpoint, said);
}

/* Does the answer of a POST or a copy say that it failed after all? */
static bool is_late_error(const struct http_response *resp)
{
	_cleanup_free_ char *code = NULL;

	if (resp->status != 200 || resp->body.n == 0)
		return false;
	code = s3_xml_find(resp->body.p, resp->body.n, "Error/Code");
	return code != NULL;
}

/* Signs and sends once; retries are engine/http/http.h's. */
static int perform(struct s3 *s, const struct s3_call *c, struct http_response *ret,
		   struct error **err)
{
	const char *query = c->query ? c->query : "";
	_cleanup_free_ char *key = s3_escape_key(c->key ? c->key : "");
	_cleanup_free_ char *path = xasprintf("%s%s", s->base, key);
	_cleanup_free_ char *url = xasprintf("%s%s%s%s", s->origin, path, *query ? "?" : "", query);
	_cleanup_free_ char *authorization = NULL;
	_cleanup_strv_ struct strv headers = {0};
	struct http_request req = c->http;

	if (c->headers)
		strv_copy(&headers, c->headers);
	if (s->o.credentials.access_key) {
		struct s3_signing signing = {
			.method = c->method,
			.host = s->host,
			.path = path,
			.query = query,
			.region = s->o.region,
			.payload = c->payload ? *c->payload : digest_of(req.body, req.body_n),
			.time = times_now_ns(),
		};

		authorization = s3_sign(&signing, &s->o.credentials, &headers);
	}
	req.method = c->method;
	req.url = url;
	req.headers = &headers;
	req.authorization = authorization;
	req.ca = s->ca;
	req.insecure = s->insecure;
	req.keep_redirect = true; /* it would need a signature of its own */
	req.repeatable = true;
	req.tries = s->o.tries;
	req.cancel = s->cancel ? *s->cancel : NULL;
	return http_perform(s->http, &req, ret, err);
}

int s3_call(struct s3 *s, const struct s3_call *c, struct http_response *ret, struct error **err)
{
	_cleanup_free_ char *what =
		c->key ? xasprintf("%s '%s'", c->method, c->key) : xasprintf("%s", c->method);
	uint64_t before;
	int r;

	/* A transfer that goes on after a break may outlive its signature (15 minutes): as long as
	 * it moves it gets a new one. */
	do {
		before = c->http.delivered ? *c->http.delivered : 0;
		http_response_release(ret);
		r = perform(s, c, ret, err);
		if (r < 0)
			return error_wrap(err, r, "bucket '%s'", s->o.bucket);
	} while (ret->status == 403 && c->http.delivered && *c->http.delivered > before);

	if (ret->status == 404 && c->found_only)
		return -ERR_NOTFOUND;
	if (ret->status >= 200 && ret->status < 300 && !is_late_error(ret))
		return 0;
	return status_error(s, what, ret, err);
}
