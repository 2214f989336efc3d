/* SPDX-License-Identifier: Apache-2.0 */
/* What a vertex leaves: a rootfs (a list of layers) or a plain tree (a context, a git checkout).
 * Reference counted; immutable. */
#ifndef KILN_ENGINE_TREE_RESULT_H
#define KILN_ENGINE_TREE_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "solver/graph.h"

struct tree;

struct result {
	_Atomic unsigned refs;
	struct tree *tree; /* NULL for a rootfs */
	size_t n_layers;
	int64_t layers[]; /* lowest first */
};

struct result *result_new_rootfs(const int64_t *layers, size_t n); /* copies */
struct result *result_new_tree(struct tree *tree /* takes a reference */);
/* parent's layers and one more; parent NULL is scratch, layer 0 adds nothing. */
struct result *result_extend(const struct result *parent, int64_t layer);
struct result *result_ref(struct result *r);
void result_unref(struct result *r);
DEFINE_FREEP(struct result, result_unref)

/* The result whose tree the output is, changed, and whose layers therefore lie below its own; NULL
 * if there is none. Borrowed from `inputs`, one a vertex input. */
const struct result *result_base_of(const struct vertex *v, size_t output,
				    struct result *const *inputs);

#endif
