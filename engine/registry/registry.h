/* SPDX-License-Identifier: Apache-2.0 */
/* A client of OCI registries (distribution-spec 1.1): manifests and blobs, down and up.
 *
 * A registry is named as in an image reference; its servers are the configured mirrors, in order,
 * and then the registry itself: one that cannot be reached, does not have what is asked for or
 * denies it passes the turn to the next; a mirror that did not answer in time is asked last from
 * then on. Servers are HTTPS; a loopback one, or one marked insecure, that does not speak TLS is
 * asked over plain HTTP. Thread safe.
 */
#ifndef KILN_ENGINE_REGISTRY_REGISTRY_H
#define KILN_ENGINE_REGISTRY_REGISTRY_H

#include "base/imageref.h"
#include "base/strv.h"
#include "engine/config/config.h"
#include "engine/http/http.h"

struct registry;
struct registry *registry_new(const struct config *config); /* borrowed; NULL: no configuration */
void registry_free(struct registry *r);
DEFINE_FREEP(struct registry, registry_free)

/* What stops calls that bring no cancel switch of their own. `cancel` may be NULL and must outlive
 * the registry; set it before the first call. */
void registry_set_cancel(struct registry *r, struct cancel *cancel);
struct cancel *registry_cancel(const struct registry *r); /* NULL if none is set */

/* Where it is told for whom a call waits; NULL: nowhere. It outlives the calls that follow. */
struct progress;
void registry_set_progress(struct registry *r, const struct progress *progress);
/* How long a mirror is waited for where others can be asked, in seconds: 10 unless set. */
void registry_set_mirror_patience(struct registry *r, unsigned s);

/* Does the registry let these credentials in? ERR_DENIED if not. For a registry that serves nothing
 * else: they replace the stored ones in all calls that follow, and are borrowed. */
struct credentials;
int registry_login(struct registry *r, const char *host, const struct credentials *c,
		   struct cancel *cancel, struct error **err) _must_check_;

struct registry_manifest {
	struct digest digest; /* of `bytes`, computed here */
	char *media_type;     /* as the server says; NULL if it does not */
	struct buf bytes;
	char *server; /* who sent it, for messages: "127.0.0.1:5000" */
};
#define REGISTRY_MANIFEST_INIT    \
	{                         \
		.bytes = BUF_INIT \
	}
void registry_manifest_release(struct registry_manifest *m);

/* The manifest or index that `ref` names, by digest if it has one, else by tag. The bytes are
 * verified against the digest that was asked for or that the server claims: ERR_CORRUPT if they
 * differ. ERR_NOTFOUND names the reference. */
int registry_manifest_get(struct registry *r, const struct imageref *ref, struct cancel *cancel,
			  struct registry_manifest *ret, struct error **err) _must_check_;
/* Only its digest, by one HEAD where the server gives it in the answer. */
int registry_manifest_head(struct registry *r, const struct imageref *ref, struct cancel *cancel,
			   struct digest *ret, struct error **err) _must_check_;
/* Adds tags of ref's repository to `ret`: those of the first page that the registry lists, as many
 * as fit in 1 MiB and 1000 at most. Only names that can be tags. */
int registry_tags(struct registry *r, const struct imageref *ref, struct cancel *cancel,
		  struct strv *ret, struct error **err) _must_check_;

/* Streams a blob of exactly `size` bytes to the sink; what a server sends beyond or short of that
 * is ERR_CORRUPT. The digest is for the sink's owner to verify. *ret_server (heap, may be NULL) is
 * set in failure too. A transfer that broke resumes, at the next server if need be. */
struct registry_blob {
	const char *host, *path; /* "docker.io", "library/python" */
	struct digest digest;
	uint64_t size;
};
int registry_blob_get(struct registry *r, const struct registry_blob *blob, http_sink_fn sink,
		      void *data, struct cancel *cancel, const atomic_bool *stop, char **ret_server,
		      struct error **err) _must_check_;
/* Reads a small blob whole and verifies it: appends it to `ret`, whose max bounds it. `what` is
 * what people call it ("config"). Other bytes than the digest's are ERR_CORRUPT, which names the
 * server. */
int registry_blob_read(struct registry *r, const struct registry_blob *blob, const char *what,
		       struct cancel *cancel, struct buf *ret, struct error **err) _must_check_;

/* --- Pushing; always to the registry itself, never to a mirror --- */

int registry_push_has_blob(struct registry *r, const struct imageref *ref,
			   const struct digest *digest, struct cancel *cancel, bool *ret,
			   struct error **err) _must_check_;
/* Asks the registry to take the blob over from another of its repositories. *ret = false: it has to
 * be uploaded. */
int registry_push_mount(struct registry *r, const struct imageref *ref, const char *from_path,
			const struct digest *digest, struct cancel *cancel, bool *ret,
			struct error **err) _must_check_;
/* Uploads `size` bytes from the start of the file `fd`. `sent` (may be NULL) reports progress. */
struct registry_upload {
	struct digest digest;
	uint64_t size;
	int fd;
	void (*sent)(void *data, uint64_t total);
	void *data;
};
int registry_push_blob(struct registry *r, const struct imageref *ref,
		       const struct registry_upload *upload, struct cancel *cancel,
		       struct error **err) _must_check_;
/* Deletes the manifest of ref's digest, and with it every tag that names it. */
int registry_push_delete(struct registry *r, const struct imageref *ref, struct cancel *cancel,
			 struct error **err) _must_check_;
/* Puts a manifest or index under ref's tag, or under its digest if it has none. */
int registry_push_manifest(struct registry *r, const struct imageref *ref, const char *media_type,
			   const void *bytes, size_t n, struct cancel *cancel,
			   struct error **err) _must_check_;

#endif
