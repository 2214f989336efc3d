/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln __man [COMMAND]` prints the part of a manual page that --help tells, in the man(7) macros:
 * scripts/man-pages adds what docs/cli.md tells. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cmd/build_info.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"

/* Text within a line: a hyphen is printed as it would be typed. */
static void text(const char *s)
{
	for (; *s; s++) {
		if (*s == '-')
			printf("\\-");
		else if (*s == '\\')
			printf("\\e");
		else if (*s == '\'')
			printf("\\(aq");
		else
			putchar(*s);
	}
}

static void line(const char *before, const char *s, const char *after)
{
	printf("%s", before);
	text(s);
	printf("%s\n", after);
}

static void title(const char *name)
{
	printf(".TH KILN");
	if (*name)
		printf("\\-");
	for (const char *p = name; *p; p++)
		if (*p == '-' || *p == ' ')
			printf("\\-");
		else
			putchar(toupper((unsigned char)*p));
	printf(" 1 \"%.10s\" \"kiln %s\" \"User Commands\"\n", KILN_COMMIT_DATE, version_number());
}

static void options(const struct command *command, const struct opt *table, void *arg)
{
	(void)arg;
	if (strchr(command->name, ' '))
		line(".SS ", command->name, "");
	for (const struct opt *o = table; o->name; o++) {
		if (!o->help)
			continue;
		printf(".TP\n");
		if (o->letter)
			printf("\\fB\\-%c\\fR, ", o->letter);
		printf("\\fB");
		text("--");
		text(o->name);
		printf("\\fR%s\\fI", !o->value ? "" : o->type == OPT_OPTIONAL ? "[=" : " ");
		text(o->value ? o->value : "");
		printf("\\fR%s\n", o->value && o->type == OPT_OPTIONAL ? "]" : "");
		line("", o->help, "");
	}
	printf(".TP\n\\fB\\-\\-help\\fR\nPrint the options\n");
}

static int command_page(const struct command *command)
{
	bool is_imagetools = strcmp(command->name, "imagetools") == 0;
	int r;

	title(command->name);
	printf(".SH NAME\n");
	text("kiln-");
	text(command->name);
	line(" \\- ", command->summary, "");
	printf(".SH SYNOPSIS\n");
	line("\\fBkiln ", command->name, "\\fR");
	line("", command->synopsis, "");
	printf(".SH DESCRIPTION\n");
	line("", command->summary, ".");
	printf(".SH OPTIONS\n");
	if (strcmp(command->name, "debug") == 0)
		return commands_ask(command, "graph", options, NULL);
	if (strcmp(command->name, "compose") == 0) {
		r = commands_ask(command, "build", options, NULL);
		return r == 0 ? commands_ask(command, "config", options, NULL) : r;
	}
	r = commands_ask(command, is_imagetools ? "inspect" : NULL, options, NULL);
	return r == 0 && is_imagetools ? commands_ask(command, "create", options, NULL) : r;
}

static int main_page(void)
{
	title("");
	printf(".SH NAME\nkiln \\- build container images: no daemon, no root needed\n"
	       ".SH SYNOPSIS\n\\fBkiln\\fR \\fICOMMAND\\fR [OPTIONS] [ARGUMENTS]\n"
	       ".SH DESCRIPTION\n"
	       "Builds container images from Dockerfiles, with a cache that travels, and runs "
	       "them.\n"
	       ".SH COMMANDS\n");
	for (size_t i = 0; commands_at(i); i++) {
		printf(".TP\n");
		line("\\fBkiln\\-", commands_at(i)->name, "\\fR(1)");
		line("", commands_at(i)->summary, "");
	}
	return 0;
}

/* Without an argument the page of the program; "--list" names the commands. */
int cmd_man(const struct command *self, int argc, char **argv)
{
	const struct command *command;
	int used;

	if (argc > 2)
		return session_misuse(self, "takes one command");
	if (argc < 2)
		return main_page();
	if (strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; commands_at(i); i++)
			printf("%s\n", commands_at(i)->name);
		return 0;
	}
	command = commands_find(1, argv + 1, &used);
	return command ? command_page(command) : session_misuse(self, "no such command");
}
