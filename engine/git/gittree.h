/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a git commit, written into a layer straight from the repository's objects.
 *
 * Files have mode 0644 or 0755, directories 0755; everything belongs to root and has one time.
 * Trees come from strangers: names that git would not check out (".git", "..") are an error, and
 * so is more than the limits of archives (engine/layer/unpack_archive.h). Conversions that .gitattributes
 * asks for are not made.
 */
#ifndef KILN_ENGINE_GIT_GITTREE_H
#define KILN_ENGINE_GIT_GITTREE_H

#include <stdint.h>

#include "base/cancel.h"
#include "engine/git/gitlib.h"
#include "store/layer.h"

/* Called for a submodule: the commit `oid` belongs at `path` of the tree. `subdir` of it ("" is the
 * whole) goes to `dest` of the layer. */
typedef int (*gittree_link_fn)(void *data, const char *path, const char *oid, const char *subdir,
			       const char *dest, struct error **err);

struct gittree {
	struct layer_writer *writer;
	int64_t mtime; /* seconds, of all that is written */
	uint64_t bytes_left, entries_left;
	struct cancel *cancel; /* may be NULL */
	gittree_link_fn link;  /* NULL: submodules stay empty directories */
	void *link_data;

	/* Found on the way: files that only stand for their content (Git LFS). */
	size_t n_pointers;
	char *pointer; /* the first one's path; owned */
};
void gittree_release(struct gittree *t);

/* Writes `subdir` ("" is the whole tree; clean, relative) of a commit to `dest` of the layer.
 * ERR_NOTFOUND if there is no such directory. */
int gittree_checkout(struct gittree *t, git_repository *repo, const char *commit,
		     const char *subdir, const char *dest, struct error **err) _must_check_;

/* Writes one file that the tree does not hold. */
int gittree_put_file(struct gittree *t, const char *path, const void *p, size_t n,
		     struct error **err) _must_check_;
int gittree_put_dir(struct gittree *t, const char *path, struct error **err) _must_check_;

#endif
