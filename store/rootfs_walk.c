/* SPDX-License-Identifier: Apache-2.0 */
/* Merging the indexes of a stack of layers: one cursor a layer, a heap of cursors ordered
 * by path. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/path.h"
#include "store/db.h"
#include "store/index.h"
#include "store/internal.h"
#include "store/rootfs_stack.h"

struct cursor {
	size_t layer, at, end;
	struct entry entry; /* at `at` */
};

struct merge {
	const struct rootfs *fs;
	struct cursor *heap; /* smallest path first; equal paths: topmost layer first */
	size_t n;
	struct cursor *equal; /* cursors of the path being looked at, topmost layer first */
	size_t n_equal;
};

static bool before(const struct cursor *a, const struct cursor *b)
{
	int c = path_compare(a->entry.path, b->entry.path);

	return c < 0 || (c == 0 && a->layer > b->layer);
}

static void heap_push(struct merge *m, const struct cursor *c)
{
	size_t i = m->n++;

	while (i > 0 && before(c, &m->heap[(i - 1) / 2])) {
		m->heap[i] = m->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	m->heap[i] = *c;
}

static struct cursor heap_pop(struct merge *m)
{
	struct cursor top = m->heap[0], last = m->heap[--m->n];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= m->n)
			break;
		if (child + 1 < m->n && before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!before(&m->heap[child], &last))
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = last;
	return top;
}

/* Moves a cursor to position `at` and back into the heap, unless it has reached its end. */
static void move_on(struct merge *m, struct cursor *c, size_t at)
{
	c->at = at;
	if (at >= c->end)
		return;
	index_entry(m->fs->indexes[c->layer], at, &c->entry);
	heap_push(m, c);
}

/* Takes all cursors of the smallest path out of the heap. */
static void take_equal(struct merge *m)
{
	m->n_equal = 0;
	do {
		m->equal[m->n_equal++] = heap_pop(m);
	} while (m->n > 0 && strcmp(m->heap[0].entry.path, m->equal[0].entry.path) == 0);
}

/* Puts them back behind the path; layers that it hides, and with `skip` all, go behind its
 * subtree. */
static void put_back(struct merge *m, bool skip)
{
	bool hidden = skip;

	for (size_t i = 0; i < m->n_equal; i++) {
		struct cursor *c = &m->equal[i];
		const struct index *index = m->fs->indexes[c->layer];
		bool is_dir = c->entry.type == ENTRY_DIR, opaque = c->entry.opaque;

		/* A non-directory hides itself too: below it is nothing. */
		hidden = hidden || !is_dir;
		move_on(m, c, hidden ? index_skip_subtree(index, c->at) : c->at + 1);
		hidden = hidden || opaque;
	}
}

static void merge_open(struct merge *m, const struct rootfs *fs, const char *path, size_t floor)
{
	*m = (struct merge){.fs = fs};
	m->heap = xcalloc(fs->n + 1, sizeof(*m->heap));
	m->equal = xcalloc(fs->n + 1, sizeof(*m->equal));
	for (size_t i = floor; i < fs->n; i++) {
		const struct index *index = fs->indexes[i];
		struct cursor c = {.layer = i};
		size_t at = index_lower_bound(index, path);

		c.end = index_count(index);
		if (at < c.end) {
			struct entry e;

			index_entry(index, at, &e);
			/* Every directory on the way to an entry is in the index as well. */
			if (!path_within(e.path, path))
				continue;
			if (strcmp(e.path, path) == 0)
				c.end = index_skip_subtree(index, at);
		}
		move_on(m, &c, at);
	}
}

static void merge_release(struct merge *m)
{
	free(m->heap);
	free(m->equal);
}

int rootfs_walk(const struct rootfs *fs, const char *path, rootfs_visit_fn visit, void *data,
		struct error **err)
{
	_cleanup_(merge_release) struct merge m = {0};
	struct rootfs_node node;
	size_t layer, floor;
	struct entry top;
	int r;

	if (!rootfs_locate(fs, path, &top, &layer, &floor))
		return error_new(err, ERR_NOTFOUND, 0, "'/%s' does not exist", path);
	rootfs_fill_node(fs, layer, &top, &node);
	r = visit(data, &node, err);
	if (r == ROOTFS_SKIP && top.type == ENTRY_DIR)
		return 0;
	if (r != 0 || top.type != ENTRY_DIR)
		return r;
	merge_open(&m, fs, path, floor);
	while (m.n > 0) {
		bool skip = false;

		take_equal(&m);
		top = m.equal[0].entry;
		if (strcmp(top.path, path) != 0 && top.type != ENTRY_WHITEOUT) {
			rootfs_fill_node(fs, m.equal[0].layer, &top, &node);
			r = visit(data, &node, err);
			skip = r == ROOTFS_SKIP && top.type == ENTRY_DIR;
			if (r != 0 && !skip)
				return r;
		}
		put_back(&m, skip);
	}
	return 0;
}

