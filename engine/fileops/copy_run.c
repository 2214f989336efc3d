/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fileops/copy_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/path.h"
#include "engine/fileops/mode_text.h"
#include "engine/layer/unpack_archive.h"
#include "engine/tree/copy_select.h"

enum { IMPLIED_DIR_MODE = 0755 };

/* One root being copied to `target`. */
struct root_copy {
	struct copy_run *run;
	const char *target; /* clean, without symlinks */
	struct map links;   /* group -> path in the layer of its first name (heap) */
	struct buf path;    /* of the item at hand */
};

static int64_t time_of(const struct copy_run *c, const struct entry *e)
{
	if (c->time_set)
		return c->time;
	/* The root of a context or of an image has no time of its own that a build could keep. */
	return *e->path == '\0' ? c->now : e->mtime;
}

/* The entry that an item becomes at `path`. */
static int made_entry(const struct copy_run *c, const struct entry *e, const char *path,
		      struct entry *ret, struct error **err)
{
	struct entry made = *e;

	made.path = path;
	made.opaque = false;
	made.mtime = time_of(c, e);
	if (c->owner.set) {
		made.uid = c->owner.uid;
		made.gid = c->owner.gid;
	}
	if (e->type == ENTRY_SYMLINK) {
		made.mode = 0777;
	} else if (c->copy->mode_text && *c->copy->mode_text) {
		if (!mode_text_apply(c->copy->mode_text, e->mode, e->type == ENTRY_DIR, &made.mode))
			return error_new(err, ERR_INVALID, 0, "invalid mode '%s'",
					 c->copy->mode_text);
	} else if (c->copy->mode >= 0) {
		made.mode = (uint32_t)c->copy->mode & 07777;
	}
	*ret = made;
	return 0;
}

/* `have` is what is there. */
static int not_a_directory(const char *path, const struct entry *have, struct error **err)
{
	int r = error_new(err, ERR_INVALID, 0, "cannot copy to non-directory: /%s", path);

	if (have->type == ENTRY_SYMLINK)
		return error_hint(err, r,
				  "'/%s' in the image is a link to '%s', which copying a directory "
				  "does not follow: copy its content separately, to '/%s/'",
				  path, have->link, path);
	return error_hint(err, r, "'/%s' in the image is not a directory: remove it first", path);
}

static int copy_dir(struct root_copy *rc, const struct copy_item *item, struct error **err)
{
	struct copy_run *c = rc->run;
	struct entry have, made;
	bool exists = layer_edit_get(c->edit, rc->path.p, &have);
	int r;

	if (exists && have.type != ENTRY_DIR) {
		if (!c->copy->always_replace_existing_dest_paths)
			return not_a_directory(rc->path.p, &have, err);
		r = layer_edit_remove(c->edit, rc->path.p, *item->rel != '\0', err);
		if (r < 0)
			return r;
		exists = false;
	}
	r = made_entry(c, item->entry, rc->path.p, &made, err);
	if (r < 0)
		return r;
	if (exists && (*item->rel == '\0' || !item->included)) {
		/* The directory copied to keeps what it is but takes the source's time; one on the
		 * way to a selected file takes the source's mode. */
		have.path = rc->path.p;
		have.mtime = item->included ? made.mtime : c->now;
		have.mode = item->included ? have.mode : item->entry->mode;
		made = have;
	} else if (!item->included) {
		made.mtime = c->now;
	}
	return layer_edit_put(c->edit, &made, *item->rel != '\0', err);
}

static int copy_nondir(struct root_copy *rc, const struct copy_item *item, struct error **err)
{
	struct copy_run *c = rc->run;
	const struct entry *e = item->entry;
	bool quiet = *item->rel != '\0';
	struct entry have, made;
	void **slot = NULL;
	int r;

	if (layer_edit_get(c->edit, rc->path.p, &have)) {
		if (have.type == ENTRY_DIR && !c->copy->always_replace_existing_dest_paths)
			return error_hint(
				err,
				error_new(err, ERR_INVALID, 0,
					  "cannot replace to directory /%s with file", rc->path.p),
				"'/%s' in the image is a directory: copy into it, to '/%s/', "
				"or remove it in a step before",
				rc->path.p, rc->path.p);
		/* A file of a lower layer is hidden by the new one without further ado. */
		if (have.type == ENTRY_DIR ||
		    layer_plan_get(layer_edit_plan(c->edit), rc->path.p)) {
			r = layer_edit_remove(c->edit, rc->path.p, quiet, err);
			if (r < 0)
				return r;
		}
	}
	r = made_entry(c, e, rc->path.p, &made, err);
	if (r < 0)
		return r;
	if (e->type != ENTRY_FILE)
		return layer_edit_put(c->edit, &made, quiet, err);
	if (item->group)
		slot = map_put(&rc->links, &item->group, sizeof(item->group));
	if (slot && *slot)
		return layer_edit_link(c->edit, rc->path.p, *slot, quiet, err);
	r = layer_edit_file(c->edit, &made, c->tree, e->path, quiet, err);
	if (r == 0 && slot)
		*slot = xstrdup(rc->path.p);
	return r;
}

