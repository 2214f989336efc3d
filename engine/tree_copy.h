/* Copies a part of a tree into a plain directory, for mounts. Owners become ours where the tree is
 * a context, times are kept to the second. */
#ifndef KILN_ENGINE_TREE_COPY_H
#define KILN_ENGINE_TREE_COPY_H

#include "base/cancel.h"
#include "engine/tree.h"

/* `path` (clean, without symlinks) and what is below it become `name` below dirfd; "" is the
 * directory dirfd itself, which keeps its own attributes. */
int tree_copy(struct tree *t, const char *path, int dirfd, const char *name, struct cancel *cancel,
	      struct error **err);

#endif
