/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/s3/s3_options.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attrs.h"
#include "base/buf.h"
#include "base/fs.h"
#include "engine/config/config.h"

enum {
	PROFILE_FILE_MAX = 1 << 20,
	PARALLELISM_DEFAULT = 4,
	PARALLELISM_MAX = 16, /* base/parallel.h has no more threads */
	TRIES_LIMIT = 20,
};

void s3_options_release(struct s3_options *o)
{
	free(o->bucket);
	free(o->region);
	free(o->endpoint);
	s3_credentials_release(&o->credentials);
	*o = (struct s3_options){0};
}

/* --- the user's profile --- */

static char *trimmed(const char *p, size_t n)
{
	while (n > 0 && isspace((unsigned char)*p)) {
		p++;
		n--;
	}
	while (n > 0 && isspace((unsigned char)p[n - 1]))
		n--;
	return xstrndup(p, n);
}

/* Value of `key` in a section of an AWS profile file, heap; NULL if it is not there. Nested
 * settings (indented lines) are passed over. */
static char *profile_get(const char *text, const char *section, const char *key)
{
	bool inside = false;

	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		const char *equals = memchr(line, '=', n), *end = memchr(line, ']', n);

		if (*line == '[' && end) {
			_cleanup_free_ char *name = trimmed(line + 1, (size_t)(end - line - 1));

			inside = strcmp(name, section) == 0;
		} else if (inside && equals && !strchr("#; \t", *line)) {
			_cleanup_free_ char *name = trimmed(line, (size_t)(equals - line));

			if (strcmp(name, key) == 0)
				return trimmed(equals + 1, (size_t)(line + n - equals - 1));
		}
		line += n + (line[n] == '\n');
	}
	return NULL;
}

/* The two files, read when first needed; a file that is not there is empty. */
struct profile {
	struct buf credentials, config;
	bool loaded;
};

static void profile_release(struct profile *p)
{
	explicit_bzero(p->credentials.p, p->credentials.n);
	explicit_bzero(p->config.p, p->config.n);
	buf_release(&p->credentials);
	buf_release(&p->config);
}

static void load_file(const char *variable, const char *name, struct buf *b)
{
	const char *file = getenv(variable), *home = getenv("HOME");
	_cleanup_free_ char *standard = xasprintf("%s/.aws/%s", home ? home : "", name);

	b->max = PROFILE_FILE_MAX;
	if ((file && *file) || home)
		(void)!fs_read_file(AT_FDCWD, file && *file ? file : standard, b);
}

static char *profile_value(struct profile *p, const char *key)
{
	const char *variable = getenv("AWS_PROFILE");
	const char *name = variable && *variable ? variable : "default";
	/* In ~/.aws/config all sections but the default one start with a word. */
	_cleanup_free_ char *section =
		xasprintf("%s%s", strcmp(name, "default") == 0 ? "" : "profile ", name);
	char *value;

	if (!p->loaded) {
		load_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", &p->credentials);
		load_file("AWS_CONFIG_FILE", "config", &p->config);
		p->loaded = true;
	}
	value = profile_get(p->credentials.p, name, key);
	return value ? value : profile_get(p->config.p, section, key);
}

static char *env_value(const char *variable)
{
	const char *value = variable ? getenv(variable) : NULL;

	return value && *value ? xstrdup(value) : NULL;
}

/* The first that has a value: the attribute, two variables, the profile. */
static char *setting(const attr_list *attrs, struct profile *p, const char *attr,
		     const char *variable, const char *other, const char *key)
{
	const char *given = attrs_get(attrs, attr);
	char *value = given && *given ? xstrdup(given) : env_value(variable);

	if (!value)
		value = env_value(other);
	if (!value && key)
		value = profile_value(p, key);
	return value;
}

/* --- what the settings say --- */

/* Both halves of the credentials come from one place, or the session token of one would go with
 * the keys of another. */
static int read_credentials(const attr_list *attrs, bool anonymous, struct profile *p,
			    struct s3_credentials *c, struct error **err)
{
	const char *id = attrs_get(attrs, "access_key_id");
	const char *secret = attrs_get(attrs, "secret_access_key");
	const char *token = attrs_get(attrs, "session_token");

	if (id || secret) {
		c->access_key = id && *id ? xstrdup(id) : NULL;
		c->secret_key = secret && *secret ? xstrdup(secret) : NULL;
		c->session_token = token && *token ? xstrdup(token) : NULL;
	} else if (getenv("AWS_ACCESS_KEY_ID")) {
		c->access_key = env_value("AWS_ACCESS_KEY_ID");
		c->secret_key = env_value("AWS_SECRET_ACCESS_KEY");
		c->session_token = env_value("AWS_SESSION_TOKEN");
	} else {
		c->access_key = profile_value(p, "aws_access_key_id");
		c->secret_key = profile_value(p, "aws_secret_access_key");
		c->session_token = profile_value(p, "aws_session_token");
	}
	if (!c->access_key != !c->secret_key)
		return error_new(err, ERR_INVALID, 0,
				 "there is %s without %s: S3 needs both (access_key_id and "
				 "secret_access_key)",
				 c->access_key ? "an access key" : "a secret key",
				 c->access_key ? "its secret" : "an access key");
	if (c->access_key || anonymous)
		return 0;
	(void)error_new(err, ERR_DENIED, 0, "no credentials for S3");
	return error_hint(err, -ERR_DENIED,
			  "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the "
			  "attributes access_key_id and secret_access_key");
}

