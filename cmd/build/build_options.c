/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/imageref.h"
#include "base/times.h"
#include "cmd/build/build_attest.h"
#include "cmd/build/build_cache.h"
#include "cmd/build/build_values.h"

static int check_tags(const struct build_options *o, struct error **err)
{
	for (size_t i = 0; i < o->tags.n; i++) {
		_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
		int r = imageref_parse(o->tags.v[i], &ref, err);

		if (r == 0 && ref.has_digest)
			r = error_new(err, ERR_INVALID, 0, "a tag cannot name a digest");
		if (r < 0)
			return error_wrap(err, r, "invalid tag \"%s\"", o->tags.v[i]);
	}
	return 0;
}

static int parse_platforms(struct build_options *o, struct error **err)
{
	const char *standard = getenv("DOCKER_DEFAULT_PLATFORM");

	if (o->platforms.n == 0 && standard && *standard)
		strv_push(&o->platforms, standard);
	for (size_t i = 0; i < o->platforms.n; i++) {
		struct platform p;
		int r = platform_parse(o->platforms.v[i], &p, err);

		if (r < 0)
			return error_wrap(err, r, "--platform");
		vec_push(&o->platform_list, p);
	}
	return 0;
}

static int parse_network(struct build_options *o, struct error **err)
{
	static const struct {
		const char *name;
		enum op_network mode;
	} modes[] = {{"default", NETWORK_DEFAULT}, {"host", NETWORK_HOST}, {"none", NETWORK_NONE}};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!o->network || strcmp(o->network, modes[i].name) == 0) {
			o->network_mode = modes[i].mode;
			return 0;
		}
	}
	return error_new(err, ERR_INVALID, 0, "--network: \"%s\" is not default, host or none",
			 o->network);
}

static int check_reproducible(const struct export_options *e, struct error **err)
{
	if (e->layers.compression.level != COMPRESS_LEVEL_FAST)
		return 0;
	return error_hint(err,
			  error_new(err, ERR_INVALID, 0,
				    "the bytes of compression-level=fast depend on the processor"),
			  "use a number, or leave out --reproducible");
}

/* What the build leaves: every --output, else an image in the store. --push and --load are short
 * for outputs of their own. */
static int parse_outputs(struct build_options *o, struct error **err)
{
	if (o->push)
		strv_push(&o->outputs, "type=registry");
	if (o->load || o->outputs.n == 0)
		strv_push(&o->outputs, "type=image");
	for (size_t i = 0; i < o->outputs.n; i++) {
		struct export_options e;
		int r;

		export_options_init(&e);
		vec_push(&o->exports, e);
		r = export_options_parse(&vec_last(&o->exports), o->outputs.v[i], err);
		for (size_t k = 0; r == 0 && k < o->annotations.n; k++)
			if (export_options_annotate(&vec_last(&o->exports), o->annotations.v[k],
						    err) < 0)
				return error_wrap(err, -ERR_INVALID, "--annotation");
		if (r == 0 && o->reproducible)
			r = check_reproducible(&vec_last(&o->exports), err);
		if (r < 0)
			return error_wrap(err, r, "--output \"%s\"", o->outputs.v[i]);
		vec_last(&o->exports).rewrite_timestamp |= o->reproducible;
		vec_last(&o->exports).several = o->multi_platform;
		for (size_t k = 0; k < o->tags.n; k++)
			strv_push(&vec_last(&o->exports).names, o->tags.v[k]);
	}
	return 0;
}

/* Docker's --squash is a boolean. */
static void parse_squash(struct build_options *o)
{
	const char *text = o->squash_text;

	if (!text || strcmp(text, "false") == 0)
		o->squash = SQUASH_NOT;
	else if (!*text || strcmp(text, "true") == 0)
		o->squash = SQUASH_ON_BASE;
	else if (strcmp(text, "scratch") == 0)
		o->squash = SQUASH_ALL;
	else
		o->squash = SQUASH_ON_STAGE;
	o->squash_stage = text;
}

static int parse_progress(struct build_options *o, struct error **err)
{
	const char *text = o->progress, *env = getenv("BUILDKIT_PROGRESS");

	if (!text && env && *env)
		text = env;
	o->display = DISPLAY_AUTO;
	if (o->quiet) {
		o->display = DISPLAY_QUIET;
		return 0;
	}
	return text ? display_mode_parse(text, &o->display, err) : 0;
}

/* BuildKit's built-in argument: the output is that of several platforms, though it may be one. */
static int parse_multi_platform(struct build_options *o, struct error **err)
{
	static const char name[] = "BUILDKIT_MULTI_PLATFORM";
	const char *value = env_get(&o->build_args, name);
	bool on = false;
	int r = value ? attrs_bool(name, value, &on, err) : 0;

	o->multi_platform = on || o->platform_list.n > 1;
	return r;
}

