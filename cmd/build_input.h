/* What `kiln build` reads before it compiles: the context, if it is not a directory here, the
 * Dockerfile and the context's ignore file. Each is a step of its own in the progress stream. */
#ifndef KILN_CMD_BUILD_INPUT_H
#define KILN_CMD_BUILD_INPUT_H

#include "base/buf.h"
#include "base/strv.h"
#include "cmd/build_options.h"
#include "engine/engine.h"
#include "solver/graph.h"

struct build_input {
	char *context_dir;     /* absolute; NULL: the context is no directory of this machine */
	int64_t context_layer; /* ... but what this layer holds, or nothing if it is 0 */
	bool context_is_git;   /* ... the checkout of a git URL, which has a vertex of its own */
	bool has_epoch;	       /* it has a time that was asked for (SOURCE_DATE_EPOCH=context) */
	int64_t epoch;	       /* seconds */
	char *name;	       /* of the Dockerfile, for messages: its base name */
	struct buf text;       /* the Dockerfile */
	struct strv ignore;    /* patterns */
	struct digest step;    /* of the step that loaded the Dockerfile; its warnings go there */
};

/* Is there a context? Asked before anything is shown. */
int build_input_check(const struct build_options *o, struct error **err);
/* Adds the context "context" to the engine or, if it is a git URL, its vertex to `g`. */
int build_input_load(struct build_input *in, const struct build_options *o, struct engine *e,
		     struct graph *g, const struct progress *progress, struct error **err);
void build_input_release(struct build_input *in);

/* The reader callback of frontend_opts, for named contexts that are directories. data:
 * build_options */
int build_input_read_context(void *data, const char *context, const char *path, struct buf *ret,
			     struct error **err);

#endif
