/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `kiln bake`: `docker buildx bake`'s. */
#ifndef KILN_CMD_BAKE_BAKE_OPTIONS_H
#define KILN_CMD_BAKE_BAKE_OPTIONS_H

#include "cmd/cli/opt.h"

struct bake_options {
	struct strv files, vars, allow, targets;
	struct strv sets; /* --set, and what other options are short for */
	struct strv policy;
	const char *list, *metadata_file, *progress, *call;
	const char *no_cache, *pull; /* NULL: not given; "": bare */
	const char *provenance, *sbom;
	bool print, push, load, check, list_targets, list_variables;
};

/* 1: --help was given and answered. */
int bake_options_parse(struct bake_options *o, const struct command *self, int argc, char **argv,
		       struct error **err) _must_check_;
void bake_options_release(struct bake_options *o);

#endif
