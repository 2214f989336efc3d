/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler of Dockerfiles: text and options in, a graph of ops and an image config out.
 *
 * frontend_compile parses, lints, resolves base images (through the image_resolver, many at once)
 * and lowers the stages that the target needs. It is called once per target platform; all calls of
 * one build may share a graph, in which equal vertices merge.
 *
 * Sources in the graph, beside registry images, git and http:
 *	local://context		the main context, unless `context` is a URL
 *	local://NAME		a named context that is a directory
 *	oci-layout://PATH@sha256:...	an image in an OCI layout directory
 * with attributes local.followpaths (JSON array of paths that are used; absent: the whole root) and
 * local.excludepatterns (JSON array of ignore patterns; absent: none).
 * An image is docker-image://HOST/PATH[:TAG]@sha256:..., with image.resolvemode. The op's platform
 * says which manifest of an index is meant; a digest that the resolver gave may name an index.
 */
#ifndef KILN_FRONTEND_FRONTEND_H
#define KILN_FRONTEND_FRONTEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/image_config.h"
#include "base/platform.h"
#include "base/strv.h"
#include "frontend/dockerfile/df_ast.h"
#include "frontend/dockerfile/df_check.h"
#include "frontend/dockerfile/df_lint.h"
#include "solver/graph.h"

/* One image that the compiler must know. */
struct image_request {
	bool oci_layout; /* `ref` is PATH[:TAG][@DIGEST] of a layout directory, not a registry's */
	const char *ref; /* full form: "docker.io/library/python:3.8" */
	struct platform platform;
	const char
		*name; /* progress: "[internal] load metadata for docker.io/library/python:3.8" */
	bool digest_only; /* only copied or mounted from: the config may be left out */
};

struct image_answer {
	struct digest digest; /* what the tag names now: a manifest or an index */
	void *config;	      /* bytes of the image config; heap, the frontend frees */
	size_t config_size;
	struct error
		*error; /* why this image could not be resolved, else NULL; the frontend frees */
};

struct image_resolver {
	/* Resolves all requests at once, in parallel. `answers` has n zeroed elements. Returns 0
	 * even if some failed (their answer's `error` is set); negative only if none can be
	 * answered, as when cancelled. Called again where ONBUILD triggers of a base image need
	 * further images. */
	int (*resolve)(void *data, const struct image_request *requests, size_t n,
		       struct image_answer *answers, struct error **err);
	void *data;
};

struct context_reader {
	/* Reads a small file (an ignore file) at the root of a context: `context` is "context" or
	 * the name of a named context. -ERR_NOTFOUND if there is none. */
	int (*read)(void *data, const char *context, const char *path, struct buf *ret,
		    struct error **err);
	void *data;
};

struct source_clock {
	/* The time of what a git or http source stands for: of the commit, of the newest member of
	 * an archive, or Last-Modified; NULL: of the main context. *ret_has is set only if there is
	 * one. */
	int (*time)(void *data, const struct op_source *source, bool *ret_has, int64_t *ret,
		    struct error **err);
	void *data;
};

/* --build-context NAME=VALUE. VALUE: docker-image://REF, oci-layout://PATH[:TAG][@DIGEST], a git or
 * http(s) URL, or else a local directory, which the engine serves as local://NAME. */
struct frontend_result;
struct named_context {
	const char *name, *value;
	const char *source; /* the engine's name for a directory; NULL: `name` */
	/* What another compilation into the same graph made, in place of `value`; NULL: none. */
	const struct frontend_result *built;
};

enum resolve_mode { RESOLVE_DEFAULT, RESOLVE_PULL, RESOLVE_LOCAL };

/* Everything is borrowed for the time of the call. Zero is a valid value for all but `data`,
 * `target_platform` and `build_platform`. */
struct frontend_opts {
	const char *name; /* of the Dockerfile, for messages; NULL: "Dockerfile" */
	const void *data;
	size_t size;

	const char *target;    /* --target, NULL: the last stage */
	const char *squash_on; /* a stage that the target is built on, see the result; NULL: none */
	struct strv build_args; /* "K=V" */
	struct strv labels;	/* "K=V" */
	struct platform target_platform, build_platform;
	bool implicit_platform; /* no --platform: the base image's platform stands */
	bool multi_platform;	/* show the platform in step names */

	const char *shown_target;   /* in step names; NULL: none */
	const char *context_source; /* the engine's name for a local context; NULL: "context" */
	const char *context; /* NULL: a local directory (or an unpacked archive), else a URL */
	struct strv ignore;  /* parsed patterns of the main context's ignore file */
	const struct named_context *contexts;
	size_t n_contexts;

	bool no_cache;		     /* --no-cache */
	struct strv no_cache_filter; /* stage names of --no-cache-filter */
	enum resolve_mode resolve_mode;

	enum op_network network; /* default of RUN */
	const struct op_pair *extra_hosts;
	size_t n_extra_hosts;
	const struct op_ulimit *ulimits;
	size_t n_ulimits;
	uint64_t shm_size;
	const char *cgroup_parent, *hostname; /* NULL: unset */

	/* Without SOURCE_DATE_EPOCH: the time of the main context or, if it has none, this one. */
	bool has_default_epoch;
	int64_t default_epoch; /* seconds */

	bool parse_only; /* --call targets: only result->file is wanted */
	bool all_stages; /* --check without --target: look at every stage */
	struct image_resolver resolver;
	struct context_reader reader;
	struct source_clock clock;
	const struct cancel *cancel; /* asked at every instruction; may be NULL */
};

struct frontend_result {
	struct edge target;	    /* vertex NULL: scratch */
	struct edge squash_on;	    /* what the stage of that option leaves */
	struct image_config config; /* of the target; new history rows have no `created` */
	struct platform platform;   /* of the target */
	bool has_epoch;		    /* SOURCE_DATE_EPOCH was given */
	int64_t epoch;		    /* seconds */
	struct df_file *file;	   /* for error excerpts and df_check.h; NULL if it did not parse */
	struct df_lint lint;	   /* warnings found */
	struct df_outline outline; /* of the target; lives as long as `arena` */
	struct arena arena;
};

/* Adds the vertices of one platform's build to `g`. On failure *ret still holds what --check and
 * error excerpts need (file, lint); frontend_result_release is due in either case. Errors carry the
 * file and the lines. */
int frontend_compile(const struct frontend_opts *opts, struct graph *g, struct frontend_result *ret,
		     struct error **err) _must_check_;
void frontend_result_release(struct frontend_result *r);

/* The source of a main context that is a git URL, to read the Dockerfile from before it can be
 * compiled: frontend_compile with `url` as the context uses the same vertex. 1: *ret is set. 0: it
 * is not a git URL. */
int frontend_git_context(const char *url, const struct strv *build_args, struct graph *g,
			 struct edge *ret, struct error **err) _must_check_;

/* Is `value` a URL (git or http) rather than a local path? For the context argument of `build`. */
bool frontend_context_is_remote(const char *value);

#endif
