/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/bake_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/json.h"
#include "cmd/cli/show.h"

enum { COLUMNS_MAX = 4, TAB = 8 };

/* Rows of cells that tabs separate, as many as it takes that columns stand below each other. */
struct tab_table {
	struct strv cells;
	size_t columns;
};

static void print_table(const struct tab_table *t)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t width[COLUMNS_MAX] = {0};

	for (size_t i = 0; i < t->cells.n; i++)
		if (strlen(t->cells.v[i]) > width[i % t->columns])
			width[i % t->columns] = strlen(t->cells.v[i]);
	for (size_t i = 0; i < t->cells.n; i++) {
		/* One blank more than the longest cell, up to the next tab. */
		size_t at = strlen(t->cells.v[i]),
		       to = (width[i % t->columns] + 1 + TAB - 1) / TAB * TAB;

		buf_adds(&b, t->cells.v[i]);
		if (i % t->columns + 1 == t->columns) {
			buf_addc(&b, '\n');
			continue;
		}
		for (; at < to; at = (at / TAB + 1) * TAB)
			buf_addc(&b, '\t');
	}
	(void)fwrite(b.p, 1, b.n, stdout);
}

static void print_json(json_t *list)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	js_dump_go(list, 2, false, &b);
	buf_addc(&b, '\n');
	(void)fwrite(b.p, 1, b.n, stdout);
}

/* --- targets --- */

struct row {
	const char *name;
	const struct bake_target *target;
	const struct bake_group *group;
};

static int compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static char *describe(const struct row *r)
{
	const char *own =
		r->target ? bake_target_text(r->target, BAKE_DESCRIPTION) : r->group->description;
	_cleanup_strv_ struct strv names = {0};
	_cleanup_free_ char *list = NULL;

	if (!own)
		own = "";
	if (r->target || r->group->targets.n == 0)
		return xstrdup(own);
	strv_copy(&names, &r->group->targets);
	strv_sort(&names);
	list = strv_join(&names, ", ");
	return *own ? xasprintf("%s (%s)", own, list) : TAKE_PTR(list);
}

static void list_targets(const struct bake_config *c, bool as_json)
{
	_cleanup_json_ json_t *list = json_array();
	struct tab_table table = {.columns = 2};
	VEC(struct row) rows = {0};

	for (size_t i = 0; i < c->targets.n; i++)
		vec_push(&rows,
			 (struct row){.name = c->targets.v[i].name, .target = &c->targets.v[i]});
	for (size_t i = 0; i < c->groups.n; i++)
		vec_push(&rows,
			 (struct row){.name = c->groups.v[i].name, .group = &c->groups.v[i]});
	if (rows.n > 1)
		qsort(rows.v, rows.n, sizeof(*rows.v), compare_rows);
	strv_push(&table.cells, "TARGET");
	strv_push(&table.cells, "DESCRIPTION");
	for (size_t i = 0; i < rows.n; i++) {
		_cleanup_free_ char *description = describe(&rows.v[i]);
		json_t *j;

		/* By convention for others to inherit alone. */
		if (*rows.v[i].name == '_')
			continue;
		strv_push(&table.cells, rows.v[i].name);
		strv_push(&table.cells, description);
		j = json_object();
		json_object_set_new(j, "name", json_string(rows.v[i].name));
		if (*description)
			json_object_set_new(j, "description", json_string(description));
		if (rows.v[i].group)
			json_object_set_new(j, "group", json_true());
		json_array_append_new(list, j);
	}
	if (as_json)
		print_json(list);
	else
		print_table(&table);
	strv_release(&table.cells);
	vec_release(&rows);
}

/* --- variables --- */

static void list_variables(const struct bake_config *c, bool as_json)
{
	_cleanup_json_ json_t *list = json_array();
	struct tab_table table = {.columns = 4};

	strv_push(&table.cells, "VARIABLE");
	strv_push(&table.cells, "TYPE");
	strv_push(&table.cells, "VALUE");
	strv_push(&table.cells, "DESCRIPTION");
	for (size_t i = 0; i < c->variables.n; i++) {
		const struct bake_variable_info *v = &c->variables.v[i];
		json_t *j = json_object();

		strv_push(&table.cells, v->name);
		strv_push(&table.cells, v->type);
		strv_push(&table.cells, v->value ? v->value : "<null>");
		strv_push(&table.cells, v->description);
		json_object_set_new(j, "name", json_string(v->name));
		if (*v->description)
			json_object_set_new(j, "description", json_string(v->description));
		if (*v->type)
			json_object_set_new(j, "type", json_string(v->type));
		if (v->value)
			json_object_set_new(j, "value", json_string(v->value));
		json_array_append_new(list, j);
	}
	if (as_json)
		print_json(list);
	else
		print_table(&table);
	strv_release(&table.cells);
}

int bake_list_print(const struct bake_config *c, const char *spec, struct error **err)
{
	_cleanup_strv_ struct strv fields = {0};
	const char *type = NULL, *format = "table";
	int r = csv_split(spec, &fields, err);

	if (r < 0)
		return error_wrap(err, r, "--list");
	for (size_t i = 0; i < fields.n; i++) {
		const char *f = fields.v[i];

		if (strncmp(f, "type=", 5) == 0)
			type = f + 5;
		else if (strncmp(f, "format=", 7) == 0)
			format = f + 7;
		else if (fields.n == 1)
			type = f;
		else
			return error_new(err, ERR_INVALID, 0,
					 "--list: \"%s\" is not type= or format=", f);
	}
	if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0)
		return error_new(err, ERR_INVALID, 0,
				 "--list: the format \"%s\" is not table or json", format);
	if (type && strcmp(type, "targets") == 0)
		list_targets(c, strcmp(format, "json") == 0);
	else if (type && strcmp(type, "variables") == 0)
		list_variables(c, strcmp(format, "json") == 0);
	else
		return error_new(err, ERR_INVALID, 0, "--list: \"%s\" is not targets or variables",
				 spec);
	return 0;
}
