/* SPDX-License-Identifier: Apache-2.0 */
/* Taking out of what a step left whatever its tar leaves out, so that index, dir and blob of the
 * layer describe one thing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "store/index_draft.h"
#include "store/internal.h"
#include "store/layer_diff.h"
#include "store/layer_writer.h"

/* Descriptor of the directory that holds `path`. */
static int open_parent(struct layer_writer *w, const char *path, struct error **err)
{
	_cleanup_free_ char *dir = path_dir(path);
	int fd = fs_open_dir(w->fs, ".");

	if (fd >= 0 && strchr(path, '/')) {
		(void)close(fd);
		fd = fs_open_no_symlinks(w->fs, dir, O_PATH | O_DIRECTORY, 0);
	}
	return fd < 0 ? error_new(err, ERR_IO, -fd, "open the directory of '%s'", path) : fd;
}

static int drop(struct layer_writer *w, const char *path, struct error **err)
{
	_cleanup_close_ int dir = open_parent(w, path, err);
	int r;

	if (dir < 0)
		return dir;
	r = fs_remove_tree(dir, path_base(path));
	return r < 0 ? error_new(err, ERR_IO, -r, "remove '%s' from a layer", path) : 0;
}

/* What is left out, whole subtrees at once: a directory of which anything stays, stays. */
static int drop_all(struct layer_writer *w, const struct index *index,
		    const struct layer_diff *diff, struct error **err)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < index_count(index) && r == 0;) {
		struct entry e;

		while (kept < diff->n && diff->v[kept].position < (int64_t)i)
			kept++;
		if (kept < diff->n && diff->v[kept].position == (int64_t)i) {
			i++;
			continue;
		}
		index_entry(index, i, &e);
		r = drop(w, e.path, err);
		i = index_skip_subtree(index, i);
	}
	return r;
}

static int add_whiteout(struct layer_writer *w, const char *path, struct error **err)
{
	_cleanup_close_ int dir = open_parent(w, path, err);
	int r;

	if (dir < 0)
		return dir;
	r = store_put_whiteout(w->s, dir, path_base(path));
	return r < 0 ? error_new(err, ERR_IO, -r, "make a whiteout of '%s'", path) : 0;
}

static int clear_opaque(struct layer_writer *w, const char *path, struct error **err)
{
	_cleanup_free_ char *name = xasprintf("%sopaque", w->s->overlay_prefix);
	_cleanup_close_ int fd = fs_open_no_symlinks(w->fs, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open directory '%s' of a layer", path);
	if (fremovexattr(fd, name) < 0 && errno != ENODATA)
		return error_new(err, ERR_IO, errno, "remove the opaque mark from '%s'", path);
	return 0;
}

/* Whiteouts of what an opaque directory hid take the place of its mark. */
static int replace_marks(struct layer_writer *w, const struct index *index,
			 const struct layer_diff *diff, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < diff->n && r == 0; i++) {
		const struct diff_item *item = &diff->v[i];
		struct entry e;

		if (item->position < 0) {
			r = add_whiteout(w, item->path, err);
			continue;
		}
		index_entry(index, (size_t)item->position, &e);
		if (e.opaque)
			r = clear_opaque(w, e.path, err);
	}
	return r;
}

int layer_writer_settle(struct layer_writer *w, const struct rootfs *below, struct error **err)
{
	_cleanup_(index_draft_freep) struct index_draft *draft = NULL;
	_cleanup_(layer_diff_release) struct layer_diff diff = {0};
	struct index_builder *settled = NULL;
	const struct index *index;
	int r;

	layer_writer_forget_parent(w);
	r = index_draft_open(w->s, w->index, &draft, err);
	if (r < 0)
		return r;
	index = index_draft_view(draft);
	r = layer_diff_make(index, below, &diff, err);
	if (r < 0 || diff.whole)
		return r;
	r = drop_all(w, index, &diff, err);
	if (r == 0)
		r = replace_marks(w, index, &diff, err);
	if (r == 0)
		r = layer_diff_apply(draft, &diff, &settled, err);
	if (r < 0)
		return r;
	index_builder_free(w->index);
	w->index = settled;
	/* Directories have been written to: their times are set again. */
	w->scanned = false;
	return 0;
}
