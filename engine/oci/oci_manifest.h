/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what describes an image: its completed config, its manifest, an index over several
 * manifests and the descriptors between them, in the keys, order and indentation that BuildKit
 * uses. Reading is engine/oci/oci.h. */
#ifndef KILN_ENGINE_OCI_OCI_MANIFEST_H
#define KILN_ENGINE_OCI_OCI_MANIFEST_H

#include "base/buf.h"
#include "base/image_config.h"
#include "engine/layer/layer_blob.h"

/* When things of an image were made, in ns since the epoch. */
struct oci_times {
	const int64_t *layers; /* one per layer; those of the base image are not looked at */
	bool has_epoch;	       /* nothing new is younger than `epoch` */
	int64_t epoch;
};

/* `from` is the frontend's: diff ids of the base image only, new history rows without time. `ret`
 * gets the diff ids of all layers and every time, by the rules of BuildKit's exporter: a row that
 * made a layer has the layer's time; a row without one has that of the layer before it, or of the
 * first new layer; a layer without a row gets one. */
void oci_config_complete(const struct image_config *from, const struct layer_body *layers, size_t n,
			 const struct oci_times *times, struct image_config *ret);

/* A descriptor; annotations ("k=v") are sorted; platform may be NULL. The caller owns the
 * object. */
json_t *oci_descriptor(const char *media_type, const struct digest *digest, uint64_t size,
		       const struct strv *annotations, const struct platform *platform);
/* The manifest of an image, indented. */
void oci_manifest_write(bool docker_types, const struct digest *config, uint64_t config_size,
			const struct layer_body *layers, size_t n, const struct strv *annotations,
			struct buf *b);
/* An index of descriptors (an array), indented or, as index.json of a layout is, compact. */
void oci_index_write(bool docker_types, json_t *manifests, const struct strv *annotations,
		     bool indented, struct buf *b);

#endif
