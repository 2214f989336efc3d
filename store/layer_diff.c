/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/path.h"
#include "base/vec.h"

struct differ {
	const struct index *index;
	const struct rootfs *below;
	struct layer_diff *diff;
};

int layer_diff_carrier(const struct index *index, const struct entry *e, struct entry *ret,
		       struct error **err)
{
	struct entry at = *e;

	for (unsigned hops = 0; at.type == ENTRY_HARDLINK; hops++) {
		int64_t n = at.link ? index_find(index, at.link) : -1;

		if (n < 0 || hops > 16)
			return error_new(err, ERR_CORRUPT, 0, "hard link '%s' leads nowhere",
					 e->path);
		index_entry(index, (size_t)n, &at);
	}
	*ret = at;
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Would a walk of both trees call them the same? Times of directories do not count. */
static bool is_unchanged(const struct entry *a, const struct entry *b)
{
	if (a->type != b->type || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return false;
	if (a->capability_size != b->capability_size ||
	    memcmp(a->capability, b->capability, a->capability_size) != 0)
		return false;
	if (a->type == ENTRY_DIR)
		return true;
	if (a->mtime != b->mtime)
		return false;
	switch (a->type) {
	case ENTRY_FILE:
		return a->size == b->size && digest_equal(&a->content, &b->content);
	case ENTRY_SYMLINK:
		return same_text(a->link, b->link);
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
	default:
		return true;
	}
}

struct hidden_walk {
	struct differ *differ;
	const char *root;
};

/* Below an opaque directory: what exists below and not in this layer needs a whiteout. */
static int add_hidden(void *data, const struct rootfs_node *node, struct error **err)
{
	struct hidden_walk *walk = data;
	struct differ *d = walk->differ;
	int64_t n = index_find(d->index, node->entry.path);
	int skip = node->entry.type == ENTRY_DIR ? ROOTFS_SKIP : 0;
	struct entry here = {0};

	(void)err;
	if (strcmp(node->entry.path, walk->root) == 0)
		return 0;
	if (n >= 0)
		index_entry(d->index, (size_t)n, &here);
	if (n < 0 || here.type == ENTRY_WHITEOUT) {
		strv_push(&d->diff->implied, node->entry.path);
		vec_push(d->diff,
			 (struct diff_item){.path = d->diff->implied.v[d->diff->implied.n - 1],
					    .position = -1});
		return skip;
	}
	return here.type == ENTRY_DIR ? 0 : skip;
}

static int compare_items(const void *a, const void *b)
{
	return path_compare(((const struct diff_item *)a)->path,
			    ((const struct diff_item *)b)->path);
}

/* Lists the subtree of an opaque directory that something below exists for. */
static int list_opaque(struct differ *d, const char *path, size_t from, size_t to,
		       struct error **err)
{
	struct hidden_walk walk = {.differ = d, .root = path};
	size_t first = d->diff->n;
	int r;

	for (size_t i = from; i < to; i++) {
		struct entry e;

		index_entry(d->index, i, &e);
		if (e.type != ENTRY_WHITEOUT)
			vec_push(d->diff,
				 (struct diff_item){.path = e.path, .position = (int64_t)i});
	}
	r = rootfs_walk(d->below, path, add_hidden, &walk, err);
	if (r < 0)
		return r;
	qsort(d->diff->v + first, d->diff->n - first, sizeof(struct diff_item), compare_items);
	return 0;
}

static int list_items(struct differ *d, struct error **err)
{
	size_t n = index_count(d->index), i = 0;

	while (i < n) {
		struct rootfs_node node;
		struct entry e;
		size_t end = index_skip_subtree(d->index, i);
		int r;

		index_entry(d->index, i, &e);
		if (e.path[0] != '\0')
			vec_push(d->diff,
				 (struct diff_item){.path = e.path, .position = (int64_t)i});
		i++;
		d->diff->whole = d->diff->whole && !(e.opaque && d->below);
		if (!e.opaque || !d->below || !rootfs_get(d->below, e.path, &node) ||
		    node.entry.type != ENTRY_DIR)
			continue;
		r = list_opaque(d, e.path, i, end, err);
		if (r < 0)
			return r;
		i = end;
	}
	return 0;
}

static int item_differs(struct differ *d, const struct diff_item *item, bool *ret,
			struct error **err)
{
	struct rootfs_node node;
	struct entry e, full;
	bool exists;
	int r;

	*ret = true;
	if (item->position < 0 || !d->below)
		return 0;
	index_entry(d->index, (size_t)item->position, &e);
	exists = rootfs_get(d->below, e.path, &node);
	if (e.type == ENTRY_WHITEOUT) {
		*ret = exists;
		return 0;
	}
	r = layer_diff_carrier(d->index, &e, &full, err);
	if (r < 0)
		return r;
	*ret = !exists || !is_unchanged(&full, &node.entry);
	return 0;
}

/* From the end, so that a directory knows whether anything in it is written. */
static int mark_kept(struct differ *d, struct error **err)
{
	const struct diff_item *next = NULL;

	for (size_t i = d->diff->n; i-- > 0;) {
		struct diff_item *item = &d->diff->v[i];
		int r = item_differs(d, item, &item->keep, err);

		if (r < 0)
			return r;
		if (!item->keep && next && path_within(next->path, item->path))
			item->keep = true;
		if (item->keep)
			next = item;
	}
	return 0;
}

/* Takes out what is not kept. */
static void compact(struct layer_diff *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].keep)
			d->v[kept++] = d->v[i];
	d->n = kept;
}

