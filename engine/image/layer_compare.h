/* SPDX-License-Identifier: Apache-2.0 */
/* Two tars of one layer, compared entry by entry, to tell where they differ first. */
#ifndef KILN_ENGINE_IMAGE_LAYER_COMPARE_H
#define KILN_ENGINE_IMAGE_LAYER_COMPARE_H

#include <stdbool.h>

#include "base/error.h"

/* What two builds have at one place; all owned, fit to be shown. */
struct difference {
	char *path;	      /* in the layer; NULL: it is not about a file */
	char *field;	      /* "mode", "content", "history[2].created" */
	char *first, *second; /* the values */
};
void difference_release(struct difference *d);

/* Bytes as text: what cannot be shown becomes \xNN. Heap. */
char *difference_text(const void *p, size_t n);

/* Reads both (perhaps compressed) to their ends, or to the first difference. *ret_found = false:
 * their entries are the same. */
struct cancel;
int layer_compare(int first, int second, const struct cancel *cancel, bool *ret_found,
		  struct difference *ret, struct error **err) _must_check_;

#endif
