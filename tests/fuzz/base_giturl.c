/* SPDX-License-Identifier: Apache-2.0 */
/* Any text; what is a git URL has an identifier. */
#include <stdint.h>
#include <stdlib.h>

#include "base/giturl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup(size ? (const char *)data : "", size);
	struct giturl u = {0};

	if (giturl_parse_context(text, &u, NULL) > 0)
		free(giturl_identifier(&u));
	giturl_release(&u);
	return 0;
}
