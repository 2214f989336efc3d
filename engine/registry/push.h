/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing: layers and configs first, several at once, then the manifests, and last what the tag
 * shall name.
 *
 *	push_job says what goes where
 *	push_run(&p, "docker.io/library/app:v1", err);		once for each name
 *	push_job_release(&p);
 *
 * A blob that the registry has is not sent; one that another of its repositories has is taken over
 * from there. The bytes of received layers are fetched only if neither is so. An upload that breaks
 * goes on where the registry says that it stopped.
 */
#ifndef KILN_ENGINE_REGISTRY_PUSH_H
#define KILN_ENGINE_REGISTRY_PUSH_H

#include "base/platform.h"
#include "engine/layer/layer_blob.h"
#include "engine/registry/registry.h"
#include "solver/progress.h"

/* One image; everything is borrowed and outlives the push_job. */
struct push_image {
	const struct buf *config, *manifest;
	const char *manifest_type;
	struct digest config_digest, manifest_digest;
	const int64_t *layers; /* the chain, as for layer_blob_send; NULL: all blobs are stored */
	const struct layer_body *bodies;
	size_t n_layers, n_keep;
	struct layer_blob_options options; /* per chain: the clamp of what has to be written */
};

struct push_job {
	struct store *store;
	struct registry *registry;
	struct job *job; /* progress lines; may be NULL */
	struct cancel *cancel;
	struct blob_fetcher fetcher; /* for received layers whose bytes are not here */
	const struct push_image *images;
	size_t n_images;
	/* The index that names them; NULL: there is one image, and its manifest gets the tag. */
	const struct buf *index;
	const char *index_type;
	struct digest index_digest;
	bool by_digest; /* the last document gets no tag */
	char *last;	/* the name pushed before: what it has is taken over from there */
};

/* `name` in full, "docker.io/library/app:v1". */
int push_run(struct push_job *p, const char *name, struct error **err) _must_check_;
/* Only layer number `layer` of the image `m`, of which nothing else needs to be known yet. */
int push_layer(struct push_job *p, const char *name, const struct push_image *m, size_t layer,
	       struct error **err) _must_check_;
void push_job_release(struct push_job *p);

/* `kiln push`: an image of the local store under its full name, as one step on the progress stream.
 * Layers made here are sent with gzip; an image that was pulled is sent as it came. `platform`: of
 * an image for several only that one goes, without an index; NULL: all. */
struct push_result {
	struct digest digest;
	uint64_t size; /* of the document with that digest */
};
int push_stored(struct store *s, struct registry *registry, const char *name,
		const struct platform *platform, const struct blob_fetcher *fetcher,
		const struct progress *progress, struct cancel *cancel, struct push_result *ret,
		struct error **err) _must_check_;

#endif
