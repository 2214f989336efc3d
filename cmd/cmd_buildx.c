/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln buildx ls`, `inspect`, `create`, `use`, `rm`: docker's commands about builders. There is one
 * builder, the store, so that what CI does before a build succeeds and changes nothing. */
#include <stdio.h>
#include <string.h>

#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"
#include "engine/doctor/doctor.h"

#define BUILDER "default"

/* What there is to tell of it. */
struct builder {
	char *store;
	struct doctor machine; /* its platforms */
};

static void builder_look(struct builder *b)
{
	*b = (struct builder){.store = session_store_root()};
	doctor_emulators(&b->machine);
}

static void builder_release(struct builder *b)
{
	free(b->store);
	doctor_release(&b->machine);
}

static json_t *builder_json(const struct builder *b)
{
	json_t *platforms = json_array(), *node;

	for (size_t i = 0; i < b->machine.platforms.n; i++)
		json_array_append_new(platforms, json_string(b->machine.platforms.v[i]));
	node = json_pack("{s:s, s:s, s:s, s:s, s:o}", "Name", BUILDER, "Endpoint", b->store,
			 "Status", "running", "Version", version_number(), "Platforms", platforms);
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:[o], s:s, s:s, s:s, s:O}", "Name", BUILDER,
			 "Driver", "kiln", "DriverEndpoint", b->store, "Current", 1, "Dynamic", 0,
			 "Nodes", node, "Status", "running", "Buildkit", version_number(),
			 "Version", version_number(), "Platforms", platforms);
}

int cmd_buildx_ls(const struct command *self, int argc, char **argv)
{
	const char *format = NULL;
	bool no_trunc = false;
	const struct opt table[] = {
		{"format", 0, OPT_STRING, &format, "FORMAT",
		 "json or a Go template such as {{.Name}}"},
		{"no-trunc", 0, OPT_BOOL, &no_trunc, NULL, NULL},
		{0},
	};
	struct table t = {.columns = 5};
	_cleanup_strv_ struct strv args = {0};
	_cleanup_free_ char *platforms = NULL;
	static const char *const heads[] = {"NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "BUILDKIT",
					    "PLATFORMS"};
	struct error *err = NULL;
	struct builder b;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments");
	builder_look(&b);
	if (format && strcmp(format, "table") != 0) {
		r = template_print_document(format, builder_json(&b), &err);
	} else {
		platforms = strv_join(&b.machine.platforms, ", ");
		for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
			table_cell(&t, heads[i]);
		table_cell(&t, BUILDER "*");
		table_cell(&t, "kiln");
		for (size_t i = 2; i < t.columns; i++)
			table_cell(&t, "");
		table_cell(&t, " \\_ " BUILDER);
		table_take(&t, xasprintf(" \\_ %s", b.store));
		table_cell(&t, "running");
		table_cell(&t, version_number());
		table_cell(&t, platforms);
		table_print(&t, stdout);
		table_release(&t);
	}
	builder_release(&b);
	return r < 0 ? session_fail(r, &err) : 0;
}

/* By any name: what CI has "created" before is the one builder, too. */
int cmd_buildx_inspect(const struct command *self, int argc, char **argv)
{
	const char *format = NULL;
	bool bootstrap = false;
	const struct opt table[] = {
		{"bootstrap", 0, OPT_BOOL, &bootstrap, NULL, NULL},
		{"builder", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"format", 0, OPT_STRING, &format, "FORMAT",
		 "json or a Go template such as {{.Name}}"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	_cleanup_free_ char *platforms = NULL;
	struct error *err = NULL;
	struct builder b;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 1)
		return session_misuse(self, "takes one name");
	builder_look(&b);
	platforms = strv_join(&b.machine.platforms, ", ");
	if (format)
		r = template_print_document(format, builder_json(&b), &err);
	else
		show(stdout,
		     "Name:   %s\nDriver: kiln\n\nNodes:\nName:      %s\nEndpoint:  %s\nStatus:    "
		     "running\nkiln version: %s\nPlatforms: %s\n",
		     BUILDER, BUILDER, b.store, version_number(), platforms);
	builder_release(&b);
	return r < 0 ? session_fail(r, &err) : 0;
}

static int check_driver(const char *driver, struct error **err)
{
	static const char *const here[] = {"docker", "docker-container", "kiln"};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(here); i++)
		if (!driver || !*driver || strcmp(driver, here[i]) == 0)
			return 0;
	r = error_new(
		err, ERR_UNSUPPORTED, 0,
		"create a builder with driver '%s': kiln builds where it runs, and nowhere else",
		driver);
	return error_hint(err, r, "leave --driver out, or run kiln there");
}

int cmd_buildx_create(const struct command *self, int argc, char **argv)
{
	const char *name = NULL, *driver = NULL;
	const struct opt table[] = {
		{"append", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"bootstrap", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"buildkitd-config", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"buildkitd-flags", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"config", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"driver", 0, OPT_STRING, &driver, "DRIVER",
		 "docker or docker-container: no difference"},
		{"driver-opt", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"leave", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"name", 0, OPT_STRING, &name, "NAME", "Printed, as docker does"},
		{"node", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"platform", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"timeout", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"use", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{0},
	};
	_cleanup_free_ char *store = NULL;
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 1)
		return session_misuse(self, "takes one context or endpoint");
	r = check_driver(driver, &err);
	if (r < 0)
		return session_fail(r, &err);
	store = session_store_root();
	show(stderr, "kiln has one builder, its store %s: nothing was created, and builds use it\n",
	     store);
	show(stdout, "%s\n", name ? name : BUILDER);
	return 0;
}

int cmd_buildx_use(const struct command *self, int argc, char **argv)
{
	const struct opt table[] = {
		{"builder", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"default", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"global", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	return args.n == 1 ? 0 : session_misuse(self, "takes one name");
}

int cmd_buildx_rm(const struct command *self, int argc, char **argv)
{
	const struct opt table[] = {
		{"all-inactive", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"builder", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"force", 'f', OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"keep-daemon", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"keep-state", 0, OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{"timeout", 0, OPT_IGNORED, NULL, NULL, NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	fprintf(stderr,
		"kiln has one builder, its store, which stays: kiln prune empties its cache, "
		"kiln store remove removes it\n");
	for (size_t i = 0; i < args.n; i++)
		show(stderr, "%s removed\n", args.v[i]);
	return 0;
}
