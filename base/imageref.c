/* SPDX-License-Identifier: Apache-2.0 */
#include "base/imageref.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define NAME_MAX_LENGTH 255
#define TAG_MAX_LENGTH 128

static int bad(struct error **err, const char *fmt, ...) _printf_(2, 3);
static int bad(struct error **err, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	return error_new(err, ERR_INVALID, 0, "invalid reference format: %s", text);
}

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The length of the separator at s: '.', '_', "__" or any run of '-'. */
static size_t separator(const char *s, size_t n)
{
	size_t dashes = 0;

	if (s[0] == '.')
		return 1;
	if (s[0] == '_')
		return n > 1 && s[1] == '_' ? 2 : 1;
	while (dashes < n && s[dashes] == '-')
		dashes++;
	return dashes;
}

/* Why the n bytes at s cannot be a component of a path; NULL if they can. */
static const char *component_fault(const char *s, size_t n)
{
	size_t i = 0;

	if (n == 0)
		return "is empty: a name cannot begin or end with a slash, or have two in a row";
	for (i = 0; i < n; i++)
		if (!is_lower_alnum(s[i]) && !strchr("._-", s[i]))
			return "may hold only lower-case letters, digits, '.', '_' and '-'";
	if (!is_lower_alnum(s[0]))
		return "must begin with a lower-case letter or a digit";
	if (!is_lower_alnum(s[n - 1]))
		return "must end with a lower-case letter or a digit";
	for (i = 0; i < n; i++) {
		if (is_lower_alnum(s[i]))
			continue;
		i += separator(s + i, n - i);
		if (!is_lower_alnum(s[i]))
			return "may separate its letters and digits by one '.', one or two '_' or "
			       "any number of '-', and only by one of these at a time";
	}
	return NULL;
}

