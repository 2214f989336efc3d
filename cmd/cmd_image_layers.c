/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln image layers`: what each layer of an image adds, changes, hides and wastes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "cmd/cli/image_json.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/commands.h"
#include "engine/config/config.h"
#include "engine/image/layer_report.h"
#include "engine/oci/image_index.h"
#include "engine/registry/pull.h"

enum { TOP_DEFAULT = 10, COMMAND_WIDTH = 60 };

struct layers_options {
	const char *format;
	const struct platform *platform; /* NULL: the image that the store knows */
	int64_t top;
};

/* An image whose layers were looked at. */
struct looked_at {
	struct image image;
	struct image_config config;
	struct layer_report *reports; /* one a layer, lowest first */
};

/* The instruction that made a layer; "" where the history does not say. */
static const char *made_by(const struct looked_at *l, size_t layer)
{
	size_t at = 0;

	for (size_t i = 0; i < l->config.history.n; i++) {
		const struct image_history *h = &l->config.history.v[i];

		if (!h->empty_layer && at++ == layer)
			return h->created_by ? h->created_by : "";
	}
	return "";
}

static uint64_t layer_bytes(const struct layer_report *r)
{
	return r->added.bytes + r->changed.bytes;
}

/* The layers' numbers, the one with most bytes first. */
static size_t *by_size(const struct looked_at *l)
{
	size_t *order = xcalloc(l->image.n_layers + 1, sizeof(*order));

	for (size_t i = 0; i < l->image.n_layers; i++) {
		size_t at = i;

		for (; at > 0 &&
		       layer_bytes(&l->reports[order[at - 1]]) < layer_bytes(&l->reports[i]);
		     at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	return order;
}

/* --- As text --- */

static void tally_cell(struct table *t, const struct layer_tally *tally)
{
	_cleanup_free_ char *size = times_human_size(tally->bytes);

	if (tally->files == 0)
		table_cell(t, "");
	else
		table_take(t, xasprintf("%zu, %s", tally->files, size));
}

static void command_cell(struct table *t, const char *text)
{
	char *cell =
		xasprintf("%.*s%s", COMMAND_WIDTH, text, strlen(text) > COMMAND_WIDTH ? "..." : "");

	for (char *p = cell; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	table_take(t, cell);
}

static void print_layers(const struct looked_at *l)
{
	static const char *const heads[] = {"LAYER",   "SIZE",	 "ADDED",     "CHANGED",
					    "REMOVED", "WASTED", "CREATED BY"};
	_cleanup_free_ size_t *order = by_size(l);
	struct table t = {.columns = ARRAY_SIZE(heads)};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < l->image.n_layers; i++) {
		const struct layer_report *r = &l->reports[order[i]];

		table_take(&t, xasprintf("%zu", order[i] + 1));
		table_take(&t, times_human_size(layer_bytes(r)));
		tally_cell(&t, &r->added);
		tally_cell(&t, &r->changed);
		tally_cell(&t, &r->removed);
		tally_cell(&t, &r->wasted);
		command_cell(&t, made_by(l, order[i]));
	}
	table_print(&t, stdout);
	table_release(&t);
}

/* The next largest file that is not printed yet; false at the end. `at` has a place for each layer. */
static bool next_file(const struct looked_at *l, size_t *at, size_t *ret_layer)
{
	const struct layer_file *best = NULL;

	for (size_t i = 0; i < l->image.n_layers; i++) {
		const struct layer_report *r = &l->reports[i];

		if (at[i] >= r->files.n || (best && r->files.v[at[i]].size <= best->size))
			continue;
		best = &r->files.v[at[i]];
		*ret_layer = i;
	}
	return best;
}

static void print_files(const struct looked_at *l, int64_t top)
{
	static const char *const heads[] = {"SIZE", "LAYER", "FILE", ""};
	_cleanup_free_ size_t *at = xcalloc(l->image.n_layers + 1, sizeof(*at));
	struct table t = {.columns = ARRAY_SIZE(heads)};
	size_t layer;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (int64_t i = 0; i < top && next_file(l, at, &layer); i++) {
		const struct layer_file *f = &l->reports[layer].files.v[at[layer]++];

		table_take(&t, times_human_size(f->size));
		table_take(&t, xasprintf("%zu", layer + 1));
		table_take(&t, xasprintf("/%s", f->path));
		table_cell(&t, f->wasted    ? "wasted: a later layer hides it"
			       : f->changed ? "changed"
					    : "");
	}
	printf("\nLargest files:\n");
	table_print(&t, stdout);
	table_release(&t);
}

static void print_waste(const struct looked_at *l)
{
	struct layer_tally wasted = {0};
	uint64_t all = 0;
	_cleanup_free_ char *size = NULL, *whole = NULL;

	for (size_t i = 0; i < l->image.n_layers; i++) {
		wasted.files += l->reports[i].wasted.files;
		wasted.bytes += l->reports[i].wasted.bytes;
		all += layer_bytes(&l->reports[i]);
	}
	size = times_human_size(wasted.bytes);
	whole = times_human_size(all);
	printf("\n%s in %zu layers, of which later layers hide %s in %zu files\n", whole,
	       l->image.n_layers, size, wasted.files);
}

/* --- As JSON --- */

static json_t *tally_json(const struct layer_tally *t)
{
	return json_pack("{s:I, s:I}", "Files", (json_int_t)t->files, "Bytes",
			 (json_int_t)t->bytes);
}

static json_t *files_json(const struct layer_report *r, int64_t top)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->files.n && (int64_t)i < top; i++) {
		const struct layer_file *f = &r->files.v[i];
		_cleanup_free_ char *path = xasprintf("/%s", f->path);
		json_t *name = json_string(path);

		/* A name that is not UTF-8 cannot be told in JSON. */
		json_array_append_new(list, json_pack("{s:o, s:I, s:b, s:b}", "Path",
						      name ? name : json_null(), "Size",
						      (json_int_t)f->size, "Changed", f->changed,
						      "Wasted", f->wasted));
	}
	return list;
}

static void print_json(const struct looked_at *l, int64_t top)
{
	_cleanup_json_ json_t *list = json_array();
	_cleanup_free_ size_t *order = by_size(l);
	_cleanup_buf_ struct buf out = BUF_INIT;

	for (size_t i = 0; i < l->image.n_layers; i++) {
		const struct layer_report *r = &l->reports[order[i]];

		json_array_append_new(
			list, json_pack("{s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "Layer",
					(json_int_t)order[i] + 1, "CreatedBy", made_by(l, order[i]),
					"Size", (json_int_t)layer_bytes(r), "Added",
					tally_json(&r->added), "Changed", tally_json(&r->changed),
					"Removed", tally_json(&r->removed), "Wasted",
					tally_json(&r->wasted), "Files", files_json(r, top)));
	}
	js_dump_go(list, 2, false, &out);
	printf("%s\n", out.p);
}

/* --- The command --- */

static int make_reports(struct store *s, struct looked_at *l, struct error **err)
{
	_cleanup_(config_release) struct config config = {0};
	_cleanup_(registry_freep) struct registry *registry = NULL;
	int r = config_load(&config, err);

	if (r < 0)
		return r;
	registry = registry_new(&config);
	r = indexes_require(s, registry, NULL, l->image.layers, l->image.n_layers, err);
	l->reports = xcalloc(l->image.n_layers + 1, sizeof(*l->reports));
	return r < 0 ? r
		     : layer_report_make(s, l->image.layers, l->image.n_layers, l->reports, err);
}

static int show_image(struct store *s, struct looked_at *l, const struct layers_options *o,
		      struct error **err)
{
	int r = make_reports(s, l, err);

	if (r < 0)
		return r;
	if (o->format && strcmp(o->format, "json") == 0) {
		print_json(l, o->top);
		return 0;
	}
	print_layers(l);
	if (o->top > 0)
		print_files(l, o->top);
	print_waste(l);
	return 0;
}

static int image_layers(const char *name, const struct layers_options *o, struct error **err)
{
	_cleanup_(store_closep) struct store *s = NULL;
	struct looked_at l = {0};
	int r = session_open_store(&s, err);

	if (r == 0)
		r = image_find(s, name, &l.image, NULL, err);
	if (r < 0)
		return r;
	r = image_for_platform(s, &l.image, o->platform, err);
	if (r == 0)
		r = image_config_load(s, &l.image, &l.config, err);
	if (r == 0) {
		r = show_image(s, &l, o, err);
		image_config_release(&l.config);
	}
	for (size_t i = 0; l.reports && i < l.image.n_layers; i++)
		layer_report_release(&l.reports[i]);
	free(l.reports);
	image_release(&l.image);
	return r;
}

int cmd_image_layers(const struct command *self, int argc, char **argv)
{
	struct layers_options o = {.top = TOP_DEFAULT};
	struct platform platform = {0};
	const struct opt table[] = {
		{"format", 0, OPT_STRING, &o.format, "FORMAT", "table (default) or json"},
		{"platform", 0, OPT_PLATFORM, &platform, "PLATFORM",
		 "Of an image for several: the one for this platform"},
		{"top", 'n', OPT_INT, &o.top, "N", "How many of the largest files to show (10)"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	o.platform = opt_platform(&platform);
	if (args.n != 1)
		return session_misuse(self, "takes one IMAGE");
	if (o.format && strcmp(o.format, "json") != 0 && strcmp(o.format, "table") != 0)
		return session_misuse(self, "--format: use table or json");
	r = image_layers(args.v[0], &o, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
