/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are about to leave, as a file: uploads may be repeated from any place in it. All
 * return a descriptor. Files made for it have no name, so that nothing can be left behind. */
#ifndef KILN_ENGINE_LAYER_SPOOL_H
#define KILN_ENGINE_LAYER_SPOOL_H

#include "engine/layer/layer_blob.h"

int spool_bytes(struct store *s, const void *p, size_t n, struct error **err) _must_check_;
/* The topmost layer of a chain, as layer_blob_make described it in `body`: its blob in the store,
 * fetched if need be, or its tar, written for the purpose. */
int spool_layer(const struct layer_chain *chain, const struct layer_blob_options *o,
		const struct blob_fetcher *fetcher, const struct layer_body *body,
		struct cancel *cancel, struct error **err) _must_check_;

#endif
