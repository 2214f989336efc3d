/* SPDX-License-Identifier: Apache-2.0 */
/* What layer_writer.c and layer_scan.c share. */
#ifndef KILN_STORE_LAYER_WRITER_H
#define KILN_STORE_LAYER_WRITER_H

#include <pthread.h>
#include <sys/types.h>

#include "base/map.h"
#include "store/index.h"
#include "store/layer.h"

struct layer_writer {
	struct layer_writer *main; /* of a lane: whose tmp, fs, index and implied these are */
	pthread_mutex_t lock;	   /* of the main one: protects index and implied while there are
				    * lanes */
	struct store *s;
	int64_t for_id; /* 0: a new layer */
	char *tmp;	/* relative to the store's root; NULL once it was renamed into place */
	int fs;		/* the dir body */
	struct index_builder *index;
	struct map
		implied; /* paths of directories that were made as parents; value NULL: put since */

	bool no_devices; /* refused: the files are for steps, not for a layer */
	bool scanned;	 /* modes and times of directories are on disk already */

	char *parent; /* path of the directory that parent_fd is open on; NULL: none */
	int parent_fd;

	uid_t uid; /* ours */
	gid_t gid;
	bool no_clones; /* the store's file system has none */

	const struct cancel *cancel; /* ends reading and copying; may be NULL */

	int file_fd; /* the open file, -1 if none */
	struct entry file;
	char *file_path;
	struct hasher hasher;
	bool content_known;
	bool ends_in_hole; /* its size is not on disk yet */
};

/* Checks a path from outside: clean, relative, no longer than the kernel takes. */
int layer_writer_check_path(const char *path, struct error **err) _must_check_;
/* Refuses a name that every reader of the layer's tar would take for a deletion. A layer that is
 * part of no image (a context to mount) may have it. */
bool layer_name_is_whiteout(const char *path);
int layer_writer_check_name(const char *path, struct error **err) _must_check_;
/* Does the hard link e name a file that is in `index` and stays when e is put? */
int layer_writer_check_link(const struct index_builder *index, const struct entry *e,
			    struct error **err) _must_check_;
/* Forgets the open parent directory, when what it stands for may have moved. */
void layer_writer_forget_parent(struct layer_writer *w);

#endif
