/* SPDX-License-Identifier: Apache-2.0 */
/* From compiled images to what `kiln build` leaves: solving, squashing, exporting. */
#ifndef KILN_CMD_BUILD_BUILD_OUTPUTS_H
#define KILN_CMD_BUILD_BUILD_OUTPUTS_H

#include "cmd/build/build_options.h"
#include "engine/engine.h"

struct build_attest;
struct build_input;

struct build_outputs {
	/* borrowed */
	struct build_options *options;
	const struct build_input *input;
	int64_t started; /* ns */
	struct engine *engine;
	const struct progress *progress;
	const struct graph *graph;
	const struct frontend_result *images; /* one per platform */
	size_t n_images;
	const char *target; /* of a bake, for messages; NULL: none */

	/* made */
	struct result **results;   /* one per platform, then those of squash_on; NULL: scratch */
	struct squashed *squashed; /* one per platform; NULL: not asked for */
	struct export_result *exported;
	size_t n_exported;
	struct build_caches *caches; /* those of --cache-to; NULL: none */
	struct build_attest *attest; /* what is attested of the images; NULL: nothing */
};

/* Finds files and directories to come that cannot be written, before anything runs. */
int build_outputs_check(const struct build_options *o, struct error **err) _must_check_;
/* Where what was reused turns out damaged when it is read at last, it is made again, once. */
int build_outputs_make(struct build_outputs *b, struct error **err) _must_check_;
/* The same for several requests of one session, which are solved at once. */
int build_outputs_make_all(struct build_outputs *const *all, size_t count,
			   struct error **err) _must_check_;
void build_outputs_release(struct build_outputs *b);

#endif
