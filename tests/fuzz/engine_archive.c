/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile archives, unpacked into a layer that is thrown away, as ADD does and as contexts are:
 * nothing may crash, and nothing may be written beside the layer. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/layer/layer_edit.h"
#include "engine/layer/unpack_archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/kiln-fuzz-archive-XXXXXX";
static struct store *store;

static void clean_up(void)
{
	store_close(store);
	(void)!fs_remove_tree(AT_FDCWD, dir);
}

static void open_store(void)
{
	if (!mkdtemp(dir) || store_open(dir, &store, NULL) < 0)
		abort();
	(void)atexit(clean_up);
}

static void unpack(int fd, bool strict)
{
	const struct unpack_options options = {.what = "fuzz",
					       .dest = strict ? "" : "dest",
					       .strict = strict,
					       .size_max = 1 << 20,
					       .entries_max = 1000};
	const struct layer_owner owner = {.mode = 0755};
	_cleanup_(layer_edit_freep) struct layer_edit *edit = NULL;
	_cleanup_(rootfs_freep) struct rootfs *base = NULL;

	int64_t layer;

	if (rootfs_open(store, NULL, 0, &base, NULL) < 0)
		abort();
	edit = layer_edit_open(store, base, 1, NULL);
	if (!strict && layer_edit_mkdir_all(edit, "dest", &owner, NULL) < 0)
		abort();
	if (unpack_archive(edit, fd, &options, NULL) == 0)
		(void)!layer_plan_make_dir(layer_edit_plan(edit), NULL, NULL, &layer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("archive", MFD_CLOEXEC);

	if (!store)
		open_store();
	if (fd < 0 || fs_write_full(fd, data, size) < 0)
		abort();
	if (!unpack_archive_recognise(fd, NULL))
		return 0;
	unpack(fd, false);
	unpack(fd, true);
	return 0;
}
