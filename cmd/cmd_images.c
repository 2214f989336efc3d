/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln images`: the list of images, with filters and formats. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pattern.h"
#include "base/times.h"
#include "base/vec.h"
#include "cmd/cli/image_filter.h"
#include "cmd/cli/session.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"
#include "engine/oci/image_index.h"

enum { SHORT_ID = 12 };

struct images_options {
	bool all, quiet, no_trunc, digests, tree;
	const char *format;
	const struct template *template;
	bool as_table; /* "table TEMPLATE" */
	struct image_filter filter;
	const char *only; /* REPOSITORY[:TAG] */
};

/* One line of the list: an image under one of its names. */
struct row {
	const struct image *image;
	char *repository, *tag; /* "<none>" without a name */
};

static void row_release(struct row *row)
{
	free(row->repository);
	free(row->tag);
}

static int row_init(struct row *row, const struct image *image, const char *name,
		    struct error **err)
{
	_cleanup_(imageref_release) struct imageref ref = IMAGEREF_INIT;
	int r;

	*row = (struct row){.image = image};
	if (!name) {
		row->repository = xstrdup("<none>");
		row->tag = xstrdup("<none>");
		return 0;
	}
	r = imageref_parse(name, &ref, err);
	if (r < 0)
		return r;
	row->repository = imageref_familiar_name(&ref);
	row->tag = xstrdup(ref.tag ? ref.tag : "<none>");
	return 0;
}

/* `images app` shows every tag of app, `images app:v1` one; docker matches familiar names. */
static int row_matches_name(const struct row *row, const char *pattern, struct error **err)
{
	_cleanup_free_ char *full = xasprintf("%s:%s", row->repository, row->tag);
	int r = glob_match(pattern, row->repository, err);

	return r != 0 ? r : glob_match(pattern, full, err);
}

static int row_wanted(const struct row *row, const struct images_options *o, struct error **err)
{
	bool dangling = strcmp(row->repository, "<none>") == 0;
	int r = 1;

	if (o->only)
		r = row_matches_name(row, o->only, err);
	for (size_t i = 0; r > 0 && i < o->filter.references.n; i++)
		r = row_matches_name(row, o->filter.references.v[i], err);
	return r > 0 && o->filter.has_dangling ? o->filter.dangling == dangling : r;
}

static char *image_id(const struct image *image, bool no_trunc)
{
	char text[DIGEST_TEXT];

	digest_format(&image->config, text);
	return no_trunc ? xstrdup(text) : xstrndup(text + strlen("sha256:"), SHORT_ID);
}

static char *image_age(const struct image *image)
{
	if (image->created == 0)
		return xstrdup("N/A");
	return times_human_age((times_now_ns() - image->created) / NS_PER_S);
}

/* As Go prints a time, here. */
static void image_time(const struct image *image, char *text, size_t n)
{
	time_t sec = (time_t)(image->created / NS_PER_S);
	struct tm tm;

	localtime_r(&sec, &tm);
	(void)strftime(text, n, "%Y-%m-%d %H:%M:%S %z %Z", &tm);
}

/* What templates see of a row. docker does not count the sizes either unless it is made to. */
static json_t *row_fields(const struct row *row, const struct images_options *o)
{
	_cleanup_free_ char *id = image_id(row->image, o->no_trunc), *age = image_age(row->image);
	_cleanup_free_ char *size = times_human_size(row->image->size);
	char created[64];
	json_t *fields = json_object();
	char digest[DIGEST_TEXT];

	image_time(row->image, created, sizeof(created));
	json_object_set_new(fields, "Containers", json_string("N/A"));
	json_object_set_new(fields, "CreatedAt", json_string(created));
	json_object_set_new(fields, "CreatedSince", json_string(age));
	json_object_set_new(fields, "Digest",
			    json_string(digest_format(&row->image->manifest, digest)));
	json_object_set_new(fields, "ID", json_string(id));
	json_object_set_new(fields, "Repository", json_string(row->repository));
	json_object_set_new(fields, "SharedSize", json_string("N/A"));
	json_object_set_new(fields, "Size", json_string(size));
	json_object_set_new(fields, "Tag", json_string(row->tag));
	json_object_set_new(fields, "UniqueSize", json_string("N/A"));
	return fields;
}

static int print_formatted(const struct row *row, const struct images_options *o,
			   struct error **err)
{
	_cleanup_json_ json_t *fields = row_fields(row, o);
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = 0;

	if (o->template)
		r = template_execute(o->template, fields, &out, err);
	else
		js_dump_go(fields, 0, false, &out);
	if (r == 0)
		printf("%s\n", out.p);
	return r;
}

/* One line of "table TEMPLATE", whose cells are parted by tabs. */
static int add_template_row(struct table *t, const struct template *template, const json_t *fields,
			    struct error **err)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t columns = 0;
	int r = template_execute(template, fields, &out, err);
	char *save = NULL;

	for (char *cell = r == 0 ? out.p : NULL; cell; cell = save) {
		save = strchr(cell, '\t');
		if (save)
			*save++ = '\0';
		if (t->columns == 0 || columns < t->columns)
			table_cell(t, cell);
		columns++;
	}
	for (; r == 0 && columns < t->columns; columns++)
		table_cell(t, "");
	if (t->columns == 0)
		t->columns = columns;
	return r;
}

/* As docker has it: the same template gives the headings. */
static int print_template_table(const struct row *rows, size_t n, const struct images_options *o,
				struct error **err)
{
	_cleanup_json_ json_t *heads = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Containers", "CONTAINERS",
		"CreatedAt", "CREATED AT", "CreatedSince", "CREATED", "Digest", "DIGEST", "ID",
		"IMAGE ID", "Repository", "REPOSITORY", "SharedSize", "SHARED SIZE", "Size", "SIZE",
		"Tag", "TAG", "UniqueSize", "UNIQUE SIZE");
	struct table t = {0};
	int r = add_template_row(&t, o->template, heads, err);

	for (size_t i = 0; i < n && r == 0; i++) {
		_cleanup_json_ json_t *fields = row_fields(&rows[i], o);

		r = add_template_row(&t, o->template, fields, err);
	}
	if (r == 0)
		table_print(&t, stdout);
	table_release(&t);
	return r;
}

static void add_row(struct table *t, const struct row *row, const struct images_options *o)
{
	_cleanup_free_ char *id = image_id(row->image, o->no_trunc), *age = image_age(row->image);
	_cleanup_free_ char *size = times_human_size(row->image->size);
	char digest[DIGEST_TEXT];

	table_cell(t, row->repository);
	table_cell(t, row->tag);
	if (o->digests)
		table_cell(t, digest_format(&row->image->manifest, digest));
	table_cell(t, id);
	table_cell(t, age);
	table_cell(t, size);
}

static void print_rows(const struct row *rows, size_t n, const struct images_options *o)
{
	static const char *const heads[] = {"REPOSITORY", "TAG",     "DIGEST",
					    "IMAGE ID",	  "CREATED", "SIZE"};
	struct table t = {.columns = o->digests ? 6 : 5};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		if (i != 2 || o->digests)
			table_cell(&t, heads[i]);
	for (size_t i = 0; i < n; i++)
		add_row(&t, &rows[i], o);
	table_print(&t, stdout);
	table_release(&t);
}

static int add_platform(struct store *s, struct table *t, const struct image *image,
			const struct oci_descriptor *d, bool last, const struct images_options *o,
			struct error **err)
{
	struct image one = {
		.manifest = image->manifest, .config = image->config, .size = image->size};
	_cleanup_free_ char *id = NULL, *size = NULL, *name = NULL;
	char platform[64];
	int r = image_for_entry(s, &one, &d->digest, err);

	id = image_id(&one, o->no_trunc);
	size = times_human_size(one.size);
	name = xasprintf("%s %s", last ? "└─" : "├─", platform_format(&d->platform, platform));
	table_cell(t, name);
	table_cell(t, id);
	table_cell(t, size);
	image_release(&one);
	return r;
}

/* An image that stands for several platforms, with one line for each below it. */
static int add_platforms(struct store *s, struct table *t, const struct image *image,
			 const struct images_options *o, struct error **err)
{
	_cleanup_(image_index_release) struct image_index index = IMAGE_INDEX_INIT;
	VEC(const struct oci_descriptor *) entries = {0};
	bool found = false;
	int r = image_index_load(s, &image->manifest, &found, &index, err);

	for (size_t i = 0; r == 0 && found && i < index.doc.manifests.n; i++)
		if (oci_entry_is_image(&index.doc.manifests.v[i]))
			vec_push(&entries, &index.doc.manifests.v[i]);
	for (size_t i = 0; r == 0 && i < entries.n; i++)
		r = add_platform(s, t, image, entries.v[i], i + 1 == entries.n, o, err);
	vec_release(&entries);
	return r;
}

static int print_tree(struct store *s, const struct row *rows, size_t n,
		      const struct images_options *o, struct error **err)
{
	static const char *const heads[] = {"IMAGE", "ID", "DISK USAGE"};
	struct table t = {.columns = ARRAY_SIZE(heads)};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct row *row = &rows[i];
		_cleanup_free_ char *id = image_id(row->image, o->no_trunc);
		_cleanup_free_ char *size = times_human_size(row->image->size);
		_cleanup_free_ char *name = xasprintf("%s:%s", row->repository, row->tag);

		table_cell(&t, name);
		table_cell(&t, id);
		table_cell(&t, size);
		r = add_platforms(s, &t, row->image, o, err);
	}
	if (r == 0)
		table_print(&t, stdout);
	table_release(&t);
	return r;
}

static void print_ids(const struct row *rows, size_t n, const struct images_options *o)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *id = image_id(rows[i].image, o->no_trunc);

		/* Names of one image are neighbours; its id is printed once. */
		if (i == 0 || rows[i].image != rows[i - 1].image)
			printf("%s\n", id);
	}
}

static int list(struct store *s, const struct images_options *o, const struct image *images,
		size_t n, struct error **err)
{
	VEC(struct row) rows = {0};
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = image_filter_match(s, &o->filter, &images[i], err);
		if (r <= 0)
			continue;
		size_t names = images[i].n_tags ? images[i].n_tags : 1;

		for (size_t k = 0; k < names && r >= 0; k++) {
			struct row row;

			r = row_init(&row, &images[i], images[i].n_tags ? images[i].tags[k] : NULL,
				     err);
			if (r >= 0)
				r = row_wanted(&row, o, err);
			if (r > 0)
				vec_push(&rows, row);
			else
				row_release(&row);
		}
	}
	if (r >= 0 && o->quiet)
		print_ids(rows.v, rows.n, o);
	else if (r >= 0 && o->template && o->as_table)
		r = print_template_table(rows.v, rows.n, o, err);
	else if (o->template || (o->format && strcmp(o->format, "json") == 0))
		for (size_t i = 0; i < rows.n && r >= 0; i++)
			r = print_formatted(&rows.v[i], o, err);
	else if (r >= 0 && o->tree)
		r = print_tree(s, rows.v, rows.n, o, err);
	else if (r >= 0)
		print_rows(rows.v, rows.n, o);
	for (size_t i = 0; i < rows.n; i++)
		row_release(&rows.v[i]);
	vec_release(&rows);
	return r < 0 ? r : 0;
}

static int parse_format(struct images_options *o, struct template **ret, struct error **err)
{
	static const char table[] = "table ";
	_cleanup_buf_ struct buf text = BUF_INIT;

	o->as_table = strncmp(o->format, table, strlen(table)) == 0;
	/* A shell hands "\t" on as two characters. */
	for (const char *p = o->format + (o->as_table ? strlen(table) : 0); *p; p++) {
		bool tab = p[0] == '\\' && p[1] == 't';

		buf_addc(&text, tab ? '\t' : *p);
		p += tab;
	}
	return template_parse(text.p, ret, err);
}

int cmd_images(const struct command *self, int argc, char **argv)
{
	struct images_options o = {0};
	_cleanup_(template_freep) struct template *template = NULL;
	_cleanup_strv_ struct strv filters = {0};
	const struct opt table[] = {
		{"all", 'a', OPT_BOOL, &o.all, NULL, "Show all images (kiln hides none)"},
		{"digests", 0, OPT_BOOL, &o.digests, NULL, "Show manifest digests"},
		{"filter", 'f', OPT_LIST, &filters, "FILTER",
		 "reference=PATTERN, dangling=true|false, label=KEY[=VALUE], before=IMAGE, "
		 "since=IMAGE or until=24h"},
		{"format", 0, OPT_STRING, &o.format, "FORMAT",
		 "table (default), json or a Go template such as {{.Repository}}:{{.Tag}}"},
		{"no-trunc", 0, OPT_BOOL, &o.no_trunc, NULL, "Show whole ids"},
		{"quiet", 'q', OPT_BOOL, &o.quiet, NULL, "Show ids only"},
		{"tree", 0, OPT_BOOL, &o.tree, NULL,
		 "Show the platforms of images that are for several"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	struct image *images = NULL;
	size_t n = 0;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 1)
		return session_misuse(self, "takes at most one REPOSITORY[:TAG]");
	if (o.format && strcmp(o.format, "json") != 0 && strcmp(o.format, "table") != 0)
		r = parse_format(&o, &template, &err);
	if (r < 0)
		return session_usage(self, &err);
	o.only = args.n ? args.v[0] : NULL;
	o.template = template;
	r = session_open_store(&s, &err);
	if (r == 0)
		r = image_filter_parse(s, &filters, &o.filter, &err);
	if (r == 0)
		r = image_list(s, &images, &n, &err);
	if (r == 0)
		r = list(s, &o, images, n, &err);
	for (size_t i = 0; i < n; i++)
		image_release(&images[i]);
	free(images);
	image_filter_release(&o.filter);
	return r < 0 ? session_fail(r, &err) : 0;
}
