/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/compose_options.h"

#include <stdlib.h>
#include <string.h>

/* Those that stand before the command, and so before options of its own. */
#define COMMON_OPTIONS(a)                                                                          \
	{"file", 'f', OPT_LIST, &(a)->load.files, "FILE", "Compose file (default: compose.yaml)"}, \
		{"project-name",	  'p',	  OPT_STRING,                                      \
		 &(a)->load.project_name, "NAME", "Name of the project"},                          \
		{"project-directory",	 0,	OPT_STRING,                                        \
		 &(a)->load.project_dir, "DIR", "Folder of the project"},                          \
		{"env-file",	       0,      OPT_LIST,                                           \
		 &(a)->load.env_files, "FILE", "File of variables (default: .env)"},               \
		{"profile",	      0,      OPT_LIST,                                            \
		 &(a)->load.profiles, "NAME", "Take in services of this profile"},                 \
		{"progress",	 0,	 OPT_STRING,                                               \
		 &(a)->progress, "MODE", "auto, plain, tty, rawjson or quiet"},                    \
		{"ansi", 0, OPT_IGNORED, NULL, "MODE", NULL},                                      \
		{"compatibility", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},                          \
		{"all-resources", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},                          \
	{                                                                                          \
		"parallel", 0, OPT_IGNORED, NULL, "N", NULL                                        \
	}

static int parse_rest(struct compose_args *a, const struct command *self, const struct opt *table,
		      int argc, char **argv, struct error **err)
{
	bool help;
	int r = opt_parse(table, argc, argv, 0, &a->services, &help, err);

	if (help) {
		opt_help(self, table);
		return 1;
	}
	return r;
}

static int parse_build(struct compose_args *a, const struct command *self, int argc, char **argv,
		       struct error **err)
{
	const struct opt table[] = {
		COMMON_OPTIONS(a),
		{"build-arg", 0, OPT_LIST, &a->build.build_args, "NAME[=VALUE]",
		 "Set a build argument of all services"},
		{"check", 0, OPT_BOOL, &a->build.check, NULL, "Only check the Dockerfiles"},
		{"memory", 'm', OPT_STRING, &a->build.memory, "SIZE",
		 "Limit the memory of RUN steps"},
		{"no-cache", 0, OPT_BOOL, &a->build.no_cache, NULL, "Run every step"},
		{"print", 0, OPT_BOOL, &a->print, NULL, "Print the plan as JSON and build nothing"},
		{"provenance", 0, OPT_STRING, &a->build.provenance, "SPEC",
		 "Add what the image was built from"},
		{"pull", 0, OPT_BOOL, &a->build.pull, NULL, "Always ask for newer base images"},
		{"push", 0, OPT_BOOL, &a->build.push, NULL,
		 "Push the images of services that name one"},
		{"quiet", 'q', OPT_BOOL, &a->quiet, NULL, "Print errors alone"},
		{"sbom", 0, OPT_STRING, &a->build.sbom, "SPEC", "Add what the image holds"},
		{"ssh", 0, OPT_LIST, &a->build.ssh, "default|ID[=SOCKET|KEY,...]",
		 "Give steps an agent or keys"},
		{"with-dependencies", 0, OPT_BOOL, &a->build.with_dependencies, NULL,
		 "Build what the services depend on, too"},
		{"builder", 0, OPT_IGNORED, NULL, "NAME", NULL},
		{"compress", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"force-rm", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"no-rm", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{0},
	};

	return parse_rest(a, self, table, argc, argv, err);
}

static int parse_config(struct compose_args *a, const struct command *self, int argc, char **argv,
			struct error **err)
{
	const struct opt table[] = {
		COMMON_OPTIONS(a),
		{"format", 0, OPT_STRING, &a->format, "FORMAT", "yaml or json"},
		{"hash", 0, OPT_STRING, &a->hash, "SERVICE",
		 "Print what a service's definition hashes to (*: all)"},
		{"images", 0, OPT_BOOL, &a->list_images, NULL, "Print the names of the images"},
		{"networks", 0, OPT_BOOL, &a->list_networks, NULL,
		 "Print the names of the networks"},
		{"no-interpolate", 0, OPT_BOOL, &a->load.no_interpolate, NULL,
		 "Put in no variables"},
		{"output", 'o', OPT_STRING, &a->output, "FILE", "Write into a file"},
		{"profiles", 0, OPT_BOOL, &a->list_profiles, NULL,
		 "Print the names of the profiles"},
		{"quiet", 'q', OPT_BOOL, &a->quiet, NULL, "Check and print nothing"},
		{"services", 0, OPT_BOOL, &a->list_services, NULL,
		 "Print the names of the services"},
		{"volumes", 0, OPT_BOOL, &a->list_volumes, NULL, "Print the names of the volumes"},
		{"no-consistency", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"no-normalize", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"no-path-resolution", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{0},
	};
	int r = parse_rest(a, self, table, argc, argv, err);

	a->load.all_services = a->list_profiles;
	if (r == 0 && a->format && strcmp(a->format, "json") != 0 && strcmp(a->format, "yaml") != 0)
		return error_new(err, ERR_INVALID, 0, "--format: \"%s\" is not yaml or json",
				 a->format);
	a->json = a->format && strcmp(a->format, "json") == 0;
	return r;
}

static int parse_push(struct compose_args *a, const struct command *self, int argc, char **argv,
		      struct error **err)
{
	const struct opt table[] = {
		COMMON_OPTIONS(a),
		{"ignore-push-failures", 0, OPT_BOOL, &a->ignore_failures, NULL,
		 "Go on where an image cannot be pushed"},
		{"quiet", 'q', OPT_BOOL, &a->quiet, NULL, "Print errors alone"},
		{0},
	};

