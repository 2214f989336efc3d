/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/dockerfile/df_check.h"

#include <stdlib.h>

/* Warnings by line; equal lines in the order found. */
struct sorted {
	const struct df_warning *warning;
	size_t at;
};

static int compare_sorted(const void *pa, const void *pb)
{
	const struct sorted *a = pa, *b = pb;

	if (a->warning->span.line != b->warning->span.line)
		return a->warning->span.line < b->warning->span.line ? -1 : 1;
	return a->at < b->at ? -1 : 1;
}

static struct sorted *sort_warnings(const struct df_lint *l)
{
	struct sorted *list = xcalloc(l->n + 1, sizeof(*list));

	for (size_t i = 0; i < l->n; i++)
		list[i] = (struct sorted){&l->warnings[i], i};
	if (l->n > 0)
		qsort(list, l->n, sizeof(*list), compare_sorted);
	return list;
}

int df_check_status(const struct df_lint *l, const struct error *error)
{
	return l->n > 0 || error ? 1 : 0;
}

void df_check_text(const struct df_file *f, const struct df_lint *l, const struct error *error,
		   struct buf *b)
{
	_cleanup_free_ struct sorted *list = sort_warnings(l);
	const struct df_rule_info *rule;

	if (l->n == 1)
		buf_adds(b, "Check complete, 1 warning has been found!\n");
	else if (l->n > 1)
		buf_addf(b, "Check complete, %zu warnings have been found!\n", l->n);
	for (size_t i = 0; i < l->n; i++) {
		rule = &df_rules[list[i].warning->rule];
		buf_addf(b, "\nWARNING: %s%s%s\n%s\n", rule->name, *rule->url ? " - " : "",
			 rule->url, list[i].warning->text);
		df_excerpt(f, list[i].warning->span, b);
	}
	if (l->n == 0 && !error)
		buf_adds(b, "Check complete, no warnings found.\n");
}

/* One cell of a table, padded to `width`; the last of a line is not. */
static void add_cell(const char *text, size_t width, struct buf *b)
{
	size_t n = 0;

	buf_adds(b, text);
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	for (; n < width; n++)
		buf_addc(b, ' ');
}

static size_t cell_width(const char *text, size_t width, size_t padding)
{
	size_t n = padding;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n > width ? n : width;
}

static void add_args(const struct df_outline *o, struct buf *b)
{
	size_t names = cell_width("BUILD ARG", 0, 3), values = cell_width("VALUE", 0, 3);
	const struct df_outline_arg *a;

	if (o->n_args == 0)
		return;
	for (size_t i = 0; i < o->n_args; i++) {
		a = &o->args[i];
		names = cell_width(a->name, names, 3);
		values = cell_width(a->value ? a->value : "", values, 3);
	}
	add_cell("BUILD ARG", names, b);
	add_cell("VALUE", values, b);
	buf_adds(b, "DESCRIPTION\n");
	for (size_t i = 0; i < o->n_args; i++) {
		a = &o->args[i];
		add_cell(a->name, names, b);
		add_cell(a->value ? a->value : "", values, b);
		buf_addf(b, "%s\n", a->doc ? a->doc : "");
	}
	buf_addc(b, '\n');
}

static void add_mounts(const char *title, const struct df_outline_mount *v, size_t n, struct buf *b)
{
	size_t width = cell_width(title, 0, 3);

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		width = cell_width(v[i].id, width, 3);
	add_cell(title, width, b);
	buf_adds(b, "REQUIRED\n");
	for (size_t i = 0; i < n; i++) {
		add_cell(v[i].id, width, b);
		buf_adds(b, v[i].required ? "true\n" : "\n");
	}
	buf_addc(b, '\n');
}

void df_outline_text(const struct df_outline *o, struct buf *b)
{
	size_t width = o->doc ? cell_width("DESCRIPTION:", 0, 1) : cell_width("TARGET:", 0, 1);

	if (*o->name || o->doc) {
		add_cell("TARGET:", width, b);
		buf_addf(b, "%s\n", *o->name ? o->name : "(default)");
		if (o->doc) {
			add_cell("DESCRIPTION:", width, b);
			buf_addf(b, "%s\n", o->doc);
		}
		buf_addc(b, '\n');
	}
	add_args(o, b);
	add_mounts("SECRET", o->secrets, o->n_secrets, b);
	add_mounts("SSH", o->ssh, o->n_ssh, b);
}

static const char *target_title(const struct df_file *f, size_t i, struct arena *a)
{
	const char *name = f->stages[i].from->from.name;

	if (i + 1 < f->n_stages)
		return name ? name : "";
	return name ? arena_printf(a, "%s (default)", name) : "(default)";
}

void df_targets_text(const struct df_file *f, struct buf *b)
{
	size_t width = cell_width("TARGET", 0, 1);
	struct arena a = ARENA_INIT;
	const char *doc;

	for (size_t i = 0; i < f->n_stages; i++)
		width = cell_width(target_title(f, i, &a), width, 1);
	add_cell("TARGET", width, b);
	buf_adds(b, "DESCRIPTION\n");
	for (size_t i = 0; i < f->n_stages; i++) {
		doc = f->stages[i].from->from.doc;
		add_cell(target_title(f, i, &a), width, b);
		buf_addf(b, "%s\n", doc ? doc : "");
	}
	arena_release(&a);
}
