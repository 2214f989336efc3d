/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fileops/op_merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/times.h"
#include "base/vec.h"
#include "engine/fileops/op_file.h"
#include "engine/layer/layer_edit.h"
#include "engine/tree/tree_rootfs.h"
#include "store/index.h"

struct layer_list {
	VEC(int64_t) ids;
};

static bool list_has(const struct layer_list *list, int64_t id)
{
	for (size_t i = 0; i < list->ids.n; i++) {
		if (list->ids.v[i] == id)
			return true;
	}
	return false;
}

/* Opens a file of the layer alone, as its index describes it. */
static int clone_file(struct layer_writer *w, const struct rootfs *only, const struct entry *e,
		      struct error **err)
{
	_cleanup_close_ int fd = -1;
	struct rootfs_node node;
	int r;

	if (!rootfs_get(only, e->path, &node))
		return error_new(err, ERR_CORRUPT, 0, "'/%s' is not in its layer", e->path);
	fd = rootfs_open_file(only, &node, err);
	if (fd < 0)
		return fd;
	r = layer_writer_file(w, e, err);
	if (r == 0)
		r = layer_writer_copy_known(w, fd, &e->content, e->size, err);
	return r < 0 ? r : layer_writer_file_end(w, NULL, err);
}

/* A layer of its own with the same entries. */
static int clone_layer(struct store *s, int64_t layer, struct job *job, int64_t *ret,
		       struct error **err)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_(rootfs_freep) struct rootfs *only = NULL;
	size_t n;
	int r;

	r = layer_index(s, layer, &index, err);
	if (r == 0)
		r = rootfs_open(s, &layer, 1, &only, err);
	if (r == 0)
		r = layer_writer_open(s, &w, err);
	if (r < 0)
		return r;
	n = index_count(index);
	for (size_t i = 0; i < n; i++) {
		struct entry e;

		if (job && cancel_is_set(job_cancel(job)))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		index_entry(index, i, &e);
		r = e.type == ENTRY_FILE ? clone_file(w, only, &e, err)
					 : layer_writer_put(w, &e, err);
		if (r < 0)
			return r;
	}
	return layer_writer_commit(w, ret, err);
}

static int add_layers(struct store *s, struct layer_list *list, const struct result *from,
		      const struct layer_need_dirs *need, struct job *job, struct error **err)
{
	for (size_t i = 0; from && i < from->n_layers; i++) {
		int64_t id = from->layers[i];

		if (list_has(list, id)) {
			int r = need ? need->require(need->data, &id, 1, err) : 0;

			if (r == 0)
				r = clone_layer(s, id, job, &id, err);
			if (r < 0)
				return error_wrap(err, r, "merge");
		}
		vec_push(&list->ids, id);
	}
	return 0;
}

/* How many layers both lists begin with. */
static size_t common_layers(const int64_t *a, size_t n_a, const int64_t *b, size_t n_b)
{
	size_t n = 0;

	while (n < n_a && n < n_b && a[n] == b[n])
		n++;
	return n;
}

int merge_op_run(struct store *s, struct result *const *inputs, size_t n,
		 const struct layer_need_dirs *need, struct job *job, struct result **ret,
		 struct error **err)
{
	struct layer_list list = {0};
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		_cleanup_(result_unrefp) struct result *made = NULL;
		const struct result *from = inputs[i];

		if (from && from->tree) {
			r = file_op_materialise(s, from->tree, NULL, job, &made, err);
			from = made;
		}
		if (r == 0)
			r = add_layers(s, &list, from, need, job, err);
	}
	if (r == 0)
		*ret = result_new_rootfs(list.ids.v, list.ids.n);
	vec_release(&list.ids);
	return r;
}

/* --- Diff --- */

struct diff {
	struct layer_edit *edit; /* on top of lower */
	struct rootfs *lower;
	struct tree *upper;
	VEC(char *) gone;
};

