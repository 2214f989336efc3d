/* SPDX-License-Identifier: Apache-2.0 */
/* A mark as a step may have written it; what is understood is written back byte by byte. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/owner_mark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[OWNER_MARK_MAX];
	struct owner o;

	if (!owner_mark_parse((const char *)data, size, &o))
		return 0;
	assert(owner_mark_format(&o, text) == size);
	assert(memcmp(text, data, size) == 0);
	return 0;
}
