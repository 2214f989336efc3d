/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `kiln compose`: those of `docker compose`, before its command, and of the command. */
#ifndef KILN_CMD_BAKE_COMPOSE_OPTIONS_H
#define KILN_CMD_BAKE_COMPOSE_OPTIONS_H

#include "cmd/cli/opt.h"
#include "frontend/compose/compose.h"

enum compose_verb { COMPOSE_BUILD, COMPOSE_CONFIG, COMPOSE_PUSH };

struct compose_args {
	enum compose_verb verb;
	struct compose_options load;
	struct compose_build_options build;
	struct strv services;
	const char *progress, *output, *hash, *format;
	bool quiet, print, json, ignore_failures;
	bool list_services, list_volumes, list_networks, list_profiles, list_images;
};

/* 1: --help was given and answered. */
int compose_args_parse(struct compose_args *a, const struct command *self, int argc, char **argv,
		       struct error **err) _must_check_;
void compose_args_release(struct compose_args *a);

#endif
