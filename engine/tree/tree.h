/* SPDX-License-Identifier: Apache-2.0 */
/* Something that can be copied from: a build context, a rootfs, an unpacked archive.
 *
 * Paths are clean, without leading slash, "" is the root. Implementations are thread safe for
 * reading. The content digest of a file may be computed on first use (a context hashes only what is
 * selected), so `entry.content` is valid only after tree_content.
 */
#ifndef KILN_ENGINE_TREE_TREE_H
#define KILN_ENGINE_TREE_TREE_H

#include "base/error.h"
#include "base/strv.h"
#include "store/entry.h"

struct tree;

/* `group` is a number that the paths of one file share (0: a single link). A visitor's other
 * non-zero return stops the walk and is returned. */
enum { TREE_SKIP = 1 };
typedef int (*tree_visit_fn)(void *data, const struct entry *e, uint64_t group, struct error **err);

struct tree_ops {
	/* Does `path` exist? No symlinks are followed. ENTRY_HARDLINK is never returned, see
	 * `group` above. Strings live as long as the tree. */
	bool (*get)(struct tree *t, const char *path, struct entry *ret, uint64_t *ret_group);
	/* Visits `path` and what is below in path_compare order; TREE_SKIP on a directory
	 * skips it. */
	int (*walk)(struct tree *t, const char *path, tree_visit_fn visit, void *data,
		    struct error **err);
	/* Content digest of a file. */
	int (*content)(struct tree *t, const struct entry *e, struct digest *ret,
		       struct error **err);
	/* Opens a file's bytes; returns the descriptor. */
	int (*open)(struct tree *t, const struct entry *e, struct error **err);
	/* After a file's bytes were read through `fd` (from `open`): were they those that the tree
	 * describes, or did somebody change the file meanwhile? With `content`, what they hash to,
	 * the tree remembers it. NULL: the tree never changes. */
	bool (*still)(struct tree *t, const struct entry *e, int fd, const struct digest *content);
	/* For messages: appends the names in the directory `dir` of where the tree comes from, also
	 * such that the tree leaves out; nothing if there is no such directory. NULL: the tree is
	 * all there is. */
	void (*names)(struct tree *t, const char *dir, struct strv *ret);
	/* For messages: which line of an ignore file keeps the path out of the tree, NULL if none
	 * does (heap). NULL: there is none. */
	char *(*leaves_out)(struct tree *t, const char *path);
	/* For messages: the directory that the tree is. NULL: none. */
	const char *(*place)(struct tree *t);
	void (*free)(struct tree *t);
};

struct tree {
	const struct tree_ops *ops;
	_Atomic unsigned refs;
	bool is_context; /* owners read as 0:0, .dockerignore was applied */
};

/* The content digest of a file: e->content if it is known, else ops->content. */
int tree_content(struct tree *t, const struct entry *e, struct digest *ret,
		 struct error **err) _must_check_;

struct tree *tree_ref(struct tree *t);
void tree_unref(struct tree *t);
DEFINE_FREEP(struct tree, tree_unref)

/* Looks a path up without following symlinks. */
typedef bool (*tree_lookup_fn)(const void *data, const char *path, struct entry *ret);
/* What tree_resolve does, for anything that looks paths up: symlinks are resolved inside `scope`
 * ("" is everything), to which `path` is relative. *ret_path is scope and the rest. */
int tree_resolve_scoped(tree_lookup_fn lookup, const void *data, const char *scope,
			const char *path, bool follow_last, char **ret_path, bool *ret_exists,
			struct entry *ret, struct error **err) _must_check_;

/* Resolves symlinks inside the root (in parents and, with follow_last, at the end): *ret_path
 * (heap) has none. Returns whether it exists in *ret_exists. ERR_INVALID for a loop. */
int tree_resolve(struct tree *t, const char *path, bool follow_last, char **ret_path,
		 bool *ret_exists, struct entry *ret, struct error **err) _must_check_;

#endif
