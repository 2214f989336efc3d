/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln builds ls`: the records as lines, with filters and formats. */
#include "cmd/builds/builds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"

enum { NAME_MAX_COLUMNS = 36 };

void build_entry_release(struct build_entry *e)
{
	json_decref(e->summary);
	*e = (struct build_entry){0};
}

static int get_time(const json_t *doc, const char *key, int64_t *ret, struct error **err)
{
	const char *text = NULL;
	int r = js_string(doc, key, &text, err);

	if (r == 0 && (!text || times_parse_rfc3339(text, ret) < 0))
		r = error_new(err, ERR_CORRUPT, 0, "the record has no time %s", key);
	return r;
}

int build_entry_read(struct store *s, const struct history_entry *file, struct build_entry *ret,
		     struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = history_read_summary(s, file->ref, &text, err);

	*ret = (struct build_entry){.file = *file, .name = "", .status = ""};
	if (r == 0)
		r = js_parse("the record of a build", text.p, text.n, &ret->summary, err);
	if (r == 0)
		r = js_string(ret->summary, "Name", &ret->name, err);
	if (r == 0)
		r = js_string(ret->summary, "Status", &ret->status, err);
	if (r == 0)
		r = js_int(ret->summary, "Duration", &ret->duration, err);
	if (r == 0)
		r = get_time(ret->summary, "StartedAt", &ret->started, err);
	if (r == 0)
		r = get_time(ret->summary, "CompletedAt", &ret->completed, err);
	if (r < 0)
		build_entry_release(ret);
	return r < 0 ? error_wrap(err, r, "build %s", file->ref) : 0;
}

/* --- Filters --- */

enum comparison { EQUAL, UNEQUAL, LESS, GREATER };

struct filter {
	char *key;
	enum comparison comparison;
	const char *value;
};

static int filter_parse(const char *text, struct filter *ret, struct error **err)
{
	size_t n = strcspn(text, "=!<>");
	const char *op = text + n;

	*ret = (struct filter){.key = xstrndup(text, n)};
	if (op[0] == '!' && op[1] == '=')
		*ret = (struct filter){ret->key, UNEQUAL, op + 2};
	else if (*op && *op != '!')
		*ret = (struct filter){ret->key,
				       *op == '='   ? EQUAL
				       : *op == '<' ? LESS
						    : GREATER,
				       op + 1};
	else
		return error_new(err, ERR_INVALID, 0,
				 "invalid filter '%s': use KEY=VALUE, KEY!=VALUE, KEY<VALUE or "
				 "KEY>VALUE",
				 text);
	return 0;
}

/* A time, or how long ago. */
static int point_in_time(const char *text, int64_t *ret)
{
	int64_t age;

	if (times_parse_duration(text, &age) < 0)
		return times_parse_rfc3339(text, ret);
	*ret = times_now_ns() - age;
	return 0;
}

static int compare_text(const struct filter *f, const char *have)
{
	const char *want = f->value;

	if (strcmp(f->key, "status") == 0 && strcmp(want, "success") == 0)
		want = "completed";
	return (strcmp(have, want) == 0) == (f->comparison == EQUAL);
}

static int compare_number(const struct filter *f, int64_t have, int64_t want)
{
	return f->comparison == LESS ? have < want : have > want;
}

/* 1: the record passes. */
static int filter_match(const struct filter *f, const struct build_entry *e, struct error **err)
{
	bool texts = f->comparison == EQUAL || f->comparison == UNEQUAL;
	int64_t want;

	if (texts && strcmp(f->key, "ref") == 0)
		return compare_text(f, e->file.ref);
	if (texts && strcmp(f->key, "status") == 0)
		return compare_text(f, e->status);
	if (texts && strcmp(f->key, "name") == 0)
		return compare_text(f, e->name);
	if (!texts && strcmp(f->key, "duration") == 0 && times_parse_duration(f->value, &want) == 0)
		return compare_number(f, e->duration, want);
	if (!texts && strcmp(f->key, "startedAt") == 0 && point_in_time(f->value, &want) == 0)
		return compare_number(f, e->started, want);
	if (!texts && strcmp(f->key, "completedAt") == 0 && point_in_time(f->value, &want) == 0)
		return compare_number(f, e->completed, want);
	return error_new(err, ERR_INVALID, 0,
			 "invalid filter: use ref, name or status with = or != (status=error), "
			 "startedAt, completedAt or duration with < or > (duration>30s)");
}

static int wanted(const struct builds_options *o, const struct build_entry *e, struct error **err)
{
	int r = 1;

	for (size_t i = 0; i < o->filters.n && r > 0; i++) {
		struct filter f;

		r = filter_parse(o->filters.v[i], &f, err);
		if (r == 0)
			r = filter_match(&f, e, err);
		free(f.key);
	}
	return r;
}

/* --- Formats --- */

static const char *shown_status(const struct build_entry *e)
{
	return strcmp(e->status, "completed") == 0  ? "Completed"
	       : strcmp(e->status, "canceled") == 0 ? "Canceled"
						    : "Error";
}

/* "1.4s", "2m 3s": as buildx prints durations. */
static char *shown_duration(int64_t ns)
{
	long minutes = (long)(ns / NS_PER_S / 60);

	if (ns < 60 * NS_PER_S)
		return xasprintf("%.1fs", (double)ns / 1e9);
	return xasprintf("%ldm %2lds", minutes, (long)(ns / NS_PER_S) - 60 * minutes);
}

static char *shown_name(const struct build_entry *e, bool no_trunc)
{
	size_t n = strlen(e->name);

	if (no_trunc || n <= NAME_MAX_COLUMNS)
		return xstrdup(e->name);
	return xasprintf("..%s", e->name + n - (NAME_MAX_COLUMNS - 2));
}

static void add_row(struct table *t, const struct build_entry *e, const struct builds_options *o)
{
	_cleanup_free_ char *age = times_human_age((times_now_ns() - e->started) / NS_PER_S);

	table_cell(t, e->file.ref);
	table_take(t, shown_name(e, o->no_trunc));
	table_cell(t, shown_status(e));
	table_cell(t, age);
	table_take(t, shown_duration(e->duration));
}

static json_t *json_row(const struct build_entry *e)
{
	static const char *const copied[][2] = {{"created_at", "StartedAt"},
						{"completed_at", "CompletedAt"},
						{"total_steps", "NumTotalSteps"},
						{"completed_steps", "NumCompletedSteps"},
						{"cached_steps", "NumCachedSteps"}};
	_cleanup_free_ char *ref = xasprintf("default/default/%s", e->file.ref);
	json_t *row = json_pack("{s:s, s:s, s:s}", "ref", ref, "name", e->name, "status",
				shown_status(e));

	for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
		json_object_set(row, copied[i][0], json_object_get(e->summary, copied[i][1]));
	return row;
}

static json_t *template_row(const struct build_entry *e)
{
	_cleanup_free_ char *age = times_human_age((times_now_ns() - e->started) / NS_PER_S);
	_cleanup_free_ char *duration = shown_duration(e->duration);
	_cleanup_free_ char *full = xasprintf("default/default/%s", e->file.ref);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "Ref", e->file.ref, "FullRef", full,
			 "Name", e->name, "Status", shown_status(e), "CreatedAt", age, "Duration",
			 duration);
}

static int print_entry(const struct build_entry *e, const struct builds_options *o,
		       const struct template *template, struct error **err)
{
	_cleanup_json_ json_t *row = template ? template_row(e) : json_row(e);
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = 0;

	if (o->quiet) {
		printf("%s\n", e->file.ref);
		return 0;
	}
	if (template)
		r = template_execute(template, row, &out, err);
	else
		js_dump_go(row, 0, false, &out);
	if (r == 0)
		printf("%s\n", out.n > 0 ? out.p : "");
	return r;
}

static int print_list(struct store *s, const struct history_list *list,
		      const struct builds_options *o, const struct template *template,
		      struct error **err)
{
	static const char *const heads[] = {"BUILD ID", "NAME", "STATUS", "CREATED AT", "DURATION"};
	bool as_table = !o->quiet && !template && (!o->format || strcmp(o->format, "table") == 0);
	struct table t = {.columns = ARRAY_SIZE(heads)};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < list->entries.n && r == 0; i++) {
		struct build_entry e;

		r = build_entry_read(s, &list->entries.v[i], &e, err);
		if (r < 0)
			break;
		r = wanted(o, &e, err);
		if (r > 0 && as_table)
			add_row(&t, &e, o);
		else if (r > 0)
			r = print_entry(&e, o, template, err);
		r = r > 0 ? 0 : r;
		build_entry_release(&e);
	}
	if (r == 0 && as_table)
		table_print(&t, stdout);
	table_release(&t);
	return r;
}

int builds_list(struct store *s, const struct builds_options *o, struct error **err)
{
	_cleanup_(template_freep) struct template *template = NULL;
	struct history_list list = {0};
	int r = 0;

	if (o->format && strcmp(o->format, "json") != 0 && strcmp(o->format, "table") != 0)
		r = template_parse(o->format, &template, err);
	if (r == 0)
		r = history_list(s, &list, err);
	if (r == 0)
		r = print_list(s, &list, o, template, err);
	history_list_release(&list);
	return r;
}
