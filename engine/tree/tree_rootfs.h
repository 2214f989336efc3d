/* SPDX-License-Identifier: Apache-2.0 */
/* A stack of layers as a tree to copy from. Nothing but opened files touches the disk. */
#ifndef KILN_ENGINE_TREE_TREE_ROOTFS_H
#define KILN_ENGINE_TREE_TREE_ROOTFS_H

#include "engine/tree/tree.h"
#include "store/rootfs.h"

struct result;

/* Layer ids lowest first; every layer must have its index. n = 0 is an empty tree. */
int tree_rootfs_open(struct store *s, const int64_t *layers, size_t n, struct tree **ret,
		     struct error **err) _must_check_;
/* The tree of a result: its own (with a reference taken), or its rootfs as one. NULL is scratch. */
int tree_of_result(struct store *s, const struct result *result, struct tree **ret,
		   struct error **err) _must_check_;
/* Content digest of everything that is in a result. NULL is scratch. */
int result_whole_digest(struct store *s, const struct result *result, struct digest *ret,
			struct error **err) _must_check_;

#endif
