/* SPDX-License-Identifier: Apache-2.0 */
/* A blob that a server sends, on its way into the store: what fetch_blob of several backends is.
 *
 *	remote_download_begin(&d, store, blob, job, err);
 *	... remote_download_write as the sink of a transfer ...
 *	remote_download_end(&d, err);
 *	remote_download_release(&d);			without `end` nothing remains
 */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_DOWNLOAD_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_DOWNLOAD_H

#include "solver/progress.h"
#include "store/blob.h"
#include "store/layer.h"

struct remote_download {
	const struct layer_blob *blob; /* borrowed */
	struct blob_writer *writer;
	struct job *job; /* hears of the bytes so far; may be NULL */
	char id[DIGEST_TEXT];
	int64_t shown; /* when it last heard */
};

int remote_download_begin(struct remote_download *d, struct store *s, const struct layer_blob *blob,
			  struct job *job, struct error **err) _must_check_;
/* An http_sink_fn; ERR_CORRUPT for more bytes than the blob has. */
int remote_download_write(void *download, const void *p, size_t n, struct error **err) _must_check_;
/* ERR_CORRUPT if the bytes are not the blob's. */
int remote_download_end(struct remote_download *d, struct error **err) _must_check_;
void remote_download_release(struct remote_download *d);

#endif
