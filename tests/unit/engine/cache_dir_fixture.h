/* SPDX-License-Identifier: Apache-2.0 */
/* A cache in the directory "cache" below another one, for tests of what keeps and finds things
 * there. Included after cmocka.h. */
#ifndef KILN_TESTS_CACHE_DIR_FIXTURE_H
#define KILN_TESTS_CACHE_DIR_FIXTURE_H

#include "engine/remote_cache/remote_backend.h"

/* `more` are further attributes, each after a comma. */
static inline struct remote_backend *open_cache_dir(const char *root, struct store *s,
						    enum remote_use use, const char *more)
{
	_cleanup_free_ char *text = xasprintf("type=local,%s=%s/cache%s",
					      use == REMOTE_IMPORT ? "src" : "dest", root, more);
	struct remote_env env = {.store = s};
	struct remote_backend *b = NULL;
	remote_specs specs = {0};

	assert_int_equal(remote_spec_parse(text, use, &specs, NULL), 0);
	assert_int_equal(remote_backend_open(&env, &specs.v[0], &b, NULL), 0);
	remote_specs_release(&specs);
	return b;
}

#endif
