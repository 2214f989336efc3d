/* A layer being made on top of a rootfs, seen as the merged tree that it will give.
 *
 * Every change goes through here: it is written to the layer, the directories above it are listed
 * in the layer (as a diff of the merged trees lists them), and what lower layers hold is hidden
 * where the change says so. Paths are clean, without leading slash; "" is the root. No function
 * follows a symlink, except layer_edit_resolve. One thread at a time.
 */
#ifndef KILN_ENGINE_LAYER_EDIT_H
#define KILN_ENGINE_LAYER_EDIT_H

#include "base/error.h"
#include "store/layer.h"
#include "store/rootfs.h"

struct layer_edit;

/* `base` must outlive the edit. Times of directories that change are `now` (seconds). */
int layer_edit_open(struct store *s, const struct rootfs *base, int64_t now,
		    struct layer_edit **ret, struct error **err);
void layer_edit_free(struct layer_edit *e); /* without commit nothing remains */
DEFINE_FREEP(struct layer_edit, layer_edit_free)
int layer_edit_commit(struct layer_edit *e, int64_t *ret_layer, struct error **err);

/* What `path` is now, hard links resolved to what carries the bytes; strings live until the next
 * change. */
bool layer_edit_get(const struct layer_edit *e, const char *path, struct entry *ret);
/* Follows symlinks inside `scope` ("" is the whole tree), in parents and, with follow_last, at the
 * end; also when the last components do not exist. */
int layer_edit_resolve(const struct layer_edit *e, const char *scope, const char *path,
		       bool follow_last, char **ret_path, bool *ret_exists, struct entry *ret,
		       struct error **err);

/* Who owns and when: for directories made on the way. */
struct layer_owner {
	uint32_t uid, gid;
	uint32_t mode;
	int64_t mtime;
};
/* Makes a directory and those above it that are missing. `path` has no symlinks. ERR_INVALID where
 * something else is in the way. */
int layer_edit_mkdir_all(struct layer_edit *e, const char *path, const struct layer_owner *owner,
			 struct error **err);

/* Puts a directory, symlink, device or fifo: a directory merges with one that is there, everything
 * else must have been removed. The directory above takes the time `now`, unless `quiet` (the caller
 * sets its time itself). */
int layer_edit_put(struct layer_edit *e, const struct entry *entry, bool quiet, struct error **err);
/* A hard link to `target`, which is copied up if it is in a lower layer. */
int layer_edit_link(struct layer_edit *e, const char *path, const char *target, bool quiet,
		    struct error **err);
/* Opens a file for writing through layer_edit_writer; the caller ends it. */
int layer_edit_file(struct layer_edit *e, const struct entry *entry, bool quiet,
		    struct error **err);
int64_t layer_edit_now(const struct layer_edit *e); /* the time given to layer_edit_open */
struct layer_writer *layer_edit_writer(struct layer_edit *e);
/* Removes `path` and what is below it, from the layer and, by a whiteout, from the layers below. */
int layer_edit_remove(struct layer_edit *e, const char *path, struct error **err);

/* Reads a whole small file as merged, following symlinks; ERR_NOTFOUND if it does not exist. */
int layer_edit_read(const struct layer_edit *e, const char *path, size_t max, struct buf *ret,
		    struct error **err);

#endif