static int copy_item(void *data, const struct copy_item *item, struct error **err)
{
	struct root_copy *rc = data;

	if (rc->run->job && cancel_is_set(job_cancel(rc->run->job)))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	buf_clear(&rc->path);
	buf_adds(&rc->path, rc->target);
	if (*item->rel) {
		if (rc->path.n > 0)
			buf_addc(&rc->path, '/');
		buf_adds(&rc->path, item->rel);
	}
	return item->entry->type == ENTRY_DIR ? copy_dir(rc, item, err)
					      : copy_nondir(rc, item, err);
}

static struct layer_owner implied_owner(const struct copy_run *c)
{
	struct layer_owner owner = {.mode = IMPLIED_DIR_MODE,
				    .mtime = c->time_set ? c->time : c->now};

	/* An octal --chmod counts for directories made on the way, a symbolic one does not. */
	if (c->copy->mode >= 0 && !(c->copy->mode_text && *c->copy->mode_text))
		owner.mode = (uint32_t)c->copy->mode & 0777;
	if (c->owner.set) {
		owner.uid = c->owner.uid;
		owner.gid = c->owner.gid;
	}
	return owner;
}

/* Everything before the last slash of a clean path. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return xstrndup(path, slash ? (size_t)(slash - path) : 0);
}

static bool names_directory(const char *dest)
{
	const char *base = path_base(dest);

	return *base == '\0' || strcmp(base, ".") == 0;
}

/* Makes the directory that the destination names or is in. */
static int make_destination(struct copy_run *c, struct error **err)
{
	_cleanup_free_ char *dest = path_rooted(c->copy->dest), *parent = NULL, *path = NULL;
	struct layer_owner owner = implied_owner(c);
	bool exists;
	int r;

	parent = names_directory(c->copy->dest) ? xstrdup(dest) : parent_of(dest);
	r = layer_edit_resolve(c->edit, "", parent, true, &path, &exists, NULL, err);
	if (r < 0)
		return r;
	if (!exists && !c->copy->create_dest_path)
		return error_new(err, ERR_NOTFOUND, 0,
				 "failed to stat %s: no such file or directory", c->copy->dest);
	return layer_edit_mkdir_all(c->edit, path, &owner, err);
}

/* Where a root goes: the destination, or a name inside it. */
static int choose_target(struct copy_run *c, const struct copy_root *root, char **ret,
			 struct error **err)
{
	_cleanup_free_ char *dest = path_rooted(c->copy->dest), *path = NULL, *parent = NULL;
	struct layer_owner owner = implied_owner(c);
	bool is_dir = root->entry.type == ENTRY_DIR, contents = c->copy->dir_copy_contents;
	struct entry have;
	bool exists;
	int r;

	r = layer_edit_resolve(c->edit, "", dest, true, &path, &exists, &have, err);
	if (r < 0)
		return r;
	if ((!contents && is_dir && exists) || (!is_dir && exists && have.type == ENTRY_DIR)) {
		char *inside = path_join(path, path_base(root->name));

		free(path);
		path = inside;
	}
	parent = contents && is_dir && !exists ? xstrdup(path) : parent_of(path);
	r = layer_edit_mkdir_all(c->edit, parent, &owner, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(path);
	return 0;
}

static int copy_root(struct copy_run *c, const struct copy_root *root, struct error **err)
{
	struct root_copy rc = {.run = c, .path = BUF_INIT};
	_cleanup_free_ char *target = NULL;
	int r;

	r = make_destination(c, err);
	if (r == 0)
		r = choose_target(c, root, &target, err);
	if (r < 0)
		return r;
	rc.target = target;
	r = copy_select_walk(c->tree, c->copy, root, copy_item, &rc, err);
	map_release(&rc.links, free);
	buf_release(&rc.path);
	return r;
}

/* Unpacks the root if it is an archive. */
static int try_unpack(struct copy_run *c, const struct copy_root *root, bool *ret_unpacked,
		      struct error **err)
{
	_cleanup_free_ char *dest = path_rooted(c->copy->dest), *path = NULL;
	struct layer_owner owner = implied_owner(c);
	struct unpack_options o = {.what = root->name,
				   .owner_set = c->owner.set,
				   .uid = c->owner.uid,
				   .gid = c->owner.gid,
				   .cancel = c->job ? job_cancel(c->job) : NULL};
	_cleanup_close_ int fd = -1;
	bool exists;
	int r;

	*ret_unpacked = false;
	if (root->entry.type != ENTRY_FILE)
		return 0;
	fd = c->tree->ops->open(c->tree, &root->entry, err);
	if (fd < 0)
		return fd;
	if (!unpack_archive_recognise(fd, o.cancel))
		return 0;
	r = layer_edit_resolve(c->edit, "", dest, true, &path, &exists, NULL, err);
	if (r < 0)
		return r;
	owner.mode = IMPLIED_DIR_MODE;
	r = layer_edit_mkdir_all(c->edit, path, &owner, err);
	if (r < 0)
		return r;
	o.dest = path;
	*ret_unpacked = true;
	return unpack_archive(c->edit, fd, &o, err);
}

int copy_run(struct copy_run *c, struct error **err)
{
	_cleanup_(copy_roots_release) struct copy_roots roots = {0};
	int r;

	r = copy_roots_resolve(c->tree, c->copy, &roots, err);
	for (size_t i = 0; i < roots.n && r == 0; i++) {
		bool unpacked = false;

		if (c->copy->attempt_unpack)
			r = try_unpack(c, &roots.v[i], &unpacked, err);
		if (r == 0 && !unpacked)
			r = copy_root(c, &roots.v[i], err);
	}
	return r;
}