static bool same_node(const struct entry *a, const struct entry *b)
{
	if (a->type != b->type || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return false;
	if (a->type == ENTRY_DIR)
		return true;
	return a->mtime == b->mtime && a->size == b->size &&
	       digest_equal(&a->content, &b->content) && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && (!a->link) == (!b->link) &&
	       (!a->link || strcmp(a->link, b->link) == 0) &&
	       a->capability_size == b->capability_size &&
	       memcmp(a->capability, b->capability, a->capability_size) == 0;
}

/* A path of lower: is it in upper? */
static int diff_lower(void *data, const struct rootfs_node *node, struct error **err)
{
	struct diff *d = data;
	struct entry have;
	uint64_t group;

	(void)err;
	if (*node->entry.path == '\0' ||
	    d->upper->ops->get(d->upper, node->entry.path, &have, &group))
		return 0;
	vec_push(&d->gone, xstrdup(node->entry.path));
	return node->entry.type == ENTRY_DIR ? ROOTFS_SKIP : 0;
}

/* A path of upper: is it the same in lower? */
static int diff_upper(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	struct diff *d = data;
	struct rootfs_node node;
	int r = 0;

	(void)group;
	if (*e->path == '\0')
		return 0;
	if (rootfs_get(d->lower, e->path, &node)) {
		if (same_node(&node.entry, e))
			return 0;
		if (node.entry.type != e->type)
			r = layer_edit_remove(d->edit, e->path, false, err);
	}
	if (r < 0 || e->type != ENTRY_FILE)
		return r < 0 ? r : layer_edit_put(d->edit, e, true, err);
	return layer_edit_file(d->edit, e, d->upper, e->path, true, err);
}

static int diff_trees(struct diff *d, struct error **err)
{
	int r = rootfs_walk(d->lower, "", diff_lower, d, err);

	for (size_t i = 0; i < d->gone.n && r >= 0; i++)
		r = layer_edit_remove(d->edit, d->gone.v[i], false, err);
	if (r >= 0)
		r = d->upper->ops->walk(d->upper, "", diff_upper, d, err);
	for (size_t i = 0; i < d->gone.n; i++)
		free(d->gone.v[i]);
	vec_release(&d->gone);
	return r < 0 ? r : 0;
}

int diff_op_run(struct store *s, const struct result *lower, const struct result *upper,
		struct job *job, struct result **ret, struct error **err)
{
	size_t n_lower = lower ? lower->n_layers : 0, n_upper = upper ? upper->n_layers : 0;
	_cleanup_(layer_edit_freep) struct layer_edit *edit = NULL;
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	_cleanup_(tree_unrefp) struct tree *above = NULL;
	struct diff d = {0};
	int64_t layer;
	int r;

	if ((lower && lower->tree) || (upper && upper->tree))
		return error_new(err, ERR_UNSUPPORTED, 0, "diff: an input is a plain tree");
	if (n_lower <= n_upper && common_layers(lower ? lower->layers : NULL, n_lower,
						upper ? upper->layers : NULL, n_upper) == n_lower) {
		*ret = result_new_rootfs(upper ? upper->layers + n_lower : NULL, n_upper - n_lower);
		return 0;
	}
	r = rootfs_open(s, lower ? lower->layers : NULL, n_lower, &below, err);
	if (r == 0)
		r = tree_of_result(s, upper, &above, err);
	if (r < 0)
		return r;
	edit = layer_edit_open(s, below, times_now_ns() / NS_PER_S, NULL);
	d = (struct diff){.edit = edit, .lower = below, .upper = above};
	r = diff_trees(&d, err);
	if (r == 0)
		r = layer_plan_make_dir(layer_edit_plan(edit), NULL, job ? job_cancel(job) : NULL,
					&layer, err);
	if (r < 0)
		return error_wrap(err, r, "diff");
	*ret = result_new_rootfs(&layer, 1);
	return 0;
}
