/* SPDX-License-Identifier: Apache-2.0 */
/* A stack of layers seen as one tree through their indexes, without touching files.
 * Layer ids are lowest first. Thread safe once opened. */
#ifndef KILN_STORE_ROOTFS_H
#define KILN_STORE_ROOTFS_H

#include "base/buf.h"
#include "store/layer.h"

struct rootfs;

/* Every layer must have its index (ERR_NOTFOUND naming the layer otherwise). n = 0: empty. */
int rootfs_open(struct store *s, const int64_t *layers, size_t n, struct rootfs **ret,
		struct error **err) _must_check_;
void rootfs_free(struct rootfs *fs);
DEFINE_FREEP(struct rootfs, rootfs_free)

/* A path as merged: hard links are resolved to the entry that carries the data. */
struct rootfs_node {
	struct entry entry;    /* entry.path is the path asked for, cleaned */
	size_t layer;	       /* position in the stack of the layer that it comes from */
	const char *data_path; /* path of the bytes inside that layer's dir */
};

/* Does `path` (clean, no leading slash) exist? Symlinks are not followed, in no component. */
bool rootfs_get(const struct rootfs *fs, const char *path, struct rootfs_node *ret);
/* Follows symlinks inside the root, in parents and, with follow_last, at the end. *ret_path (heap)
 * is the path without symlinks, also when its last components do not exist; returns whether the
 * whole path exists. ERR_INVALID for a symlink loop (40 links). */
int rootfs_resolve(const struct rootfs *fs, const char *path, bool follow_last, char **ret_path,
		   bool *ret_exists, struct rootfs_node *ret, struct error **err) _must_check_;

/* Visits `path` and everything below it in path_compare order; a visitor's non-zero return stops
 * the walk and is returned; ROOTFS_SKIP on a directory skips what is below. */
enum { ROOTFS_SKIP = 1 };
typedef int (*rootfs_visit_fn)(void *data, const struct rootfs_node *node, struct error **err);
int rootfs_walk(const struct rootfs *fs, const char *path, rootfs_visit_fn visit, void *data,
		struct error **err) _must_check_;

/* Id of the layer that a node comes from. */
int64_t rootfs_layer(const struct rootfs *fs, const struct rootfs_node *node);
/* Opens a file's bytes (from the layer's dir). Returns the descriptor. */
int rootfs_open_file(const struct rootfs *fs, const struct rootfs_node *node,
		     struct error **err) _must_check_;
/* Reads a small file by name, following symlinks; ERR_NOTFOUND if it does not exist. */
int rootfs_read(const struct rootfs *fs, const char *path, size_t max, struct buf *ret,
		struct error **err) _must_check_;

/* Content digest of the whole merged tree: path, type, mode, uid, gid, bytes, link target,
 * capability, device and hard-link grouping; never mtime. Cached in the store per chain of layers.
 */
int rootfs_digest(struct rootfs *fs, struct digest *ret, struct error **err) _must_check_;
/* The same where it was computed before: nothing is opened, and no index is needed. */
int rootfs_known_digest(struct store *s, const int64_t *layers, size_t n, bool *ret_found,
			struct digest *ret, struct error **err) _must_check_;

#endif
