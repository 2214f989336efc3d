/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln import`: an image of one layer from a tar. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "cmd/progress/display.h"
#include "engine/image/import.h"
#include "frontend/frontend.h"
#include "store/space.h"

struct import_command {
	const char *file, *name, *message, *progress;
	struct platform platform;
	const struct strv *changes;
};

/* The instructions that change a config and nothing else. */
static int check_change(const char *change, struct error **err)
{
	static const char *const allowed[] = {"CMD",	     "ENTRYPOINT", "ENV",     "EXPOSE",
					      "HEALTHCHECK", "LABEL",	   "ONBUILD", "STOPSIGNAL",
					      "USER",	     "VOLUME",	   "WORKDIR"};
	size_t n = strcspn(change, " \t");

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (strlen(allowed[i]) == n && strncasecmp(allowed[i], change, n) == 0 &&
		    !strchr(change, '\n'))
			return 0;
	return error_new(err, ERR_INVALID, 0,
			 "--change \"%s\": only CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, "
			 "ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR change an image's config",
			 change);
}

/* The changes are Dockerfile instructions: compiled on top of nothing they give the config. */
static int compile_changes(const struct strv *changes, const struct platform *platform,
			   struct frontend_result *ret, struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct frontend_opts opts = {.name = "--change",
				     .target_platform = *platform,
				     .build_platform = platform_host()};
	struct graph graph;
	int r = 0;

	buf_adds(&text, "FROM scratch\n");
	for (size_t i = 0; i < changes->n && r == 0; i++) {
		r = check_change(changes->v[i], err);
		buf_addf(&text, "%s\n", changes->v[i]);
	}
	if (r < 0)
		return r;
	opts.data = text.p;
	opts.size = text.n;
	graph_init(&graph);
	r = frontend_compile(&opts, &graph, ret, err);
	if (r < 0)
		frontend_result_release(ret);
	graph_release(&graph);
	return r;
}

static int open_input(const char *file, struct error **err)
{
	int fd;

	if (strcmp(file, "-") == 0)
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(file, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_new(err, ERR_IO, errno, "open '%s'", file) : fd;
}

static int import(const struct import_command *c, struct store *s, const struct progress *progress,
		  struct export_result *result, struct error **err)
{
	struct import_options o = {.name = c->name, .message = c->message};
	struct frontend_result changes = {0};
	_cleanup_close_ int fd = -1;
	int r = compile_changes(c->changes, &c->platform, &changes, err);

	if (r < 0)
		return r;
	o.config = &changes.config;
	fd = open_input(c->file, err);
	r = fd < 0 ? fd
		   : import_rootfs(s, fd, c->file, &o, progress, session_cancel(), result, err);
	frontend_result_release(&changes);
	return r;
}

static int run(const struct import_command *c, enum display_mode mode, struct error **err)
{
	_cleanup_(export_result_release) struct export_result result = {0};
	_cleanup_(store_closep) struct store *s = NULL;
	struct display *display = NULL;
	char id[DIGEST_TEXT];
	int r = session_open_store_for_image(&s, err);

	if (r == 0)
		r = display_open(mode, "Importing", &display, err);
	if (r == 0)
		r = import(c, s, display_progress(display), &result, err);
	display_close(display, r < 0);
	if (r < 0)
		return session_fail(r, err);
	printf("%s\n", digest_format(&result.config, id));
	(void)!space_maintain(s, NULL);
	return 0;
}

int cmd_import(const struct command *self, int argc, char **argv)
{
	_cleanup_strv_ struct strv changes = {0};
	struct import_command c = {.platform = platform_host()};
	const struct opt table[] = {
		{"change", 'c', OPT_LIST, &changes, "INSTRUCTION",
		 "Apply a Dockerfile instruction to the image's config"},
		{"message", 'm', OPT_STRING, &c.message, "TEXT", "Comment of the history entry"},
		{"platform", 0, OPT_PLATFORM, &c.platform, "PLATFORM", "Platform of the image"},
		{"progress", 0, OPT_STRING, &c.progress, "MODE",
		 "auto, plain, ordered, tty or quiet"},
		{0},
	};
	enum display_mode mode = DISPLAY_QUIET;
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n < 1 || args.n > 2)
		return session_misuse(self, "takes a tar file (or -) and a name");
	if (c.progress && display_mode_parse(c.progress, &mode, &err) < 0)
		return session_usage(self, &err);
	c.file = args.v[0];
	c.name = args.n > 1 ? args.v[1] : NULL;
	c.changes = &changes;
	return run(&c, mode, &err);
}
