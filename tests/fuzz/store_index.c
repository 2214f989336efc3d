/* SPDX-License-Identifier: Apache-2.0 */
/* A layer index with hostile bytes. The checksums are made right first: they guard against damage,
 * not against malice, and would keep the fuzzer from everything behind them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "store/index.h"
#include "store/index_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair_checksums(uint8_t *p, size_t size)
{
	if (size < INDEX_HEADER)
		return;
	index_put64(p + INDEX_H_BODY_SUM, XXH3_64bits(p + INDEX_HEADER, size - INDEX_HEADER));
	index_put64(p + INDEX_H_SUM, XXH3_64bits(p, INDEX_H_SUM));
}

static void use(const struct index *i)
{
	size_t sum = 0;
	struct entry e;

	for (size_t n = 0; n < index_count(i); n++) {
		index_entry(i, n, &e);
		sum += strlen(e.path) + (e.link ? strlen(e.link) : 0) + e.capability_size;
		sum += index_skip_subtree(i, n);
		sum += index_find(i, e.path) >= 0;
		sum += index_lower_bound(i, e.link ? e.link : "zz");
	}
	if (sum == SIZE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("index", MFD_CLOEXEC);
	struct index *i = NULL;
	uint8_t *copy;

	if (fd < 0)
		return 0;
	copy = malloc(size + 1);
	memcpy(copy, data, size);
	repair_checksums(copy, size);
	if (write(fd, copy, size) == (ssize_t)size && index_open_fd(fd, "fuzz", &i, NULL) == 0)
		use(i);
	index_unref(i);
	free(copy);
	close(fd);
	return 0;
}
