/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `kiln build`: `docker buildx build`'s, with kiln's own. */
#ifndef KILN_CMD_BUILD_BUILD_OPTIONS_H
#define KILN_CMD_BUILD_BUILD_OPTIONS_H

#include "base/vec.h"
#include "cmd/build/build_limits.h"
#include "cmd/cli/opt.h"
#include "cmd/progress/display.h"
#include "engine/attest/attest_options.h"
#include "engine/export/export.h"
#include "engine/remote_cache/remote_spec.h"
#include "frontend/frontend.h"

struct build_ssh {
	char *id;
	struct strv paths; /* one socket, or key files */
	bool is_socket;
};
struct build_secret {
	char *id;
	char *file, *env; /* where its value is; one of them */
	bool in_key;	  /* cachekey=hash */
};

/* Which layers --squash makes into one. */
enum build_squash {
	SQUASH_NOT,
	SQUASH_ON_BASE,	 /* those on top of the base image */
	SQUASH_ON_STAGE, /* those on top of a stage */
	SQUASH_ALL,	 /* "scratch": those of the base image too */
};

struct build_options {
	const char *context;	       /* the positional argument */
	const char *dockerfile;	       /* -f; NULL: CONTEXT/Dockerfile */
	const char *dockerfile_inline; /* of a bake: its text; NULL: none */
	struct strv tags, build_args, labels, platforms, outputs, annotations;
	struct strv build_contexts, secret_texts, ssh_texts, add_hosts, ulimit_texts, allow;
	struct strv no_cache_filter, cache_from, cache_to;
	const char *provenance, *sbom; /* NULL: not given */
	struct strv attest;
	struct strv no_cache_steps, cache_ttls;	  /* cmd/build/build_cache.h */
	const char *context_modes, *reset_mounts; /* NULL: not given; "": all that are used */
	bool multi_platform;			  /* the output is that of several platforms */
	const char *squash_text;		  /* NULL: not given; "": bare */
	bool explain;
	const char *target, *network, *call, *progress, *iidfile, *metadata_file, *cgroup_parent;
	bool check, debug_shell, no_cache, pull, quiet, load, push, reproducible;
	uint64_t shm_size;
	int64_t max_parallelism;
	int64_t host_fd; /* build_host.h; 0: none */

	/* made from the above */
	enum display_mode display;
	enum op_network network_mode;
	enum build_squash squash;
	const char *squash_stage;	    /* SQUASH_ON_STAGE */
	VEC(struct platform) platform_list; /* empty: the host's, or what the base has */
	VEC(struct named_context) contexts; /* strings are owned */
	VEC(struct op_pair) hosts;	    /* sorted by name; owned */
	VEC(struct op_ulimit) ulimits;	    /* names are owned */
	VEC(struct build_ssh) ssh;
	struct build_limits limit_texts;
	struct cgroup_limits limits;
	VEC(struct build_secret) secrets;
	remote_specs imports, cache_exports; /* --cache-from, --cache-to */
	VEC(struct export_options) exports;  /* at least one */
	struct attest_options attestations;  /* --attest, --provenance, --sbom */
};

/* Parses the command line. 1: --help was given and answered. */
int build_options_parse(struct build_options *o, const struct command *self, int argc, char **argv,
			struct error **err) _must_check_;
/* Checks what was set and makes the rest: what build_options_parse does behind the table. */
int build_options_finish(struct build_options *o, struct error **err) _must_check_;
void build_options_release(struct build_options *o);

#endif
