/* SPDX-License-Identifier: Apache-2.0 */
/* What rootfs.c and rootfs_walk.c share. */
#ifndef KILN_STORE_ROOTFS_STACK_H
#define KILN_STORE_ROOTFS_STACK_H

#include "store/rootfs.h"

struct index;

struct rootfs {
	struct store *s;
	int64_t *layers;
	struct index **indexes;
	size_t n;
};

/* The topmost entry of `path` that is visible, its layer, and for a directory the lowest layer
 * whose entries below it can be seen. */
bool rootfs_locate(const struct rootfs *fs, const char *path, struct entry *ret, size_t *ret_layer,
		   size_t *ret_floor);
/* The node of an index entry, hard links resolved. */
void rootfs_fill_node(const struct rootfs *fs, size_t layer, const struct entry *e,
		      struct rootfs_node *ret);

#endif
