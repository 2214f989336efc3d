/* SPDX-License-Identifier: Apache-2.0 */
/* A client of S3 and of servers that speak like it: objects of one bucket.
 *
 * Requests are signed (engine/s3/s3_sign.h) together with the digest of what they send, so neither
 * side takes a damaged body. What failed for now (429, 5xx, SlowDown, a connection that broke) is
 * tried again with growing pauses; every call here may be made twice without harm. Thread safe.
 *
 * Errors: ERR_NOTFOUND for an object or a bucket that is not there, ERR_DENIED where the server
 * does not take the credentials, ERR_UNAVAILABLE where it cannot be reached or fails, ERR_INVALID
 * for the rest. Texts name bucket and endpoint and never a secret.
 */
#ifndef KILN_ENGINE_S3_S3_H
#define KILN_ENGINE_S3_S3_H

#include "base/cancel.h"
#include "engine/config/config.h"
#include "engine/http/http.h"
#include "engine/s3/s3_options.h"

struct s3;
/* Takes over `o`. `config` says whom to trust (by the endpoint's host; may be NULL) and is borrowed
 * like the place that holds the switch which stops calls (may be NULL, and so may what it holds).
 */
struct s3 *s3_new(struct s3_options *o, const struct config *config, struct cancel *const *cancel);
void s3_free(struct s3 *s);
DEFINE_FREEP(struct s3, s3_free)

struct s3_object {
	char *key; /* owned; what is listed has it */
	uint64_t size;
	int64_t modified; /* ns since the epoch; 0: not said */
};

/* Looks at an object; its key is left out. */
int s3_head(struct s3 *s, const char *key, bool *ret_found, struct s3_object *ret,
	    struct error **err) _must_check_;
/* Appends an object of at most `max` bytes. */
int s3_get(struct s3 *s, const char *key, size_t max, struct buf *ret,
	   struct error **err) _must_check_;
/* Streams an object to the sink; a transfer that broke goes on where it stopped. */
int s3_get_stream(struct s3 *s, const char *key, http_sink_fn sink, void *data,
		  struct error **err) _must_check_;

int s3_put(struct s3 *s, const char *key, const char *content_type, const void *p, size_t n,
	   struct error **err) _must_check_;
/* Sends the first `size` bytes of a file, whose digest they have. What is larger than one part goes
 * up in several at once, and appears as one object or not at all; memory stays bounded. */
struct s3_upload {
	const char *key, *content_type;
	int fd;
	uint64_t size;
	struct digest digest;
	void (*sent)(void *data, uint64_t total); /* progress; may be NULL */
	void *data;
};
int s3_put_file(struct s3 *s, const struct s3_upload *u, struct error **err) _must_check_;

/* Copies an object onto itself, so that it counts as written now. Objects of more than 5 GiB are
 * left alone, since S3 does not copy them in one request. */
int s3_touch(struct s3 *s, const char *key, const struct s3_object *o,
	     struct error **err) _must_check_;
/* An object that does not exist is not an error. */
int s3_delete(struct s3 *s, const char *key, struct error **err) _must_check_;
/* Appends the objects whose keys start with `prefix`, by key; more than a million are an error. */
typedef VEC(struct s3_object) s3_objects;
int s3_list(struct s3 *s, const char *prefix, s3_objects *ret, struct error **err) _must_check_;
void s3_objects_release(s3_objects *o);

#endif