/* Goes into a host name or a path as it is. */
static bool is_plain_name(const char *s)
{
	for (const char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_", *c))
			return false;
	return isalnum((unsigned char)*s);
}

static int check_names(const struct s3_options *o, struct error **err)
{
	if (!o->bucket)
		return error_new(err, ERR_INVALID, 0, "bucket is required for type=s3");
	if (!is_plain_name(o->bucket))
		return error_new(err, ERR_INVALID, 0, "invalid bucket '%s'", o->bucket);
	if (!o->region)
		return error_new(err, ERR_INVALID, 0,
				 "region is required for type=s3: give region=... or set "
				 "AWS_REGION");
	if (!is_plain_name(o->region))
		return error_new(err, ERR_INVALID, 0, "invalid region '%s'", o->region);
	return 0;
}

/* Normalises endpoint_url, or makes Amazon's of the region. */
static int set_endpoint(struct s3_options *o, char *url, struct error **err)
{
	size_t n, scheme;

	if (!url) {
		o->endpoint = xasprintf("https://s3.%s.amazonaws.com%s", o->region,
					strncmp(o->region, "cn-", 3) == 0 ? ".cn" : "");
		return 0;
	}
	o->endpoint = url;
	scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
	n = strcspn(url + scheme, "/");
	if (scheme == 0 || n == 0 || config_url_is_odd(url))
		return error_new(err, ERR_INVALID, 0,
				 "invalid endpoint_url: expected http://HOST[:PORT] or "
				 "https://HOST[:PORT]");
	for (size_t i = scheme; i < scheme + n; i++)
		url[i] = (char)tolower((unsigned char)url[i]);
	for (n = strlen(url); url[n - 1] == '/'; n--)
		url[n - 1] = '\0';
	return 0;
}

/* A bucket cannot stand in front of an address, and one with a dot not under a certificate for
 * *.host. */
static bool needs_path_style(const struct s3_options *o)
{
	const char *at = strstr(o->endpoint, "://") + 3;
	_cleanup_free_ char *host = xstrndup(at, strcspn(at, "/"));
	size_t n = strcspn(host, ":");

	return *host == '[' || strspn(host, "0123456789.") == n || config_host_is_loopback(host) ||
	       strchr(o->bucket, '.');
}

static int read_numbers(const attr_list *attrs, struct s3_options *o, struct error **err)
{
	const char *parallelism = attrs_get(attrs, "upload_parallelism");
	const char *tries = attrs_get(attrs, "retry_max_attempts");
	const char *mode = attrs_get(attrs, "retry_mode");
	int64_t value = PARALLELISM_DEFAULT;
	int r = parallelism ? attrs_number("upload_parallelism", parallelism, PARALLELISM_MAX,
					   &value, err)
			    : 0;

	if (r < 0)
		return r;
	o->parallelism = value > 0 ? (unsigned)value : 1;
	value = 0;
	if (tries)
		r = attrs_number("retry_max_attempts", tries, TRIES_LIMIT, &value, err);
	o->tries = (unsigned)value;
	if (r == 0 && mode && strcmp(mode, "standard") != 0 && strcmp(mode, "adaptive") != 0)
		return error_new(err, ERR_INVALID, 0,
				 "invalid retry_mode '%s': expected standard or adaptive", mode);
	return r;
}

static int read_all(const attr_list *attrs, bool anonymous, struct profile *p, struct s3_options *o,
		    struct error **err)
{
	const char *style = attrs_get(attrs, "use_path_style");
	char *endpoint = setting(attrs, p, "endpoint_url", "AWS_ENDPOINT_URL_S3",
				 "AWS_ENDPOINT_URL", "endpoint_url");
	int r;

	o->bucket = setting(attrs, p, "bucket", "AWS_BUCKET", NULL, NULL);
	o->region = setting(attrs, p, "region", "AWS_REGION", "AWS_DEFAULT_REGION", "region");
	/* What other servers call their region matters to few of them. */
	if (!o->region && endpoint)
		o->region = xstrdup("us-east-1");
	r = check_names(o, err);
	if (r < 0) {
		free(endpoint);
		return r;
	}
	r = set_endpoint(o, endpoint, err);
	if (r < 0)
		return r;
	o->path_style = needs_path_style(o);
	if (style)
		r = attrs_bool("use_path_style", style, &o->path_style, err);
	if (r == 0)
		r = read_numbers(attrs, o, err);
	return r < 0 ? r : read_credentials(attrs, anonymous, p, &o->credentials, err);
}

int s3_options_read(const attr_list *attrs, bool anonymous, struct s3_options *ret,
		    struct error **err)
{
	_cleanup_(profile_release) struct profile p = {.credentials = BUF_INIT, .config = BUF_INIT};
	struct s3_options o = {0};
	int r = read_all(attrs, anonymous, &p, &o, err);

	if (r < 0)
		s3_options_release(&o);
	else
		*ret = o;
	return r;
}
