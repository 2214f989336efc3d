/* SPDX-License-Identifier: Apache-2.0 */
/* An ignore file, and after a NUL byte a path to match against it. */
#include <stdint.h>
#include <string.h>

#include "base/path.h"
#include "base/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	size_t n = nul ? (size_t)(nul - data) : size;
	_cleanup_(pattern_list_freep) struct pattern_list *l = NULL;
	_cleanup_strv_ struct strv lines = {0};
	_cleanup_free_ char *raw = NULL, *path = NULL;

	if (size == 0 || ignorefile_parse("input", (const char *)data, n, &lines, NULL) < 0)
		return 0;
	raw = nul ? xstrndup((const char *)nul + 1, size - n - 1) : xstrdup("a/b");
	path = path_rooted(raw);
	for (size_t i = 0; i < lines.n; i++)
		(void)!glob_match(lines.v[i], path, NULL);
	if (pattern_list_new(&lines, &l, NULL) < 0)
		return 0;
	(void)pattern_list_matches(l, path);
	(void)pattern_list_may_reinclude(l, path);
	return 0;
}
