/* SPDX-License-Identifier: Apache-2.0 */
/* Command line options from one static table per command: parsing, --help and completion share it.
 *
 * Forms: --name value, --name=value, --flag, --flag=false, -n value, -nvalue, -abc, `--` ends
 * options. A bad option is ERR_INVALID with one line that names it; main exits with 2.
 */
#ifndef KILN_CMD_CLI_OPT_H
#define KILN_CMD_CLI_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/platform.h"
#include "base/strv.h"

enum opt_type {
	OPT_BOOL,     /* bool: --x, --x=true, --x=false */
	OPT_STRING,   /* const char *: the last one wins; borrowed from argv */
	OPT_LIST,     /* struct strv: every occurrence, in order */
	OPT_CSV,      /* struct strv: names of every occurrence (csv_names) */
	OPT_INT,      /* int64_t */
	OPT_SIZE,     /* uint64_t: "64m", "10GB" */
	OPT_PLATFORM, /* struct platform: the last one wins; its value before is the default */
	OPT_OPTIONAL, /* const char *: a value only in the form --x=value; bare --x is "" */
	OPT_IGNORED,  /* accepted with a value and without effect (docker's legacy options) */
	OPT_IGNORED_BOOL,
	OPT_REFUSED, /* docker's, and not here; `target` is the sentence that says why */
};

struct opt {
	const char *name; /* without dashes; NULL ends the table */
	char letter;	  /* 0: none */
	enum opt_type type;
	void *target;
	const char *value; /* what --help calls the value; NULL for booleans */
	const char *help;  /* NULL: hidden */
};

struct command {
	const char *name;
	int (*run)(const struct command *self, int argc, char **argv);
	const char *synopsis; /* after "kiln NAME" */
	const char *summary;  /* one line */
};

enum opt_flags {
	OPT_STOP_AT_ARGUMENT = 1, /* what follows the first argument belongs to it (kiln run) */
};

/* Of an OPT_PLATFORM whose default is all zero: NULL where none was given. */
static inline const struct platform *opt_platform(const struct platform *p)
{
	return *p->os ? p : NULL;
}

/* Parses argv[1..]; the rest is appended to `args`. *ret_help is set if --help or -h was given
 * (then nothing else matters). */
int opt_parse(const struct opt *table, int argc, char **argv, unsigned flags, struct strv *args,
	      bool *ret_help, struct error **err) _must_check_;
/* For a command whose first argument says what it does: is that argument --help or -h? Then its
 * help is printed. */
bool opt_first_is_help(const struct command *command, int argc, char **argv);
/* Does the option take a value, also as the next argument? */
bool opt_takes_value(const struct opt *o);
/* Prints usage, summary and options to stdout. */
void opt_help(const struct command *command, const struct opt *table);
/* From now on opt_help calls this instead: whoever runs a command with --help is shown its options,
 * as for manual pages and completion. */
typedef void opt_help_fn(const struct command *command, const struct opt *table, void *arg);
void opt_help_by(opt_help_fn *fn, void *arg);

#endif
