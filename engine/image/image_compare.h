/* SPDX-License-Identifier: Apache-2.0 */
/* Two OCI layout directories that one build made twice, compared part by part: layers first, then
 * configs, manifests and the index. */
#ifndef KILN_ENGINE_IMAGE_IMAGE_COMPARE_H
#define KILN_ENGINE_IMAGE_IMAGE_COMPARE_H

#include "base/digest.h"
#include "engine/image/layer_compare.h"

struct image_comparison {
	struct digest top; /* of the first layout: what its index.json names */
	bool differs;	   /* ... and then this is the first difference: */
	char *platform;	   /* "linux/amd64"; NULL: none in particular */
	char *part;	   /* "layer 3 of 5", "config", ... */
	char *step;	   /* what made the layer; NULL if that is not known */
	struct difference difference;
};
void image_comparison_release(struct image_comparison *c);

int image_compare(const char *first, const char *second, const struct cancel *cancel,
		  struct image_comparison *ret, struct error **err) _must_check_;

#endif