int layer_diff_make(const struct index *index, const struct rootfs *below, struct layer_diff *ret,
		    struct error **err)
{
	struct layer_diff diff = {.whole = true};
	struct differ d = {.index = index, .below = below, .diff = &diff};
	int r;

	vec_reserve(&diff, index_count(index));
	r = list_items(&d, err);
	if (r == 0)
		r = mark_kept(&d, err);
	if (r < 0) {
		layer_diff_release(&diff);
		return r;
	}
	compact(&diff);
	diff.whole = diff.whole && diff.n == index_count(index) && diff.implied.n == 0;
	*ret = diff;
	return 0;
}

void layer_diff_release(struct layer_diff *d)
{
	vec_release(d);
	strv_release(&d->implied);
}

/* --- without the rest --- */

struct applying {
	const struct index_draft *draft;
	struct index_builder *to;
	struct map first_of_group; /* path that carries a file -> the name that does from now on */
};

static int keep_file(struct applying *a, const struct entry *e, struct error **err)
{
	const struct index *from = index_draft_view(a->draft);
	struct entry full;
	uint32_t tag;
	void **first;
	int r = layer_diff_carrier(from, e, &full, err);

	if (r < 0)
		return r;
	first = map_puts(&a->first_of_group, full.path);
	if (*first) {
		full = (struct entry){.path = e->path, .type = ENTRY_HARDLINK, .link = *first};
		index_builder_add(a->to, &full);
		return 0;
	}
	/* Paths are the draft's, which outlives the table. */
	*first = (void *)(uintptr_t)e->path;
	tag = index_draft_tag(a->draft, (size_t)index_find(from, full.path));
	full.path = e->path;
	index_builder_add(a->to, &full);
	index_builder_tag(a->to, full.path, tag);
	return 0;
}

int layer_diff_apply(const struct index_draft *draft, const struct layer_diff *diff,
		     struct index_builder **ret, struct error **err)
{
	_cleanup_(index_builder_freep) struct index_builder *to = index_builder_new();
	struct applying a = {.draft = draft, .to = to};
	int r = 0;

	for (size_t i = 0; i < diff->n && r == 0; i++) {
		struct entry e = {.path = diff->v[i].path, .type = ENTRY_WHITEOUT};

		if (diff->v[i].position >= 0)
			index_entry(index_draft_view(draft), (size_t)diff->v[i].position, &e);
		e.opaque = false;
		if (e.type == ENTRY_FILE || e.type == ENTRY_HARDLINK)
			r = keep_file(&a, &e, err);
		else
			index_builder_add(to, &e);
	}
	map_release(&a.first_of_group, NULL);
	if (r == 0)
		*ret = TAKE_PTR(to);
	return r;
}