static int check_path(const char *path, struct error **err)
{
	const char *s = path;

	for (const char *c = path; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			return bad(err, "repository name (%s) must be lowercase", path);
	for (;;) {
		size_t n = strcspn(s, "/");
		const char *fault = component_fault(s, n);

		if (fault)
			return bad(err, "the part \"%.*s\" of the repository name %s", (int)n, s,
				   fault);
		if (!s[n])
			return 0;
		s += n + 1;
	}
}

static bool label_ok(const char *s, size_t n)
{
	if (n == 0 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool ipv6_ok(const char *s, size_t n)
{
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s[i]) && s[i] != ':')
			return false;
	return true;
}

static bool port_ok(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static bool host_ok(const char *host)
{
	const char *s = host;

	if (*s == '[') {
		size_t n = strcspn(s, "]");

		if (!s[n] || !ipv6_ok(s + 1, n - 1))
			return false;
		s += n + 1;
		return *s == '\0' || (*s == ':' && port_ok(s + 1));
	}
	for (;;) {
		size_t n = strcspn(s, ".:");

		if (!label_ok(s, n))
			return false;
		s += n;
		if (*s == ':')
			return port_ok(s + 1);
		if (*s == '\0')
			return true;
		s++;
	}
}

/* Why s cannot be a tag; NULL if it can. */
static const char *tag_fault(const char *s)
{
	size_t n = strlen(s);

	if (n == 0)
		return "is empty";
	if (n > TAG_MAX_LENGTH)
		return "is longer than 128 characters";
	if (s[0] == '.' || s[0] == '-')
		return "must begin with a letter, a digit or '_'";
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_.-", s[i]))
			return "may hold only letters, digits, '_', '.' and '-'";
	return NULL;
}

/* Is the text before the first slash a host? By docker's rule: it holds a dot or a colon, is
 * "localhost", or has an upper-case letter. */
static bool looks_like_host(const char *s, size_t n)
{
	if (n == strlen("localhost") && memcmp(s, "localhost", n) == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '.' || s[i] == ':' || (s[i] >= 'A' && s[i] <= 'Z'))
			return true;
	return false;
}

static void split_host(const char *name, struct imageref *r)
{
	size_t n = strcspn(name, "/");

	if (name[n] && looks_like_host(name, n)) {
		r->host = xstrndup(name, n);
		name += n + 1;
	} else {
		r->host = xstrdup("docker.io");
	}
	if (strcmp(r->host, "index.docker.io") == 0) {
		free(r->host);
		r->host = xstrdup("docker.io");
	}
	if (strcmp(r->host, "docker.io") == 0 && !strchr(name, '/'))
		r->path = xasprintf("library/%s", name);
	else
		r->path = xstrdup(name);
}

static bool is_image_id(const char *name)
{
	struct digest d;

	return strlen(name) == DIGEST_HEX && digest_parse_hex(name, DIGEST_HEX, &d) == 0;
}

static int parse(const char *text, struct imageref *r, struct error **err)
{
	_cleanup_free_ char *name = xstrdup(text);
	char *at = strchr(name, '@'), *colon, *slash;
	const char *fault;
	int ret;

	if (strstr(name, "://"))
		return bad(err, "a name is not a URL: leave out \"%.*s\"",
			   (int)(strstr(name, "://") + 3 - name), name);

	if (at) {
		*at = '\0';
		if (digest_parse(at + 1, &r->digest) < 0)
			return bad(
				err,
				"the digest \"%s\" must be \"sha256:\" and 64 hexadecimal digits",
				at + 1);
		r->has_digest = true;
	}
	slash = strrchr(name, '/');
	colon = strrchr(slash ? slash : name, ':');
	if (colon) {
		*colon = '\0';
		fault = tag_fault(colon + 1);
		if (fault)
			return bad(err, "the tag \"%s\" %s", colon + 1, fault);
		r->tag = xstrdup(colon + 1);
	} else if (!r->has_digest) {
		r->tag = xstrdup("latest");
	}
	if (is_image_id(name))
		return error_new(err, ERR_INVALID, 0,
				 "invalid repository name (%s), cannot specify 64-byte "
				 "hexadecimal strings",
				 name);
	split_host(name, r);
	ret = check_path(r->path, err);
	if (ret < 0)
		return ret;
	if (!host_ok(r->host))
		return bad(err, "\"%s\" is not a valid registry (expected HOST or HOST:PORT)",
			   r->host);
	if (strlen(r->host) + 1 + strlen(r->path) > NAME_MAX_LENGTH)
		return bad(err, "repository name must not be more than %d characters",
			   NAME_MAX_LENGTH);
	return 0;
}

int imageref_parse(const char *text, struct imageref *ret, struct error **err)
{
	struct imageref parsed = IMAGEREF_INIT;
	int r;

	if (!*text)
		return bad(err, "it is empty");
	r = parse(text, &parsed, err);
	if (r < 0) {
		imageref_release(&parsed);
		return r;
	}
	*ret = parsed;
	return 0;
}

void imageref_release(struct imageref *r)
{
	free(r->host);
	free(r->path);
	free(r->tag);
	*r = (struct imageref)IMAGEREF_INIT;
}

bool imageref_is_name_only(const char *text)
{
	const char *slash = strrchr(text, '/');

	return !strpbrk(slash ? slash : text, ":@");
}

char *imageref_format(const struct imageref *r)
{
	struct buf b = BUF_INIT;
	char digest[DIGEST_TEXT];

	buf_addf(&b, "%s/%s", r->host, r->path);
	if (r->tag)
		buf_addf(&b, ":%s", r->tag);
	if (r->has_digest)
		buf_addf(&b, "@%s", digest_format(&r->digest, digest));
	return buf_take(&b);
}

char *imageref_name(const struct imageref *r)
{
	return xasprintf("%s/%s", r->host, r->path);
}

char *imageref_familiar_name(const struct imageref *r)
{
	const char *library = "library/";

	if (strcmp(r->host, "docker.io") != 0)
		return imageref_name(r);
	if (strncmp(r->path, library, strlen(library)) == 0 &&
	    !strchr(r->path + strlen(library), '/'))
		return xstrdup(r->path + strlen(library));
	return xstrdup(r->path);
}
