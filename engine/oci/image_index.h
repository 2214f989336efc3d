/* SPDX-License-Identifier: Apache-2.0 */
/* The index beside an image of the store.
 *
 * The store knows images of one platform. What a build for several platforms, or an archive of
 * several, leaves is the image of one of them and, kept with it, the blobs of an index over all:
 * a pin of the image's manifest says which.
 */
#ifndef KILN_ENGINE_OCI_IMAGE_INDEX_H
#define KILN_ENGINE_OCI_IMAGE_INDEX_H

#include "base/platform.h"
#include "engine/oci/oci.h"
#include "store/image.h"

struct image_index {
	struct digest digest;
	struct buf bytes;
	struct oci_document doc;
};
#define IMAGE_INDEX_INIT           \
	{                          \
		.bytes = BUF_INIT, \
	}
void image_index_release(struct image_index *i);

/* Of the image with this manifest. *ret_found = false: it has none. */
int image_index_load(struct store *s, const struct digest *manifest, bool *ret_found,
		     struct image_index *ret, struct error **err) _must_check_;
/* Keeps an index, all of whose blobs are in the store, beside that image for as long as there is
 * the image. ERR_NOTFOUND if one of them is not. */
int image_index_keep(struct store *s, const struct digest *manifest, const struct digest *index,
		     struct error **err) _must_check_;

/* Makes an image that was found in the store the one of its index that serves `want`: manifest,
 * config, platform and size are that one's; of another platform than the store knows it has no
 * layers. NULL: as it is. ERR_NOTFOUND lists the platforms that there are. */
int image_for_platform(struct store *s, struct image *image, const struct platform *want,
		       struct error **err) _must_check_;
/* The same for an entry of its index that is in hand. */
int image_for_entry(struct store *s, struct image *image, const struct digest *manifest,
		    struct error **err) _must_check_;

#endif
