/* SPDX-License-Identifier: Apache-2.0 */
/* Content-addressed blobs: bytes whose name is their sha256. A name in blobs/ is always complete
 * and verified: the digest was computed from the bytes as they were written. */
#ifndef KILN_STORE_BLOB_H
#define KILN_STORE_BLOB_H

#include "base/buf.h"
#include "base/digest.h"
#include "store/store.h"

bool blob_exists(struct store *s, const struct digest *digest, uint64_t *ret_size /* or NULL */);
/* Opens for reading; ERR_NOTFOUND if absent. Returns the descriptor. */
int blob_open(struct store *s, const struct digest *digest, uint64_t *ret_size,
	      struct error **err) _must_check_;
/* Did this handle write the blob, so that its bytes need not be hashed once more to be trusted? */
bool blob_is_ours(struct store *s, const struct digest *digest);
/* The whole of a small blob (a manifest, a config); more than `max` bytes is ERR_INVALID. The bytes
 * are verified against the digest; ERR_CORRUPT if they differ. */
int blob_read(struct store *s, const struct digest *digest, size_t max, struct buf *ret,
	      struct error **err) _must_check_;
/* Hashes the bytes again. A damaged blob is forgotten: ERR_CORRUPT now, absent from then on. */
int blob_verify(struct store *s, const struct digest *digest, uint64_t *ret_size,
		struct error **err) _must_check_;
int blob_put(struct store *s, const void *p, size_t n, struct digest *ret,
	     struct error **err) _must_check_;

/* A blob being written. Commit or free; free without commit removes the temporary. Write errors are
 * latched and reported by commit. Not thread safe. */
struct blob_writer;
int blob_writer_open(struct store *s, struct blob_writer **ret, struct error **err) _must_check_;
/* The same for bytes that the caller hashes as they are written, on another thread perhaps:
 * commit's `expect` is what he found, and is taken for true. */
int blob_writer_open_hashed(struct store *s, struct blob_writer **ret,
			    struct error **err) _must_check_;
void blob_writer_write(struct blob_writer *w, const void *p, size_t n);
uint64_t blob_writer_size(const struct blob_writer *w);
/* Makes the blob durable and visible. With `expect`, other bytes are ERR_CORRUPT naming both
 * digests, and nothing is kept. */
int blob_writer_commit(struct blob_writer *w, const struct digest *expect, struct digest *ret,
		       struct error **err) _must_check_;
void blob_writer_free(struct blob_writer *w);
DEFINE_FREEP(struct blob_writer, blob_writer_free)

#endif
