#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/times.h"
#include "base/vec.h"
#include "cmd/commands.h"
#include "cmd/session.h"
#include "cmd/table.h"
#include "store/du.h"
#include "store/mounts.h"

#define MOUNT_TYPE "exec.cachemount"

struct du_options {
	bool verbose, json;
	const char *format, *why;
	/* of the filters */
	int64_t unused_since; /* 0: any */
	const char *type, *id;
	int shared, in_use; /* -1: any */
};

/* A line of the list: a cache record or a cache mount. */
struct row {
	char *id, *parent; /* parent NULL: none */
	const char *type, *description;
	int64_t created, last_used, uses;
	uint64_t size;
	bool shared, in_use, reclaimable, is_mutable;
};

typedef VEC(struct row) rows;

static int parse_bool(const char *filter, const char *value, int *ret, struct error **err)
{
	bool yes = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;

	if (!yes && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
		return error_new(err, ERR_INVALID, 0, "invalid filter '%s': use true or false",
				 filter);
	*ret = yes;
	return 0;
}

static int parse_filters(struct du_options *o, const struct strv *filters, struct error **err)
{
	int r = 0;

	o->shared = o->in_use = -1;
	for (size_t i = 0; i < filters->n && r == 0; i++) {
		const char *f = filters->v[i];
		int64_t age;

		if (strncmp(f, "type=", 5) == 0) {
			o->type = f + 5;
		} else if (strncmp(f, "id=", 3) == 0) {
			o->id = f + 3;
		} else if (strncmp(f, "shared=", 7) == 0) {
			r = parse_bool(f, f + 7, &o->shared, err);
		} else if (strncmp(f, "inuse=", 6) == 0) {
			r = parse_bool(f, f + 6, &o->in_use, err);
		} else if (strncmp(f, "until=", 6) == 0 && times_parse_duration(f + 6, &age) == 0) {
			o->unused_since = times_now_ns() - age;
		} else {
			r = error_new(err, ERR_INVALID, 0,
				      "invalid filter '%s': use until=DURATION, type=TYPE, id=ID, "
				      "shared=true|false or inuse=true|false",
				      f);
		}
	}
	return r;
}

static bool is_wanted(const struct du_options *o, const struct row *row)
{
	return (!o->type || strcmp(o->type, row->type) == 0) &&
	       (!o->id || strcmp(o->id, row->id) == 0) &&
	       (!o->unused_since || row->last_used < o->unused_since) &&
	       (o->shared < 0 || o->shared == row->shared) &&
	       (o->in_use < 0 || o->in_use == row->in_use);
}

static void add_row(rows *ret, const struct du_options *o, struct row row)
{
	if (is_wanted(o, &row)) {
		vec_push(ret, row);
		return;
	}
	free(row.id);
	free(row.parent);
}

static void add_record(rows *ret, const struct du_options *o, const struct du_record *rec)
{
	struct row row = {
		.id = xasprintf("%" PRId64, rec->id),
		.type = rec->type,
		.description = rec->description,
		.created = rec->created,
		.last_used = rec->last_used,
		.uses = rec->uses,
		.size = rec->size,
		.shared = rec->shared,
		.in_use = rec->in_use,
		.reclaimable = rec->reclaimable,
	};

	if (rec->parent)
		row.parent = xasprintf("%" PRId64, rec->parent);
	add_row(ret, o, row);
}

static void add_mount(rows *ret, const struct du_options *o, const struct mount_info *m)
{
	struct row row = {
		.id = m->instance ? xasprintf("mount:%s#%" PRId64, m->id, m->instance)
				  : xasprintf("mount:%s", m->id),
		.type = MOUNT_TYPE,
		.description = m->step,
		.created = m->created,
		.last_used = m->last_used,
		.uses = m->uses,
		.size = m->size,
		.in_use = m->in_use,
		.reclaimable = !m->in_use,
		.is_mutable = true,
	};

	add_row(ret, o, row);
}

static char *age_of(int64_t when)
{
	return times_human_age((times_now_ns() - when) / 1000000000);
}

static void print_json(const struct row *row)
{
	_cleanup_free_ char *created = times_rfc3339(row->created), *text = NULL;
	_cleanup_free_ char *used = times_rfc3339(row->last_used);
	json_t *doc =
		json_pack("{s:s, s:s, s:s, s:I, s:b, s:b, s:b, s:b, s:s, s:s, s:I}", "ID", row->id,
			  "Type", row->type, "Description", row->description, "Size",
			  (json_int_t)row->size, "Shared", row->shared, "InUse", row->in_use,
			  "Reclaimable", row->reclaimable, "Mutable", row->is_mutable, "CreatedAt",
			  created, "LastUsedAt", used, "UsageCount", (json_int_t)row->uses);

	if (!doc) /* a description is bytes, perhaps no UTF-8 */
		doc = json_pack("{s:s, s:s, s:I}", "ID", row->id, "Type", row->type, "Size",
				(json_int_t)row->size);
	if (row->parent)
		json_object_set_new(doc, "Parents", json_pack("[s]", row->parent));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	printf("%s\n", text);
}

static void print_verbose(const struct row *row)
{
	_cleanup_free_ char *created = times_rfc3339(row->created);
	_cleanup_free_ char *size = times_human_size(row->size), *age = age_of(row->last_used);

	printf("ID:\t\t%s\n", row->id);
	if (row->parent)
		printf("Parent:\t\t%s\n", row->parent);
	printf("Created at:\t%s\n", created);
	printf("Mutable:\t%s\n", row->is_mutable ? "true" : "false");
	printf("Reclaimable:\t%s\n", row->reclaimable ? "true" : "false");
	printf("Shared:\t\t%s\n", row->shared ? "true" : "false");
	printf("In use:\t\t%s\n", row->in_use ? "true" : "false");
	printf("Size:\t\t%s\n", size);
	if (row->description[0])
		printf("Description:\t%s\n", row->description);
	printf("Usage count:\t%" PRId64 "\n", row->uses);
	printf("Last used:\t%s\n", age);
	printf("Type:\t\t%s\n\n", row->type);
}

static void print_table(const rows *list)
{
	static const char *const heads[] = {"ID",      "TYPE",	    "SIZE", "SHARED",
					    "CREATED", "LAST USED", "USES", "DESCRIPTION"};
	struct table t = {.columns = ARRAY_SIZE(heads)};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < list->n; i++) {
		const struct row *row = &list->v[i];
		_cleanup_free_ char *size = times_human_size(row->size);
		_cleanup_free_ char *created = age_of(row->created), *used = age_of(row->last_used);
		_cleanup_free_ char *uses = xasprintf("%" PRId64, row->uses);

		/* As docker does, an asterisk marks what cannot be reclaimed now. */
		_cleanup_free_ char *id = xasprintf("%s%s", row->id, row->reclaimable ? "" : "*");

		table_cell(&t, id);
		table_cell(&t, row->type);
		table_cell(&t, size);
		table_cell(&t, row->shared ? "true" : "false");
		table_cell(&t, created);
		table_cell(&t, used);
		table_cell(&t, uses);
		table_cell(&t, row->description);
	}
	table_print(&t, stdout);
	table_release(&t);
}

