#include "cmd/commands.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "cmd/session.h"

static const struct command commands[] = {
	{"build", cmd_build, "[OPTIONS] PATH | URL | -", "Build an image from a Dockerfile"},
	{"debug", cmd_debug, "graph [--format json|dot] [BUILD OPTIONS] CONTEXT | key STEP",
	 "Print the compiled graph, or what the key of a step is made of"},
	{"du", cmd_du, "[OPTIONS]", "Show what the build cache takes, and what pins it"},
	{"history", cmd_history, "[OPTIONS] IMAGE", "Show the history of an image"},
	{"images", cmd_images, "[OPTIONS] [REPOSITORY[:TAG]]", "List images"},
	{"imagetools", cmd_imagetools, "inspect|create [OPTIONS] ...",
	 "Look at images in a registry, and combine them"},
	{"import", cmd_import, "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
	 "Make an image of one layer from a root file system in a tar file"},
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
	{"store", cmd_store, "verify", "Check everything that the store holds"},
	{"tag", cmd_tag, "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	 "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"},
	{"version", cmd_version, "", "Show the version"},
};

int cmd_version(const struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argc;
	(void)argv;
	printf("kiln version %s\n", KILN_VERSION);
	return 0;
}

/* `prune` alone is about the build cache. */
static const struct command image_prune = {"image prune", cmd_image_prune, "[OPTIONS]",
					   "Remove images without a name"};

static void usage(FILE *out)
{
	fprintf(out, "Usage: kiln COMMAND\n\n"
		     "Builds container images from Dockerfiles: no daemon, no root needed.\n\n"
		     "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\nRun 'kiln COMMAND --help' for more on a command.\n");
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[ARRAY_SIZE(commands)];
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	near = suggest(name, names, ARRAY_SIZE(commands), false);
	fprintf(stderr, "kiln: '%s' is not a kiln command.%s%s%s\nSee 'kiln --help'.\n", name,
		near ? " Did you mean '" : "", near ? near : "", near ? "'?" : "");
	return EXIT_USAGE;
}

int kiln_main(int argc, char **argv)
{
	static char images[] = "images", rmi[] = "rmi";
	const struct command *command;
	bool group, is_image;

	/* A reader that goes away shows as a write error, handled where it happens. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)
		return cmd_version(NULL, 0, NULL);
	/* docker's grouped spellings: `buildx build`, `image ls`, `image rm`. */
	group = argc > 2 && (strcmp(argv[1], "buildx") == 0 || strcmp(argv[1], "image") == 0 ||
			     strcmp(argv[1], "builder") == 0);
	is_image = group && strcmp(argv[1], "image") == 0;
	if (group) {
		argc--;
		argv++;
		if (strcmp(argv[1], "ls") == 0)
			argv[1] = images;
		else if (strcmp(argv[1], "rm") == 0)
			argv[1] = rmi;
	}
	if (group && is_image && strcmp(argv[1], "prune") == 0)
		return cmd_image_prune(&image_prune, argc - 1, argv + 1);
	command = find(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return command->run(command, argc - 1, argv + 1);
}
