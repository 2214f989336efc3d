/* SPDX-License-Identifier: Apache-2.0 */
/* One cache being written: which of its layers are there, and the documents that name them. Inside
 * of cache_export.c. */
#ifndef KILN_ENGINE_EXPORT_CACHE_SEND_H
#define KILN_ENGINE_EXPORT_CACHE_SEND_H

#include <pthread.h>

#include "engine/cache/cache_uses.h"
#include "engine/export/cache_collect.h"
#include "engine/export/export_env.h"
#include "engine/remote_cache/remote_backend.h"

/* What a name stood for when the build began; not known: nobody asked yet. */
struct remote_before {
	bool known, exists;
	struct digest manifest;
};

struct remote_target {
	struct export_env env;
	const struct remote_spec *spec;
	struct remote_backend *backend;
	struct job *job;	   /* shown once it says something */
	bool *wanted;		   /* by vertex id; owned */
	const struct strv *pushed; /* see remote_export_plan */
	struct cancel stop;	   /* the backend's switch until remote_target_finish */

	bool finishing; /* the images are where they were to go */

	pthread_mutex_t lock; /* protects `layers` while layers are sent */
	struct map layers;    /* id -> struct sent_layer */
	/* Held by one sender over asking for `before`, while others wait for the answer. */
	pthread_mutex_t asking;
	struct remote_before before;
};

int remote_target_open(struct remote_target *t, const struct export_env *e,
		       const struct remote_env *env, const struct remote_spec *spec,
		       const struct progress *progress, struct error **err) _must_check_;
void remote_target_close(struct remote_target *t);

/* Was the layer asked for before? From now on it was. */
bool remote_target_has_begun(struct remote_target *t, int64_t layer);
/* "host/path" of the same registry where the image goes; NULL if it goes nowhere near. */
const char *remote_target_elsewhere(const struct remote_target *t);
/* Makes the blob of layer number i of a chain and leaves it there, unless that is done. On any
 * thread. */
int remote_send_layer(struct remote_target *t, const int64_t *layers, size_t i,
		      struct error **err) _must_check_;
/* Sends what is missing, then graph, config and manifest. */
int remote_target_finish(struct remote_target *t, const struct cache_uses *uses,
			 struct error **err) _must_check_;

#endif
