/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln context ls`, `show`, `inspect`, `use`: docker's commands about where it works. There is one
 * such place. */
#include <stdio.h>
#include <string.h>

#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"

#define CONTEXT "default"
#define DESCRIPTION "The store of this user"

static int check_name(const char *name, struct error **err)
{
	if (strcmp(name, CONTEXT) == 0)
		return 0;
	return error_new(err, ERR_NOTFOUND, 0,
			 "context \"%s\": kiln has \"" CONTEXT
			 "\" alone: it builds here, in its store",
			 name);
}

int cmd_context_ls(const struct command *self, int argc, char **argv)
{
	static const char *const heads[] = {"NAME", "DESCRIPTION", "DOCKER ENDPOINT", "ERROR"};
	const char *format = NULL;
	bool quiet = false;
	const struct opt table[] = {
		{"format", 0, OPT_STRING, &format, "FORMAT",
		 "json or a Go template such as {{.Name}}"},
		{"quiet", 'q', OPT_BOOL, &quiet, NULL, "Only names"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	_cleanup_free_ char *store = NULL;
	struct table t = {.columns = ARRAY_SIZE(heads)};
	struct error *err = NULL;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments");
	store = session_store_root();
	if (quiet) {
		printf(CONTEXT "\n");
	} else if (format) {
		r = template_print_document(format,
					    json_pack("{s:b, s:s, s:s, s:s, s:s}", "Current", 1,
						      "Description", DESCRIPTION, "DockerEndpoint",
						      store, "Error", "", "Name", CONTEXT),
					    &err);
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
			table_cell(&t, heads[i]);
		table_cell(&t, CONTEXT " *");
		table_cell(&t, DESCRIPTION);
		table_cell(&t, store);
		table_cell(&t, "");
		table_print(&t, stdout);
		table_release(&t);
	}
	return r < 0 ? session_fail(r, &err) : 0;
}

int cmd_context_show(const struct command *self, int argc, char **argv)
{
	static const struct opt table[] = {{0}};
	_cleanup_strv_ struct strv args = {0};
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments");
	printf(CONTEXT "\n");
	return 0;
}

int cmd_context_use(const struct command *self, int argc, char **argv)
{
	static const struct opt table[] = {{0}};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 1)
		return session_misuse(self, "takes one context");
	if (check_name(args.v[0], &err) < 0)
		return session_fail(-ERR_NOTFOUND, &err);
	printf(CONTEXT "\n");
	return 0;
}

int cmd_context_inspect(const struct command *self, int argc, char **argv)
{
	const char *format = NULL;
	const struct opt table[] = {
		{"format", 'f', OPT_STRING, &format, "TEMPLATE", "Print with a Go template"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	_cleanup_free_ char *store = NULL;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct error *err = NULL;
	json_t *context;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	for (size_t i = 0; i < args.n && r == 0; i++)
		r = check_name(args.v[i], &err);
	if (r < 0)
		return session_fail(r, &err);
	store = session_store_root();
	context = json_pack("{s:s, s:{}, s:{s:{s:s, s:b}}}", "Name", CONTEXT, "Metadata",
			    "Endpoints", "docker", "Host", store, "SkipTLSVerify", 0);
	if (format) {
		r = template_print_document(format, context, &err);
		return r < 0 ? session_fail(r, &err) : 0;
	}
	context = json_pack("[o]", context);
	js_dump_go(context, 4, false, &out);
	json_decref(context);
	printf("%s\n", out.p);
	return 0;
}
