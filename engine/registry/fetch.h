/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching one layer: its blob from a registry or from the store, its dir from the blob, both in
 * one pass where both are missing. Whoever comes second for the same blob, in this process or
 * another, waits for the first and finds the work done. */
#ifndef KILN_ENGINE_REGISTRY_FETCH_H
#define KILN_ENGINE_REGISTRY_FETCH_H

#include "engine/registry/registry.h"
#include "solver/progress.h"
#include "store/layer.h"

struct fetch {
	struct store *store;
	struct registry *registry;
	struct job *job;	 /* may be NULL */
	const atomic_bool *stop; /* another fetch of the same group failed */
	const int64_t *below;	 /* the layers that the image has below this one */
	size_t n_below;
	/* Waits until all of `below` have their dirs. */
	int (*wait_below)(void *data, size_t n_below, struct error **err);
	void *wait_data;
};

/* The layer has its dir afterwards. */
int fetch_layer(const struct fetch *f, int64_t id, struct error **err) _must_check_;
/* The layer has its index afterwards: with its dir, unless it was made here as a blob. */
int fetch_index(const struct fetch *f, int64_t id, struct error **err) _must_check_;
/* The layer's blob is in the store afterwards; one that was made here may have its dir instead. */
int fetch_blob(const struct fetch *f, int64_t id, struct error **err) _must_check_;

#endif
