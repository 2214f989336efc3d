/* SPDX-License-Identifier: Apache-2.0 */
/* Images from registries: names to manifests, manifests to layers, layers to dirs.
 *
 *	image_resolve(s, reg, "python:3.8", &platform, PULL_DEFAULT, job, &img, err);
 *	layers_require(s, reg, job, img.layers, img.n_layers, err);	for steps that read them
 *	image_complete(s, reg, job, &img, err);				and a tag, for `kiln images`
 *
 * Resolving reads documents only; layers are recorded by descriptor and fetched when something
 *needs them. Each blob is fetched once however many threads and processes ask for it at the same
 *time. All functions are thread safe; `job` gets the progress lines and gives the cancel switch,
 *and may be NULL.
 */
#ifndef KILN_ENGINE_REGISTRY_PULL_H
#define KILN_ENGINE_REGISTRY_PULL_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/platform.h"
#include "engine/registry/registry.h"
#include "solver/progress.h"
#include "store/store.h"

/* FROM's rule (default): an image that the user made wins; a tag that kiln pulled is revalidated by
 * one HEAD, and serves, with a warning, where the registry cannot be reached. */
enum pull_policy {
	PULL_DEFAULT = 0,
	PULL_ALWAYS, /* --pull: the registry's word, whatever is here */
	PULL_LOCAL,  /* what is here without asking; only what is missing is asked for */
};

struct image_source {
	char *name;   /* full name with tag, "docker.io/library/python:3.8"; NULL for a
			 reference by digest alone */
	char *pinned; /* the reference with its digest: "docker.io/library/python:3.8@sha256:..." */
	struct digest digest;	/* what the reference stands for: an index or a manifest */
	struct digest manifest; /* of the chosen platform */
	struct digest config_digest;
	struct buf config;	  /* the image config as it is */
	struct platform platform; /* as the config says */
	int64_t *layers;	  /* lowest first */
	size_t n_layers;
	bool made; /* found in the local store, made there by the user */
};
void image_source_release(struct image_source *i);

/* `ref` as people write it. Errors: a bad reference; not found (naming the reference); no such
 * platform (naming those that are there); a registry's failure. */
int image_resolve(struct store *s, struct registry *reg, const char *ref,
		  const struct platform *platform, enum pull_policy policy, struct job *job,
		  struct image_source *ret, struct error **err) _must_check_;

/* Makes sure that every layer has its dir: fetches and unpacks, in parallel, what is missing. */
int layers_require(struct store *s, struct registry *reg, struct job *job, const int64_t *layers,
		   size_t n, struct error **err) _must_check_;
/* Makes sure that every layer has its index at least. */
int indexes_require(struct store *s, struct registry *reg, struct job *job, const int64_t *layers,
		    size_t n, struct error **err) _must_check_;
/* Makes sure that the blob of every received layer is in the store. Layers made here are passed
 * over. */
int blobs_require(struct store *s, struct registry *reg, struct job *job, const int64_t *layers,
		  size_t n, struct error **err) _must_check_;

/* Fetches what is missing (dirs and blobs) and records the image as pulled, under its name. */
int image_complete(struct store *s, struct registry *reg, struct job *job,
		   const struct image_source *image, struct error **err) _must_check_;

/* `kiln pull`: resolve (asking the registry) and complete, as one step on the progress stream.
 * *ret (may be NULL) is released by the caller. */
int image_pull(struct store *s, struct registry *reg, const char *ref,
	       const struct platform *platform, const struct progress *progress,
	       struct cancel *cancel, struct image_source *ret, struct error **err) _must_check_;

#endif
