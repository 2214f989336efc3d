/* SPDX-License-Identifier: Apache-2.0 */
/* Copies a part of a tree into a plain directory, for mounts. Owners become ours where the tree is
 * a context, times are kept to the second. */
#ifndef KILN_ENGINE_TREE_TREE_COPY_H
#define KILN_ENGINE_TREE_TREE_COPY_H

#include "base/cancel.h"
#include "engine/tree/tree.h"

enum tree_copy_flag {
	/* As a mount of layers shows them: with devices, where they may be made, with capabilities
	 * and with the times of directories. */
	TREE_COPY_WHOLE = 1 << 0,
	/* Nobody will write to the copy: files may be links to the layers'. */
	TREE_COPY_LINK = 1 << 1,
};

/* `path` (clean, without symlinks) and what is below it become `name` below dirfd; "" is the
 * directory dirfd itself, which keeps its own attributes. Names of one file become files of their
 * own, as they do when they are written to on an overlay. */
int tree_copy(struct tree *t, const char *path, int dirfd, const char *name, unsigned flags,
	      struct cancel *cancel, struct error **err) _must_check_;

#endif
