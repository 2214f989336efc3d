/* SPDX-License-Identifier: Apache-2.0 */
/* URLs are read by libcurl alone, which also asks them: what two readers understand differently
 * ("http://127.0.0.1:80@host/") would be checked as one host and asked as another. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/config/config.h"
#include "engine/http/http.h"

static char *url_get(CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL, *copy;

	if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
		return NULL;
	copy = xstrdup(text);
	curl_free(text);
	return copy;
}

char *http_url_display(const char *url)
{
	CURLU *u = curl_url();
	char *text = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		curl_url_set(u, CURLUPART_USER, NULL, 0);
		curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
		curl_url_set(u, CURLUPART_QUERY, NULL, 0);
		curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
		text = url_get(u, CURLUPART_URL, 0);
	}
	curl_url_cleanup(u);
	return text ? text : xstrdup("(malformed URL)");
}

static char *url_origin(const char *url)
{
	CURLU *u = curl_url();
	char *origin = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		_cleanup_free_ char *scheme = url_get(u, CURLUPART_SCHEME, 0);
		_cleanup_free_ char *host = url_get(u, CURLUPART_HOST, 0);
		_cleanup_free_ char *port = url_get(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);

		if (scheme && host && port)
			origin = xasprintf("%s://%s:%s", scheme, host, port);
	}
	curl_url_cleanup(u);
	return origin;
}

bool http_url_same_origin(const char *a, const char *b)
{
	_cleanup_free_ char *x = url_origin(a), *y = url_origin(b);

	return x && y && strcasecmp(x, y) == 0;
}

bool http_url_is_loopback(const char *url)
{
	CURLU *u = curl_url();
	_cleanup_free_ char *host = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		host = url_get(u, CURLUPART_HOST, 0);
	curl_url_cleanup(u);
	return host && config_host_is_loopback(host);
}

char *http_url_host(const char *url)
{
	CURLU *u = curl_url();
	char *text = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		_cleanup_free_ char *host = url_get(u, CURLUPART_HOST, 0);
		_cleanup_free_ char *port = url_get(u, CURLUPART_PORT, 0);

		text = xasprintf("%s%s%s", host ? host : "", port ? ":" : "", port ? port : "");
	}
	curl_url_cleanup(u);
	return text ? text : xstrdup("");
}

static bool same_host(const char *a, const char *b)
{
	_cleanup_free_ char *x = http_url_host(a), *y = http_url_host(b);

	return strcasecmp(x, y) == 0;
}

static bool is_plain(const char *url)
{
	return strncasecmp(url, "http://", 7) == 0;
}

/* `to` as seen from `from`, which lends its user to its own origin and to no other. NULL if it is
 * no URL; *ret_user: it brings a user of its own. */
static char *resolve(const char *from, const char *to, bool *ret_user)
{
	_cleanup_free_ char *user = NULL, *password = NULL, *own = NULL, *own_password = NULL;
	CURLU *u = curl_url();
	char *text = NULL;

	if (!u || curl_url_set(u, CURLUPART_URL, from, 0) != CURLUE_OK) {
		curl_url_cleanup(u);
		return NULL;
	}
	user = url_get(u, CURLUPART_USER, 0);
	password = url_get(u, CURLUPART_PASSWORD, 0);
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	if (curl_url_set(u, CURLUPART_URL, to, 0) == CURLUE_OK) {
		own = url_get(u, CURLUPART_USER, 0);
		own_password = url_get(u, CURLUPART_PASSWORD, 0);
		*ret_user = own || own_password;
		curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
		text = url_get(u, CURLUPART_URL, 0);
	}
	if (text && !*ret_user && user && http_url_same_origin(from, text)) {
		curl_url_set(u, CURLUPART_USER, user, 0);
		curl_url_set(u, CURLUPART_PASSWORD, password, 0);
		free(text);
		text = url_get(u, CURLUPART_URL, 0);
	}
	curl_url_cleanup(u);
	return text;
}

int http_url_next(const char *from, const char *to, bool plain, char **ret, struct error **err)
{
	bool has_user = false;
	_cleanup_free_ char *text = resolve(from, to, &has_user);
	_cleanup_free_ char *shown = text ? http_url_display(text) : NULL;
	int r;

	if (!text || (!is_plain(text) && strncasecmp(text, "https://", 8) != 0))
		return error_new(err, ERR_INVALID, 0, "\"%.200s\" is not an http or https URL", to);
	if (has_user)
		return error_new(err, ERR_DENIED, 0,
				 "a URL with a user name in it is not followed: %s", shown);
	if (is_plain(text) && !plain && !(is_plain(from) && http_url_is_loopback(text))) {
		r = error_new(err, ERR_DENIED, 0, "%s is plain HTTP", shown);
		if (!same_host(from, text))
			return r;
		return error_hint(err, r,
				  "behind a proxy that ends TLS the server has to be told "
				  "so (X-Forwarded-Proto: https)");
	}
	*ret = TAKE_PTR(text);
	return 0;
}
