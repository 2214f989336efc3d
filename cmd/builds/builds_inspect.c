/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln builds inspect`: one record. */
#include "cmd/builds/builds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/times.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"

static void print_field(const char *title, const char *text)
{
	if (text && *text)
		show(stdout, "%-15s %s\n", title, text);
}

static void print_text(const json_t *doc, const char *title, const char *key)
{
	print_field(title, json_string_value(json_object_get(doc, key)));
}

static void print_joined(const json_t *list, const char *title)
{
	_cleanup_strv_ struct strv texts = {0};
	_cleanup_free_ char *joined = NULL;
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) if (json_is_string(item))
		strv_push(&texts, json_string_value(item));
	joined = strv_join(&texts, ", ");
	print_field(title, joined);
}

/* "NAME VALUE" below a heading, as buildx prints arguments and labels. */
static void print_pairs(const json_t *doc, const char *key, const char *heading)
{
	const json_t *list = json_object_get(doc, key), *pair;
	struct table t = {.columns = 2};
	size_t i;

	if (json_array_size(list) == 0)
		return;
	table_cell(&t, heading);
	table_cell(&t, "VALUE");
	json_array_foreach(list, i, pair)
	{
		const char *name = json_string_value(json_object_get(pair, "Name"));
		const char *value = json_string_value(json_object_get(pair, "Value"));

		table_cell(&t, name ? name : "");
		table_cell(&t, value ? value : "");
	}
	table_print(&t, stdout);
	table_release(&t);
	printf("\n");
}

static void print_outcome(const struct build_entry *e)
{
	time_t seconds = (time_t)(e->started / NS_PER_S);
	_cleanup_free_ char *duration = times_duration(e->duration / 1000000 * 1000000);
	int64_t total = json_integer_value(json_object_get(e->summary, "NumTotalSteps"));
	int64_t done = json_integer_value(json_object_get(e->summary, "NumCompletedSteps"));
	int64_t cached = json_integer_value(json_object_get(e->summary, "NumCachedSteps"));
	_cleanup_free_ char *steps = NULL;
	char started[64] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		(void)strftime(started, sizeof(started), "%Y-%m-%d %H:%M:%S", &tm);
	print_field("Started:", started);
	print_field("Duration:", duration);
	if (strcmp(e->status, "canceled") == 0)
		print_field("Status:", "Canceled");
	print_text(json_object_get(e->summary, "Error"), "Error:", "Message");
	steps = xasprintf("%lld/%lld (%.0f%% cached)", (long long)done, (long long)total,
			  total > 0 ? 100.0 * (double)cached / (double)total : 0.0);
	print_field("Build Steps:", steps);
	printf("\n");
}

static void print_images(const json_t *doc)
{
	const json_t *image;
	size_t i;

	json_array_foreach(json_object_get(doc, "Images"), i, image)
	{
		print_joined(json_object_get(image, "Names"), "Image:");
		print_text(image, "Digest:", "Digest");
		printf("\n");
	}
}

static void print_pretty(const struct build_entry *e)
{
	print_text(e->summary, "Name:", "Name");
	print_text(e->summary, "Ref:", "Ref");
	print_text(e->summary, "Context:", "Context");
	print_text(e->summary, "Dockerfile:", "Dockerfile");
	print_text(e->summary, "Target:", "Target");
	print_joined(json_object_get(e->summary, "Platform"), "Platforms:");
	printf("\n");
	print_outcome(e);
	print_images(e->summary);
	print_pairs(e->summary, "BuildArgs", "BUILD ARG");
	print_pairs(e->summary, "Labels", "LABEL");
	printf("Print build logs: kiln builds logs %s\n", e->file.ref);
}

int builds_inspect(struct store *s, const struct builds_options *o,
		   const struct history_entry *file, struct error **err)
{
	struct build_entry e;
	int r = build_entry_read(s, file, &e, err);

	if (r < 0)
		return r;
	if (!o->format || strcmp(o->format, "pretty") == 0)
		print_pretty(&e);
	else
		r = template_print_document(o->format, json_incref(e.summary), err);
	build_entry_release(&e);
	return r;
}
