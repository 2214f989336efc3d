/* SPDX-License-Identifier: Apache-2.0 */
/* Image archives: whatever the bytes are, loading ends with images or with an error. One store
 * serves all inputs of a run. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/image/load.h"

static char root[] = "/tmp/kiln-fuzz-XXXXXX";
static struct store *fuzz_store;

static void remove_store(void)
{
	store_close(fuzz_store);
	(void)!fs_remove_tree(AT_FDCWD, root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platform platform = {.os = "linux", .arch = "amd64"};
	struct load_result result = {0};
	int fd;

	if (!fuzz_store) {
		if (!mkdtemp(root) || store_open(root, &fuzz_store, NULL) < 0)
			abort();
		if (atexit(remove_store) != 0)
			abort();
	}
	fd = memfd_create("archive", MFD_CLOEXEC);
	if (fd < 0 || fs_write_full(fd, data, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	if (load_images(fuzz_store, fd, "input", &platform, NULL, &result, NULL) == 0)
		load_result_release(&result);
	close(fd);
	return 0;
}
