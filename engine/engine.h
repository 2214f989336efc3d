/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of one command: what running a graph needs, wired together.
 *
 *	engine_open(store, cancel, &e, err);
 *	engine_add_context(e, "context", dir);
 *	engine_resolve(e, progress, requests, n, err);	image metadata, in parallel
 *	engine_solve(e, graph, targets, n, progress, results, err);
 *	engine_close(e);
 */
#ifndef KILN_ENGINE_ENGINE_H
#define KILN_ENGINE_ENGINE_H

#include <pthread.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/map.h"
#include "base/platform.h"
#include "base/strv.h"
#include "base/vec.h"
#include "engine/cache/cache_policy.h"
#include "engine/config/config.h"
#include "engine/exec/op_exec.h"
#include "engine/export/export_env.h"
#include "engine/git/source_git.h"
#include "engine/layer/layer_blob.h"
#include "engine/registry/pull.h"
#include "engine/source/context_local.h"
#include "engine/source/source_env.h"
#include "engine/source/source_http.h"
#include "engine/tree/result.h"
#include "solver/graph.h"
#include "solver/progress.h"
#include "store/store.h"

struct cache_uses;
struct remote_imports;

/* What a "local://NAME" source reads. */
struct engine_context {
	char *dir;		   /* a directory of this machine; NULL: an unpacked archive */
	int64_t layer;		   /* ... in this layer; 0: nothing, an empty context */
	struct ignore_file ignore; /* for messages; without a name if there is none */
};

/* Somebody who is told of results as soon as they stand (solver_options.made): to compress and
 * upload layers while later steps still run. On the solver's thread: must not block. */
struct engine_watch {
	void (*made)(void *data, const struct vertex *v, struct result *const *outputs,
		     size_t n_outputs);
	void *data;
};

/* What is going to become of the results. A guess: anything can be made of them later. */
struct engine_output {
	bool files; /* their files are read: they are worth unpacking at once */
	struct compress_options compression; /* how new layers leave; COMPRESS_NONE: not known */
};

struct engine {
	struct store *store; /* borrowed */
	struct cancel *cancel;
	struct config config;
	struct registry *registry;
	struct http_files *http;     /* files of http sources */
	struct git_sources *git;     /* repositories of git sources */
	struct source_env sources;   /* these, for what reads sources */
	struct sandbox_env *sandbox; /* networks and other things that steps share */
	struct map contexts;	     /* name -> struct engine_context * */
	struct exec_session session; /* secrets, sockets and permissions of this build: the caller's
				      * to fill before engine_solve */
	pthread_mutex_t lock;	     /* protects images and lost */
	struct map images; /* "digest platform" -> struct image_source *, what was resolved */
	struct map lost;   /* ids of cached unavailable layers that were reported already */
	unsigned max_parallelism;	  /* 0: the default */
	struct cache_policy cache_policy; /* the caller's to fill */
	struct engine_output output;	  /* the caller's too */
	struct remote_imports *imports;	  /* --cache-from, started; NULL: none */
	struct cache_uses *uses;	  /* to be filled by engine_solve; borrowed; may be NULL */
	VEC(struct engine_watch) watches; /* the caller's to fill before engine_solve */
};

int engine_open(struct store *s, struct cancel *cancel, struct engine **ret,
		struct error **err) _must_check_;
/* Tells the processes that served steps to end. Nothing more may be solved. */
void engine_dismiss(struct engine *e);
void engine_close(struct engine *e); /* does so, too, and waits until they have */
DEFINE_FREEP(struct engine, engine_close)

/* A directory that "local://NAME" sources read. */
void engine_add_context(struct engine *e, const char *name, const char *dir);

/* Of a context that was added: the file that its ignore patterns come from, for messages. */
void engine_set_ignore_file(struct engine *e, const char *context, const char *file,
			    const char *text, size_t n);

/* The same for an unpacked archive (engine/source/context_archive.h); layer 0 is an empty
 * context. */
void engine_add_layer_context(struct engine *e, const char *name, int64_t layer);
/* NULL if there is no such context. Borrowed. */
const struct engine_context *engine_find_context(const struct engine *e, const char *name);

/* One image whose metadata is wanted. */
struct engine_image {
	const char *ref;
	struct platform platform;
	const char *name; /* of the step in the progress stream */
	bool oci_layout;  /* `ref` is the path of a layout, not a name */
	enum pull_policy policy;
	const struct image_source *source; /* out: borrowed from the engine; NULL if it failed */
	struct error *error;		   /* out: why it failed; the caller frees */
};
/* Resolves all at once; 0 even if some failed. */
int engine_resolve(struct engine *e, const struct progress *progress, struct engine_image *images,
		   size_t n, struct error **err) _must_check_;
/* What a reference pinned by digest stands for, resolving it if need be. Borrowed from the engine.
 * `oci_layout` as above. */
int engine_find_image(struct engine *e, struct job *job, const char *pinned, bool oci_layout,
		      const struct platform *platform, const struct image_source **ret,
		      struct error **err) _must_check_;

/* Is this a layer of an image that this build resolved? */
bool engine_is_base_layer(struct engine *e, int64_t layer);

/* Was a layer of such an image given up, or found damaged, that cannot be fetched again in this build?
 * What failed for it fails again, and says less. */
bool engine_has_lost_base(struct engine *e);

/* Names the images that were pulled for this build in the local store, so that `kiln images` shows
 * them and the next build can go on where their registry cannot be reached. What a tag names there
 * is complete: layers that no step read are fetched now. Only images for this machine's platform.
 */
int engine_keep_images(struct engine *e, const struct progress *progress,
		       struct error **err) _must_check_;

/* For exporters: fetches the blobs of received layers. */
struct blob_fetcher engine_blob_fetcher(struct engine *e);
/* For exporters of caches; `imports` stand as they do now. */
struct export_env engine_export_env(struct engine *e);

int engine_solve(struct engine *e, const struct graph *g, const struct edge *targets, size_t n,
		 const struct progress *progress, struct result **ret,
		 struct error **err) _must_check_;

#endif
