/* A layer as a blob: the tar that leaves this machine, compressed or not.
 *
 * For a layer made here the tar is written from its index and dir once for each compression and
 * then remembered (layer_set_diff_id, layer_set_blob). A layer that was received keeps the blob it
 * came with; it is never rebuilt: where only its descriptor is known its bytes are fetched through
 * `require`.
 */
#ifndef KILN_ENGINE_LAYER_BLOB_H
#define KILN_ENGINE_LAYER_BLOB_H

#include "base/cancel.h"
#include "engine/compress.h"
#include "store/layer.h"

/* Makes the blobs of these layers present, fetching what is missing (blobs_require of
 * engine/pull.h). */
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
	struct blob_fetcher fetcher; /* require may be NULL: a missing blob is ERR_NOTFOUND */
	unsigned n_threads;	     /* layers at a time; 0: the number of cores */
};

/* The blob of a layer as it is to be exported. */
struct layer_body {
	struct layer_blob blob;
	struct digest diff_id;
};
void layer_body_release(struct layer_body *b);

/* The blobs of `n` layers, in parallel; the bytes are in the store afterwards. `ret` has room for n
 * and is released by the caller after success. The first n_keep layers are the base image's: they
 * are never clamped. */
int layer_blob_make(struct store *s, const int64_t *layers, size_t n, size_t n_keep,
		    const struct layer_blob_options *o, struct cancel *cancel,
		    struct layer_body *ret, struct error **err);

/* Only the diff ids (of the uncompressed tars): for a layer made here the tar is written to nowhere
 * if it is not known yet. */
int layer_blob_diff_ids(struct store *s, const int64_t *layers, size_t n, size_t n_keep,
			const struct layer_blob_options *o, struct cancel *cancel,
			struct digest *ret, struct error **err);

#endif
