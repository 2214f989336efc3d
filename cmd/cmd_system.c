/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln system df` and `system prune`: images and the build cache together. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/times.h"
#include "cmd/cli/cache_rows.h"
#include "cmd/cli/session.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"
#include "store/layer.h"

/* One line of docker's table. Nothing is active between two commands: there are no containers. */
struct usage {
	const char *type;
	size_t total, active;
	uint64_t size, reclaimable;
};

enum { IMAGES, CONTAINERS, VOLUMES, CACHE, KINDS };

/* Layers that images share count once. */
static int add_image(struct store *s, const struct image *image, struct map *seen, struct usage *u,
		     struct error **err)
{
	for (size_t i = 0; i < image->n_layers; i++) {
		void **slot = map_put(seen, &image->layers[i], sizeof(image->layers[i]));
		struct layer_info info = {0};
		int r;

		if (*slot)
			continue;
		*slot = u;
		r = layer_get(s, image->layers[i], &info, err);
		if (r < 0)
			return r;
		u->size += info.size;
		layer_info_release(&info);
	}
	u->total++;
	return 0;
}

static int count_images(struct store *s, struct usage *u, struct error **err)
{
	struct map seen = MAP_INIT;
	struct image *images = NULL;
	size_t n = 0;
	int r = image_list(s, &images, &n, err);

	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = add_image(s, &images[i], &seen, u, err);
		image_release(&images[i]);
	}
	free(images);
	map_release(&seen, NULL);
	u->reclaimable = u->size;
	return r;
}

static int count_cache(struct store *s, struct usage *u, struct error **err)
{
	struct cache_rows rows = {0};
	struct du_totals totals = {0};
	int r = cache_rows_load(s, &rows, &totals, err);

	for (size_t i = 0; i < rows.n; i++) {
		/* What an image needs too is the image's. */
		if (rows.v[i].shared)
			continue;
		u->total++;
		u->active += rows.v[i].in_use;
		u->size += rows.v[i].size;
		u->reclaimable += rows.v[i].reclaimable ? rows.v[i].size : 0;
	}
	cache_rows_release(&rows);
	return r;
}

static char *reclaimable(const struct usage *u)
{
	_cleanup_free_ char *size = times_human_size(u->reclaimable);

	return u->size == 0 ? TAKE_PTR(size)
			    : xasprintf("%s (%" PRIu64 "%%)", size, u->reclaimable * 100 / u->size);
}

static void print_table(const struct usage *kinds)
{
	static const char *const heads[] = {"TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"};
	struct table t = {.columns = ARRAY_SIZE(heads)};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < KINDS; i++) {
		table_cell(&t, kinds[i].type);
		table_take(&t, xasprintf("%zu", kinds[i].total));
		table_take(&t, xasprintf("%zu", kinds[i].active));
		table_take(&t, times_human_size(kinds[i].size));
		table_take(&t, reclaimable(&kinds[i]));
	}
	table_print(&t, stdout);
	table_release(&t);
}

static int print_formatted(const struct usage *kinds, const char *format, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < KINDS && r == 0; i++) {
		_cleanup_free_ char *size = times_human_size(kinds[i].size);
		_cleanup_free_ char *free_able = reclaimable(&kinds[i]);
		_cleanup_free_ char *total = xasprintf("%zu", kinds[i].total);
		_cleanup_free_ char *active = xasprintf("%zu", kinds[i].active);

		r = template_print_document(format,
					    json_pack("{s:s, s:s, s:s, s:s, s:s}", "Active", active,
						      "Reclaimable", free_able, "Size", size,
						      "TotalCount", total, "Type", kinds[i].type),
					    err);
	}
	return r;
}

int cmd_system_df(const struct command *self, int argc, char **argv)
{
	struct usage kinds[KINDS] = {[IMAGES] = {.type = "Images"},
				     [CONTAINERS] = {.type = "Containers"},
				     [VOLUMES] = {.type = "Local Volumes"},
				     [CACHE] = {.type = "Build Cache"}};
	const char *format = NULL;
	const struct opt table[] = {
		{"format", 0, OPT_STRING, &format, "FORMAT",
		 "table (default), json or a Go template such as {{.Type}}: {{.Size}}"},
		{0},
	};
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments: kiln images and kiln du list what "
					    "there is");
	r = session_open_store(&s, &err);
	if (r == 0)
		r = count_images(s, &kinds[IMAGES], &err);
	if (r == 0)
		r = count_cache(s, &kinds[CACHE], &err);
	if (r == 0 && format && strcmp(format, "table") != 0)
		r = print_formatted(kinds, format, &err);
	else if (r == 0)
		print_table(kinds);
	return r < 0 ? session_fail(r, &err) : 0;
}

static int run(int (*fn)(const struct command *, int, char **), const struct command *self,
	       struct strv *argv)
{
	return fn(self, (int)argv->n, argv->v);
}

int cmd_system_prune(const struct command *self, int argc, char **argv)
{
	bool all = false, force = false, volumes = false;
	_cleanup_strv_ struct strv filters = {0}, args = {0}, images = {0}, cache = {0};
	const struct opt table[] = {
		{"all", 'a', OPT_BOOL, &all, NULL, "Remove images that have names too"},
		{"filter", 0, OPT_LIST, &filters, "until=AGE",
		 "Only what is older, or unused for as long"},
		{"force", 'f', OPT_BOOL, &force, NULL, "Do not ask"},
		{"volumes", 0, OPT_BOOL, &volumes, NULL,
		 "Remove the directories of RUN --mount=type=cache too"},
		{0},
	};
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments");
	if (!session_confirmed(force, "all %s and the build cache%s",
			       all ? "images" : "images without a name",
			       volumes ? ", with all cache mounts" : ""))
		return 0;
	strv_push(&images, "prune");
	strv_push(&images, all ? "-af" : "-f");
	strv_push(&cache, "prune");
	strv_push(&cache, volumes ? "-af" : "-f");
	for (size_t i = 0; i < filters.n; i++) {
		strv_pushf(&images, "--filter=%s", filters.v[i]);
		strv_pushf(&cache, "--filter=%s", filters.v[i]);
	}
	status = run(cmd_image_prune, self, &images);
	return status == 0 ? run(cmd_prune, self, &cache) : status;
}
