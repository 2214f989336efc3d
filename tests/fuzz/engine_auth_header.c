/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate headers. */
#include <stdlib.h>

#include "engine/registry/registry_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(auth_challenges_release) struct auth_challenges challenges = {0};
	_cleanup_free_ char *text = xstrndup((const char *)data, size);

	(void)!auth_challenges_parse(text, &challenges);
	return 0;
}