int build_options_finish(struct build_options *o, struct error **err)
{
	int r = check_tags(o, err);

	parse_squash(o);
	if (r == 0)
		r = parse_platforms(o, err);
	if (r == 0)
		r = parse_network(o, err);
	if (r == 0)
		r = parse_progress(o, err);
	if (r == 0)
		r = build_values_contexts(o, err);
	if (r == 0)
		r = build_values_hosts(o, err);
	if (r == 0)
		r = build_values_ssh(o, err);
	if (r == 0)
		r = build_limits_parse(&o->limit_texts, &o->limits, err);
	if (r == 0)
		r = build_values_ulimits(o, err);
	if (r == 0)
		r = build_values_secrets(o, err);
	if (r == 0)
		r = build_cache_check(o, err);
	if (r == 0)
		r = build_values_args(o, err);
	if (r == 0)
		r = parse_multi_platform(o, err);
	if (r == 0)
		r = parse_outputs(o, err);
	return r == 0 ? build_attest_parse(o, err) : r;
}

/* `build -t .` has a context in mind. */
static int no_context(int argc, char **argv, struct error **err)
{
	int r = error_new(err, ERR_INVALID, 0,
			  "please specify build context (e.g. \".\" for the current directory)");

	if (argc < 3 || argv[argc - 2][0] != '-' || argv[argc - 1][0] == '-')
		return r;
	return error_hint(err, r, "\"%s\" was taken as the value of %s", argv[argc - 1],
			  argv[argc - 2]);
}

