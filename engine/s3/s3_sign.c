/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/s3/s3_sign.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/times.h"
#include "engine/http/http.h"

static const char algorithm[] = "AWS4-HMAC-SHA256";

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void s3_credentials_release(struct s3_credentials *c)
{
	free(c->access_key);
	wipe(c->secret_key);
	wipe(c->session_token);
	*c = (struct s3_credentials){0};
}

char *s3_escape_key(const char *key)
{
	struct buf b = BUF_INIT;

	for (;;) {
		size_t n = strcspn(key, "/");
		_cleanup_free_ char *segment = xstrndup(key, n);
		_cleanup_free_ char *escaped = http_escape(segment);

		buf_adds(&b, escaped);
		if (!key[n])
			return buf_take(&b);
		buf_addc(&b, '/');
		key += n + 1;
	}
}

/* "Name: value" as "name:value", the value without outer white space. */
static char *canonical_header(const char *line)
{
	const char *colon = strchr(line, ':');
	const char *value = colon + 1 + strspn(colon + 1, " \t");
	size_t n = strlen(value);
	char *text;

	while (n > 0 && strchr(" \t", value[n - 1]))
		n--;
	text = xasprintf("%.*s:%.*s", (int)(colon - line), line, (int)n, value);
	for (size_t i = 0; text[i] != ':'; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	return text;
}

/* The headers in canonical form, a line each, and their names. */
static void canonical_headers(const struct s3_signing *s, const struct strv *headers,
			      struct buf *lines, struct buf *names)
{
	_cleanup_strv_ struct strv sorted = {0};

	strv_pushf(&sorted, "host:%s", s->host);
	for (size_t i = 0; i < headers->n; i++)
		strv_push_take(&sorted, canonical_header(headers->v[i]));
	strv_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++) {
		const char *line = sorted.v[i];

		buf_addf(lines, "%s\n", line);
		buf_addf(names, "%s%.*s", i > 0 ? ";" : "", (int)strcspn(line, ":"), line);
	}
}

static void hmac(const void *key, size_t n_key, const char *text, uint8_t mac[DIGEST_SIZE])
{
	unsigned n = DIGEST_SIZE;

	if (!HMAC(EVP_sha256(), key, (int)n_key, (const unsigned char *)text, strlen(text), mac,
		  &n))
		abort();
}

/* The key of one day, region and service, from the secret. */
static void signing_key(const char *secret, const char *date, const char *region,
			uint8_t key[DIGEST_SIZE])
{
	char *first = xasprintf("AWS4%s", secret);

	hmac(first, strlen(first), date, key);
	wipe(first);
	hmac(key, DIGEST_SIZE, region, key);
	hmac(key, DIGEST_SIZE, "s3", key);
	hmac(key, DIGEST_SIZE, "aws4_request", key);
}

char *s3_sign(const struct s3_signing *s, const struct s3_credentials *c, struct strv *headers)
{
	_cleanup_buf_ struct buf request = BUF_INIT, lines = BUF_INIT, names = BUF_INIT;
	char stamp[sizeof("20130524T000000Z")], date[sizeof("20130524")];
	char payload[DIGEST_HEX + 1], hex[DIGEST_HEX + 1];
	_cleanup_free_ char *scope = NULL, *to_sign = NULL;
	uint8_t key[DIGEST_SIZE];
	struct digest digest;
	time_t seconds = (time_t)(s->time / NS_PER_S);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	(void)strftime(date, sizeof(date), "%Y%m%d", &tm);
	digest_hex(&s->payload, payload);
	strv_pushf(headers, "x-amz-date: %s", stamp);
	strv_pushf(headers, "x-amz-content-sha256: %s", payload);
	if (c->session_token)
		strv_pushf(headers, "x-amz-security-token: %s", c->session_token);

	canonical_headers(s, headers, &lines, &names);
	buf_addf(&request, "%s\n%s\n%s\n%s\n%s\n%s", s->method, s->path, s->query, lines.p, names.p,
		 payload);
	digest = digest_of(request.p, request.n);
	scope = xasprintf("%s/%s/s3/aws4_request", date, s->region);
	to_sign = xasprintf("%s\n%s\n%s\n%s", algorithm, stamp, scope, digest_hex(&digest, hex));
	signing_key(c->secret_key, date, s->region, key);
	hmac(key, sizeof(key), to_sign, digest.b);
	explicit_bzero(key, sizeof(key));
	return xasprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s", algorithm,
			 c->access_key, scope, names.p, digest_hex(&digest, hex));
}
