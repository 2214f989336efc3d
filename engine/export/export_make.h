/* SPDX-License-Identifier: Apache-2.0 */
/* An image of the build turned into documents and layer blobs, before it goes anywhere. Shared by
 * the exporters that write images. */
#ifndef KILN_ENGINE_EXPORT_EXPORT_MAKE_H
#define KILN_ENGINE_EXPORT_EXPORT_MAKE_H

#include "engine/attest/statement.h"
#include "engine/export/export.h"
#include "engine/layer/layer_blob.h"

struct export_job;

struct made_image {
	const struct export_image *in;
	size_t n_keep;		   /* layers of the base image */
	struct layer_body *bodies; /* in->n_layers of them; owned */
	struct buf config, manifest;
	struct digest config_digest, manifest_digest;
	const char *manifest_type;
	int64_t created;	       /* the config's, ns; 0 unknown */
	struct attest_manifest attest; /* no statements: it has no attestations */
};

/* `lo` says which blobs; the rest is the options'. Nothing but layer blobs enters the store. */
int export_make(struct store *s, const struct export_image *in, const struct export_options *o,
		const struct layer_blob_options *lo, struct cancel *cancel, struct made_image *ret,
		struct error **err) _must_check_;
void made_image_release(struct made_image *m);

/* The annotations ("k=v") for one place of one image; platform NULL: an index. Owned by the
 * caller. */
void export_annotations(const struct export_options *o, enum export_annotated on,
			const struct platform *platform, struct strv *ret);

/* The layer options that the export asks for: in a layout, */
struct layer_blob_options export_layer_options(const struct export_options *o);
/* ... in a registry, */
struct layer_blob_options export_push_options(const struct export_options *o);
/* ... and in the store, for an image of so many platforms. */
struct layer_blob_options export_store_options(const struct export_options *o, size_t n_images);
/* Is it made as for several platforms? */
bool export_is_several(const struct export_options *o, size_t n_images);
/* Does an index stand for it: for several, or with attestations? */
bool export_is_indexed(const struct export_options *o, size_t n_images);

/* --- attestations (export_attest.c) --- */

/* Those of an image whose manifest stands. */
int export_attest(const struct export_options *o, struct made_image *m,
		  struct error **err) _must_check_;
/* Puts their documents into the store. */
int export_attest_store(struct store *s, const struct made_image *m,
			struct error **err) _must_check_;
/* Hands on each of them as a file about the files of an image, if the output is to have them. */
struct rootfs;
int export_attest_files(const struct export_job *j, const struct export_image *in,
			const struct rootfs *rootfs,
			int (*put)(void *data, const char *name, const struct buf *b,
				   struct error **err),
			void *data, struct error **err) _must_check_;
/* Has every image a folder of its own? (local, tar) */
bool export_is_split(const struct export_job *j);
/* "linux_amd64"; returns `text`. */
char *export_platform_name(const struct platform *p, char text[64]);

/* Full names of the options' names. */
int export_full_names(const struct export_options *o, struct strv *ret,
		      struct error **err) _must_check_;

/* Fills the result's digests and descriptor from the document that names what was made. */
void export_describe(struct export_result *r, const char *media_type, const struct digest *digest,
		     uint64_t size, const struct digest *config, const struct strv *annotations,
		     const struct platform *platform);

/* The document that stands for the whole: the manifest, or an index over several. */
struct export_top {
	const char *media_type;
	struct digest digest;
	uint64_t size;
	const struct platform *platform; /* NULL: an index */
	struct strv annotations;	 /* of its descriptor; the caller releases */
};

/* --- the exporters, called by export_run on an open step --- */

struct export_job {
	struct store *s;
	const struct export_image *images;
	size_t n;
	const struct export_options *o;
	struct job *job;
	struct cancel *cancel;
	struct strv names; /* full */
	struct export_result *result;
};

/* Writes the index, if there are several images, to `index`, and describes the whole in the job's
 * result too. */
void export_find_top(struct export_job *j, const struct made_image *made, size_t n,
		     struct buf *index, struct export_top *top);

int export_to_store(struct export_job *j, struct error **err) _must_check_;
/* Pushes under every name. */
int export_to_registry(struct export_job *j, struct error **err) _must_check_;
int export_to_layout(struct export_job *j, struct error **err) _must_check_; /* oci, docker */
int export_to_dir(struct export_job *j, struct error **err) _must_check_;    /* local */
int export_to_tar(struct export_job *j, struct error **err) _must_check_;    /* tar */

#endif
