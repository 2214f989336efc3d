/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as .gitmodules; every URL that has a path is resolved. */
#include <stdint.h>
#include <stdlib.h>

#include "engine/git/gitmodules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gitmodules m = {.list = {.v = NULL}};

	if (gitmodules_parse(size ? (const char *)data : "", size, &m, NULL) < 0)
		return 0;
	for (size_t i = 0; i < m.list.n; i++) {
		const char *url = m.list.v[i].path ? gitmodules_url(&m, m.list.v[i].path) : NULL;
		char *resolved = NULL;

		if (url && gitmodules_resolve_url("https://h.x/o/a.git", url, &resolved, NULL) == 0)
			free(resolved);
		resolved = NULL;
		if (url && gitmodules_resolve_url("git@h.x:a", url, &resolved, NULL) == 0)
			free(resolved);
	}
	gitmodules_release(&m);
	return 0;
}