	return parse_rest(a, self, table, argc, argv, err);
}

static int unknown_verb(const char *verb, struct error **err)
{
	static const char *const others[] = {"up",	"down", "run",	  "start", "stop",
					     "restart", "exec", "logs",	  "ps",	   "create",
					     "kill",	"pull", "rm",	  "watch", "attach",
					     "events",	"top",	"images", "cp",	   "ls"};

	for (size_t i = 0; verb && i < ARRAY_SIZE(others); i++)
		if (strcmp(others[i], verb) == 0)
			return error_hint(err,
					  error_new(err, ERR_UNSUPPORTED, 0,
						    "kiln builds what compose files describe, and "
						    "runs no services: there is no \"%s\"",
						    verb),
					  "it has build, config and push");
	return error_new(err, ERR_INVALID, 0, "expected build, config or push%s%s",
			 verb ? ", not " : "", verb ? verb : "");
}

int compose_args_parse(struct compose_args *a, const struct command *self, int argc, char **argv,
		       struct error **err)
{
	const struct opt common[] = {COMMON_OPTIONS(a), {0}};
	_cleanup_strv_ struct strv rest = {0};
	const char *verb;
	bool help;
	int r = opt_parse(common, argc, argv, OPT_STOP_AT_ARGUMENT, &rest, &help, err);

	if (help) {
		opt_help(self, common);
		return 1;
	}
	if (r < 0)
		return r;
	verb = rest.n > 0 ? rest.v[0] : NULL;
	/* What follows is the end of argv. */
	argv += argc - (int)rest.n;
	argc = (int)rest.n;
	if (verb && strcmp(verb, "build") == 0)
		return parse_build(a, self, argc, argv, err);
	a->verb = COMPOSE_CONFIG;
	if (verb && (strcmp(verb, "config") == 0 || strcmp(verb, "convert") == 0))
		return parse_config(a, self, argc, argv, err);
	a->verb = COMPOSE_PUSH;
	if (verb && strcmp(verb, "push") == 0)
		return parse_push(a, self, argc, argv, err);
	return unknown_verb(verb, err);
}

void compose_args_release(struct compose_args *a)
{
	strv_release(&a->load.files);
	strv_release(&a->load.env_files);
	strv_release(&a->load.profiles);
	strv_release(&a->build.build_args);
	strv_release(&a->build.ssh);
	strv_release(&a->services);
}
