/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln completion SHELL`, and `kiln __complete`, which its scripts call. */
#include <stdio.h>
#include <string.h>

#include "cmd/cli/complete.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "cmd/completion_scripts.h"

static void offer_commands(const struct completion *c)
{
	_cleanup_strv_ struct strv groups = {0};

	for (size_t i = 0; commands_at(i); i++)
		complete_offer(c, "", commands_at(i)->name, commands_at(i)->summary);
	commands_groups(&groups);
	for (size_t i = 0; i < groups.n; i++)
		complete_offer(c, "", groups.v[i], "docker's group of commands");
	complete_offer(c, "", "help", "Print the options of a command");
	if (*c->word == '-')
		complete_offer_words(c, "", "--help --version");
}

/* `debug` and `imagetools` leave their options to subcommands. */
static int offer_of_command(const struct command *command, struct completion *c)
{
	const char *verb = NULL;

	if (strcmp(command->name, "debug") == 0)
		verb = "graph";
	if (strcmp(command->name, "imagetools") == 0 && c->n > 1) {
		verb = strcmp(c->words[0], "create") == 0 ? "create" : "inspect";
		c->words++;
		c->n--;
	}
	return commands_ask(command, verb, complete_command, c);
}

static int complete(int argc, char **argv, struct completion *c)
{
	const struct command *command;
	_cleanup_strv_ struct strv names = {0};
	int used;

	if (argc > 1 && strcmp(argv[0], "help") == 0)
		return complete(argc - 1, argv + 1, c);
	c->word = argv[argc - 1];
	if (argc == 1) {
		offer_commands(c);
		return 0;
	}
	command = commands_find(argc, argv, &used);
	if (argc == 2)
		commands_of_group(argv[0], &names);
	for (size_t i = 0; i < names.n; i++)
		complete_offer(c, "", names.v[i], NULL);
	if (!command || argc <= used)
		return 0;
	c->words = (const char *const *)argv + used;
	c->n = (size_t)(argc - used);
	return offer_of_command(command, c);
}

int cmd_complete(const struct command *self, int argc, char **argv)
{
	struct completion c = {0};
	int status;

	if (argc < 2)
		return session_misuse(self, "takes the words of a command line");
	status = complete(argc - 1, argv + 1, &c);
	complete_finish(&c);
	return status;
}

int cmd_completion(const struct command *self, int argc, char **argv)
{
	static const struct {
		const char *shell, *begin, *end;
	} scripts[] = {
		{"bash", completion_bash, completion_bash_end},
		{"zsh", completion_zsh, completion_zsh_end},
		{"fish", completion_fish, completion_fish_end},
	};
	static const struct opt table[] = {{0}};
	_cleanup_strv_ struct strv args = {0};
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	for (size_t i = 0; args.n == 1 && i < ARRAY_SIZE(scripts); i++) {
		if (strcmp(scripts[i].shell, args.v[0]) == 0) {
			(void)fwrite(scripts[i].begin, 1,
				     (size_t)(scripts[i].end - scripts[i].begin), stdout);
			return 0;
		}
	}
	return session_misuse(self, "takes a shell: bash, zsh or fish");
}
