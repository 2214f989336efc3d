/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln mounts`: the directories of RUN --mount=type=cache. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/times.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/commands.h"
#include "store/mounts.h"

struct mounts_options {
	bool quiet, force;
	const char *format;
	bool json;
	int64_t unused_since; /* of the filters; INT64_MAX: any age */
};

static json_t *to_json(const struct mount_info *m)
{
	_cleanup_free_ char *created = times_rfc3339(m->created);
	_cleanup_free_ char *used = times_rfc3339(m->last_used);

	return json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:b, s:s, s:s%}", "ID", m->id, "Instance",
			 (json_int_t)m->instance, "Size", (json_int_t)m->size, "CreatedAt", created,
			 "LastUsedAt", used, "UsageCount", (json_int_t)m->uses, "InUse", m->in_use,
			 "Path", m->path, "Step", m->step, strlen(m->step));
}

static void print_json(const struct mount_info *m, size_t flags)
{
	json_t *doc = to_json(m);
	_cleanup_free_ char *text = doc ? json_dumps(doc, flags) : NULL;

	printf("%s\n", text ? text : "{}");
	json_decref(doc);
}

static void print_table(const struct mount_info *mounts, size_t n)
{
	static const char *const heads[] = {"ID", "SIZE", "LAST USED", "USES", "STEP"};
	struct table t = {.columns = ARRAY_SIZE(heads)};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < n; i++) {
		const struct mount_info *m = &mounts[i];
		_cleanup_free_ char *size = times_human_size(m->size);
		_cleanup_free_ char *ago =
			m->in_use ? xstrdup("Now")
				  : times_human_age((times_now_ns() - m->last_used) / NS_PER_S);
		_cleanup_free_ char *uses = xasprintf("%" PRId64, m->uses);

		table_cell(&t, m->id);
		table_cell(&t, size);
		table_cell(&t, ago);
		table_cell(&t, uses);
		table_cell(&t, m->step);
	}
	table_print(&t, stdout);
	table_release(&t);
}

static int list(struct store *s, const struct mounts_options *o, const struct strv *ids,
		struct error **err)
{
	struct mount_info *mounts = NULL;
	size_t n = 0;
	int r = mounts_list(s, &mounts, &n, err);

	(void)ids;
	if (r == 0 && !o->quiet && !o->json)
		print_table(mounts, n);
	for (size_t i = 0; i < n; i++) {
		if (o->quiet)
			show(stdout, "%s\n", mounts[i].id);
		else if (o->json)
			print_json(&mounts[i], JSON_COMPACT);
		mount_info_release(&mounts[i]);
	}
	free(mounts);
	return r;
}

static int inspect(struct store *s, const struct mounts_options *o, const struct strv *ids,
		   struct error **err)
{
	struct mount_info *mounts = NULL;
	_cleanup_strv_ struct strv found = {0};
	size_t n = 0;
	int r = mounts_list(s, &mounts, &n, err);

	(void)o;
	for (size_t i = 0; i < n; i++) {
		if (strv_contains(ids, mounts[i].id)) {
			print_json(&mounts[i], JSON_INDENT(4));
			strv_push(&found, mounts[i].id);
		}
		mount_info_release(&mounts[i]);
	}
	free(mounts);
	for (size_t i = 0; i < ids->n && r == 0; i++)
		if (!strv_contains(&found, ids->v[i]))
			r = error_new(err, ERR_NOTFOUND, 0, "there is no cache mount '%s'",
				      ids->v[i]);
	return r;
}

static int prune(struct store *s, const struct mounts_options *o, const struct strv *ids,
		 struct error **err)
{
	_cleanup_strv_ struct strv removed = {0};
	_cleanup_free_ char *size = NULL;
	uint64_t bytes = 0;
	int r = mounts_prune(s, o->unused_since, &removed, &bytes, err);

	(void)ids;
	for (size_t i = 0; i < removed.n; i++)
		show(stdout, "%s%s\n", i == 0 ? "Deleted cache mounts:\n" : "", removed.v[i]);
	size = times_human_size(bytes);
	if (r == 0)
		printf("%sTotal reclaimed space: %s\n", removed.n ? "\n" : "", size);
	return r;
}

static int reset(struct store *s, const struct mounts_options *o, const struct strv *ids,
		 struct error **err)
{
	int r = 0;

	(void)o;
	for (size_t i = 0; i < ids->n && r == 0; i++) {
		r = mounts_remove(s, ids->v[i], err);
		if (r == 0)
			show(stdout, "%s\n", ids->v[i]);
	}
	return r;
}

static const struct subcommand {
	const char *name;
	int (*run)(struct store *s, const struct mounts_options *o, const struct strv *ids,
		   struct error **err);
	bool takes_ids;
} subcommands[] = {
	{"ls", list, false},
	{"inspect", inspect, true},
	{"prune", prune, false},
	{"reset", reset, true},
};

static int check(struct mounts_options *o, const struct strv *filters, const struct strv *args,
		 const struct subcommand **ret, struct strv *ids, struct error **err)
{
	*ret = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		if (args->n > 0 && strcmp(args->v[0], subcommands[i].name) == 0)
			*ret = &subcommands[i];
	if (!*ret)
		return error_new(err, ERR_INVALID, 0,
				 "takes a subcommand: ls, inspect ID, prune or reset ID");
	for (size_t i = 1; i < args->n; i++)
		strv_push(ids, args->v[i]);
	if ((*ret)->takes_ids != (ids->n > 0))
		return error_new(err, ERR_INVALID, 0, "%s takes %s", (*ret)->name,
				 (*ret)->takes_ids ? "at least one ID (see kiln mounts ls)"
						   : "no argument");
	if (o->format && strcmp(o->format, "json") != 0 && strcmp(o->format, "table") != 0)
		return error_new(err, ERR_INVALID, 0, "invalid --format '%s': use table or json",
				 o->format);
	o->json = o->format && strcmp(o->format, "json") == 0;
	o->unused_since = INT64_MAX;
	for (size_t i = 0; i < filters->n; i++) {
		const char *f = filters->v[i];
		int64_t age;

		if (strncmp(f, "until=", 6) != 0 || times_parse_duration(f + 6, &age) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "invalid filter '%s': use until=DURATION, as in until=24h",
					 f);
		o->unused_since = times_now_ns() - age;
	}
	return 0;
}

int cmd_mounts(const struct command *self, int argc, char **argv)
{
	_cleanup_strv_ struct strv filters = {0};
	struct mounts_options o = {0};
	const struct opt table[] = {
		{"filter", 0, OPT_LIST, &filters, "until=AGE",
		 "prune: only what was not used for AGE"},
		{"force", 'f', OPT_BOOL, &o.force, NULL, "prune: do not ask"},
		{"format", 0, OPT_STRING, &o.format, "FORMAT", "ls: table (default) or json"},
		{"quiet", 'q', OPT_BOOL, &o.quiet, NULL, "ls: show ids only"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0}, ids = {0};
	const struct subcommand *sub = NULL;
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (check(&o, &filters, &args, &sub, &ids, &err) < 0)
		return session_usage(self, &err);
	if (sub->run == prune &&
	    !session_confirmed(o.force, "all cache mounts%s",
			       filters.n > 0 ? " that were not used that long" : ""))
		return 0;
	r = session_open_store(&s, &err);
	if (r == 0)
		r = sub->run(s, &o, &ids, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
