/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tree/tree_rootfs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "engine/tree/copy_select.h"
#include "engine/tree/result.h"
#include "store/index.h"

struct rootfs_tree {
	struct tree base;
	struct store *store;
	struct rootfs *rootfs;
	int64_t *layers;
	size_t n_layers;
	/* Files with several names, "<layer>\0<path of the data>" -> group number. Made on first
	 * use, since most sources are never walked. */
	pthread_mutex_t lock; /* protects groups, groups_made */
	struct map groups;
	bool groups_made;
};

static struct rootfs_tree *rootfs_tree_of(struct tree *t)
{
	return (struct rootfs_tree *)t;
}

static void group_key(struct buf *key, size_t layer, const char *path)
{
	buf_clear(key);
	buf_add(key, &layer, sizeof(layer));
	buf_adds(key, path);
}

/* Numbers the files that have hard links. A layer whose index cannot be read any more has none:
 * copies are then single files. */
static void make_groups(struct rootfs_tree *rt)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	uintptr_t next = 1;

	for (size_t i = 0; i < rt->n_layers; i++) {
		_cleanup_(index_unrefp) struct index *index = NULL;
		size_t n;

		if (layer_index(rt->store, rt->layers[i], &index, NULL) < 0)
			continue;
		n = index_count(index);
		for (size_t k = 0; k < n; k++) {
			struct entry e;
			void **slot;

			index_entry(index, k, &e);
			if (e.type != ENTRY_HARDLINK)
				continue;
			group_key(&key, i, e.link);
			slot = map_put(&rt->groups, key.p, key.n);
			if (!*slot)
				*slot = (void *)next++;
		}
	}
	rt->groups_made = true;
}

static uint64_t group_of(struct rootfs_tree *rt, const struct rootfs_node *node)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	uint64_t group = 0;

	if (node->entry.type != ENTRY_FILE)
		return 0;
	(void)pthread_mutex_lock(&rt->lock);
	if (!rt->groups_made)
		make_groups(rt);
	if (rt->groups.n > 0) {
		group_key(&key, node->layer, node->data_path);
		group = (uint64_t)(uintptr_t)map_get(&rt->groups, key.p, key.n);
	}
	(void)pthread_mutex_unlock(&rt->lock);
	return group;
}

static bool rootfs_tree_get(struct tree *t, const char *path, struct entry *ret,
			    uint64_t *ret_group)
{
	struct rootfs_tree *rt = rootfs_tree_of(t);
	struct rootfs_node node;

	if (!rootfs_get(rt->rootfs, path, &node)) {
		if (*path)
			return false;
		*ret = (struct entry){.path = "", .type = ENTRY_DIR, .mode = 0755};
		*ret_group = 0;
		return true;
	}
	*ret = node.entry;
	*ret_group = group_of(rt, &node);
	return true;
}

struct walk {
	struct rootfs_tree *rt;
	tree_visit_fn visit;
	void *data;
};

static int walk_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct walk *w = data;

	return w->visit(w->data, &node->entry, group_of(w->rt, node), err);
}

static int rootfs_tree_walk(struct tree *t, const char *path, tree_visit_fn visit, void *data,
			    struct error **err)
{
	struct walk w = {.rt = rootfs_tree_of(t), .visit = visit, .data = data};
	struct rootfs_node node;

	/* The root is in no layer's index, but it is there. */
	if (*path == '\0' && !rootfs_get(w.rt->rootfs, "", &node)) {
		struct entry root = {.path = "", .type = ENTRY_DIR, .mode = 0755};
		int r = visit(data, &root, 0, err);

		if (r != 0)
			return r == TREE_SKIP ? 0 : r;
	}
	return rootfs_walk(w.rt->rootfs, path, walk_node, &w, err);
}

static int rootfs_tree_content(struct tree *t, const struct entry *e, struct digest *ret,
			       struct error **err)
{
	/* An index knows what is in its files; only a damaged one would not. */
	(void)t;
	(void)ret;
	return error_new(err, ERR_CORRUPT, 0, "digest of '/%s' is not in its layer's index",
			 e->path);
}

static int rootfs_tree_open_file(struct tree *t, const struct entry *e, struct error **err)
{
	struct rootfs_tree *rt = rootfs_tree_of(t);
	struct rootfs_node node;

	if (!rootfs_get(rt->rootfs, e->path, &node))
		return error_new(err, ERR_NOTFOUND, 0, "open '/%s': not found", e->path);
	return rootfs_open_file(rt->rootfs, &node, err);
}

static void rootfs_tree_free(struct tree *t)
{
	struct rootfs_tree *rt = rootfs_tree_of(t);

	rootfs_free(rt->rootfs);
	map_release(&rt->groups, NULL);
	(void)pthread_mutex_destroy(&rt->lock);
	free(rt->layers);
	free(rt);
}

static const struct tree_ops rootfs_tree_ops = {
	.get = rootfs_tree_get,
	.walk = rootfs_tree_walk,
	.content = rootfs_tree_content,
	.open = rootfs_tree_open_file,
	.free = rootfs_tree_free,
};

int tree_rootfs_open(struct store *s, const int64_t *layers, size_t n, struct tree **ret,
		     struct error **err)
{
	struct rootfs *rootfs;
	struct rootfs_tree *rt;
	int r;

	r = rootfs_open(s, layers, n, &rootfs, err);
	if (r < 0)
		return r;
	rt = NEW(struct rootfs_tree);
	rt->base = (struct tree){.ops = &rootfs_tree_ops, .refs = 1};
	rt->store = s;
	rt->rootfs = rootfs;
	rt->layers = xreallocarray(NULL, n + 1, sizeof(*layers));
	if (n > 0)
		memcpy(rt->layers, layers, n * sizeof(*layers));
	rt->n_layers = n;
	(void)pthread_mutex_init(&rt->lock, NULL);
	*ret = &rt->base;
	return 0;
}

int tree_of_result(struct store *s, const struct result *result, struct tree **ret,
		   struct error **err)
{
	if (result && result->tree) {
		*ret = tree_ref(result->tree);
		return 0;
	}
	return tree_rootfs_open(s, result ? result->layers : NULL, result ? result->n_layers : 0,
				ret, err);
}

int result_whole_digest(struct store *s, const struct result *result, struct digest *ret,
			struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	int r;

	if (result && result->tree)
		return tree_path_digest(result->tree, "", ret, err);
	r = rootfs_open(s, result ? result->layers : NULL, result ? result->n_layers : 0, &rootfs,
			err);
	return r < 0 ? r : rootfs_digest(rootfs, ret, err);
}