int build_options_parse(struct build_options *o, const struct command *self, int argc, char **argv,
			struct error **err)
{
	const struct opt table[] = {
		{"add-host", 0, OPT_LIST, &o->add_hosts, "HOST:IP",
		 "Add a line to /etc/hosts of RUN steps"},
		{"allow", 0, OPT_LIST, &o->allow, "ENTITLEMENT",
		 "Allow network.host or security.insecure"},
		{"annotation", 0, OPT_LIST, &o->annotations, "KEY=VALUE",
		 "Add an annotation to the image"},
		{"attest", 0, OPT_LIST, &o->attest, "SPEC",
		 "Attest: type=provenance[,mode=min|max][,version=v1|v0.2]..."},
		{"build-arg", 0, OPT_LIST, &o->build_args, "NAME[=VALUE]",
		 "Set a build argument (without a value: from the environment)"},
		{"build-context", 0, OPT_LIST, &o->build_contexts, "NAME=VALUE",
		 "Add a named context: a directory or docker-image://REF"},
		{"cache-from", 0, OPT_LIST, &o->cache_from, "SOURCE",
		 "Use a cache: REF or type=registry|local|s3,..."},
		{"cache-to", 0, OPT_LIST, &o->cache_to, "TARGET",
		 "Write a cache: type=registry|local|s3|inline,...[,mode=max]"},
		{"call", 0, OPT_STRING, &o->call, "METHOD",
		 "build, check, outline or targets; \",format=json\" for JSON"},
		{"cache-ttl", 0, OPT_LIST, &o->cache_ttls, "AGE[=LINE|GLOB]",
		 "Run steps whose result is older (24h, 24h=RUN apt-get *)"},
		{"cgroup-parent", 0, OPT_STRING, &o->cgroup_parent, "PATH", "Cgroup of RUN steps"},
		{"check", 0, OPT_BOOL, &o->check, NULL, "Only check the Dockerfile"},
		{"context-modes", 0, OPT_STRING, &o->context_modes, "MODE",
		 "keep, or normalize: file modes of the context as 0644 or 0755"},
		{"debug-shell", 0, OPT_BOOL, &o->debug_shell, NULL,
		 "Offer a shell in a RUN step that fails"},
		{"explain", 0, OPT_BOOL, &o->explain, NULL, "Say why steps were not in the cache"},
		{"file", 'f', OPT_STRING, &o->dockerfile, "PATH",
		 "Dockerfile (default: PATH/Dockerfile), - for stdin"},
		{"host-fd", 0, OPT_INT, &o->host_fd, NULL, NULL},
		{"iidfile", 0, OPT_STRING, &o->iidfile, "FILE", "Write the image id to a file"},
		{"label", 0, OPT_LIST, &o->labels, "KEY=VALUE", "Set a label of the image"},
		{"load", 0, OPT_BOOL, &o->load, NULL, "Put the image into the local store"},
		{"max-parallelism", 0, OPT_INT, &o->max_parallelism, "N",
		 "RUN steps at a time (default: 8 per core, at least 64)"},
		{"metadata-file", 0, OPT_STRING, &o->metadata_file, "FILE",
		 "Write what was built to a JSON file"},
		{"network", 0, OPT_STRING, &o->network, "MODE",
		 "Network of RUN steps: default, host or none"},
		{"no-cache", 0, OPT_BOOL, &o->no_cache, NULL, "Run every step"},
		{"no-cache-step", 0, OPT_LIST, &o->no_cache_steps, "LINE|GLOB",
		 "Run the steps on this line, or like this (\"RUN apt-get *\")"},
		{"no-cache-filter", 0, OPT_CSV, &o->no_cache_filter, "STAGES",
		 "Run every step of these stages"},
		{"output", 'o', OPT_LIST, &o->outputs, "SPEC",
		 "type=image|oci|docker|local|tar|registry,dest=..., a directory or -"},
		{"platform", 0, OPT_CSV, &o->platforms, "PLATFORMS",
		 "Build for these (linux/amd64,linux/arm64)"},
		{"progress", 0, OPT_STRING, &o->progress, "MODE",
		 "auto, plain, ordered[,groups=github|gitlab], tty, rawjson or quiet"},
		{"provenance", 0, OPT_STRING, &o->provenance, "true|false|SPEC",
		 "Attest what the image was made of: --attest type=provenance"},
		{"pull", 0, OPT_BOOL, &o->pull, NULL, "Always ask for newer base images"},
		{"push", 0, OPT_BOOL, &o->push, NULL, "Push the image"},
		{"quiet", 'q', OPT_BOOL, &o->quiet, NULL, "Print only the image id"},
		{"reproducible", 0, OPT_BOOL, &o->reproducible, NULL,
		 "Give all times of the image a fixed value, so that builds can be compared"},
		{"reset-mounts", 0, OPT_OPTIONAL, &o->reset_mounts, "ID,...",
		 "Empty these cache mounts first (without a value: all that are used)"},
		{"sbom", 0, OPT_STRING, &o->sbom, "false", NULL},
		{"secret", 0, OPT_LIST, &o->secret_texts,
		 "id=ID[,src=FILE|env=NAME][,cachekey=hash]",
		 "Give RUN --mount=type=secret a value"},
		{"shm-size", 0, OPT_SIZE, &o->shm_size, "SIZE", "Size of /dev/shm in RUN steps"},
		{"squash", 0, OPT_OPTIONAL, &o->squash_text, "STAGE",
		 "Make one layer of those on top of the base image, or of STAGE"},
		{"ssh", 0, OPT_LIST, &o->ssh_texts, "default|ID[=SOCKET|KEY,...]",
		 "Give RUN --mount=type=ssh an agent or keys"},
		{"tag", 't', OPT_LIST, &o->tags, "NAME[:TAG]", "Name the image"},
		{"target", 0, OPT_STRING, &o->target, "STAGE", "Build this stage"},
		{"ulimit", 0, OPT_LIST, &o->ulimit_texts, "NAME=SOFT[:HARD]", "Limit of RUN steps"},
		{"resource", 0, OPT_CSV, &o->limit_texts.resources, "KEY=VALUE,...",
		 "Limit RUN steps: memory, cpu-shares, cpu-quota, pids..."},
		{"memory", 'm', OPT_STRING, &o->limit_texts.memory, "SIZE", NULL},
		{"memory-swap", 0, OPT_STRING, &o->limit_texts.memory_swap, "SIZE", NULL},
		{"cpu-shares", 'c', OPT_STRING, &o->limit_texts.cpu_shares, "N", NULL},
		{"cpu-period", 0, OPT_STRING, &o->limit_texts.cpu_period, "N", NULL},
		{"cpu-quota", 0, OPT_STRING, &o->limit_texts.cpu_quota, "N", NULL},
		{"cpuset-cpus", 0, OPT_STRING, &o->limit_texts.cpuset_cpus, "LIST", NULL},
		{"cpuset-mems", 0, OPT_STRING, &o->limit_texts.cpuset_mems, "LIST", NULL},
		{"builder", 0, OPT_IGNORED, NULL, "NAME", NULL},
		{"compress", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"debug", 'D', OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"force-rm", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"isolation", 0, OPT_IGNORED, NULL, "NAME", NULL},
		{"rm", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"security-opt", 0, OPT_IGNORED, NULL, "OPT", NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	bool help;
	int r = opt_parse(table, argc, argv, 0, &args, &help, err);

	if (help) {
		opt_help(self, table);
		return 1;
	}
	if (r < 0)
		return r;
	if (args.n == 0)
		return no_context(argc, argv, err);
	if (args.n > 1)
		return error_new(err, ERR_INVALID, 0, "takes one build context, got %zu arguments",
				 args.n);
	/* The argument vector outlives the options; the list does not. */
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], args.v[0]) == 0)
			o->context = argv[i];
	return build_options_finish(o, err);
}

void build_options_release(struct build_options *o)
{
	struct strv *const lists[] = {
		&o->tags,	    &o->build_args,
		&o->labels,	    &o->platforms,
		&o->outputs,	    &o->annotations,
		&o->build_contexts, &o->secret_texts,
		&o->ssh_texts,	    &o->limit_texts.resources,
		&o->add_hosts,	    &o->ulimit_texts,
		&o->allow,	    &o->no_cache_filter,
		&o->no_cache_steps, &o->cache_ttls,
		&o->cache_from,	    &o->cache_to,
		&o->attest,
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_release(lists[i]);
	for (size_t i = 0; i < o->exports.n; i++)
		export_options_release(&o->exports.v[i]);
	vec_release(&o->exports);
	attest_options_release(&o->attestations);
	remote_specs_release(&o->imports);
	remote_specs_release(&o->cache_exports);
	vec_release(&o->platform_list);
	build_values_release(o);
}
