/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths of a tree a copy action takes.
 *
 * A source resolves to a list of roots: wildcards are matched as Go's filepath.Match does (a
 * matched directory is not searched further); symlinks in the literal part and, with
 * follow_symlink, a root that is itself a symlink are followed inside the tree. Below a root that
 * is a directory the include and exclude patterns decide, relative to the root.
 */
#ifndef KILN_ENGINE_TREE_COPY_SELECT_H
#define KILN_ENGINE_TREE_COPY_SELECT_H

#include "base/digest.h"
#include "base/vec.h"
#include "engine/tree/tree.h"
#include "solver/op.h"

struct copy_root {
	char *name;	    /* as matched, clean, its last symlink not followed; owned */
	char *path;	    /* what it stands for, without symlinks; owned */
	struct entry entry; /* of `path` */
};

struct copy_roots {
	struct copy_root *v;
	size_t n, cap;
};
void copy_roots_release(struct copy_roots *roots);

/* Resolves copy->src. Without wildcards a missing path is ERR_NOTFOUND, and so is a missing one of
 * copy->required_paths; a wildcard may match nothing if the action allows it. */
int copy_roots_resolve(struct tree *t, const struct op_file_copy *copy, struct copy_roots *ret,
		       struct error **err) _must_check_;

/* One selected path. `rel` is its path below the root ("" for the root itself). `included` is false
 * for a directory that no pattern selects: it comes only where something below it does, just before
 * it. */
struct copy_item {
	const char *rel;
	const struct entry *entry;
	uint64_t group; /* see tree_visit_fn */
	bool included;
};
typedef int (*copy_visit_fn)(void *data, const struct copy_item *item, struct error **err);
/* Visits what is selected below a root in path_compare order, the root first. A root that is no
 * directory is one item. */
int copy_select_walk(struct tree *t, const struct op_file_copy *copy, const struct copy_root *root,
		     copy_visit_fn visit, void *data, struct error **err) _must_check_;

/* Adds what counts of one selected path to `h`, less its name and type and what the copy
 * overrides. */
int copy_item_digest(struct tree *t, const struct op_file_copy *copy, const struct copy_item *item,
		     struct hasher *h, struct error **err) _must_check_;

/* Content digest of what the copies select from one tree: relative paths, types, modes, owners,
 * link targets, devices, capabilities and bytes, never times or hard links. The name of a root
 * counts only where it can show in the result: a file's does, a directory's whose contents are
 * copied does not. Files are hashed in parallel. */
int copy_select_digest(struct tree *t, const struct op_file_copy *const *copies, size_t n,
		       struct digest *ret, struct error **err) _must_check_;

/* Content digest of one path (symlinks followed) and what is below it, as a bind mount shows it. */
int tree_path_digest(struct tree *t, const char *path, struct digest *ret,
		     struct error **err) _must_check_;

#endif
