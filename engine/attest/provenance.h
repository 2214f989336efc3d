/* SPDX-License-Identifier: Apache-2.0 */
/* SLSA provenance: from what, how and by whom an image was built, in the words that BuildKit has for
 * it (its docs/attestations/slsa-definitions.md).
 *
 * What is asked for says when the build ran and has an id of its own; with SOURCE_DATE_EPOCH, and
 * where nobody asked, it is a function of the build alone. Never in it: secrets, user and password
 * of a URL, what follows the "?" of one, proxies.
 */
#ifndef KILN_ENGINE_ATTEST_PROVENANCE_H
#define KILN_ENGINE_ATTEST_PROVENANCE_H

#include "base/json.h"
#include "base/platform.h"
#include "engine/attest/attest_options.h"
#include "engine/layer/layer_blob.h"
#include "engine/source/source_env.h"
#include "solver/graph.h"

#define PROVENANCE_V1 "https://slsa.dev/provenance/v1"
#define PROVENANCE_V02 "https://slsa.dev/provenance/v0.2"

/* One image's build. Everything is borrowed. */
struct provenance {
	const struct attest_options *options;
	const struct graph *graph;
	struct edge target;
	const struct source_env *sources;
	struct cancel *cancel;
	struct platform platform;
	const char *context;	     /* a URL; NULL: a local directory */
	const struct op_source *git; /* the context's, if it is a git repository */
	const char *
		local_context; /* the name of a directory of this machine, used or not; NULL: none */
	bool local_file;       /* the Dockerfile comes from there */
	const char *file;      /* its name */
	const char *text;      /* and what it says */
	size_t text_size;
	struct strv
		args;	/* "k=v", what the build was given, as attributes of BuildKit's frontend */
	bool timeless;	/* no times and no id */
	bool has_epoch; /* no id, and all times are `epoch` (seconds) */
	int64_t epoch;
	int64_t started; /* ns */
};

const char *provenance_type(const struct attest_options *o);
/* The predicate; a new reference. `bodies`: the layers of the image; NULL: there is no image. */
int provenance_make(const struct provenance *p, const struct layer_body *bodies, size_t n,
		    json_t **ret, struct error **err) _must_check_;
/* A v1 predicate as v0.2; a new reference. */
json_t *provenance_as_v02(const json_t *v1);

#endif
