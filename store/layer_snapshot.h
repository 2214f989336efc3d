/* SPDX-License-Identifier: Apache-2.0 */
/* A step on a copy of its root: where layers cannot be stacked by overlayfs, all files of the root
 * are copied into what is to become the layer, and what the step left is compared with the layers
 * below.
 *
 * A file is taken for the one that was copied if nothing has touched its inode since: the kernel
 * sets ctime with every write, chmod, link or rename, and no program can set it back. Directories
 * keep theirs when they move, so they are known by inode number. What is in doubt is read and
 * compared.
 */
#ifndef KILN_STORE_LAYER_SNAPSHOT_H
#define KILN_STORE_LAYER_SNAPSHOT_H

#include <sys/stat.h>
#include <time.h>

#include "base/map.h"
#include "store/rootfs.h"

struct layer_snapshot {
	struct rootfs *below; /* what was copied; owned */
	struct timespec
		end;	 /* all of it has a ctime up to this, and what came later one after it */
	struct map dirs; /* path -> inode number (uintptr_t) */
	bool no_devices; /* they could not be made, so that they are not there means nothing */
};
void layer_snapshot_release(struct layer_snapshot *s);
/* Notes a directory of the copy. */
void layer_snapshot_note(struct layer_snapshot *s, const char *path, const struct stat *st);

/* Is the directory with this name the one that was copied? */
bool layer_snapshot_has_dir(const struct layer_snapshot *s, const char *path,
			    const struct stat *st);
/* Is a node, no directory, of a directory that was copied as it was? */
bool layer_snapshot_untouched(const struct layer_snapshot *s, const char *path,
			      const struct stat *st);
/* Was the inode behind an O_PATH descriptor made with the copy? False where nobody can tell. */
bool layer_snapshot_made(const struct layer_snapshot *s, int fd);
/* Says the directory e what the layers below do? */
bool layer_snapshot_same_dir(const struct layer_snapshot *s, const struct entry *e);
/* The names that the layers below have in directory `path` and the sorted `names` do not. */
int layer_snapshot_missing(const struct layer_snapshot *s, const char *path,
			   const struct strv *names, struct strv *ret,
			   struct error **err) _must_check_;

#endif
