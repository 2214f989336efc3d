/* SPDX-License-Identifier: Apache-2.0 */
/* What parses can be copied and written, and what is written parses again to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/image_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_copy(struct image_config *c, struct buf *b)
{
	struct image_config copy;

	image_config_copy(&copy, c);
	image_config_release(c);
	image_config_write(&copy, b);
	image_config_release(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf once = BUF_INIT, twice = BUF_INIT;
	struct image_config c;

	if (image_config_parse(data, size, &c, NULL) < 0)
		return 0;
	write_copy(&c, &once);
	if (image_config_parse(once.p, once.n, &c, NULL) < 0)
		abort();
	write_copy(&c, &twice);
	if (strcmp(once.p, twice.p) != 0)
		abort();
	return 0;
}
