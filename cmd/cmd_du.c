/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln du`: what the build cache takes, and what keeps it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"
#include "base/times.h"
#include "base/vec.h"
#include "cmd/cli/cache_rows.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"

struct du_options {
	bool verbose, json;
	const char *format, *why;
	struct template *template; /* NULL: a table, or JSON */
	struct cache_filter filter;
};

static void du_options_release(struct du_options *o)
{
	template_free(o->template);
	cache_filter_release(&o->filter);
}

static char *age_of(int64_t when)
{
	return times_human_age((times_now_ns() - when) / NS_PER_S);
}

static json_t *to_json(const struct cache_row *row)
{
	_cleanup_free_ char *created = times_rfc3339(row->created);
	_cleanup_free_ char *used = times_rfc3339(row->last_used);
	json_t *doc =
		json_pack("{s:s, s:s, s:s, s:I, s:b, s:b, s:b, s:b, s:s, s:s, s:I}", "ID", row->id,
			  "Type", row->type, "Description", row->description, "Size",
			  (json_int_t)row->size, "Shared", row->shared, "InUse", row->in_use,
			  "Reclaimable", row->reclaimable, "Mutable", row->is_mount, "CreatedAt",
			  created, "LastUsedAt", used, "UsageCount", (json_int_t)row->uses);

	if (!doc) /* a description is bytes, perhaps no UTF-8 */
		doc = json_pack("{s:s, s:s, s:I}", "ID", row->id, "Type", row->type, "Size",
				(json_int_t)row->size);
	if (row->parent)
		json_object_set_new(doc, "Parents", json_pack("[s]", row->parent));
	return doc;
}

static int print_formatted(const struct du_options *o, const struct cache_row *row,
			   struct error **err)
{
	_cleanup_json_ json_t *doc = to_json(row);
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = 0;

	if (o->template)
		r = template_execute(o->template, doc, &out, err);
	else
		js_dump(doc, false, &out);
	if (r == 0)
		printf("%s\n", out.n ? out.p : "");
	return r;
}

static void print_verbose(const struct cache_row *row)
{
	_cleanup_free_ char *created = times_rfc3339(row->created);
	_cleanup_free_ char *size = times_human_size(row->size), *age = age_of(row->last_used);

	show(stdout, "ID:\t\t%s\n", row->id);
	if (row->parent)
		show(stdout, "Parent:\t\t%s\n", row->parent);
	printf("Created at:\t%s\n", created);
	printf("Mutable:\t%s\n", row->is_mount ? "true" : "false");
	printf("Reclaimable:\t%s\n", row->reclaimable ? "true" : "false");
	printf("Shared:\t\t%s\n", row->shared ? "true" : "false");
	printf("In use:\t\t%s\n", row->in_use ? "true" : "false");
	printf("Size:\t\t%s\n", size);
	if (row->description[0])
		show(stdout, "Description:\t%s\n", row->description);
	printf("Usage count:\t%" PRId64 "\n", row->uses);
	printf("Last used:\t%s\n", age);
	printf("Type:\t\t%s\n\n", row->type);
}

static void print_table(const struct cache_rows *list)
{
	static const char *const heads[] = {"ID",      "TYPE",	    "SIZE", "SHARED",
					    "CREATED", "LAST USED", "USES", "DESCRIPTION"};
	struct table t = {.columns = ARRAY_SIZE(heads)};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < list->n; i++) {
		const struct cache_row *row = &list->v[i];

		/* As docker does, an asterisk marks what cannot be reclaimed now. */
		table_take(&t, xasprintf("%s%s", row->id, row->reclaimable ? "" : "*"));
		table_cell(&t, row->type);
		table_take(&t, times_human_size(row->size));
		table_cell(&t, row->shared ? "true" : "false");
		table_take(&t, age_of(row->created));
		table_take(&t, age_of(row->last_used));
		table_take(&t, xasprintf("%" PRId64, row->uses));
		table_cell(&t, row->description);
	}
	table_print(&t, stdout);
	table_release(&t);
}

static void print_totals(const struct cache_rows *list, const struct du_totals *totals)
{
	uint64_t shared = 0, own = 0, reclaimable = 0;
	_cleanup_free_ char *all = times_human_size(totals->store);

	for (size_t i = 0; i < list->n; i++) {
		*(list->v[i].shared ? &shared : &own) += list->v[i].size;
		if (list->v[i].reclaimable)
			reclaimable += list->v[i].size;
	}
	{
		_cleanup_free_ char *s = times_human_size(shared), *p = times_human_size(own);
		_cleanup_free_ char *r = times_human_size(reclaimable);
		_cleanup_free_ char *t = times_human_size(shared + own);

		printf("Shared:\t\t%s\nPrivate:\t%s\nReclaimable:\t%s\nTotal:\t\t%s\n", s, p, r, t);
		printf("Store:\t\t%s\n", all);
	}
}

static int print_rows(const struct cache_rows *list, const struct du_options *o,
		      const struct du_totals *totals, struct error **err)
{
	bool formatted = o->json || o->template;
	int r = 0;

	if (!formatted && !o->verbose)
		print_table(list);
	for (size_t i = 0; i < list->n && r == 0; i++) {
		if (formatted)
			r = print_formatted(o, &list->v[i], err);
		else if (o->verbose)
			print_verbose(&list->v[i]);
	}
	if (!formatted)
		print_totals(list, totals);
	return r;
}

static int show_usage(struct store *s, const struct du_options *o, struct error **err)
{
	struct cache_rows all = {0}, wanted = {0};
	struct du_totals totals = {0};
	int r = cache_rows_load(s, &all, &totals, err);

	for (size_t i = 0; i < all.n; i++)
		if (cache_filter_match(&o->filter, &all.v[i]))
			vec_push(&wanted, all.v[i]);
	if (r == 0)
		r = print_rows(&wanted, o, &totals, err);
	vec_release(&wanted); /* its rows are those of `all` */
	cache_rows_release(&all);
	return r;
}

static int show_why(struct store *s, const char *text, struct error **err)
{
	_cleanup_strv_ struct strv lines = {0};
	const char *end = text;
	int64_t id = 0;
	int r = number_take_signed(&end, 0, INT64_MAX, &id);

	if (*end == '*' && end[1] == '\0')
		end++; /* as the table shows it */
	if (r < 0 || *end)
		return error_new(err, ERR_NOTFOUND, 0, "there is no cache record '%s'", text);
	r = store_why(s, id, &lines, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < lines.n; i++)
		printf("%s\n", lines.v[i]);
	if (lines.n == 0)
		printf("nothing: `kiln prune` frees it\n");
	return 0;
}

static int check(struct du_options *o, const struct strv *filters, struct error **err)
{
	o->json = o->format && strcmp(o->format, "json") == 0;
	if (o->format && !o->json && strcmp(o->format, "table") != 0) {
		int r = template_parse(o->format, &o->template, err);

		if (r < 0)
			return r;
	}
	return cache_filter_parse(filters, &o->filter, err);
}

int cmd_du(const struct command *self, int argc, char **argv)
{
	_cleanup_strv_ struct strv filters = {0};
	_cleanup_(du_options_release) struct du_options o = {0};
	const struct opt table[] = {
		{"filter", 0, OPT_LIST, &filters, "FILTER",
		 "Only records that match: until=AGE, type=TYPE, id=ID, description~=REGEX, inuse, "
		 "..."},
		{"format", 0, OPT_STRING, &o.format, "FORMAT",
		 "table (default), json or a Go template"},
		{"verbose", 0, OPT_BOOL, &o.verbose, NULL, "Show all that is known of each"},
		{"why", 0, OPT_STRING, &o.why, "ID", "Show what keeps a record from being freed"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no argument");
	if (check(&o, &filters, &err) < 0)
		return session_usage(self, &err);
	r = session_open_store(&s, &err);
	if (r == 0)
		r = o.why ? show_why(s, o.why, &err) : show_usage(s, &o, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
