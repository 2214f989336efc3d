/* SPDX-License-Identifier: Apache-2.0 */
/* A cache in the config of the image that it is about: --cache-to type=inline. */
#ifndef KILN_ENGINE_EXPORT_CACHE_INLINE_H
#define KILN_ENGINE_EXPORT_CACHE_INLINE_H

#include "engine/export/cache_collect.h"
#include "engine/export/export.h"

/* Everything is borrowed. */
struct remote_inline {
	struct export_env env;
	const struct cache_uses *uses;
	const bool *wanted; /* remote_wanted, without max */
	bool has_epoch;
	int64_t epoch; /* seconds */
};

/* For export_options.inline_cache; `data` is the struct remote_inline. */
int remote_inline_make(void *data, const int64_t *layers, const struct layer_body *bodies, size_t n,
		       char **ret, struct error **err) _must_check_;

#endif
