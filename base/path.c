/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

char *path_clean(const char *path)
{
	bool rooted = path[0] == '/';
	struct buf b = BUF_INIT;
	size_t floor = rooted ? 1 : 0; /* below this, ".." has nothing to remove */

	if (rooted)
		buf_addc(&b, '/');
	while (*path) {
		size_t n;

		while (*path == '/')
			path++;
		n = strcspn(path, "/");
		if (n == 0 || (n == 1 && path[0] == '.')) {
			path += n;
			continue;
		}
		if (n == 2 && path[0] == '.' && path[1] == '.' && b.n > floor) {
			while (b.n > floor && b.p[b.n - 1] != '/')
				buf_truncate(&b, b.n - 1);
			if (b.n > floor)
				buf_truncate(&b, b.n - 1);
		} else if (n == 2 && path[0] == '.' && path[1] == '.' && rooted) {
			/* "/.." is "/" */
		} else {
			if (b.n > (rooted ? 1u : 0u))
				buf_addc(&b, '/');
			buf_add(&b, path, n);
			if (n == 2 && path[0] == '.' && path[1] == '.')
				floor = b.n;
		}
		path += n;
	}
	if (b.n == 0)
		buf_addc(&b, '.');
	return buf_take(&b);
}

char *path_join(const char *a, const char *b)
{
	_cleanup_free_ char *both = NULL;

	if (!*a)
		return *b ? path_clean(b) : xstrdup("");
	if (!*b)
		return path_clean(a);
	both = xasprintf("%s/%s", a, b);
	return path_clean(both);
}

char *path_resolve(const char *dir, const char *path)
{
	return path_is_absolute(path) ? path_clean(path) : path_join(dir, path);
}

char *path_rooted(const char *path)
{
	_cleanup_free_ char *rooted = xasprintf("/%s", path);
	char *clean = path_clean(rooted);

	memmove(clean, clean + 1, strlen(clean));
	return clean;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup("");

	return path_clean(dir);
}

bool path_is_absolute(const char *path)
{
	return path[0] == '/';
}

bool path_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 0 || strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

int path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	/* End of string sorts first, then '/', then bytes. */
	int ka = *a == '\0' ? -1 : *a == '/' ? 0 : (unsigned char)*a;
	int kb = *b == '\0' ? -1 : *b == '/' ? 0 : (unsigned char)*b;

	return ka < kb ? -1 : 1;
}

static size_t depth_of(const char *path)
{
	size_t n = 0;

	for (const char *p = path; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
		n += *p != '/';
	return n;
}

int path_check_lengths(const char *a, const char *b, struct error **err)
{
	size_t n = strlen(a) + strlen(b), depth;

	if (n < PATH_DEPTH_MAX)
		return 0;
	depth = depth_of(a) + depth_of(b);
	if (n <= PATH_BYTES_MAX && depth <= PATH_DEPTH_MAX)
		return 0;
	a = *a ? a : b;
	return error_new(
		err, ERR_INVALID, ENAMETOOLONG,
		"the path '/%.40s...' has %zu bytes and %zu components: %d and %d are allowed",
		a + strspn(a, "/"), n, depth, PATH_BYTES_MAX, PATH_DEPTH_MAX);
}

int path_check_length(const char *path, struct error **err)
{
	return path_check_lengths(path, "", err);
}
