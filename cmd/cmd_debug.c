/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln debug`: the compiled graph, and what the key of a step is made of. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/times.h"
#include "cmd/build/debug_graph.h"
#include "cmd/build/debug_shell.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "engine/cache/step_trace.h"
#include "store/trace.h"

enum { TRACES_MAX = 10000 };

/* Takes --format out of the arguments and leaves the rest to the build's options. */
static int debug_graph(const struct command *self, int argc, char **argv)
{
	_cleanup_free_ char **rest = xcalloc((size_t)argc + 1, sizeof(*rest));
	const char *format = "json";
	struct error *err = NULL;
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--format") == 0 && i + 1 < argc)
			format = argv[++i];
		else if (strncmp(argv[i], "--format=", 9) == 0)
			format = argv[i] + 9;
		else
			rest[n++] = argv[i];
	}
	if (strcmp(format, "json") != 0 && strcmp(format, "dot") != 0) {
		(void)error_new(&err, ERR_INVALID, 0, "--format: \"%s\" is not json or dot",
				format);
		return session_usage(self, &err);
	}
	return build_debug_graph(self, n, rest, strcmp(format, "json") == 0);
}

/* The whole name as displayed, or the instruction alone, as a glob. */
static bool is_step(const json_t *trace, const char *step)
{
	const char *name = json_string_value(json_object_get(trace, "name"));
	const char *end = *name == '[' ? strstr(name, "] ") : NULL;

	return strcmp(name, step) == 0 || fnmatch(step, name, 0) == 0 ||
	       (end && fnmatch(step, end + 2, 0) == 0);
}

static void print_trace(json_t *trace, const struct trace *t)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char *created = times_rfc3339(t->created);

	json_object_set_new(trace, "record", json_integer(t->record));
	json_object_set_new(trace, "created", json_string(created));
	js_dump_go(trace, 2, true, &b);
	printf("%.*s\n", (int)b.n, b.p);
	free(created);
}

static int find_key(struct store *s, const char *step, struct error **err)
{
	struct trace *list = NULL;
	bool found = false;
	size_t n = 0;
	int r = trace_list(s, NULL, 0, TRACES_MAX, &list, &n, err);

	for (size_t i = 0; i < n; i++) {
		_cleanup_json_ json_t *trace = NULL;

		if (!found &&
		    step_trace_decode(list[i].data.p, list[i].data.n, &trace, NULL) == 0 &&
		    is_step(trace, step)) {
			print_trace(trace, &list[i]);
			found = true;
		}
		trace_release(&list[i]);
	}
	free(list);
	if (r == 0 && !found)
		r = error_new(err, ERR_NOTFOUND, 0, "no cache record of a step like \"%s\"", step);
	return r;
}

static int debug_key(const char *step)
{
	struct error *err = NULL;
	struct store *s = NULL;
	int r = session_open_store(&s, &err);

	if (r == 0)
		r = find_key(s, step, &err);
	store_close(s);
	return r < 0 ? session_fail(r, &err) : 0;
}

/* As `kiln run --rm -it --entrypoint /bin/sh IMAGE`, without a terminal where there is none. */
static int debug_shell_image(const struct command *self, char *image)
{
	static char run[] = "run", tty[] = "-it", no_tty[] = "-i", shell[] = "--entrypoint=/bin/sh";
	char *argv[] = {run, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? tty : no_tty, shell,
			image, NULL};

	return cmd_run(self, ARRAY_SIZE(argv) - 1, argv);
}

/* The arguments after STEP are the build's. */
static int debug_shell_step(const struct command *self, int argc, char **argv)
{
	struct error *err = NULL;
	const char *step = argv[1];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		(void)error_new(&err, ERR_INVALID, 0,
				"shell: standard input or standard error is not a terminal");
		return session_usage(self, &err);
	}
	argv[1] = argv[0];
	return build_debug_shell(self, argc - 1, argv + 1, step);
}

int cmd_debug(const struct command *self, int argc, char **argv)
{
	if (opt_first_is_help(self, argc, argv))
		return 0;
	if (argc >= 3 && strcmp(argv[1], "graph") == 0)
		return debug_graph(self, argc - 1, argv + 1);
	if (argc == 3 && strcmp(argv[1], "key") == 0)
		return debug_key(argv[2]);
	if (argc == 3 && strcmp(argv[1], "shell") == 0)
		return debug_shell_image(self, argv[2]);
	if (argc > 3 && strcmp(argv[1], "shell") == 0)
		return debug_shell_step(self, argc - 1, argv + 1);
	return session_misuse(
		self, "expected 'graph [--format json|dot] [BUILD OPTIONS] CONTEXT', 'key STEP', "
		      "'shell IMAGE' or 'shell STEP [BUILD OPTIONS] CONTEXT'");
}
