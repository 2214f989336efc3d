#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/times.h"
#include "cmd/commands.h"
#include "cmd/session.h"
#include "store/gc.h"

struct prune_command {
	bool all, force;
	const char *keep_storage;
	struct strv filters;
};

static int parse_filters(const struct prune_command *c, struct prune_options *o, struct error **err)
{
	for (size_t i = 0; i < c->filters.n; i++) {
		const char *filter = c->filters.v[i];
		int64_t age;

		if (strncmp(filter, "until=", 6) != 0 || times_parse_duration(filter + 6, &age) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "invalid filter '%s': use until=DURATION, as in until=24h",
					 filter);
		o->unused_since = times_now_ns() - age;
	}
	return 0;
}

static bool confirmed(const struct prune_command *c)
{
	char answer[16];

	if (c->force || !isatty(STDIN_FILENO))
		return true;
	fprintf(stderr, "This removes %s build cache that no image needs. Continue? [y/N] ",
		c->all || (!c->filters.n && !c->keep_storage) ? "all" : "the named");
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int prune(const struct prune_options *o, struct error **err)
{
	_cleanup_(gc_result_release) struct gc_result result = {0};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_free_ char *size = NULL;
	int r = session_open_store(&s, err);

	if (r == 0)
		r = store_prune(s, o, &result, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < result.mounts.n; i++)
		printf("Deleted cache mount: %s\n", result.mounts.v[i]);
	size = times_human_size(result.bytes);
	printf("Deleted: %zu cache records, %zu layers, %zu blobs\n", result.n_records,
	       result.n_layers, result.n_blobs);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

int cmd_prune(const struct command *self, int argc, char **argv)
{
	struct prune_command c = {0};
	struct prune_options o = {0};
	const struct opt table[] = {
		{"all", 'a', OPT_BOOL, &c.all, NULL, "Cache mounts too"},
		{"filter", 0, OPT_LIST, &c.filters, "until=AGE", "Only what was not used for AGE"},
		{"force", 'f', OPT_BOOL, &c.force, NULL, "Do not ask"},
		{"keep-storage", 0, OPT_STRING, &c.keep_storage, "SIZE",
		 "Keep this much, the most recently used"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status = 0;
	bool help;

	r = opt_parse(table, argc, argv, 0, &args, &help, &err);
	if (r == 0 && !help && args.n > 0)
		r = error_new(&err, ERR_INVALID, 0, "takes no argument");
	if (r == 0)
		r = parse_filters(&c, &o, &err);
	if (r == 0 && c.keep_storage) {
		o.limit_storage = true;
		if (times_parse_size(c.keep_storage, &o.keep_storage) < 0)
			r = error_new(&err, ERR_INVALID, 0,
				      "--keep-storage: \"%s\" is not a size such as 10GB",
				      c.keep_storage);
	}
	o.all = !o.limit_storage && !o.unused_since;
	o.mounts = c.all;
	if (help)
		opt_help(self, table);
	else if (r < 0)
		status = session_usage(self->name, &err);
	else if (confirmed(&c)) {
		r = prune(&o, &err);
		status = r < 0 ? session_fail(r, &err) : 0;
	}
	strv_release(&c.filters);
	return status;
}
