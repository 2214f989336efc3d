/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln cache`: ls, inspect and rm of caches outside the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/printable.h"
#include "base/times.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/commands.h"
#include "engine/config/config.h"
#include "engine/oci/oci.h"
#include "engine/registry/registry.h"
#include "engine/remote_cache/remote_read.h"

enum { SHORT_KEY = 12 };

struct cache_options {
	const char *format;
	bool json, force;
};

/* One cache that was read, and its layers by diff id. */
struct contents {
	const struct remote_manifest *manifest;
	const struct remote_graph *graph;
	struct map blobs; /* diff id -> const struct layer_blob */
};

static void index_blobs(struct contents *c)
{
	for (size_t i = 0; i < c->manifest->results.n; i++) {
		struct remote_result_blob *b = &c->manifest->results.v[i];

		*map_put(&c->blobs, b->diff_id.b, DIGEST_SIZE) = &b->blob;
	}
}

/* NULL: a layer of a base image, which the cache does not have. */
static const struct layer_blob *blob_of(const struct contents *c, uint32_t layer)
{
	return map_get(&c->blobs, c->graph->layers.v[layer].diff_id.b, DIGEST_SIZE);
}

/* Where in its chain an output's own layers begin. */
static size_t first_own(const struct remote_output *o)
{
	return o->own < o->chain.n ? o->chain.n - o->own : 0;
}

static uint64_t record_size(const struct contents *c, const struct remote_record *record)
{
	uint64_t size = 0;

	for (size_t i = 0; i < record->n_outputs; i++) {
		const struct remote_output *o = &record->outputs[i];

		for (size_t k = first_own(o); k < o->chain.n; k++) {
			const struct layer_blob *blob = blob_of(c, o->chain.layers[k]);

			size += blob ? blob->size : 0;
		}
	}
	return size;
}

static uint64_t total_size(const struct remote_manifest *m)
{
	uint64_t size = m->kind == REMOTE_IS_CACHE ? m->config.size + m->graph.size : 0;

	for (size_t i = 0; i < m->results.n; i++)
		size += m->results.v[i].blob.size;
	for (size_t i = 0; i < m->mounts.n; i++)
		size += remote_mount_size(&m->mounts.v[i]);
	return size;
}

static int compare_created(const void *a, const void *b)
{
	const struct remote_record *const *x = a, *const *y = b;

	if ((*x)->created != (*y)->created)
		return (*x)->created < (*y)->created ? -1 : 1;
	return strcmp((*x)->name, (*y)->name);
}

/* In the order in which they were made. Heap; free the array. */
static const struct remote_record **sorted_records(const struct remote_graph *g)
{
	const struct remote_record **records =
		xcalloc(g->records.n + 1, sizeof(struct remote_record *));

	for (size_t i = 0; i < g->records.n; i++)
		records[i] = &g->records.v[i];
	qsort(records, g->records.n, sizeof(struct remote_record *), compare_created);
	return records;
}

/* --- JSON --- */

/* Names and ids are bytes; what is no UTF-8 in them is shown as \xNN. */
static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (value)
		return value;
	printable_add(&b, text, strlen(text));
	return json_string(b.p);
}

static json_t *digest_json(const struct digest *d)
{
	char text[DIGEST_TEXT];

	return json_string(digest_format(d, text));
}

static json_t *layer_json(const struct contents *c, uint32_t layer)
{
	const struct layer_blob *blob = blob_of(c, layer);
	json_t *doc = json_object();

	json_object_set_new(doc, "DiffID", digest_json(&c->graph->layers.v[layer].diff_id));
	if (blob) {
		json_object_set_new(doc, "Digest", digest_json(&blob->digest));
		json_object_set_new(doc, "Size", json_integer((json_int_t)blob->size));
	}
	return doc;
}

static json_t *record_json(const struct contents *c, const struct remote_record *record)
{
	_cleanup_free_ char *created = times_rfc3339(record->created);
	_cleanup_free_ char *took = times_duration(record->duration);
	json_t *doc = json_pack("{s:s, s:s, s:s, s:I}", "Type", "regular", "CreatedAt", created,
				"Duration", took, "Size", (json_int_t)record_size(c, record));
	json_t *keys = json_array(), *layers = json_array();

	for (size_t i = 0; i < record->n_keys; i++)
		json_array_append_new(keys, digest_json(&record->keys[i]));
	for (size_t i = 0; i < record->n_outputs; i++) {
		const struct remote_output *o = &record->outputs[i];

		for (size_t k = first_own(o); k < o->chain.n; k++)
			json_array_append_new(layers, layer_json(c, o->chain.layers[k]));
	}
	json_object_set_new(doc, "Description", text_json(record->name));
	json_object_set_new(doc, "Keys", keys);
	json_object_set_new(doc, "Layers", layers);
	return doc;
}

static json_t *mount_json(const struct remote_mount *mount)
{
	json_t *doc = json_pack("{s:s, s:I}", "Type", "exec.cachemount", "Size",
				(json_int_t)remote_mount_size(mount));
	json_t *digests = json_array();

	for (size_t i = 0; i < mount->parts.n; i++)
		json_array_append_new(digests, digest_json(&mount->parts.v[i].digest));
	json_object_set_new(doc, "ID", text_json(mount->id));
	json_object_set_new(doc, "Digests", digests);
	return doc;
}

/* All of it: records in the order they were made, then mounts. */
static json_t *rows_json(const struct contents *c)
{
	_cleanup_free_ const struct remote_record **records = sorted_records(c->graph);
	json_t *rows = json_array();

	for (size_t i = 0; i < c->graph->records.n; i++)
		json_array_append_new(rows, record_json(c, records[i]));
	for (size_t i = 0; i < c->manifest->mounts.n; i++)
		json_array_append_new(rows, mount_json(&c->manifest->mounts.v[i]));
	return rows;
}

/* --- tables --- */

/* The cache's author chose the text: nothing in it moves a cursor. */
static void text_cell(struct table *t, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	printable_add(&b, text, strlen(text));
	table_cell(t, b.p);
}

static void digest_cell(struct table *t, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(d, hex);
	hex[SHORT_KEY] = '\0';
	table_cell(t, hex);
}

static void record_row(struct table *t, const struct contents *c,
		       const struct remote_record *record)
{
	_cleanup_free_ char *size = times_human_size(record_size(c, record));
	_cleanup_free_ char *age = times_human_age((times_now_ns() - record->created) / NS_PER_S);
	/* To the millisecond. */
	_cleanup_free_ char *took = times_duration(record->duration / 1000000 * 1000000);

	digest_cell(t, &record->keys[0]);
	table_cell(t, "regular");
	table_cell(t, size);
	table_cell(t, age);
	table_cell(t, took);
	text_cell(t, record->name);
}

static void mount_row(struct table *t, const struct remote_mount *mount)
{
	_cleanup_free_ char *size = times_human_size(remote_mount_size(mount));

	digest_cell(t, &mount->parts.v[0].digest);
	table_cell(t, "exec.cachemount");
	table_cell(t, size);
	table_cell(t, "");
	table_cell(t, "");
	text_cell(t, mount->id);
}

static void print_table(const struct contents *c)
{
	static const char *const heads[] = {"KEY",     "TYPE", "SIZE",
					    "CREATED", "TOOK", "DESCRIPTION"};
	_cleanup_free_ const struct remote_record **records = sorted_records(c->graph);
	_cleanup_free_ char *total = times_human_size(total_size(c->manifest));
	struct table t = {.columns = ARRAY_SIZE(heads)};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
	for (size_t i = 0; i < c->graph->records.n; i++)
		record_row(&t, c, records[i]);
	for (size_t i = 0; i < c->manifest->mounts.n; i++)
		mount_row(&t, &c->manifest->mounts.v[i]);
	table_print(&t, stdout);
	table_release(&t);
	printf("Layers:\t%zu\nTotal:\t%s\n", c->manifest->results.n, total);
}

/* --- subcommands --- */

struct showing {
	const struct remote_backend *backend;
	const struct cache_options *options;
	void (*print)(const struct showing *s, const struct contents *c);
};

static void print_list(const struct showing *s, const struct contents *c)
{
	_cleanup_json_ json_t *rows = NULL;
	const json_t *row;
	size_t i;

	if (!s->options->json) {
		print_table(c);
		return;
	}
	rows = rows_json(c);
	json_array_foreach(rows, i, row)
	{
		_cleanup_free_ char *line = json_dumps(row, JSON_COMPACT);

		printf("%s\n", line);
	}
}

static void print_all(const struct showing *s, const struct contents *c)
{
	_cleanup_json_ json_t *doc = json_object();
	json_t *layers = json_array();
	char *text;

	for (size_t i = 0; i < c->graph->layers.n; i++)
		json_array_append_new(layers, layer_json(c, (uint32_t)i));
	json_object_set_new(doc, "Name", text_json(s->backend->name));
	json_object_set_new(doc, "Kind",
			    json_string(c->manifest->kind == REMOTE_IS_CACHE ? "cache" : "inline"));
	json_object_set_new(doc, "Size", json_integer((json_int_t)total_size(c->manifest)));
	json_object_set_new(doc, "Layers", layers);
	json_object_set_new(doc, "Contents", rows_json(c));
	text = json_dumps(doc, JSON_INDENT(4));
	printf("%s\n", text);
	free(text);
}

static int on_found(void *data, const struct remote_manifest *m, struct remote_graph *g,
		    struct error **err)
{
	const struct showing *s = data;
	struct contents c = {.manifest = m, .graph = g};

	(void)err;
	index_blobs(&c);
	s->print(s, &c);
	map_release(&c.blobs, NULL);
	return 0;
}

static int list(struct remote_backend *b, const struct cache_options *o, struct error **err)
{
	struct showing s = {b, o, print_list};

	return remote_read(b, on_found, &s, NULL, err);
}

static int inspect(struct remote_backend *b, const struct cache_options *o, struct error **err)
{
	struct showing s = {b, o, print_all};

	return remote_read(b, on_found, &s, NULL, err);
}

/* An image with a cache inline is an image first, and so is an index. */
static int check_removable(struct remote_backend *b, struct error **err)
{
	_cleanup_(remote_manifest_release) struct remote_manifest m = REMOTE_MANIFEST_INIT;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int r = b->ops->read_manifest(b, NULL, OCI_DOCUMENT_MAX, &bytes, err);

	if (r < 0)
		return r;
	r = remote_manifest_parse(bytes.p, bytes.n, &m, err);
	if (r == 0 && m.kind != REMOTE_IS_CACHE)
		r = error_new(err, ERR_INVALID, 0, "this is not a cache that kiln wrote");
	return r < 0 ? error_hint(err, r, "use --force to remove it anyway") : 0;
}

static int remove_cache(struct remote_backend *b, const struct cache_options *o, struct error **err)
{
	int r = o->force ? 0 : check_removable(b, err);

	if (r == 0)
		r = b->ops->remove_manifest(b, err);
	if (r == 0)
		show(stdout, "Deleted: %s\n", b->name);
	return r;
}

typedef int (*subcommand_fn)(struct remote_backend *b, const struct cache_options *o,
			     struct error **err);

static const struct {
	const char *name;
	subcommand_fn run;
} subcommands[] = {{"ls", list}, {"inspect", inspect}, {"rm", remove_cache}};

static int check(struct cache_options *o, const struct strv *args, subcommand_fn *ret,
		 remote_specs *specs, struct error **err)
{
	int r;

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		if (args->n > 0 && strcmp(args->v[0], subcommands[i].name) == 0)
			*ret = subcommands[i].run;
	if (!*ret || args->n != 2)
		return error_new(err, ERR_INVALID, 0, "takes ls, inspect or rm, and one REF");
	if (o->format && strcmp(o->format, "json") != 0 && strcmp(o->format, "table") != 0)
		return error_new(err, ERR_INVALID, 0, "invalid --format '%s': use table or json",
				 o->format);
	o->json = o->format && strcmp(o->format, "json") == 0;
	r = remote_spec_parse(args->v[1], REMOTE_IMPORT, specs, err);
	if (r == 0 && specs->n != 1)
		r = error_new(err, ERR_INVALID, 0, "takes one REF");
	return r;
}

static int run(subcommand_fn sub, const struct remote_spec *spec, const struct cache_options *o,
	       struct error **err)
{
	_cleanup_(config_release) struct config config = {0};
	_cleanup_(registry_freep) struct registry *registry = NULL;
	_cleanup_(remote_backend_closep) struct remote_backend *b = NULL;
	struct remote_env env = {.config = &config, .cancel = session_cancel()};
	int r = config_load(&config, err);

	if (r < 0)
		return r;
	env.registry = registry = registry_new(&config);
	r = remote_backend_open(&env, spec, &b, err);
	if (r < 0)
		return r;
	r = sub(b, o, err);
	return r < 0 ? error_wrap(err, r, "cache %s", b->name) : 0;
}

int cmd_cache(const struct command *self, int argc, char **argv)
{
	struct cache_options o = {0};
	const struct opt table[] = {
		{"force", 'f', OPT_BOOL, &o.force, NULL,
		 "rm: remove it even if kiln did not write it, or it is damaged"},
		{"format", 0, OPT_STRING, &o.format, "FORMAT", "ls: table (default) or json"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	remote_specs specs = {0};
	subcommand_fn sub = NULL;
	struct error *err = NULL;
	int r, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	r = check(&o, &args, &sub, &specs, &err);
	status = r < 0 ? session_usage(self, &err) : 0;
	if (r == 0) {
		r = run(sub, &specs.v[0], &o, &err);
		status = r < 0 ? session_fail(r, &err) : 0;
	}
	remote_specs_release(&specs);
	return status;
}
