/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the files of a step belong to where they cannot say it themselves: in a user namespace with
 * one id. The step's supervisor has left what chown asked for (base/owner_mark.h); the rest is what
 * the kernel would have done: a new file is its maker's, and its directory's group's where that is
 * set-group-id; a copied-up one keeps the owner that it had below. */
#ifndef KILN_STORE_LAYER_OWNER_H
#define KILN_STORE_LAYER_OWNER_H

#include "base/map.h"
#include "base/owner_mark.h"
#include "store/entry.h"
#include "store/layer.h"

struct step_owners {
	const struct layer_step *step; /* NULL: files are their owners' */
	struct map records;	       /* struct owner_inode -> struct owner (heap) */
};
/* Reads the records that were left in `work`. Release also after failure. */
int step_owners_open(struct step_owners *o, int dirfd, const char *work,
		     const struct layer_step *step, struct error **err) _must_check_;
void step_owners_release(struct step_owners *o);

/* Sets the ids of e, a node that `node` (a path through /proc/self/fd) and fd lead to. `mark` is
 * what it carries (NULL: nothing), `copied` whether it has the overlay's sign of a copy from below,
 * `dir` the directory that it is in. Leaves on disk what later steps must see. */
int step_owners_apply(const struct step_owners *o, int fd, const char *node,
		      const struct owner *mark, bool copied, const struct entry *dir,
		      struct entry *e, struct error **err) _must_check_;

#endif
