/* SPDX-License-Identifier: Apache-2.0 */
/* What each layer of an image adds, changes and hides, and what of it later layers hide: bytes that are
 * carried and never seen. Only indexes are read, no file. */
#ifndef KILN_ENGINE_IMAGE_LAYER_REPORT_H
#define KILN_ENGINE_IMAGE_LAYER_REPORT_H

#include "base/error.h"
#include "base/vec.h"
#include "store/store.h"

struct layer_tally {
	size_t files; /* and links, devices: all but directories */
	uint64_t bytes;
};

/* One file of a layer. */
struct layer_file {
	char *path; /* owned, without a leading slash */
	uint64_t size;
	bool changed; /* a lower layer has the path, too */
	bool wasted;  /* a higher layer replaces or removes it */
};

struct layer_report {
	struct layer_tally added, changed; /* files of this layer */
	struct layer_tally removed;	   /* files of lower layers that it takes away */
	struct layer_tally wasted;    /* files of this layer that higher ones replace or remove */
	VEC(struct layer_file) files; /* that have bytes, largest first */
};
void layer_report_release(struct layer_report *r);

/* Fills one report for each of the n layers, lowest first; all have their indexes (indexes_require).
 * The caller releases them, also after a failure. */
int layer_report_make(struct store *s, const int64_t *layers, size_t n, struct layer_report *ret,
		      struct error **err) _must_check_;

#endif
