/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest of a cache outside the store, and its small config (docs/formats-cache.md). */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_MANIFEST_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_MANIFEST_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/vec.h"
#include "store/layer.h"

#define REMOTE_CONFIG_TYPE "application/vnd.kiln.cache.config.v1+json"
#define REMOTE_GRAPH_TYPE "application/vnd.kiln.cache.graph.v1+zstd"
/* In the config of an image: its own cache, and BuildKit's. */
#define REMOTE_INLINE_KEY "kiln.cache.v1"
#define REMOTE_BUILDKIT_INLINE_KEY "moby.buildkit.cache.v0"
#define REMOTE_INLINE_MAX ((size_t)1 << 20) /* bytes of the graph there */

enum {
	REMOTE_LAYERS_MAX = 4095, /* with the graph as many as a manifest may have */
	REMOTE_PLATFORMS_MAX = 16,
};

enum remote_kind {
	REMOTE_IS_CACHE = 1,
	REMOTE_IS_IMAGE,    /* perhaps with a cache inline */
	REMOTE_IS_INDEX,    /* of images */
	REMOTE_IS_BUILDKIT, /* a cache that kiln cannot read */
};

struct remote_result_blob {
	bool has_diff_id; /* false: of an image, whose config says */
	struct digest diff_id;
	struct layer_blob blob;
};

/* A cache mount that travels along: its blobs, one after the other. */
struct remote_mount {
	char *id;
	VEC(struct layer_blob) parts;
};
void remote_mount_release(struct remote_mount *m);
uint64_t remote_mount_size(const struct remote_mount *m);

struct remote_manifest {
	enum remote_kind kind;
	struct layer_blob config, graph; /* graph: of a cache */
	VEC(struct remote_result_blob) results;
	VEC(struct remote_mount) mounts; /* each id once */
	VEC(struct digest) manifests;	 /* of an index: of images */
};
#define REMOTE_MANIFEST_INIT \
	{                    \
		0            \
	}
void remote_manifest_release(struct remote_manifest *m);
/* The mount of an id; NULL if it has none. */
struct remote_mount *remote_manifest_mount(const struct remote_manifest *m, const char *id);

/* Takes bytes that nobody vouches for; every descriptor is checked. ERR_INVALID if it is not one
 * of the kinds above. */
int remote_manifest_parse(const void *json, size_t n, struct remote_manifest *ret,
			  struct error **err) _must_check_;

/* Appends a cache's manifest; results and mounts are sorted first. ERR_INVALID if there are too
 * many. */
int remote_manifest_write(struct remote_manifest *m, struct buf *ret,
			  struct error **err) _must_check_;

/* What the config says. It is for people: kiln never reads it. */
struct remote_summary {
	size_t layers, records;
	int64_t newest; /* ns; 0: there are no records */
};
void remote_summary_write(const struct remote_summary *s, struct buf *ret);

#endif
