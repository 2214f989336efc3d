/* SPDX-License-Identifier: Apache-2.0 */
/* From the digest of a manifest or index to an image: the documents between, wherever they come
 * from (a registry, a layout directory), and its layers by descriptor. */
#ifndef KILN_ENGINE_REGISTRY_IMAGE_DOCUMENTS_H
#define KILN_ENGINE_REGISTRY_IMAGE_DOCUMENTS_H

#include "engine/oci/oci.h"
#include "engine/registry/pull.h"

/* Where documents that the store lacks are read; everything is borrowed. */
struct document_origin {
	/* A manifest or index. *ret_type (heap) is what the origin says it is, or stays NULL. The
	 * bytes are verified already. */
	int (*manifest)(void *data, const struct digest *digest, struct buf *ret, char **ret_type,
			struct error **err);
	/* An image's config, verified too. */
	int (*config)(void *data, const struct oci_descriptor *d, struct buf *ret,
		      struct error **err);
	void *data;
	const char *name; /* of the image, for errors */
	const char
		*layer_source; /* where its layers can be fetched later (store/layer.h, source) */
};

/* Fills all of `ret` but the names. The caller releases it in failure too. `digest` may name an
 * index, of which the manifest for `platform` is taken. */
int image_documents_read(struct store *s, const struct document_origin *from,
			 const struct digest *digest, const struct platform *platform,
			 struct image_source *ret, struct error **err) _must_check_;

#endif
