/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln history`: the rows of an image's history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "cmd/cli/image_json.h"
#include "cmd/cli/session.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"
#include "engine/oci/image_index.h"
#include "store/layer.h"

enum { SHORT_ID = 12, CREATED_BY_WIDTH = 45 };

struct history_options {
	bool human, no_trunc, quiet;
	const char *format;
	const struct template *template;
	const struct platform *platform; /* NULL: the image that the store knows */
};

/* One row, newest first. */
struct step {
	const struct image_history *h;
	uint64_t size;
	const struct image *image; /* the newest row's; NULL: "<missing>" */
};

static json_t *step_json(const struct step *step, const struct history_options *o)
{
	const struct image_history *h = step->h;
	_cleanup_free_ char *age = NULL, *size = NULL, *by = NULL;
	char full[DIGEST_TEXT], id[DIGEST_TEXT] = "<missing>";
	int64_t when = 0;
	json_t *row = json_object();

	if (step->image) {
		digest_format(&step->image->config, full);
		if (o->no_trunc)
			snprintf(id, sizeof(id), "%s", full);
		else
			snprintf(id, sizeof(id), "%.*s", SHORT_ID, full + strlen("sha256:"));
	}
	if (h->created)
		(void)!times_parse_rfc3339(h->created, &when);
	age = h->created ? times_human_age((times_now_ns() - when) / NS_PER_S) : xstrdup("N/A");
	size = o->human ? times_human_size(step->size)
			: xasprintf("%llu", (unsigned long long)step->size);
	by = xstrdup(h->created_by ? h->created_by : "");
	for (char *p = by; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	if (!o->no_trunc && strlen(by) > CREATED_BY_WIDTH) {
		char *cut = xasprintf("%.*s…", CREATED_BY_WIDTH - 1, by);

		free(by);
		by = cut;
	}
	json_object_set_new(row, "Comment", json_string(h->comment ? h->comment : ""));
	json_object_set_new(row, "CreatedAt", json_string(h->created ? h->created : ""));
	json_object_set_new(row, "CreatedBy", json_string(by));
	json_object_set_new(row, "CreatedSince",
			    json_string(o->human     ? age
					: h->created ? h->created
						     : ""));
	json_object_set_new(row, "ID", json_string(id));
	json_object_set_new(row, "Size", json_string(size));
	return row;
}

static void add_cells(struct table *t, const json_t *row)
{
	static const char *const keys[] = {"ID", "CreatedSince", "CreatedBy", "Size", "Comment"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *cell = json_string_value(json_object_get(row, keys[i]));

		table_cell(t, cell ? cell : "");
	}
}

static int print_step(const struct step *step, const struct history_options *o, struct table *t,
		      struct error **err)
{
	_cleanup_json_ json_t *row = step_json(step, o);
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = 0;

	if (o->quiet) {
		buf_adds(&out, json_string_value(json_object_get(row, "ID")));
	} else if (o->template) {
		r = template_execute(o->template, row, &out, err);
	} else if (o->format && strcmp(o->format, "json") == 0) {
		js_dump_go(row, 0, false, &out);
	} else {
		add_cells(t, row);
		return 0;
	}
	if (r == 0)
		printf("%s\n", out.p);
	return r;
}

static int print_all(struct store *s, const struct image *image, const struct image_config *c,
		     const struct history_options *o, struct error **err)
{
	static const char *const heads[] = {"IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"};
	struct table t = {.columns = ARRAY_SIZE(heads)};
	size_t layer = image->n_layers;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = c->history.n; i-- > 0 && r == 0;) {
		struct step step = {.h = &c->history.v[i],
				    .image = i + 1 == c->history.n ? image : NULL};
		_cleanup_(layer_info_release) struct layer_info info = {0};

		if (!step.h->empty_layer && layer > 0 &&
		    layer_get(s, image->layers[--layer], &info, NULL) == 0)
			step.size = info.size;
		r = print_step(&step, o, &t, err);
	}
	if (r == 0 && !o->quiet && !o->template && !(o->format && strcmp(o->format, "json") == 0))
		table_print(&t, stdout);
	table_release(&t);
	return r;
}

static int history(const char *name, struct history_options *o, struct error **err)
{
	_cleanup_(template_freep) struct template *template = NULL;
	_cleanup_(image_release) struct image image = {0};
	_cleanup_(store_closep) struct store *s = NULL;
	struct image_config c;
	int r = 0;

	if (o->format && strcmp(o->format, "json") != 0 && strcmp(o->format, "table") != 0)
		r = template_parse(o->format, &template, err);
	o->template = template;
	if (r == 0)
		r = session_open_store(&s, err);
	if (r == 0)
		r = image_find(s, name, &image, NULL, err);
	if (r == 0)
		r = image_for_platform(s, &image, o->platform, err);
	if (r == 0)
		r = image_config_load(s, &image, &c, err);
	if (r < 0)
		return r;
	r = print_all(s, &image, &c, o, err);
	image_config_release(&c);
	return r;
}

int cmd_history(const struct command *self, int argc, char **argv)
{
	struct history_options o = {.human = true};
	struct platform platform = {0};
	const struct opt table[] = {
		{"format", 0, OPT_STRING, &o.format, "FORMAT",
		 "table (default), json or a Go template"},
		{"human", 'H', OPT_BOOL, &o.human, NULL,
		 "Sizes and ages for people (default true)"},
		{"no-trunc", 0, OPT_BOOL, &o.no_trunc, NULL, "Do not cut ids and commands"},
		{"platform", 0, OPT_PLATFORM, &platform, "PLATFORM",
		 "Of an image for several: the one for this platform"},
		{"quiet", 'q', OPT_BOOL, &o.quiet, NULL, "Show ids only"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n != 1)
		return session_misuse(self, "takes one image");
	o.platform = opt_platform(&platform);
	r = history(args.v[0], &o, &err);
	return r < 0 ? session_fail(r, &err) : 0;
}
