/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/layer_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "store/index.h"
#include "store/rootfs.h"

void layer_report_release(struct layer_report *r)
{
	for (size_t i = 0; i < r->files.n; i++)
		free(r->files.v[i].path);
	vec_release(&r->files);
	*r = (struct layer_report){0};
}

static void count(struct layer_tally *t, const struct entry *e)
{
	t->files++;
	t->bytes += e->type == ENTRY_FILE ? e->size : 0;
}

/* The bytes of a file with several names are counted once, under the first. */
static void count_node(struct layer_tally *t, const struct rootfs_node *node)
{
	struct entry e = node->entry;

	if (strcmp(node->data_path, e.path) != 0)
		e.size = 0;
	count(t, &e);
}

/* A layer under examination, with what lies below it. */
struct examination {
	struct layer_report *reports;
	const struct rootfs *below;
	size_t layer;
	struct map *places; /* per layer: path -> its place in the report's files, plus 1 */
};

static void **place_of(struct examination *x, size_t layer, const char *path, bool make)
{
	struct map *m = &x->places[layer];

	if (make)
		return map_put(m, path, strlen(path));
	return map_get(m, path, strlen(path)) ? map_put(m, path, strlen(path)) : NULL;
}

/* A file that this layer hides was carried by a lower one in vain. */
static void waste(struct examination *x, const struct rootfs_node *node)
{
	void **place = place_of(x, node->layer, node->entry.path, false);

	count_node(&x->reports[node->layer].wasted, node);
	if (place)
		x->reports[node->layer].files.v[(size_t)(uintptr_t)*place - 1].wasted = true;
}

static int remove_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct examination *x = data;

	(void)err;
	if (node->entry.type == ENTRY_DIR)
		return 0;
	count_node(&x->reports[x->layer].removed, node);
	waste(x, node);
	return 0;
}

/* What is below a directory that this layer makes opaque, or takes away. */
static int remove_tree(struct examination *x, const char *path, struct error **err)
{
	struct rootfs_node node;

	return rootfs_get(x->below, path, &node) ? rootfs_walk(x->below, path, remove_node, x, err)
						 : 0;
}

static void add_file(struct examination *x, const struct entry *e, bool changed)
{
	struct layer_report *r = &x->reports[x->layer];

	count(changed ? &r->changed : &r->added, e);
	if (e->type != ENTRY_FILE)
		return;
	vec_push(&r->files, (struct layer_file){
				    .path = xstrdup(e->path), .size = e->size, .changed = changed});
	*place_of(x, x->layer, e->path, true) = (void *)(uintptr_t)r->files.n;
}

static int examine_entry(struct examination *x, const struct entry *e, struct error **err)
{
	struct rootfs_node node;
	bool below;

	if (e->type == ENTRY_WHITEOUT)
		return remove_tree(x, e->path, err);
	if (e->type == ENTRY_DIR)
		return e->opaque ? remove_tree(x, e->path, err) : 0;
	below = rootfs_get(x->below, e->path, &node);
	/* A file over a directory hides all that is in it. */
	if (below && node.entry.type == ENTRY_DIR)
		return remove_tree(x, e->path, err);
	add_file(x, e, below);
	if (below)
		waste(x, &node);
	return 0;
}

static int examine_layer(struct examination *x, struct store *s, const int64_t *layers,
			 struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	_cleanup_(index_unrefp) struct index *index = NULL;
	int r = layer_index(s, layers[x->layer], &index, err);

	if (r == 0)
		r = rootfs_open(s, layers, x->layer, &below, err);
	x->below = below;
	for (size_t i = 0; r == 0 && i < index_count(index); i++) {
		struct entry e;

		index_entry(index, i, &e);
		r = examine_entry(x, &e, err);
	}
	return r;
}

static int larger_first(const void *a, const void *b)
{
	const struct layer_file *x = a, *y = b;

	return x->size != y->size ? (x->size < y->size ? 1 : -1) : strcmp(x->path, y->path);
}

int layer_report_make(struct store *s, const int64_t *layers, size_t n, struct layer_report *ret,
		      struct error **err)
{
	_cleanup_free_ struct map *places = xcalloc(n + 1, sizeof(*places));
	struct examination x = {.reports = ret, .places = places};
	int r = 0;

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct layer_report){0};
	for (; r == 0 && x.layer < n; x.layer++)
		r = examine_layer(&x, s, layers, err);
	for (size_t i = 0; i < n; i++) {
		map_release(&places[i], NULL);
		if (ret[i].files.n > 0)
			qsort(ret[i].files.v, ret[i].files.n, sizeof(*ret[i].files.v),
			      larger_first);
	}
	return r;
}
