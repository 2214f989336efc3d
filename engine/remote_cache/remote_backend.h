/* SPDX-License-Identifier: Apache-2.0 */
/* Where a build cache is kept outside the store: a registry, a directory, an object store.
 *
 * All keep the same things under one name: a manifest, which is an OCI image manifest, and the
 * blobs that it names (docs/formats-cache.md). What is in them is not the backend's business: it
 * moves bytes. Importing, exporting and looking up are engine/remote_cache/remote_import.h and remote_export.h.
 *
 * A new backend is a file remote_NAME.c with a `const struct remote_ops remote_NAME_ops`, listed in
 * the table of remote_backend.c. Its object starts with a struct remote_backend, which `open`
 * fills.
 *
 * Threads: open and close are called by one; all other calls may come from several at once. They
 * block; they watch env.cancel (ERR_CANCELED), and no call may wait for a server that is silent
 * without end.
 *
 * Errors: ERR_NOTFOUND for what is not there, ERR_DENIED where credentials are wrong or missing,
 * ERR_UNAVAILABLE where a server cannot be reached or fails, ERR_CORRUPT for bytes that are not
 * what their digest says. Nobody branches on others. A text says what was being done to what; who
 * calls adds which cache it was.
 */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_BACKEND_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_BACKEND_H

#include "base/buf.h"
#include "engine/remote_cache/remote_spec.h"
#include "solver/progress.h"
#include "store/layer.h"

struct config;
struct registry;
struct remote_ops;

/* What a backend may use. All borrowed, and outlives it. */
struct remote_env {
	struct store *store;
	struct registry *registry;
	const struct config *config;
	struct cancel *cancel; /* may be NULL */
};

/* The part of a backend that others see. */
struct remote_backend {
	const struct remote_ops *ops;
	struct remote_env env;
	char *name; /* for people: "docker.io/team/app:cache", "s3://bucket/app"; owned */
	/* Goes into the `source` of layers whose blobs are here (store/layer.h): who reads such a
	 * layer later finds this backend by it. Has a "/" in it, and no secret. Owned. */
	char *source;
	/* engine/registry/fetch.h cannot fetch from `source`; fetch_blob has to. False for "host/path" of a
	 * registry and "oci-layout:PATH". */
	bool fetches;
	/* write_manifest has something to do even where the manifest is there already. */
	bool tidies;
};

struct remote_upload {
	struct digest digest;
	uint64_t size;
	int fd; /* a regular file with exactly these bytes, from its start; borrowed, and shared by
		 * nobody during the call */
	const char *media_type;
	void (*sent)(void *data, uint64_t total); /* progress; may be NULL */
	void *data;
};

struct remote_ops {
	const char *type; /* as in type=NAME */
	/* The keys of its own attributes, NULL-terminated; others are refused before `open`. A "!"
	 * in front of a key: it must be given. */
	const char *const *import_attrs, *const *export_attrs;

	/* Reads attributes and credentials. Talks to nobody: a server that is not there is found by
	 * the first call that needs it. */
	int (*open)(const struct remote_env *env, const struct remote_spec *spec,
		    struct remote_backend **ret, struct error **err);
	void (*close)(struct remote_backend *b); /* frees it too */

	/* Appends the bytes of the manifest that the name stands for, or, with `digest`, of another
	 * document that it led to (an index names manifests); at most `max` of them (ERR_INVALID).
	 * Verified if there is a digest to verify against. ERR_NOTFOUND if nothing is there yet. */
	int (*read_manifest)(struct remote_backend *b, const struct digest *digest, size_t max,
			     struct buf *ret, struct error **err);
	/* Makes the name stand for this manifest, whose blobs are all there. Whoever reads sees the
	 * old one or the new one. */
	int (*write_manifest)(struct remote_backend *b, const char *media_type, const void *p,
			      size_t n, struct error **err);
	/* Forgets what the name stands for, and the blobs that only it needs if that can be
	 * told. */
	int (*remove_manifest)(struct remote_backend *b, struct error **err);

	int (*has_blob)(struct remote_backend *b, const struct digest *digest, bool *ret,
			struct error **err);
	/* Appends a blob of exactly `size` bytes, verified against its digest. */
	int (*read_blob)(struct remote_backend *b, const struct digest *digest, uint64_t size,
			 struct buf *ret, struct error **err);
	/* The same into the store (store/blob.h, whose commit verifies). `job` (may be NULL) gets a
	 * line "sha256:..." with the bytes so far. */
	int (*fetch_blob)(struct remote_backend *b, const struct layer_blob *blob, struct job *job,
			  struct error **err);
	/* Optional. Asks the place to take the blob over from `elsewhere`, the `source` of a layer
	 * or "host/path" of a repository, without its bytes coming by here. *ret = false: it has
	 * to be put. */
	int (*take_over)(struct remote_backend *b, const struct digest *digest,
			 const char *elsewhere, bool *ret, struct error **err);
	/* Leaves the blob there. Only what has_blob denied is put; two who put the same one at once
	 * both succeed. */
	int (*put_blob)(struct remote_backend *b, const struct remote_upload *upload,
			struct error **err);
};

/* By the type's name; NULL if there is none. */
const struct remote_ops *remote_backend_find(const char *type);
/* "inline, local, registry, s3", for messages. Heap. */
char *remote_backend_types(void);
int remote_backend_open(const struct remote_env *env, const struct remote_spec *spec,
			struct remote_backend **ret, struct error **err) _must_check_;
void remote_backend_close(struct remote_backend *b); /* accepts NULL */
DEFINE_FREEP(struct remote_backend, remote_backend_close)
/* What `open` fills and `close` gives back of the part above. */
void remote_backend_release(struct remote_backend *b);

extern const struct remote_ops remote_local_ops;    /* remote_local.c: an OCI layout directory */
extern const struct remote_ops remote_registry_ops; /* remote_registry.c */
extern const struct remote_ops remote_s3_ops;	    /* remote_s3.c */

#endif
