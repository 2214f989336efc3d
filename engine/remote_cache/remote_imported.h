/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of remote_import.c (reading) and remote_lookup.c (finding): what was read. */
#ifndef KILN_ENGINE_REMOTE_CACHE_REMOTE_IMPORTED_H
#define KILN_ENGINE_REMOTE_CACHE_REMOTE_IMPORTED_H

#include <pthread.h>

#include "base/map.h"
#include "engine/remote_cache/remote_graph.h"
#include "engine/remote_cache/remote_import.h"
#include "engine/remote_cache/remote_manifest.h"
#include "engine/remote_cache/remote_mounts.h"

struct imported_layer {
	bool has_blob;
	struct layer_blob blob; /* owned */
	int64_t id;		/* in the store; 0: not looked up yet */
};

struct imported_graph {
	struct remote_backend *backend;
	struct remote_graph graph;
	struct imported_layer *layers; /* one for each of the graph's */
};

/* Records of one key, as a list. */
struct record_ref {
	struct imported_graph *graph;
	const struct remote_record *record;
	struct record_ref *next;
};

/* One --cache-from. */
struct import_source {
	struct remote_backend *backend;
	struct strv mounts; /* ids that are wanted; empty: all it has */
	bool known, exists; /* what the name stood for */
	struct digest manifest;
};

struct remote_imports {
	struct remote_env env;
	VEC(struct import_source) sources;
	struct remote_mounts *mounts;
	const struct progress *progress;

	struct cancel stop; /* what reads watches this, and later the build's own switch */
	pthread_t thread;
	pthread_mutex_t wait_lock; /* protects `running`; held while waiting */
	bool running;
	int done_fd; /* readable when the thread has ended */

	pthread_mutex_t lock; /* protects all below once the thread has ended */
	VEC(struct imported_graph *) graphs;
	struct map keys;     /* -> struct record_ref, allocated in the graph's arena */
	struct map hearsay;  /* remote_hearsay of a key -> the key, of a graph */
	struct map trees;    /* sha256 of diff ids -> const struct digest, of a graph */
	struct map refused;  /* keys */
	struct map diff_ids; /* id of a layer of the store -> struct digest, heap */
};

/* Blocks until everything is read. */
void remote_imports_wait(struct remote_imports *im);
/* Enters a graph that was read: `g` is taken. */
void remote_imports_enter(struct remote_imports *im, struct imported_graph *g);

#endif