struct digest_walk {
	const struct rootfs *fs;
	struct hasher h;
	struct map groups; /* layer and path of a file's bytes -> first path that shows them */
};

/* What other visible path shows the same file earlier in the order? NULL: none. A file that has
 * several names in one layer may have lost some of them to the layers above. */
static const char *first_name(struct digest_walk *w, const struct rootfs_node *node)
{
	_cleanup_free_ char *key = NULL;
	struct rootfs_node carrier;
	void **slot;

	if (node->entry.type != ENTRY_FILE || strcmp(node->data_path, node->entry.path) == 0)
		return NULL;
	/* The carrier is the first of the group in its layer, so it was passed if it is visible. */
	if (rootfs_get(w->fs, node->data_path, &carrier) && carrier.layer == node->layer)
		return node->data_path;
	key = xasprintf("%zu:%s", node->layer, node->data_path);
	slot = map_puts(&w->groups, key);
	if (*slot)
		return *slot;
	*slot = xstrdup(node->entry.path);
	return NULL;
}

static int digest_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct digest_walk *w = data;
	const struct entry *e = &node->entry;
	const char *first = first_name(w, node);

	(void)err;
	hasher_add_string(&w->h, e->path);
	hasher_add_string(&w->h, first);
	if (first)
		return 0;
	hasher_add_u64(&w->h, (uint64_t)e->type << 32 | e->mode);
	hasher_add_u64(&w->h, (uint64_t)e->uid << 32 | e->gid);
	hasher_add_u64(&w->h, (uint64_t)e->dev_major << 32 | e->dev_minor);
	hasher_add_string(&w->h, e->type == ENTRY_SYMLINK ? e->link : NULL);
	if (e->type == ENTRY_FILE) {
		hasher_add_u64(&w->h, e->size);
		hasher_add(&w->h, e->content.b, DIGEST_SIZE);
	}
	hasher_add_u64(&w->h, e->capability_size);
	hasher_add(&w->h, e->capability, e->capability_size);
	return 0;
}

/* The version in it makes old cached digests unreachable when the rule above changes. */
static struct digest chain_key(const int64_t *layers, size_t n)
{
	_cleanup_hasher_ struct hasher h;
	struct digest key;

	hasher_init(&h);
	hasher_add_string(&h, "chain 1");
	for (size_t i = 0; i < n; i++)
		hasher_add_u64(&h, (uint64_t)layers[i]);
	hasher_final(&h, &key);
	return key;
}

static int cached_digest(struct store *s, const struct digest *key, bool *ret_found,
			 struct digest *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r < 0)
		return r;
	r = db_query(&tx, &q, err, "SELECT digest FROM chain WHERE key = ?", "d", key);
	if (r < 0)
		return r;
	*ret_found = r > 0 && db_col_digest(q, 0, ret);
	return 0;
}

/* Failing to keep it costs the next build some time, and this one nothing. */
static void cache_digest(struct rootfs *fs, const struct digest *key, const struct digest *digest)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;

	if (db_begin(fs->s->db, DB_WRITE, &tx, NULL) == 0 &&
	    db_run(&tx, NULL, "INSERT OR REPLACE INTO chain (key, top, digest) VALUES (?, ?, ?)",
		   "did", key, fs->layers[fs->n - 1], digest) == 0)
		(void)!db_commit(&tx, NULL);
}

int rootfs_known_digest(struct store *s, const int64_t *layers, size_t n, bool *ret_found,
			struct digest *ret, struct error **err)
{
	struct digest key = chain_key(layers, n);

	return cached_digest(s, &key, ret_found, ret, err);
}

int rootfs_digest(struct rootfs *fs, struct digest *ret, struct error **err)
{
	struct digest_walk w = {.fs = fs};
	struct digest key = chain_key(fs->layers, fs->n);
	struct digest digest;
	bool found = false;
	int r = 0;

	if (fs->n > 0)
		r = cached_digest(fs->s, &key, &found, ret, err);
	if (r < 0 || found)
		return r;
	hasher_init(&w.h);
	r = rootfs_walk(fs, "", digest_node, &w, err);
	hasher_final(&w.h, &digest);
	map_release(&w.groups, free);
	if (r < 0)
		return r;
	if (fs->n > 0)
		cache_digest(fs, &key, &digest);
	*ret = digest;
	return 0;
}
