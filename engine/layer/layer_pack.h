/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the tar of a layer as it is produced, and makes it what is kept of it: a digest, or a blob
 * in the store, compressed or not.
 *
 *	layer_pack_open(s, &options, cancel, &p, err);
 *	... layer_pack_write as a tar sink, or its two halves on two threads ...
 *	layer_pack_finish(p, &body, &size, err);
 *	layer_pack_free(p);
 */
#ifndef KILN_ENGINE_LAYER_LAYER_PACK_H
#define KILN_ENGINE_LAYER_LAYER_PACK_H

#include "engine/layer/layer_blob.h"

struct layer_pack_options {
	struct compress_options compression;
	bool store; /* COMPRESS_NONE only: false describes the tar and keeps nothing of it */
};

struct layer_pack;
int layer_pack_open(struct store *s, const struct layer_pack_options *o, struct cancel *cancel,
		    struct layer_pack **ret, struct error **err) _must_check_;
/* Tar sinks. The halves of layer_pack_write share nothing: both get all of the tar. */
int layer_pack_write(void *data, const void *bytes, size_t n, struct error **err) _must_check_;
int layer_pack_body(void *data, const void *bytes, size_t n, struct error **err) _must_check_;
int layer_pack_hash(void *data, const void *bytes, size_t n, struct error **err) _must_check_;
/* Fills in all of *ret but the media type. *ret_size: of the tar. */
int layer_pack_finish(struct layer_pack *p, struct layer_body *ret, uint64_t *ret_size,
		      struct error **err) _must_check_;
void layer_pack_free(struct layer_pack *p); /* without finish nothing remains */
DEFINE_FREEP(struct layer_pack, layer_pack_free)

#endif
