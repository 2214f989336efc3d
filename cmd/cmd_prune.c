/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln prune`: frees what the build cache takes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/times.h"
#include "cmd/cli/cache_rows.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "engine/git/gitcache.h"
#include "store/gc.h"

struct prune_command {
	bool all, force, dry_run;
	const char *keep_storage, *reserved_space, *max_used_space, *min_free_space;
	struct cache_filter filter;
	struct cache_rows rows; /* which the choice is of */
	struct prune_choice choice;
};

static void prune_command_release(struct prune_command *c)
{
	cache_filter_release(&c->filter);
	vec_release(&c->choice.records);
	vec_release(&c->choice.mounts);
	cache_rows_release(&c->rows);
}

static int parse_size(const char *option, const char *text, uint64_t *ret, struct error **err)
{
	if (text && times_parse_size(text, ret) < 0)
		return error_new(err, ERR_INVALID, 0, "--%s: \"%s\" is not a size such as 10GB",
				 option, text);
	return 0;
}

static int parse(struct prune_command *c, const struct strv *filters, struct prune_options *o,
		 struct error **err)
{
	bool limited;
	int r = cache_filter_parse(filters, &c->filter, err);

	if (!c->keep_storage)
		c->keep_storage = c->reserved_space;
	if (r == 0)
		r = parse_size("keep-storage", c->keep_storage, &o->keep_storage, err);
	if (r == 0)
		r = parse_size("max-used-space", c->max_used_space, &o->max_used_space, err);
	if (r == 0)
		r = parse_size("min-free-space", c->min_free_space, &o->min_free_space, err);
	o->limit_storage = c->keep_storage;
	limited = o->limit_storage || o->max_used_space || o->min_free_space;
	o->mounts = c->all;
	o->dry_run = c->dry_run;
	o->unused_since = c->filter.unused_since;
	if (c->filter.conditions.n > 0) {
		o->only = &c->choice;
		o->mounts = true;
	}
	if (r == 0 && o->only && limited)
		r = error_new(
			err, ERR_INVALID, 0,
			"a limit of space can be combined with no --filter other than until=AGE");
	o->all = !limited && !o->unused_since && !o->only;
	return r;
}

/* What the conditions of --filter fit, by name. */
static int choose(struct store *s, struct prune_command *c, struct error **err)
{
	struct du_totals totals;
	int r = cache_rows_load(s, &c->rows, &totals, err);

	for (size_t i = 0; i < c->rows.n; i++) {
		const struct cache_row *row = &c->rows.v[i];

		if (!cache_filter_match(&c->filter, row))
			continue;
		if (row->is_mount)
			vec_push(&c->choice.mounts,
				 (struct prune_mount){row->mount, row->instance});
		else
			vec_push(&c->choice.records, row->record);
	}
	return r;
}

static int prune(struct prune_command *c, const struct prune_options *o, struct error **err)
{
	_cleanup_(gc_result_release) struct gc_result result = {0};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_free_ char *size = NULL;
	int r = session_open_store(&s, err);

	if (r == 0 && o->only)
		r = choose(s, c, err);
	if (r == 0)
		r = store_prune(s, o, &result, err);
	if (r == 0 && o->all)
		r = gitcache_prune(s, INT64_MAX, o->dry_run, &result.bytes, err);
	if (r < 0)
		return r;
	if (result.n_records > 0)
		printf("%s build cache objects:\n", o->dry_run ? "Would delete" : "Deleted");
	for (size_t i = 0; i < result.n_records; i++)
		printf("%" PRId64 "\n", result.records[i]);
	if (result.mounts.n > 0)
		printf("%s%s cache mounts:\n", result.n_records > 0 ? "\n" : "",
		       o->dry_run ? "Would delete" : "Deleted");
	for (size_t i = 0; i < result.mounts.n; i++)
		show(stdout, "%s\n", result.mounts.v[i]);
	size = times_human_size(result.bytes);
	printf("%s%s: %s\n", result.n_records + result.mounts.n > 0 ? "\n" : "",
	       o->dry_run ? "Total reclaimable space" : "Total reclaimed space", size);
	return 0;
}

int cmd_prune(const struct command *self, int argc, char **argv)
{
	_cleanup_strv_ struct strv filters = {0};
	_cleanup_(prune_command_release) struct prune_command c = {0};
	struct prune_options o = {0};
	const struct opt table[] = {
		{"all", 'a', OPT_BOOL, &c.all, NULL, "Cache mounts too"},
		{"dry-run", 0, OPT_BOOL, &c.dry_run, NULL, "Only show what would be removed"},
		{"filter", 0, OPT_LIST, &filters, "FILTER",
		 "Only records that match: until=AGE, type=TYPE, id=ID, description~=REGEX, inuse, "
		 "..."},
		{"force", 'f', OPT_BOOL, &c.force, NULL, "Do not ask"},
		{"keep-storage", 0, OPT_STRING, &c.keep_storage, "SIZE",
		 "Keep this much of what is most worth keeping"},
		{"reserved-space", 0, OPT_STRING, &c.reserved_space, NULL, NULL},
		{"max-used-space", 0, OPT_STRING, &c.max_used_space, "SIZE",
		 "Remove until the cache takes no more"},
		{"min-free-space", 0, OPT_STRING, &c.min_free_space, "SIZE",
		 "Remove until the disk has this much free"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no argument");
	if (parse(&c, &filters, &o, &err) < 0)
		return session_usage(self, &err);
	if (session_confirmed(c.force || c.dry_run, "%s build cache%s", o.all ? "all" : "the named",
			      o.all && o.mounts ? " and all cache mounts" : ""))
		r = prune(&c, &o, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
