/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gitlib.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int started;

static void start(void)
{
	static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
				     GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};

	started = git_libgit2_init();
	if (started < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	git_libgit2_opts(GIT_OPT_SET_TEMPLATE_PATH, "");
	/* Its repositories are the store's, and in a user namespace owners look foreign. */
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	/* Objects are read once. */
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
}

int gitlib_start(struct error **err)
{
	pthread_once(&once, start);
	return started < 0 ? gitlib_fail(err, ERR_INTERNAL, "start libgit2") : 0;
}

int gitlib_fail(struct error **err, enum err_code code, const char *fmt, ...)
{
	const git_error *last = git_error_last();
	_cleanup_free_ char *doing = NULL;
	va_list ap;

	va_start(ap, fmt);
	doing = xvasprintf(fmt, ap);
	va_end(ap);
	return error_new(err, code, 0, "%s: %s", doing,
			 last && last->message ? last->message : "unknown failure");
}