static void print_totals(const rows *list, const struct du_totals *totals)
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

static void print_rows(const rows *list, const struct du_options *o, const struct du_totals *totals)
{
	if (!o->json && !o->verbose)
		print_table(list);
	for (size_t i = 0; i < list->n; i++) {
		if (o->json)
			print_json(&list->v[i]);
		else if (o->verbose)
			print_verbose(&list->v[i]);
	}
	if (!o->json)
		print_totals(list, totals);
}

static int show(struct store *s, const struct du_options *o, struct error **err)
{
	struct du_record *records = NULL;
	struct mount_info *mounts = NULL;
	size_t n_records = 0, n_mounts = 0;
	struct du_totals totals = {0};
	rows list = {0};
	int r = store_du(s, &records, &n_records, &totals, err);

	if (r == 0)
		r = mounts_list(s, &mounts, &n_mounts, err);
	for (size_t i = 0; i < n_records; i++)
		add_record(&list, o, &records[i]);
	for (size_t i = 0; i < n_mounts; i++)
		add_mount(&list, o, &mounts[i]);
	if (r == 0)
		print_rows(&list, o, &totals);
	for (size_t i = 0; i < list.n; i++) {
		free(list.v[i].id);
		free(list.v[i].parent);
	}
	vec_release(&list);
	for (size_t i = 0; i < n_records; i++)
		du_record_release(&records[i]);
	for (size_t i = 0; i < n_mounts; i++)
		mount_info_release(&mounts[i]);
	free(records);
	free(mounts);
	return r;
}

static int show_why(struct store *s, const char *text, struct error **err)
{
	_cleanup_strv_ struct strv lines = {0};
	char *end;
	int64_t id = strtoll(text, &end, 10);
	int r;

	if (*end == '*' && end[1] == '\0')
		end++; /* as the table shows it */
	if (end == text || *end)
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

static int check(struct du_options *o, const struct strv *filters, const struct strv *args,
		 struct error **err)
{
	if (args->n > 0)
		return error_new(err, ERR_INVALID, 0, "takes no argument");
	if (o->format && strcmp(o->format, "json") != 0 && strcmp(o->format, "table") != 0)
		return error_new(err, ERR_INVALID, 0, "invalid --format '%s': use table or json",
				 o->format);
	o->json = o->format && strcmp(o->format, "json") == 0;
	return parse_filters(o, filters, err);
}

int cmd_du(const struct command *self, int argc, char **argv)
{
	_cleanup_strv_ struct strv filters = {0};
	struct du_options o = {0};
	const struct opt table[] = {
		{"filter", 0, OPT_LIST, &filters, "FILTER",
		 "until=AGE, type=TYPE, id=ID, shared=BOOL or inuse=BOOL"},
		{"format", 0, OPT_STRING, &o.format, "FORMAT", "table (default) or json"},
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
	if (check(&o, &filters, &args, &err) < 0)
		return session_usage(self, &err);
	r = session_open_store(&s, &err);
	if (r == 0)
		r = o.why ? show_why(s, o.why, &err) : show(s, &o, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
