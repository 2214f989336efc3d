/* SPDX-License-Identifier: Apache-2.0 */
/* What parses must come back as itself when its text form is parsed again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup(size ? (const char *)data : "", size);
	_cleanup_free_ char *once = NULL, *twice = NULL;
	struct imageref r = IMAGEREF_INIT, again = IMAGEREF_INIT;

	if (imageref_parse(text, &r, NULL) < 0)
		return 0;
	once = imageref_format(&r);
	imageref_release(&r);
	if (imageref_parse(once, &again, NULL) < 0)
		abort();
	twice = imageref_format(&again);
	imageref_release(&again);
	if (strcmp(once, twice) != 0)
		abort();
	return 0;
}
