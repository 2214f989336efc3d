/* SPDX-License-Identifier: Apache-2.0 */
#include "base/giturl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/path.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes percent escapes; a bad escape stays as it is. */
static char *decode(const char *s, size_t n, bool plus)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		int high = s[i] == '%' && i + 2 < n ? hex_value(s[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s[i + 2]) : -1;

		if (low >= 0 && (high | low) != 0) {
			buf_addc(&b, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_addc(&b, plus && s[i] == '+' ? ' ' : s[i]);
		}
	}
	return buf_take(&b);
}

/* The length of "scheme://" at the start of s, or 0. */
static size_t scheme_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]))
		n++;
	return n > 0 && strncmp(s + n, "://", 3) == 0 ? n + 3 : 0;
}

static bool is_scheme(const char *s, size_t n, const char *name)
{
	return strlen(name) + 3 == n && strncasecmp(s, name, n - 3) == 0;
}

static bool all_of(const char *s, size_t n, const char *extra)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(extra, s[i]))
			return false;
	return n > 0;
}

/* user@host:path */
static bool split_scp(const char *text, size_t n, struct giturl *u)
{
	const char *at = memchr(text, '@', n);
	const char *colon = at ? memchr(at, ':', n - (size_t)(at - text)) : NULL;

	if (!colon || !all_of(text, (size_t)(at - text), "-_") ||
	    !all_of(at + 1, (size_t)(colon - at) - 1, "-."))
		return false;
	u->remote = xstrndup(text, n);
	u->host = xstrndup(at + 1, (size_t)(colon - at) - 1);
	colon++;
	u->path = xasprintf("%s%.*s", *colon == '/' ? "" : "/", (int)(n - (size_t)(colon - text)),
			    colon);
	u->ssh = true;
	return true;
}

/* scheme://[user@]host[/path] */
static bool split_url(const char *text, size_t n, size_t scheme, struct giturl *u)
{
	const char *host = text + scheme, *end = text + n, *slash, *at;
	bool http = is_scheme(text, scheme, "http") || is_scheme(text, scheme, "https");

	u->ssh = is_scheme(text, scheme, "ssh");
	if (!http && !u->ssh && !is_scheme(text, scheme, "git") && !is_scheme(text, scheme, "file"))
		return false;
	slash = memchr(host, '/', (size_t)(end - host));
	if (!slash)
		slash = end;
	if (http && (n < 4 || strncmp(end - 4, ".git", 4) != 0 || slash == end))
		return false;
	at = memrchr(host, '@', (size_t)(slash - host));
	if (at)
		host = at + 1;
	u->remote = xstrndup(text, n);
	u->host = xstrndup(host, (size_t)(slash - host));
	u->path = slash < end ? xstrndup(slash, (size_t)(end - slash)) : xstrdup("/");
	return true;
}

/* A subdirectory is clean and stays inside; one that leads out is a mistake worth an error. */
static int clean_subdir(const char *text, char **ret, struct error **err)
{
	_cleanup_free_ char *relative = path_clean(*text == '/' ? text + 1 : text);

	if (strcmp(relative, "..") == 0 || strncmp(relative, "../", 3) == 0)
		return error_new(err, ERR_INVALID, 0,
				 "invalid subdir \"%s\": it leads out of the repository", text);
	*ret = path_rooted(text);
	return 0;
}

static int take_fragment(const char *fragment, struct giturl *u, struct error **err)
{
	_cleanup_free_ char *text = decode(fragment, strlen(fragment), false);
	char *colon = strchr(text, ':');

	if (colon)
		*colon = '\0';
	u->ref = xstrdup(text);
	return colon ? clean_subdir(colon + 1, &u->subdir, err) : 0;
}

static bool is_one_of(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, list[i]) == 0)
			return true;
	return false;
}

