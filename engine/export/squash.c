/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/export/squash.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/times.h"
#include "store/record.h"
#include "store/rootfs.h"

#define SQUASH_COMMENT "kiln.squash.v0"

void squashed_release(struct squashed *q)
{
	image_config_release(&q->config);
	free(q->layers);
	*q = (struct squashed){0};
}

/* --- the layer --- */

struct squash {
	struct job *job;
	size_t keep;
	const struct rootfs *below, *all;
	struct layer_writer *w;
	struct map names; /* "layer:path" of a file's bytes -> path that has them here */
};

/* The path that the bytes of this node were written under before, or NULL; remembers the first. */
static const char *first_name(struct squash *q, const struct rootfs_node *node)
{
	const char *path = node->data_path ? node->data_path : node->entry.path;
	_cleanup_free_ char *key = xasprintf("%zu:%s", node->layer, path);
	void **slot = map_puts(&q->names, key);

	if (*slot)
		return *slot;
	*slot = xstrdup(node->entry.path);
	return NULL;
}

static int put_file(struct squash *q, const struct rootfs_node *node, struct error **err)
{
	const struct entry *e = &node->entry;
	_cleanup_close_ int fd = rootfs_open_file(q->all, node, err);
	int r;

	if (fd < 0)
		return fd;
	r = layer_writer_file(q->w, e, err);
	if (r == 0)
		r = layer_writer_copy_known(q->w, fd, &e->content, e->size, err);
	return r < 0 ? r : layer_writer_file_end(q->w, NULL, err);
}

/* A path of the whole: what the layers that stay have is left to them. */
static int put_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct squash *q = data;
	struct entry e = node->entry;
	const char *first;

	if (cancel_is_set(job_cancel(q->job)))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	if (node->layer < q->keep)
		return 0;
	if (e.type == ENTRY_DIR) {
		/* What it hid gets whiteouts of its own. */
		e.opaque = false;
		return layer_writer_put(q->w, &e, err);
	}
	first = first_name(q, node);
	if (first) {
		e.type = ENTRY_HARDLINK;
		e.link = first;
		return layer_writer_put(q->w, &e, err);
	}
	return e.type == ENTRY_FILE ? put_file(q, node, err) : layer_writer_put(q->w, &e, err);
}

/* A path of the layers that stay: is it still there? */
static int hide_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct squash *q = data;
	const struct entry *e = &node->entry;
	struct rootfs_node now;
	int r;

	if (rootfs_get(q->all, e->path, &now))
		return e->type == ENTRY_DIR && now.entry.type != ENTRY_DIR ? ROOTFS_SKIP : 0;
	r = layer_writer_put(q->w, &(struct entry){.path = e->path, .type = ENTRY_WHITEOUT}, err);
	return r < 0 || e->type != ENTRY_DIR ? r : ROOTFS_SKIP;
}

/* Directories that only hold something new look as they did. */
static int imply_dir(void *data, struct entry *e, struct error **err)
{
	const struct squash *q = data;
	struct rootfs_node node;

	(void)err;
	if (rootfs_get(q->all, e->path, &node)) {
		e->mode = node.entry.mode;
		e->uid = node.entry.uid;
		e->gid = node.entry.gid;
		e->mtime = node.entry.mtime;
	}
	return 0;
}

static int write_layer(struct squash *q, int64_t *ret, struct error **err)
{
	int r = rootfs_walk(q->all, "", put_node, q, err);

	if (r >= 0)
		r = rootfs_walk(q->below, "", hide_node, q, err);
	if (r >= 0)
		r = layer_writer_imply(q->w, imply_dir, q, err);
	return r < 0 ? r : layer_writer_commit(q->w, ret, err);
}

static int make_layer(struct store *s, const int64_t *layers, size_t n, size_t keep,
		      struct job *job, int64_t *ret, struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *below = NULL, *all = NULL;
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	struct squash q = {.job = job, .keep = keep, .names = MAP_INIT};
	int r = rootfs_open(s, layers, keep, &below, err);

	if (r == 0)
		r = rootfs_open(s, layers, n, &all, err);
	if (r == 0)
		r = layer_writer_open(s, &w, err);
	if (r < 0)
		return r;
	q.below = below;
	q.all = all;
	q.w = w;
	r = write_layer(&q, ret, err);
	map_release(&q.names, free);
	return r;
}

/* --- the image --- */

static struct digest squash_key(const int64_t *layers, size_t n, size_t keep)
{
	struct digest key;
	struct hasher h;

	hasher_init(&h);
	hasher_add_string(&h, "squash");
	hasher_add_u64(&h, keep);
	for (size_t i = 0; i < n; i++)
		hasher_add_u64(&h, (uint64_t)layers[i]);
	hasher_final(&h, &key);
	hasher_release(&h);
	return key;
}

/* Layer ids are never used twice, so that they name what is squashed. The result is a record like a
 * step's: found again by the next build, and removed with the rest of the cache. */
static int find_or_make(const struct export_env *e, const int64_t *layers, size_t n, size_t keep,
			struct job *job, struct squashed *q, struct error **err)
{
	struct store *s = e->store;
	static char description[] = "squash";
	struct digest key = squash_key(layers, n, keep);
	struct record record = {.data = BUF_INIT};
	bool found;
	int r = record_find(s, &key, &found, &record, err);

	if (r == 0 && found) {
		q->layers = record.layers;
		q->n_layers = record.n_layers;
		record.layers = NULL;
	}
	record_release(&record);
	if (r < 0 || found)
		return r;
	q->layers = xcalloc(keep + 1, sizeof(*q->layers));
	for (; q->n_layers < keep; q->n_layers++)
		q->layers[q->n_layers] = layers[q->n_layers];
	r = e->require_dirs(e->data, job, layers, n, err);
	if (r == 0)
		r = make_layer(s, layers, n, keep, job, &q->layers[q->n_layers], err);
	if (r < 0)
		return r;
	q->n_layers++;
	record = (struct record){.layers = q->layers,
				 .n_layers = q->n_layers,
				 .data = BUF_INIT,
				 .description = description,
				 .created = times_now_ns()};
	return record_add(s, &record, &key, 1, err);
}

/* The rows of what was squashed made nothing, the last one made it all. */
static void squash_history(struct image_config *c, size_t keep, size_t n_squashed)
{
	_cleanup_free_ char *by = xasprintf("squash %zu layers", n_squashed);
	size_t seen = 0;

	for (size_t i = 0; i < c->history.n; i++) {
		if (!c->history.v[i].empty_layer && seen++ >= keep)
			c->history.v[i].empty_layer = true;
	}
	image_config_add_history(c, NULL, by, SQUASH_COMMENT, false);
	if (c->diff_ids.n > keep)
		c->diff_ids.n = keep;
}

int squash_image(const struct export_env *e, const struct image_config *config,
		 const struct layer_chain *chain, struct job *job, struct squashed *ret,
		 struct error **err)
{
	const int64_t *layers = chain->layers;
	size_t n = chain->n, keep = chain->n_keep;
	struct squashed q = {0};
	int r;

	image_config_copy(&q.config, config);
	if (n <= keep + 1) {
		q.layers = xcalloc(n + 1, sizeof(*q.layers));
		for (; q.n_layers < n; q.n_layers++)
			q.layers[q.n_layers] = layers[q.n_layers];
		*ret = q;
		return 0;
	}
	r = find_or_make(e, layers, n, keep, job, &q, err);
	if (r < 0) {
		squashed_release(&q);
		return error_wrap(err, r, "squash %zu layers", n - keep);
	}
	squash_history(&q.config, keep, n - keep);
	*ret = q;
	return 0;
}
