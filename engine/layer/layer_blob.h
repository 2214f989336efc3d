/* SPDX-License-Identifier: Apache-2.0 */
/* A layer as a blob: the tar that leaves this machine, compressed or not.
 *
 * For a layer made here the tar is written once for each form asked for, from its index and dir or
 * from the blob that it was made as, and what came out is remembered. Uncompressed it is only
 * described (digest and size): its bytes are written straight to where they go, by layer_blob_send.
 * Compressed it is kept in the store. A layer that was received keeps the blob it came with; it is
 * never rebuilt: where only its descriptor is known its bytes are fetched.
 */
#ifndef KILN_ENGINE_LAYER_LAYER_BLOB_H
#define KILN_ENGINE_LAYER_LAYER_BLOB_H

#include "base/cancel.h"
#include "engine/stream/compress.h"
#include "engine/stream/tar_write.h"
#include "store/layer.h"

/* The `source` of layers that came in an archive: their bytes cannot be fetched again. */
#define LAYER_SOURCE_ARCHIVE "archive"

/* Makes the blobs of these layers present, fetching what is missing. */
struct blob_fetcher {
	int (*require)(void *data, const int64_t *layers, size_t n, struct error **err);
	void *data;
};

struct layer_blob_options {
	struct compress_options compression;
	bool force;		     /* received layers too get this compression */
	bool docker_types;	     /* docker's media types instead of OCI's */
	bool clamp;		     /* no mtime in new layers is after clamp_time */
	int64_t clamp_time;	     /* seconds */
	bool lazy;		     /* the bytes of received layers may stay where they are */
	struct blob_fetcher fetcher; /* require NULL: a missing blob is ERR_NOTFOUND */
};

/* A layer as it is to be exported. */
struct layer_body {
	struct layer_blob blob;
	struct digest diff_id;
	bool stored; /* the bytes are a blob in the store (false too if they may stay away) */
};
void layer_body_release(struct layer_body *b);

/* Was the layer received (pulled, loaded) and not made here? */
bool layer_blob_is_received(const struct layer_info *info);

/* Makes a layer of a blob that is in the store already (body: of the layer's tar, compressed by
 * `c`), with its sealed index, and remembers that form. */
struct index_draft;
int layer_blob_add(struct store *s, struct index_draft *index, const struct compress_options *c,
		   struct layer_body *body, uint64_t plain_size, int64_t *ret_layer,
		   struct error **err) _must_check_;

/* The blobs of a chain of layers, in parallel. The base image's are never clamped. `ret` has room
 * for all of them and is released by the caller after success. */
int layer_blob_make(const struct layer_chain *chain, const struct layer_blob_options *o,
		    struct cancel *cancel, struct layer_body *ret, struct error **err) _must_check_;

/* The same of the topmost layer alone. Layers below it need not have a blob yet. */
int layer_blob_make_one(const struct layer_chain *chain, const struct layer_blob_options *o,
			struct cancel *cancel, struct layer_body *ret,
			struct error **err) _must_check_;

/* Streams the bytes of the topmost layer, `body` being what layer_blob_make said of it (one that
 * is stored needs no layers in its chain).
 * The bytes are verified: ERR_CORRUPT if they are not what the descriptor says. */
int layer_blob_send(const struct layer_chain *chain, const struct layer_blob_options *o,
		    const struct layer_body *body, struct cancel *cancel, tar_sink_fn sink,
		    void *data, struct error **err) _must_check_;

/* Does the blob of a received layer, which is here, unpack to the diff id that was said of it?
 * Asked once, of layers that were never unpacked. If not: layer_blob_misnamed. */
int layer_blob_check(struct store *s, const struct layer_info *info,
		     struct error **err) _must_check_;

/* The blob of a received layer unpacks to another diff id than was said of it by the cache or image
 * that it came with. The layer no longer has a blob, so that the next to say what it is is heard,
 * and the error (ERR_CORRUPT) and a notice say so. */
int layer_blob_misnamed(struct store *s, const struct layer_info *info, const struct digest *found,
			struct error **err) _must_check_;

/* Somebody refused (`r` < 0) a blob that the store has: was that because it is damaged? Then it is
 * forgotten and the error says so (ERR_CORRUPT); else r. `layer` is whose it is, 0: unknown. */
int layer_blob_refused(struct store *s, const struct digest *blob, int64_t layer, int r,
		       struct error **err) _must_check_;

/* With which clamp_time was this uncompressed tar of a layer made? Not found: with none. */
int layer_blob_clamp_of(struct store *s, const struct digest *tar, bool *ret_found,
			int64_t *ret_time, struct error **err) _must_check_;

#endif
