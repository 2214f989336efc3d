/* SPDX-License-Identifier: Apache-2.0 */
/* The uncompressed tar of a layer, from its blob in the store or from its dir. */
#ifndef KILN_ENGINE_LAYER_LAYER_BYTES_H
#define KILN_ENGINE_LAYER_LAYER_BYTES_H

#include "base/cancel.h"
#include "engine/stream/tar_write.h"
#include "store/layer.h"

/* Is the body of this layer, which was made here, a blob that is in the store? */
bool layer_bytes_stored(struct store *s, const struct layer_info *info);

/* Streams the tar of the topmost layer, which was made here and of which `info` is, to `sink`, with
 * no time after *clamp (seconds) unless that is NULL. ERR_CORRUPT if a stored blob is not what it
 * was. */
int layer_bytes_made(const struct layer_chain *chain, const struct layer_info *info,
		     const int64_t *clamp, struct cancel *cancel, tar_sink_fn sink, void *data,
		     struct error **err) _must_check_;

/* Streams the uncompressed bytes of a blob in the store. */
int layer_bytes_unpacked(struct store *s, const struct layer_blob *blob, tar_sink_fn sink,
			 void *data, struct error **err) _must_check_;
/* Streams a blob in the store as it is. */
int layer_bytes_blob(struct store *s, const struct digest *digest, struct cancel *cancel,
		     tar_sink_fn sink, void *data, struct error **err) _must_check_;

/* The error, `code`, of a layer of which nothing is left, and what helps. */
int layer_bytes_lost(int64_t layer, enum err_code code, struct error **err) _must_check_;

#endif
