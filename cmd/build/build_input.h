/* SPDX-License-Identifier: Apache-2.0 */
/* What `kiln build` reads before it compiles: the context, if it is not a directory here, the
 * Dockerfile and the context's ignore file. Each is a step of its own in the progress stream. */
#ifndef KILN_CMD_BUILD_BUILD_INPUT_H
#define KILN_CMD_BUILD_BUILD_INPUT_H

#include "base/buf.h"
#include "base/strv.h"
#include "cmd/build/build_options.h"
#include "engine/engine.h"
#include "solver/graph.h"

struct build_input {
	const char *target;	  /* in titles of steps; NULL: none. Set before the load */
	const char *context_name; /* the engine's name of the context */
	char *context_dir;	  /* absolute; NULL: the context is not a local directory */
	int64_t context_layer;	  /* ... but what this layer holds, or nothing if it is 0 */
	bool context_is_git;	  /* ... the checkout of a git URL, which has a vertex of its own */
	const struct op_source *git; /* its source; lives in the graph */
	const char *dockerfile_url;  /* the URL of the context, which turned out a Dockerfile */
	char *name;		     /* of the Dockerfile, for messages: its base name */
	struct buf text;	     /* the Dockerfile */
	struct strv ignore;	     /* patterns */
	struct digest step; /* of the step that loaded the Dockerfile; its warnings go there */
};

/* Is there a context? Asked before anything is shown. */
int build_input_check(const struct build_options *o, struct error **err) _must_check_;
/* The engine's name for a local context: `name`, or with a number where another folder has it. Lives in
 * the arena. dir NULL: a layer. */
const char *build_input_add_context(struct engine *e, struct arena *a, const char *name,
				    const char *dir, int64_t layer);
/* Adds the main context to the engine or, if it is a git URL, its vertex to `g`. */
int build_input_load(struct build_input *in, const struct build_options *o, struct engine *e,
		     struct graph *g, const struct progress *progress,
		     struct error **err) _must_check_;
void build_input_release(struct build_input *in);

/* When the context was made (seconds); *ret_has stays false if it has no time. */
int build_input_time(const struct build_input *in, struct engine *e, bool *ret_has, int64_t *ret,
		     struct error **err) _must_check_;

/* The reader callback of frontend_opts, for named contexts that are directories. data:
 * build_options */
int build_input_read_context(void *data, const char *context, const char *path, struct buf *ret,
			     struct error **err) _must_check_;

#endif
