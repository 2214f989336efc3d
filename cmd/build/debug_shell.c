/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/debug_shell.h"

#include "base/printable.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "engine/exec/console.h"
#include "engine/exec/shell.h"

static bool have_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO) &&
	       tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void say(const struct exec_stop *stop, const char *text)
{
	_cleanup_buf_ struct buf name = BUF_INIT;

	if (stop->name)
		printable_add(&name, stop->name, strlen(stop->name));
	fprintf(stderr, "\n%s\n%s", name.p, text);
}

/* Ctrl-C is an answer, too. */
static bool read_yes(struct cancel *cancel)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
				{.fd = cancel->fd, .events = POLLIN}};
	char line[256];
	ssize_t n;

	while (poll(fds, 2, -1) < 0)
		;
	if (fds[1].revents)
		return false;
	n = read(STDIN_FILENO, line, sizeof(line));
	return n > 0 && (line[0] == '\n' || line[0] == 'y' || line[0] == 'Y');
}

static bool is_wanted(const struct debug_shell *d, const struct exec_stop *stop)
{
	_cleanup_free_ char *question = NULL;

	if (stop->status < 0) {
		say(stop, "");
		return true;
	}
	question = xasprintf("The command failed with exit code %d. Open a shell in what it has "
			     "left? [Y/n] ",
			     stop->status);
	say(stop, question);
	return read_yes(d->cancel);
}

static void open_shell(struct debug_shell *d, const struct exec_stop *stop)
{
	struct error *err = NULL;
	int r = shell_plan(stop->plan, &err);

	if (r == 0)
		r = console_run(stop->plan, true, STDERR_FILENO, &d->status, &err);
	if (r < 0) {
		d->status = error_exit_status(err) ? error_exit_status(err) : EXIT_FAILED;
		show(stderr, "no shell: %s\n", error_text(err));
	}
	error_free(err);
	d->opened = true;
}

static void stopped(void *data, struct job *job, const struct exec_stop *stop)
{
	static const char none[] = "no shell: standard input or standard error is not a terminal, "
				   "or kiln runs in the background\n";
	struct debug_shell *d = data;

	if (!have_terminal()) {
		job_log(job, 2, none, sizeof(none) - 1);
		return;
	}
	display_pause(d->display);
	if (!cancel_is_set(d->cancel) && is_wanted(d, stop))
		open_shell(d, stop);
	display_resume(d->display);
}

void debug_shell_on_failure(struct debug_shell *d, struct exec_debugger *ret)
{
	*ret = (struct exec_debugger){.stopped = stopped, .data = d, .on_failure = true};
}

static int choose(const struct graph *g, const char *which, struct vertex **ret, struct error **err)
{
	struct vertex *found = NULL;

	for (size_t i = 0; i < g->n; i++) {
		struct vertex *v = g->vertices[i];

		if (v->op.kind != OP_EXEC || !vertex_matches(v, which))
			continue;
		if (found && !digest_equal(&found->digest, &v->digest))
			return error_new(err, ERR_INVALID, 0,
					 "\"%s\" matches several steps, \"%s\" and \"%s\": give "
					 "the line of one",
					 which, found->meta.name, v->meta.name);
		found = v;
	}
	if (!found)
		return error_new(err, ERR_NOTFOUND, 0,
				 "no RUN step of this build matches \"%s\" or is on that line",
				 which);
	*ret = found;
	return 0;
}

int debug_shell_before(struct debug_shell *d, const struct graph *g, const char *which,
		       struct exec_debugger *ret, struct vertex **ret_step, struct error **err)
{
	int r = choose(g, which, ret_step, err);

	if (r < 0)
		return r;
	(*ret_step)->meta.ignore_cache = true;
	*ret = (struct exec_debugger){
		.stopped = stopped,
		.data = d,
		.has_before = true,
		.before = (*ret_step)->digest,
	};
	return 0;
}
