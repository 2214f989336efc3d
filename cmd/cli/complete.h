/* SPDX-License-Identifier: Apache-2.0 */
/* How the last word of a command line may go on, for the completion scripts of the shells.
 *
 * Printed is one candidate a line, with a tab and what it is where that is known, and as the last line
 * ":" with what the shell adds: "files", "dirs" (names of them are candidates too), "nospace" (what
 * was completed goes on).
 */
#ifndef KILN_CMD_CLI_COMPLETE_H
#define KILN_CMD_CLI_COMPLETE_H

#include "cmd/cli/opt.h"

struct completion {
	const char *const *words; /* after the command's name; the last is what is completed */
	size_t n;
	const char *word; /* of it, what candidates must begin with */
	bool files, dirs, nospace;
};

/* Prints `text` as a candidate if the word may go on so: behind `kept`, which is what was typed before.
 * `about` may be NULL. */
void complete_offer(const struct completion *c, const char *kept, const char *text,
		    const char *about);
/* The same for words that are parted by spaces. */
void complete_offer_words(const struct completion *c, const char *kept, const char *words);
/* Options, their values and arguments of a command; an opt_help_fn, whose argument is a struct
 * completion. */
void complete_command(const struct command *command, const struct opt *table, void *completion);
/* The last line. */
void complete_finish(const struct completion *c);

/* The subcommands of a command, parted by spaces; NULL if it has none. */
const char *complete_verbs(const char *command);

#endif
