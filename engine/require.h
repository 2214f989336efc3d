/* SPDX-License-Identifier: Apache-2.0 */
/* Making the bytes of layers present for who is about to read them, wherever they are: in a
 * registry, a layout, a cache that only its backend can read.
 *
 * A layer that came with a cached result and is no longer available (its blob is gone, refused, out
 * of reach or not what it should be) is forgotten with a warning, and the answer is ERR_NOTFOUND or
 * ERR_CORRUPT: the step that made it runs again. An unavailable layer of a base image is an
 * error as it is.
 */
#ifndef KILN_ENGINE_REQUIRE_H
#define KILN_ENGINE_REQUIRE_H

#include "engine/engine.h"

/* Every layer has its dir afterwards. `job` may be NULL. */
int require_dirs(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		 struct error **err) _must_check_;
/* Every layer has its index afterwards; only a layer made here may lack its dir. */
int require_indexes(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		    struct error **err) _must_check_;
/* The blob of every received layer is in the store afterwards. */
int require_blobs(struct engine *e, struct job *job, const int64_t *layers, size_t n,
		  struct error **err) _must_check_;

#endif
