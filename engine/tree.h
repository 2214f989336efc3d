/* Something that can be copied from: a build context, a rootfs, an unpacked archive.
 *
 * Paths are clean, without leading slash, "" is the root. Implementations are thread safe for
 * reading. The content digest of a file may be computed on first use (a context hashes only what is
 * selected), so `entry.content` is valid only after tree_content.
 */
#ifndef KILN_ENGINE_TREE_H
#define KILN_ENGINE_TREE_H

#include "base/error.h"
#include "store/entry.h"

struct tree;

enum { TREE_SKIP = 1 };
typedef int (*tree_visit_fn)(void *data, const struct entry *e, struct error **err);

struct tree_ops {
	/* Does `path` exist? No symlinks are followed. ENTRY_HARDLINK is never returned: *ret_group
	 * is a number that paths of one file share (0: a single link). Strings live as long as the tree. */
	bool (*get)(struct tree *t, const char *path, struct entry *ret, uint64_t *ret_group);
	/* Visits `path` and what is below in path_compare order; TREE_SKIP on a directory skips it. */
	int (*walk)(struct tree *t, const char *path, tree_visit_fn visit, void *data,
		    struct error **err);
	/* Content digest of a file. */
	int (*content)(struct tree *t, const struct entry *e, struct digest *ret, struct error **err);
	/* Opens a file's bytes; returns the descriptor. */
	int (*open)(struct tree *t, const struct entry *e, struct error **err);
	void (*free)(struct tree *t);
};

struct tree {
	const struct tree_ops *ops;
	_Atomic unsigned refs;
	bool is_context; /* owners read as 0:0, .dockerignore was applied */
};

struct tree *tree_ref(struct tree *t);
void tree_unref(struct tree *t);
DEFINE_FREEP(struct tree, tree_unref)

/* Resolves symlinks inside the root (in parents and, with follow_last, at the end): *ret_path (heap)
 * has none. Returns whether it exists in *ret_exists. ERR_INVALID for a loop. */
int tree_resolve(struct tree *t, const char *path, bool follow_last, char **ret_path,
		 bool *ret_exists, struct entry *ret, struct error **err);

#endif
