/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gitauth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "engine/git/gitnet.h"

enum { SECRET_MAX = 64 << 10 };

/* As GitHub and others take tokens: as the password of this user. */
#define TOKEN_USER "x-access-token"

static char *basic(const char *token)
{
	_cleanup_free_ char *plain = xasprintf(TOKEN_USER ":%s", token);
	size_t n = strlen(plain);
	_cleanup_free_ char *coded = base64_encode(plain, n);

	explicit_bzero(plain, n);
	return xasprintf("basic %s", coded);
}

static int read_one(const struct grants *grants, const char *id, bool is_token, char **ret,
		    struct error **err)
{
	_cleanup_buf_ struct buf value = BUF_INIT_MAX(SECRET_MAX);
	bool found;
	int r = grants_read_secret(grants, id, &found, &value, err);

	if (r < 0 || !found)
		return r;
	while (value.n > 0 && strchr("\r\n \t", value.p[value.n - 1]))
		buf_truncate(&value, value.n - 1);
	if (strpbrk(value.p, "\r\n") || strlen(value.p) != value.n)
		return error_new(err, ERR_INVALID, 0, "the secret %s is not one line", id);
	*ret = is_token ? basic(value.p) : buf_take(&value);
	return 0;
}

int gitauth_header(const struct grants *grants, const struct gitauth_names *names, const char *url,
		   const char *main_url, char **ret, struct error **err)
{
	_cleanup_free_ char *host = gitnet_host(url), *main_host = gitnet_host(main_url);
	bool general = strcasecmp(host, main_host) == 0;
	int r = 0;

	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return 0;
	/* A token for TLS must not leave in the clear because a .gitmodules says so. */
	if (strncasecmp(main_url, "https://", 8) == 0 && strncasecmp(url, "http://", 7) == 0)
		return 0;
	for (int i = 0; i < 4 && r == 0 && !*ret; i++) {
		bool is_token = i % 2 == 1, for_host = i < 2;
		const char *name = is_token ? names->token : names->header;
		_cleanup_free_ char *id = NULL;

		if (!name || (!for_host && !general))
			continue;
		id = for_host ? xasprintf("%s.%s", name, host) : xstrdup(name);
		r = read_one(grants, id, is_token, ret, err);
	}
	return r;
}

const char *gitauth_ssh_socket(const struct grants *grants)
{
	const char *own = getenv("SSH_AUTH_SOCK");

	for (size_t i = 0; i < grants->ssh.n; i++)
		if (strcmp(grants->ssh.v[i].id, "default") == 0)
			return grants->ssh.v[i].socket;
	return own && *own ? own : NULL;
}
