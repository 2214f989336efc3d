/* SPDX-License-Identifier: Apache-2.0 */
/* Files from HTTP servers: what ADD URL and contexts by URL read.
 *
 *	http_files_pin(f, &file, job, &key, err);	asks the server
 *	http_files_layer(f, &file, job, &layer, err);	the layer that holds the file
 *
 * What a URL stood for when last asked is remembered in the store as a pin, with the server's
 * validators (ETag, Last-Modified): a file that did not change costs one answer without a body. One
 * whose checksum is given costs nothing while it is in the cache. A pin's name is a hash of the
 *URL, which may hold a password. Thread safe.
 */
#ifndef KILN_ENGINE_SOURCE_SOURCE_HTTP_H
#define KILN_ENGINE_SOURCE_SOURCE_HTTP_H

#include "engine/config/config.h"
#include "solver/op.h"
#include "solver/progress.h"
#include "store/store.h"

/* One file as the layer is to hold it. All borrowed. */
struct http_file {
	const char *url;
	const char *filename; /* a name without slashes */
	uint32_t mode;	      /* HTTP_FILE_MODE unless asked otherwise */
	uint32_t uid, gid;
	const char *checksum; /* "sha256:..." that the bytes must have; NULL: any */
};
#define HTTP_FILE_MODE 0600

/* From a source op: its identifier and the attributes http.filename, http.checksum, http.perm,
 * http.uid and http.gid. */
int http_file_of_op(const struct op_source *op, struct http_file *ret,
		    struct error **err) _must_check_;

struct grants;
struct http_files;
/* All borrowed. */
struct http_files *http_files_new(struct store *s, const struct config *config,
				  const struct grants *grants);
void http_files_free(struct http_files *f); /* no call may be running */
DEFINE_FREEP(struct http_files, http_files_free)

/* Asks what the URL stands for now, fetching it if it changed; with a checksum nobody is asked.
 * *ret_key covers the bytes, the time (unless a checksum is given) and all of `file` but the URL.
 */
int http_files_pin(struct http_files *f, const struct http_file *file, struct job *job,
		   struct digest *ret_key, struct error **err) _must_check_;
/* The digest of the bytes that it was pinned to. */
int http_files_digest(struct http_files *f, const struct http_file *file, struct job *job,
		      struct digest *ret, struct error **err) _must_check_;
/* After http_files_pin. The file's time is Last-Modified or, where the server gives none, the
 * epoch. ERR_CORRUPT if the checksum is another one, ERR_UNAVAILABLE if the file had to be fetched
 * again and is another one now. */
int http_files_layer(struct http_files *f, const struct http_file *file, struct job *job,
		     int64_t *ret_layer, struct error **err) _must_check_;

#endif
