/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln builds`, which docker calls `buildx history`: the builds that were made here. */
#include <stdio.h>
#include <string.h>

#include "cmd/builds/builds.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"

/* Those that take one build at most: the last one if none is named. */
static int inspect(struct store *s, const struct builds_options *o, const struct strv *refs,
		   struct error **err)
{
	struct history_entry entry;
	int r = history_find(s, refs->n > 0 ? refs->v[0] : NULL, &entry, err);

	return r < 0 ? r : builds_inspect(s, o, &entry, err);
}

static int logs(struct store *s, const struct builds_options *o, const struct strv *refs,
		struct error **err)
{
	struct history_entry entry;
	int r = history_find(s, refs->n > 0 ? refs->v[0] : NULL, &entry, err);

	return r < 0 ? r : builds_logs(s, o, &entry, err);
}

static int trace(struct store *s, const struct builds_options *o, const struct strv *refs,
		 struct error **err)
{
	struct history_entry entry;
	int r = history_find(s, refs->n > 0 ? refs->v[0] : NULL, &entry, err);

	(void)o;
	return r < 0 ? r : builds_trace(s, &entry, err);
}

static int list(struct store *s, const struct builds_options *o, const struct strv *refs,
		struct error **err)
{
	(void)refs;
	return builds_list(s, o, err);
}

static int remove_all(struct store *s, struct error **err)
{
	struct history_list all = {0};
	int r = history_list(s, &all, err);

	for (size_t i = 0; i < all.entries.n && r == 0; i++)
		r = history_remove(s, all.entries.v[i].ref, err);
	history_list_release(&all);
	return r;
}

static int remove_builds(struct store *s, const struct builds_options *o, const struct strv *refs,
			 struct error **err)
{
	VEC(struct history_entry) found = {0};
	int r = o->all ? remove_all(s, err) : 0;

	/* All are found before any goes: ^1 is the same build whatever stands before it. */
	for (size_t i = 0; i < refs->n && r == 0; i++) {
		struct history_entry entry;

		r = history_find(s, refs->v[i], &entry, err);
		if (r == 0)
			vec_push(&found, entry);
	}
	for (size_t i = 0; i < found.n && r == 0; i++)
		r = history_remove(s, found.v[i].ref, err);
	vec_release(&found);
	return r;
}

enum arguments { NO_REF, ONE_REF, REFS };

static const struct subcommand {
	const char *name;
	int (*run)(struct store *s, const struct builds_options *o, const struct strv *refs,
		   struct error **err);
	enum arguments takes;
} subcommands[] = {
	{"ls", list, NO_REF},	     {"inspect", inspect, ONE_REF}, {"logs", logs, ONE_REF},
	{"rm", remove_builds, REFS}, {"trace", trace, ONE_REF},
};

static int check(const struct builds_options *o, const struct strv *args,
		 const struct subcommand **ret, struct strv *refs, struct error **err)
{
	*ret = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		if (args->n > 0 && strcmp(args->v[0], subcommands[i].name) == 0)
			*ret = &subcommands[i];
	if (!*ret)
		return error_new(err, ERR_INVALID, 0,
				 "takes a subcommand: ls, inspect [REF], logs [REF], rm REF... or "
				 "trace [REF]");
	for (size_t i = 1; i < args->n; i++)
		strv_push(refs, args->v[i]);
	if (refs->n > ((*ret)->takes == NO_REF ? 0 : (*ret)->takes == ONE_REF ? 1 : SIZE_MAX))
		return error_new(err, ERR_INVALID, 0, "%s takes %s", (*ret)->name,
				 (*ret)->takes == NO_REF ? "no argument" : "at most one REF");
	if ((*ret)->takes == REFS && (refs->n > 0) == o->all)
		return error_new(err, ERR_INVALID, 0, "rm takes one or more REFs, or --all");
	return 0;
}

int cmd_builds(const struct command *self, int argc, char **argv)
{
	struct builds_options o = {0};
	const struct opt table[] = {
		{"all", 0, OPT_BOOL, &o.all, NULL, "rm: all of them"},
		{"builder", 0, OPT_IGNORED, NULL, NULL, NULL},
		{"filter", 0, OPT_LIST, &o.filters, "FILTER",
		 "ls: such as status=error, status!=completed, duration>30s"},
		{"format", 0, OPT_STRING, &o.format, "FORMAT",
		 "ls: table, json or a Go template; inspect: pretty, json or a Go template"},
		{"no-trunc", 0, OPT_BOOL, &o.no_trunc, NULL, "ls: show names whole"},
		{"progress", 0, OPT_STRING, &o.progress, "MODE",
		 "logs: plain (default), ordered or rawjson"},
		{"quiet", 'q', OPT_BOOL, &o.quiet, NULL, "ls: show refs only"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0}, refs = {0};
	const struct subcommand *sub = NULL;
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (check(&o, &args, &sub, &refs, &err) < 0) {
		strv_release(&o.filters);
		return session_usage(self, &err);
	}
	r = session_open_store(&s, &err);
	if (r == 0)
		r = sub->run(s, &o, &refs, &err);
	strv_release(&o.filters);
	return r < 0 ? session_fail(r, &err) : 0;
}
