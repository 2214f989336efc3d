/* SPDX-License-Identifier: Apache-2.0 */
/* What most commands need: the store, the configuration, a way to be interrupted, a way to fail. */
#ifndef KILN_CMD_CLI_SESSION_H
#define KILN_CMD_CLI_SESSION_H

#include "base/cancel.h"
#include "base/error.h"
#include "base/imageref.h"
#include "cmd/cli/opt.h"
#include "store/image.h"
#include "store/store.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* Where the store is: $KILN_ROOT, else /var/lib/kiln for root, else $XDG_DATA_HOME/kiln. Heap. */
char *session_store_root(void);

/* Opens the store. For a user who is not root it first enters a user namespace (engine/sandbox/userns.h),
 * so it must be called while the process has one thread. */
int session_open_store(struct store **ret, struct error **err) _must_check_;
/* The same for a command that writes an image into the store, which limits the cache meanwhile as
 * configured; space_maintain when it is done. */
int session_open_store_for_image(struct store **ret, struct error **err) _must_check_;

/* Ctrl-C, SIGTERM and SIGHUP set the returned switch; a second one ends the process at once. */
struct cancel *session_cancel(void);

/* What to do about the error: its own hint, or one that holds for all of its kind. NULL if none. */
const char *session_hint(const struct error *err);
/* Prints what the command found damaged in the store and forgot (store_notice) to stderr, as
 * warnings. */
void session_warn(struct store *s);
/* Prints "ERROR: text" and the hint to stderr and returns the exit status for r. Frees *err. */
int session_fail(int r, struct error **err) _must_check_;
/* The same for wrong usage: "kiln NAME: text", status 2, of an error or of a text. */
int session_usage(const struct command *command, struct error **err) _must_check_;
int session_misuse(const struct command *command, const char *what);

/* May what `fmt` says be removed? Asks on stderr and reads a line of stdin: without -f nothing is
 * removed unless somebody says yes. */
bool session_confirmed(bool force, const char *fmt, ...) _printf_(2, 3);

/* How a command begins: parses its options into what `table` points to, and its arguments. False:
 * the command has ended, --help or a bad option, with the exit status *ret_status. */
bool session_begin(const struct command *command, const struct opt *table, int argc, char **argv,
		   unsigned flags, struct strv *args, int *ret_status);

#endif