static int parse_bool(const char *key, const char *value, int *ret, struct error **err)
{
	static const char *const yes[] = {"", "1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	if (is_one_of(value, yes, ARRAY_SIZE(yes)))
		*ret = 1;
	else if (is_one_of(value, no, ARRAY_SIZE(no)))
		*ret = 0;
	else
		return error_new(err, ERR_INVALID, 0, "invalid %s value: \"%s\"", key, value);
	return 0;
}

/* Sets *field unless it already holds something else. */
static int set_once(char **field, const char *what, const char *value, struct error **err)
{
	if (*field && **field && strcmp(*field, value) != 0)
		return error_new(err, ERR_INVALID, 0, "%s conflicts: \"%s\" vs \"%s\"", what,
				 *field, value);
	free(*field);
	*field = xstrdup(value);
	return 0;
}

static int set_prefixed_ref(struct giturl *u, const char *prefix, const char *name,
			    struct error **err)
{
	_cleanup_free_ char *full = NULL;

	if (strncmp(name, prefix, strlen(prefix)) == 0)
		full = xstrdup(name);
	else
		full = xasprintf("%s%s", prefix, name);
	return set_once(&u->ref, "ref", full, err);
}

static int take_pair(const char *key, const char *value, struct giturl *u, char **tag,
		     char **branch, struct error **err)
{
	int b = 0, r;

	if (strcmp(key, "submodules") == 0)
		return parse_bool(key, value, &u->submodules, err);
	if (strcmp(key, "keep-git-dir") == 0)
		return parse_bool(key, value, &u->keep_git_dir, err);
	if (strcmp(key, "fetch-by-commit") == 0) {
		r = parse_bool(key, value, &b, err);
		u->fetch_by_commit = b == 1;
		return r;
	}
	if (!*value)
		return error_new(err, ERR_INVALID, 0, "query \"%s\" has no value", key);
	if (strcmp(key, "ref") == 0)
		return set_once(&u->ref, "ref", value, err);
	if (strcmp(key, "tag") == 0)
		return set_once(tag, "tag", value, err);
	if (strcmp(key, "branch") == 0)
		return set_once(branch, "branch", value, err);
	if (strcmp(key, "subdir") == 0) {
		_cleanup_free_ char *clean = NULL;

		r = clean_subdir(value, &clean, err);
		return r < 0 ? r : set_once(&u->subdir, "subdir", clean, err);
	}
	if (strcmp(key, "checksum") == 0 || strcmp(key, "commit") == 0)
		return set_once(&u->checksum, "checksum", value, err);
	if (strcmp(key, "mtime") == 0) {
		u->mtime_commit = strcmp(value, "commit") == 0;
		if (u->mtime_commit || strcmp(value, "checkout") == 0)
			return 0;
		return error_new(err, ERR_INVALID, 0,
				 "invalid mtime value: \"%s\" (must be \"checkout\" or \"commit\")",
				 value);
	}
	return error_new(err, ERR_INVALID, 0, "unexpected query \"%s\"", key);
}

static int take_query(const char *query, size_t n, struct giturl *u, struct error **err)
{
	_cleanup_free_ char *tag = NULL, *branch = NULL;
	const char *end = query + n;
	int r = 0;

	for (const char *s = query; s < end && r == 0;) {
		const char *amp = memchr(s, '&', (size_t)(end - s));
		size_t len = amp ? (size_t)(amp - s) : (size_t)(end - s);
		const char *eq = memchr(s, '=', len);
		size_t key_len = eq ? (size_t)(eq - s) : len;
		_cleanup_free_ char *key = decode(s, key_len, true);
		_cleanup_free_ char *value =
			eq ? decode(eq + 1, len - key_len - 1, true) : xstrdup("");

		if (len > 0)
			r = take_pair(key, value, u, &tag, &branch, err);
		s += len + 1;
	}
	if (r == 0 && tag && branch)
		r = error_new(err, ERR_INVALID, 0, "branch conflicts with tag");
	if (r == 0 && tag)
		r = set_prefixed_ref(u, "refs/tags/", tag, err);
	if (r == 0 && branch)
		r = set_prefixed_ref(u, "refs/heads/", branch, err);
	return r;
}

static int parse(const char *text, struct giturl *u, struct error **err)
{
	const char *fragment = strchr(text, '#');
	size_t n = fragment ? (size_t)(fragment - text) : strlen(text);
	const char *query = memchr(text, '?', n);
	size_t base = query ? (size_t)(query - text) : n;
	size_t scheme = scheme_length(text);
	_cleanup_free_ char *shown = giturl_display(text);
	int r = 0;

	u->keep_git_dir = u->submodules = -1;
	if (scheme > base)
		return 0;
	if (!(scheme ? split_url(text, base, scheme, u) : split_scp(text, base, u)))
		return 0;
	if (fragment)
		r = take_fragment(fragment + 1, u, err);
	if (r == 0 && query)
		r = take_query(query + 1, n - base - 1, u, err);
	if (r < 0)
		return error_wrap(err, r, "parse git URL \"%s\"", shown);
	if (!u->ref)
		u->ref = xstrdup("");
	if (!u->subdir)
		u->subdir = xstrdup("");
	return 1;
}

int giturl_parse(const char *text, struct giturl *ret, struct error **err)
{
	struct giturl u = {0};
	int r = parse(text, &u, err);

	if (r <= 0) {
		giturl_release(&u);
		return r;
	}
	*ret = u;
	return 1;
}

int giturl_parse_context(const char *text, struct giturl *ret, struct error **err)
{
	_cleanup_free_ char *url = NULL;
	const char *end;

	if (strncmp(text, "github.com/", strlen("github.com/")) != 0)
		return giturl_parse(text, ret, err);
	end = text + strcspn(text, "?#");
	if (end - text >= 4 && strncmp(end - 4, ".git", 4) == 0)
		url = xasprintf("https://%s", text);
	else
		url = xasprintf("https://%.*s.git%s", (int)(end - text), text, end);
	return giturl_parse(url, ret, err);
}

void giturl_release(struct giturl *u)
{
	free(u->remote);
	free(u->host);
	free(u->path);
	free(u->ref);
	free(u->subdir);
	free(u->checksum);
	*u = (struct giturl){0};
}

/* Where the user and password of what follows "://" end: at its last "@". A password with a "/" in it
 * ends the host for a URL's reader; what stands in the place of a port then is not one. */
static const char *end_of_user(const char *at)
{
	size_t n = strcspn(at, "/?#");
	const char *end = memrchr(at, '@', n), *port = memrchr(at, ':', n);

	if (end || !port || *at == '[' ||
	    strspn(port + 1, "0123456789") == (size_t)(at + n - port - 1))
		return end;
	return strrchr(at, '@');
}

char *giturl_display(const char *url)
{
	const char *scheme = strstr(url, "://"), *at = scheme ? scheme + 3 : url;
	const char *user = end_of_user(at);

	if (!scheme || !user)
		return xstrdup(url);
	return xasprintf("%.*s%s", (int)(at - url), url, user + 1);
}

char *giturl_identifier(const struct giturl *u)
{
	_cleanup_free_ char *path = path_rooted(u->path);
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s/%s", u->host, path);
	if (*u->ref || *u->subdir)
		buf_addf(&b, "#%s", u->ref);
	if (*u->subdir)
		buf_addf(&b, ":%s", u->subdir);
	return buf_take(&b);
}
