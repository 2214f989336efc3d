/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/session.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/cli/show.h"
#include "engine/sandbox/userns.h"
#include "engine/upkeep.h"

static struct cancel interrupt = {.fd = -1};

static const char *home_dir(void)
{
	const char *home = getenv("HOME");
	const struct passwd *pw;

	if (home && *home)
		return home;
	pw = getpwuid(getuid());
	return pw ? pw->pw_dir : "/";
}

char *session_store_root(void)
{
	const char *root = getenv("KILN_ROOT"), *data = getenv("XDG_DATA_HOME"), *home;
	_cleanup_free_ char *cwd = NULL;

	if (root && root[0] == '/')
		return xstrdup(root);
	if (root && *root) {
		cwd = getcwd(NULL, 0);
		return xasprintf("%s/%s", cwd ? cwd : "", root);
	}
	if (geteuid() == 0)
		return xstrdup("/var/lib/kiln");
	if (data && *data)
		return xasprintf("%s/kiln", data);
	home = home_dir();
	return xasprintf("%s/.local/share/kiln", strcmp(home, "/") == 0 ? "" : home);
}

int session_open_store(struct store **ret, struct error **err)
{
	_cleanup_free_ char *root = session_store_root();
	int r = userns_enter(err);

	if (r < 0)
		return error_wrap(err, r, "set up rootless mode");
	r = store_open(root, ret, err);
	if (r == 0)
		store_watch(*ret, &interrupt);
	/* HOME may be unset, or somewhere that cannot be written. */
	if ((r == -ERR_IO || r == -ERR_DENIED || r == -ERR_NOTFOUND) && !error_hint_text(*err))
		r = error_hint(err, r, "set KILN_ROOT to a folder that this user may write");
	if (r == -ERR_NOSPACE && !error_hint_text(*err))
		r = error_hint(
			err, r,
			"free some space there, or set KILN_ROOT to a folder on another disk");
	return r;
}

int session_open_store_for_image(struct store **ret, struct error **err)
{
	_cleanup_(config_release) struct config config = {0};
	int r = config_load(&config, err);

	if (r == 0)
		r = session_open_store(ret, err);
	if (r == 0)
		upkeep_set_policy(*ret, &config.gc, true);
	return r;
}

static void on_signal(int number)
{
	(void)number;
	if (cancel_is_set(&interrupt))
		_exit(EXIT_INTERRUPTED);
	cancel_set(&interrupt);
}

struct cancel *session_cancel(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	if (interrupt.fd < 0) {
		cancel_init(&interrupt);
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
			struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

			sigaction(signals[i], &sa, NULL);
		}
	}
	return &interrupt;
}

const char *session_hint(const struct error *err)
{
	const char *hint = error_hint_text(err);

	if (!hint && error_code(err) == ERR_NOSPACE)
		hint = "free some space, or let kiln do so with: kiln prune";
	if (!hint && (error_errno(err) == EMFILE || error_errno(err) == ENFILE))
		hint = "let kiln have more files open, for example with: ulimit -n 1024";
	if (!hint && error_errno(err) == EAGAIN)
		hint = "let kiln have more threads: see 'ulimit -u' and pids.max of its cgroup";
	return hint;
}

void session_warn(struct store *s)
{
	_cleanup_strv_ struct strv notices = {0};

	store_take_notices(s, &notices);
	for (size_t i = 0; i < notices.n; i++)
		show(stderr, "WARNING: %s\n", notices.v[i]);
}

int session_fail(int r, struct error **err)
{
	const char *hint = session_hint(*err);
	int status = r == -ERR_CANCELED ? EXIT_INTERRUPTED : EXIT_FAILED;

	show(stderr, "ERROR: %s\n", error_text(*err));
	if (hint)
		show(stderr, "%s\n", hint);
	error_free(*err);
	*err = NULL;
	return status;
}

int session_usage(const struct command *command, struct error **err)
{
	const char *hint = error_hint_text(*err);
	_cleanup_free_ char *what =
		xasprintf("%s%s%s", error_text(*err), hint ? "; " : "", hint ? hint : "");

	error_free(*err);
	*err = NULL;
	return session_misuse(command, what);
}

int session_misuse(const struct command *command, const char *what)
{
	const char *gap = *command->name ? " " : ""; /* the program itself has no name */

	show(stderr, "kiln%s%s: %s\nSee 'kiln%s%s --help'.\n", gap, command->name, what, gap,
	     command->name);
	return EXIT_USAGE;
}

bool session_confirmed(bool force, const char *fmt, ...)
{
	_cleanup_free_ char *what = NULL;
	char answer[16] = "";
	va_list ap;
	bool yes;

	if (force)
		return true;
	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	show(stderr, "WARNING! This will remove %s.\nAre you sure you want to continue? [y/N] ",
	     what);
	yes = fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
	if (!yes)
		show(stderr, "%sNothing was removed. Give --force where there is nobody to ask.\n",
		     *answer ? "" : "\n");
	return yes;
}

bool session_begin(const struct command *command, const struct opt *table, int argc, char **argv,
		   unsigned flags, struct strv *args, int *ret_status)
{
	struct error *err = NULL;
	bool help;
	int r = opt_parse(table, argc, argv, flags, args, &help, &err);

	*ret_status = 0;
	if (help)
		opt_help(command, table);
	else if (r < 0)
		*ret_status = session_usage(command, &err);
	return r == 0 && !help;
}
