/* SPDX-License-Identifier: Apache-2.0 */
/* Layers on their way out while later steps still run: the layer of a finished step that will be
 * part of an exported image is compressed at once, and uploaded where the image is pushed.
 *
 *	e = export_early_open(&plan);
 *	... export_early_made for every result (an engine_watch) ...
 *	export_early_close(e, stop);
 *	export_run(...)				finds what was done here, and does the rest
 *
 * Nothing depends on it: what fails here is left to export_run, which does it again and tells why.
 * All functions are called on one thread.
 */
#ifndef KILN_ENGINE_EXPORT_EXPORT_EARLY_H
#define KILN_ENGINE_EXPORT_EXPORT_EARLY_H

#include "engine/export/export.h"
#include "engine/tree/result.h"
#include "solver/graph.h"

/* One image to come. */
struct early_image {
	struct edge target;	   /* its layers are exported as they are */
	const struct vertex *last; /* of the whole image: when it is made the build is at its end */
	size_t n_keep;		   /* layers of its base image */
};

/* Everything is borrowed and outlives the export_early. */
struct early_plan {
	struct store *store;
	const struct graph *graph;
	const struct early_image *images;
	size_t n_images;
	const struct export_options *outputs;
	size_t n_outputs;
	const struct progress *progress;
	const struct cancel *cancel; /* ends the wait of export_early_close */
};

struct export_early;
struct export_early *export_early_open(const struct early_plan *plan);
/* An engine_watch; data is the struct export_early. */
void export_early_made(void *data, const struct vertex *v, struct result *const *outputs,
		       size_t n_outputs);
/* Waits for what was begun; with `stop`, or once the plan's switch is set, it is broken off. Frees
 * `e`. */
void export_early_close(struct export_early *e, bool stop);

#endif
