/* SPDX-License-Identifier: Apache-2.0 */
/* One layer for equal ones: where a step leaves on an equal parent what it, or another step, left
 * there before, the earlier layer stands in for the new one. Bytes and times of a layer then come
 * from one build, its digest is stable, and pushing it moves nothing. Equal means equal content
 * (docs/cache.md): everything but times, so times that an op asks for count too. */
#ifndef KILN_ENGINE_CACHE_LAYER_TWIN_H
#define KILN_ENGINE_CACHE_LAYER_TWIN_H

#include "engine/cache/cache_store.h"

/* Replaces the output of a run by the earlier one if there is one. *ret_key is the key that later
 * runs look for the layer under, if *ret_has_key. */
int layer_twin_settle(struct cache_store *c, const struct cache_entry *e, struct digest *ret_key,
		      bool *ret_has_key, struct error **err) _must_check_;

#endif
