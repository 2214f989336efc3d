/* SPDX-License-Identifier: Apache-2.0 */
/* A layer being planned on top of a rootfs, seen as the merged tree that it will give.
 *
 * Every change goes through here: it is put into the plan, the directories above it are listed
 * there (as a diff of the merged trees lists them), and what lower layers hold is hidden
 * where the change says so. Paths are clean, without leading slash; "" is the root. No function
 * follows a symlink, except layer_edit_resolve. One thread at a time.
 */
#ifndef KILN_ENGINE_LAYER_LAYER_EDIT_H
#define KILN_ENGINE_LAYER_LAYER_EDIT_H

#include "base/error.h"
#include "engine/layer/layer_plan.h"
#include "store/rootfs.h"

struct layer_edit;

/* Makes sure that layers have their dirs, for the few changes that read a file of a layer below. */
struct layer_need_dirs {
	int (*require)(void *data, const int64_t *layers, size_t n, struct error **err);
	void *data;
};

/* `base` must outlive the edit. Times of directories that change are `now` (seconds). `need` NULL:
 * the layers below have their dirs. */
struct layer_edit *layer_edit_open(struct store *s, const struct rootfs *base, int64_t now,
				   const struct layer_need_dirs *need);
void layer_edit_free(struct layer_edit *e);
DEFINE_FREEP(struct layer_edit, layer_edit_free)
/* What was changed so far; for making the layer, and for writing to a file that is being
 * spooled. */
struct layer_plan *layer_edit_plan(struct layer_edit *e);

/* What `path` is now, hard links resolved to what carries the bytes; strings live until the next
 * change. */
bool layer_edit_get(const struct layer_edit *e, const char *path, struct entry *ret);
/* Follows symlinks inside `scope` ("" is the whole tree), in parents and, with follow_last, at the
 * end; also when the last components do not exist. */
int layer_edit_resolve(const struct layer_edit *e, const char *scope, const char *path,
		       bool follow_last, char **ret_path, bool *ret_exists, struct entry *ret,
		       struct error **err) _must_check_;

/* Who owns and when: for directories made on the way. */
struct layer_owner {
	uint32_t uid, gid;
	uint32_t mode;
	int64_t mtime;
};
/* Makes a directory and those above it that are missing. `path` has no symlinks. ERR_INVALID where
 * something else is in the way. */
int layer_edit_mkdir_all(struct layer_edit *e, const char *path, const struct layer_owner *owner,
			 struct error **err) _must_check_;

/* Puts a directory, symlink, device or fifo: a directory merges with one that is there, everything
 * else must have been removed. The directory above takes the time `now`, unless `quiet` (the caller
 * sets its time itself). */
int layer_edit_put(struct layer_edit *e, const struct entry *entry, bool quiet,
		   struct error **err) _must_check_;
/* A hard link to `target`, which is copied up if it is in a lower layer. */
int layer_edit_link(struct layer_edit *e, const char *path, const char *target, bool quiet,
		    struct error **err) _must_check_;
/* A file, by layer_plan_file or, to be written to the plan and ended there, by layer_plan_spool. */
int layer_edit_file(struct layer_edit *e, const struct entry *entry, struct tree *tree,
		    const char *path, bool quiet, struct error **err) _must_check_;
int layer_edit_spool(struct layer_edit *e, const struct entry *entry, bool quiet,
		     struct error **err) _must_check_;
int64_t layer_edit_now(const struct layer_edit *e); /* the time given to layer_edit_open */
/* Removes `path` and what is below it, from the layer and, by a whiteout, from the layers below;
 * `quiet` as for layer_edit_put. */
int layer_edit_remove(struct layer_edit *e, const char *path, bool quiet,
		      struct error **err) _must_check_;

/* Reads a whole small file as merged, following symlinks; ERR_NOTFOUND if it does not exist. */
int layer_edit_read(const struct layer_edit *e, const char *path, size_t max, struct buf *ret,
		    struct error **err) _must_check_;

#endif
