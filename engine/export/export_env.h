/* SPDX-License-Identifier: Apache-2.0 */
/* What exporters of caches and squashed images use of the engine of one command. */
#ifndef KILN_ENGINE_EXPORT_EXPORT_ENV_H
#define KILN_ENGINE_EXPORT_EXPORT_ENV_H

#include "base/cancel.h"
#include "engine/layer/layer_blob.h"
#include "engine/registry/registry.h"
#include "engine/remote_cache/remote_import.h"
#include "solver/progress.h"
#include "store/store.h"

struct config;

/* All borrowed. */
struct export_env {
	struct store *store;
	struct registry *registry;
	const struct config *config;
	struct cancel *cancel;
	struct remote_imports *imports; /* --cache-from; NULL: none */
	struct blob_fetcher fetcher;	/* for blobs of received layers */
	/* Is this a layer of an image that the build resolved? */
	bool (*is_base_layer)(void *data, int64_t layer);
	/* Layers have their dirs afterwards. `job` may be NULL. */
	int (*require_dirs)(void *data, struct job *job, const int64_t *layers, size_t n,
			    struct error **err);
	void *data;
};

#endif
