/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/docker_names.h"

static const struct command commands[] = {
	{"bake", cmd_bake, "[OPTIONS] [TARGET...]", "Build many targets from a bake file"},
	{"build", cmd_build, "[OPTIONS] PATH | URL | -", "Build an image from a Dockerfile"},
	{"builds", cmd_builds, "ls | inspect [REF] | logs [REF] | rm REF... | trace [REF]",
	 "Look at the builds that were made here, and their logs"},
	{"cache", cmd_cache, "ls | inspect | rm [OPTIONS] REF",
	 "Look into caches outside the store (REF as for --cache-from), and remove them"},
	{"compose", cmd_compose, "build | config | push [OPTIONS] [SERVICE...]",
	 "Build the services of compose files, or show what they say"},
	{"completion", cmd_completion, "bash | zsh | fish",
	 "Print the completion script for a shell"},
	{"debug", cmd_debug, "graph [--format json|dot] [BUILD OPTIONS] CONTEXT | key STEP",
	 "Print the compiled graph, or what the key of a step is made of"},
	{"doctor", cmd_doctor, "[OPTIONS]",
	 "Check where kiln runs: what works, what is slower, and how to fix it"},
	{"du", cmd_du, "[OPTIONS]", "Show what the build cache takes, and what pins it"},
	{"history", cmd_history, "[OPTIONS] IMAGE", "Show the history of an image"},
	{"images", cmd_images, "[OPTIONS] [REPOSITORY[:TAG]]", "List images"},
	{"imagetools", cmd_imagetools, "inspect|create [OPTIONS] ...",
	 "Look at images in a registry, and combine them"},
	{"import", cmd_import, "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
	 "Make an image of one layer from a root file system in a tar file"},
	{"info", cmd_doctor, "[OPTIONS]", "The same as doctor"},
	{"inspect", cmd_inspect, "[OPTIONS] IMAGE [IMAGE...]",
	 "Show what is known of images, as JSON"},
	{"load", cmd_load, "[OPTIONS]", "Load images from a tar archive or stdin"},
	{"login", cmd_login, "[OPTIONS] [SERVER]", "Log in to a registry"},
	{"logout", cmd_logout, "[SERVER]", "Forget the credentials for a registry"},
	{"mounts", cmd_mounts, "ls | inspect ID | prune | reset ID",
	 "Manage the directories of RUN --mount=type=cache"},
	{"prune", cmd_prune, "[OPTIONS]", "Remove build cache and what nothing uses"},
	{"pull", cmd_pull, "[OPTIONS] NAME[:TAG|@DIGEST]", "Download an image from a registry"},
	{"push", cmd_push, "[OPTIONS] NAME[:TAG]", "Upload an image to a registry"},
	{"rmi", cmd_rmi, "[OPTIONS] IMAGE [IMAGE...]", "Remove one or more images"},
	{"run", cmd_run, "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	 "Run a command in a new container that is thrown away"},
	{"save", cmd_save, "[OPTIONS] IMAGE [IMAGE...]",
	 "Write images to a tar archive (stdout by default)"},
	{"serve", cmd_serve, "[OPTIONS]", "Serve BuildKit's API, for buildctl and docker buildx"},
	{"store", cmd_store, "verify | remove [-f]",
	 "Check everything that the store holds, or remove it"},
	{"tag", cmd_tag, "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	 "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"},
	{"verify-build", cmd_verify_build, "[BUILD OPTIONS] PATH | URL",
	 "Build twice from cold, and show where the images differ first"},
	{"version", cmd_version, "[OPTIONS]",
	 "Show the version, and what the program was built from and with"},
};

/* Called by the completion scripts, and by the build. */
static const struct command hidden[] = {
	{"__complete", cmd_complete, "[WORD...]", "Print how the last word may go on"},
	{"__man", cmd_man, "[COMMAND]", "Print the manual page"},
};

/* docker's grouped spellings: what is called otherwise without the group, or not there at all.
 * `prune` alone is about the build cache. */
static const struct command grouped[] = {
	{"buildx create", cmd_buildx_create, "[OPTIONS] [CONTEXT|ENDPOINT]",
	 "Nothing: there is one builder, this machine's store"},
	{"buildx inspect", cmd_buildx_inspect, "[NAME]", "Show the builder"},
	{"buildx ls", cmd_buildx_ls, "[OPTIONS]", "List the builder"},
	{"buildx rm", cmd_buildx_rm, "[OPTIONS] [NAME...]",
	 "Nothing: the one builder stays, with its cache"},
	{"buildx use", cmd_buildx_use, "[OPTIONS] NAME", "Nothing: the one builder is in use"},
	{"context inspect", cmd_context_inspect, "[OPTIONS] [CONTEXT...]", "Show the context"},
	{"context ls", cmd_context_ls, "[OPTIONS]", "List the context"},
	{"context show", cmd_context_show, "", "Print the context's name"},
	{"context use", cmd_context_use, "CONTEXT", "Use a context: there is \"default\" alone"},
	{"image layers", cmd_image_layers, "[OPTIONS] IMAGE",
	 "Show what each layer of an image adds, changes, hides and wastes"},
	{"image prune", cmd_image_prune, "[OPTIONS]", "Remove images without a name"},
	{"manifest inspect", cmd_manifest_inspect, "[OPTIONS] NAME",
	 "Print the manifest or index of a registry's image"},
	{"system df", cmd_system_df, "[OPTIONS]", "Show what images and build cache take"},
	{"system prune", cmd_system_prune, "[OPTIONS]",
	 "Remove images without a name, and the build cache"},
};
static const struct {
	const char *group, *name, *command;
} renamed[] = {
	{"buildx", "b", "build"},   {"buildx", "history", "builds"}, {"image", "list", "images"},
	{"image", "ls", "images"},  {"image", "remove", "rmi"},	     {"image", "rm", "rmi"},
	{"system", "info", "info"},
};
static const struct {
	const char *group, *names[12]; /* those that are called the same without the group */
} groups[] = {
	{"builder", {"build", "prune"}},
	{"buildx", {"bake", "build", "du", "imagetools", "prune", "version"}},
	{"context", {NULL}},
	{"image", {"build", "history", "import", "inspect", "load", "pull", "push", "save", "tag"}},
	{"manifest", {NULL}},
	{"system", {NULL}},
};

static void usage(FILE *out)
{
	fprintf(out, "Usage: kiln COMMAND\n\n"
		     "Builds container images from Dockerfiles: no daemon, no root needed.\n\n"
		     "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
	fprintf(out,
		"\nRun 'kiln COMMAND --help' for more on a command. docker's options before the "
		"command\n(-D, -H, -c, -l, --config) are described in docs/cli.md.\n");
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (strcmp(hidden[i].name, name) == 0)
			return &hidden[i];
	return NULL;
}

const struct command *commands_at(size_t i)
{
	return i < ARRAY_SIZE(commands) ? &commands[i] : NULL;
}

static bool is_group(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (strcmp(groups[i].group, name) == 0)
			return true;
	return false;
}

/* `buildx build`, `image ls`; NULL if the group has no such command. */
static const struct command *find_grouped(const char *group, const char *name)
{
	_cleanup_free_ char *both = xasprintf("%s %s", group, name);

	for (size_t i = 0; i < ARRAY_SIZE(grouped); i++)
		if (strcmp(grouped[i].name, both) == 0)
			return &grouped[i];
	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
		if (strcmp(renamed[i].group, group) == 0 && strcmp(renamed[i].name, name) == 0)
			return find(renamed[i].command);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (strcmp(groups[i].group, group) != 0)
			continue;
		for (const char *const *n = groups[i].names; *n; n++)
			if (strcmp(*n, name) == 0)
				return find(name);
	}
	return NULL;
}

void commands_groups(struct strv *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		strv_push(ret, groups[i].group);
}

void commands_of_group(const char *group, struct strv *ret)
{
	size_t n = strlen(group);

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (const char *const *name = groups[i].names; *name; name++)
			if (strcmp(groups[i].group, group) == 0)
				strv_push(ret, *name);
	for (size_t i = 0; i < ARRAY_SIZE(grouped); i++)
		if (strncmp(grouped[i].name, group, n) == 0 && grouped[i].name[n] == ' ')
			strv_push(ret, grouped[i].name + n + 1);
	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
		if (strcmp(renamed[i].group, group) == 0)
			strv_push(ret, renamed[i].name);
}

static int unknown_command(const char *group, const char *name)
{
	_cleanup_strv_ struct strv names = {0};
	const char *why = docker_command_missing(group, name), *near = NULL;
	const char *gap = *group ? " " : "";

	if (*group)
		commands_of_group(group, &names);
	else
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
			strv_push(&names, commands[i].name);
	if (!why)
		near = suggest(name, (const char *const *)names.v, names.n, false);
	show(stderr, "kiln: '%s%s%s' is not a kiln command", group, gap, name);
	if (why)
		fprintf(stderr, ": %s.\n", why);
	else if (near)
		fprintf(stderr, ". Did you mean '%s%s%s'?\nSee 'kiln --help'.\n", group, gap, near);
	else
		fprintf(stderr, ".\nSee 'kiln --help'.\n");
	return EXIT_USAGE;
}

/* A group alone, or with --help: what is in it. */
static int list_group(const char *group, FILE *out, int status)
{
	_cleanup_strv_ struct strv names = {0};

	commands_of_group(group, &names);
	fprintf(out, "Usage: kiln %s COMMAND\n\nCommands:\n", group);
	for (size_t i = 0; i < names.n; i++)
		fprintf(out, "  %-12s %s\n", names.v[i], find_grouped(group, names.v[i])->summary);
	fprintf(out, "\nRun 'kiln %s COMMAND --help' for more on a command.\n", group);
	return status;
}

const struct command *commands_find(int argc, char *const *argv, int *ret_used)
{
	bool in_group = argc > 1 && is_group(argv[0]);

	*ret_used = 1 + in_group;
	return in_group ? find_grouped(argv[0], argv[1]) : find(argv[0]);
}

int commands_ask(const struct command *command, const char *verb, opt_help_fn *fn, void *arg)
{
	_cleanup_strv_ struct strv words = {0};

	strv_push(&words, command->name);
	if (verb)
		strv_push(&words, verb);
	strv_push(&words, "--help");
	opt_help_by(fn, arg);
	return command->run(command, (int)words.n, words.v);
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* argv begins with the command's name, or with its group. */
static int run_command(int argc, char **argv)
{
	int used;
	const struct command *command = commands_find(argc, argv, &used);

	if (command)
		return command->run(command, argc - used + 1, argv + used - 1);
	if (!is_group(argv[0]))
		return unknown_command("", argv[0]);
	if (argc == 1)
		return list_group(argv[0], stderr, EXIT_USAGE);
	return is_help(argv[1]) ? list_group(argv[0], stdout, 0)
				: unknown_command(argv[0], argv[1]);
}

/* `help build` is `build --help`. */
static int help(int argc, char **argv)
{
	static char flag[] = "--help";
	char *args[4] = {NULL};

	if (argc == 0) {
		usage(stdout);
		return 0;
	}
	for (int i = 0; i < argc && i < 2; i++)
		args[i] = argv[i];
	args[argc > 1 && is_group(argv[0]) ? 2 : 1] = flag;
	return run_command(args[1] == flag ? 2 : 3, args);
}

int kiln_main(int argc, char **argv)
{
	int status;

	/* A reader that goes away shows as a write error, handled where it happens. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (!docker_options_take(&argc, &argv, &status))
		return status;
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0)
		return help(argc - 2, argv + 2);
	if (is_help(argv[1]))
		return help(0, NULL);
	if (strcmp(argv[1], "--version") == 0) {
		version_line();
		return 0;
	}
	return run_command(argc - 1, argv + 1);
}
