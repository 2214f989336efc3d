/* SPDX-License-Identifier: Apache-2.0 */
/* XML answers of S3 servers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/s3/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_element(void *data, const char *path, const char *text)
{
	size_t *bytes = data;

	*bytes += strlen(path) + strlen(text);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t bytes = 0;

	(void)!s3_xml_walk(data, size, on_element, &bytes);
	free(s3_xml_find(data, size, "Error/Code"));
	return 0;
}
