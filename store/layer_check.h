/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a layer's dir with its index: what `kiln store verify` does, and what happens to a
 * layer that was not yet synced when the machine went down. */
#ifndef KILN_STORE_LAYER_CHECK_H
#define KILN_STORE_LAYER_CHECK_H

#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

struct index;

/* SQL about a row of `layer` that has no dir: can one be made, from a blob that is here or can be
 * fetched? The descriptor of a layer made here is known once it was exported, but its bytes are not
 * kept. */
#define LAYER_CAN_COME                                                               \
	"(layer.blob IS NOT NULL AND (instr(coalesce(layer.source, ''), '/') > 0 OR" \
	" EXISTS (SELECT 1 FROM blob WHERE blob.digest = layer.blob)))"

/* ERR_CORRUPT naming the first path that is gone or whose type, size or bytes differ; any other
 * error says that it could not be looked at, and nothing about the layer. */
int layer_check_dir(struct store *s, int64_t id, const struct index *index,
		    struct error **err) _must_check_;
/* layer_check_dir of a layer that has a dir, past all caches; a damaged dir is given up. */
int layer_verify(struct store *s, int64_t id, struct index **ret, struct error **err) _must_check_;
/* Checks a layer that another boot left unsynced, and settles whether it has a dir. */
void layer_settle(struct store *s, int64_t id);

#endif
