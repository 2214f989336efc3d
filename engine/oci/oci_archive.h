/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an OCI image layout (image-layout.md), as a tar or as a directory: oci-layout,
 * index.json, blobs/sha256/..., and for docker manifest.json. In the tar they stand in the order of
 * their names, as containerd writes them; no time or owner is in it.
 */
#ifndef KILN_ENGINE_OCI_OCI_ARCHIVE_H
#define KILN_ENGINE_OCI_OCI_ARCHIVE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/vec.h"
#include "engine/layer/layer_blob.h"

struct oci_archive_item {
	char *name;	 /* in the layout; owned */
	struct buf data; /* the bytes, unless they are a layer's */
	/* A layer: number `i` of a chain. All borrowed. */
	const struct layer_body *body;
	const int64_t *layers;
	size_t i, n_keep;
	struct layer_blob_options options;
};

struct oci_archive {
	VEC(struct oci_archive_item) items;
};

void oci_archive_init(struct oci_archive *a); /* with the layout's marker file */
void oci_archive_release(struct oci_archive *a);
void oci_archive_add(struct oci_archive *a, const char *name, const void *p, size_t n);
/* A blob under its digest; the same digest twice is added once. */
void oci_archive_add_blob(struct oci_archive *a, const struct digest *digest, const void *p,
			  size_t n);
void oci_archive_add_layer(struct oci_archive *a, const struct layer_body *body,
			   const int64_t *layers, size_t i, size_t n_keep,
			   const struct layer_blob_options *o);
/* "blobs/sha256/<hex>". Heap. */
char *oci_archive_blob_name(const struct digest *digest);
/* The entry of docker's manifest.json for one image: {"Config", "RepoTags", "Layers"}. Names are
 * full ones. */
json_t *oci_archive_docker_entry(const struct digest *config, const struct layer_body *layers,
				 size_t n, char *const *names, size_t n_names);

int oci_archive_write_tar(struct oci_archive *a, struct store *s, struct cancel *cancel,
			  tar_sink_fn sink, void *data, struct error **err) _must_check_;
/* Writes the files below `dest`, which is made if missing. Each file appears whole or not at all,
 * and index.json last. */
int oci_archive_write_dir(struct oci_archive *a, struct store *s, struct cancel *cancel,
			  const char *dest, struct error **err) _must_check_;

#endif
