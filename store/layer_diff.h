/* SPDX-License-Identifier: Apache-2.0 */
/* What of a layer's index is a change to the layers below it: what a tar of the layer has to hold.
 *
 * A directory or file that is as it was below is left out (a directory stays if something below it
 * changes), a whiteout of what does not exist is left out, and an opaque directory becomes
 * whiteouts of what it hides. Times of directories do not count.
 */
#ifndef KILN_STORE_LAYER_DIFF_H
#define KILN_STORE_LAYER_DIFF_H

#include "base/strv.h"
#include "store/index_draft.h"
#include "store/rootfs.h"

struct diff_item {
	const char *path; /* the index's, or the diff's */
	int64_t position; /* in the index; -1: a whiteout that an opaque directory implies */
	bool keep;
};

struct layer_diff {
	struct diff_item *v; /* in path order */
	size_t n, cap;
	struct strv implied;
	bool whole; /* it is the entries of the index as they are */
};

/* `below` NULL: not known, everything is kept. */
int layer_diff_make(const struct index *index, const struct rootfs *below, struct layer_diff *ret,
		    struct error **err) _must_check_;
void layer_diff_release(struct layer_diff *d);

/* What the diff keeps of a layer, without opaque directories: the entries of its tar. */
int layer_diff_apply(const struct index_draft *draft, const struct layer_diff *diff,
		     struct index_builder **ret, struct error **err) _must_check_;

/* The entry that carries a file's attributes and bytes: itself, or what a hard link names. */
int layer_diff_carrier(const struct index *index, const struct entry *e, struct entry *ret,
		       struct error **err) _must_check_;

#endif
