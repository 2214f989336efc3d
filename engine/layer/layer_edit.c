/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/layer_edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/file_read.h"
#include "base/fs.h"
#include "base/path.h"

struct layer_edit {
	struct store *store;
	const struct rootfs *base;
	struct layer_need_dirs need;
	struct layer_plan *plan;
	int64_t now;
	struct buf listed; /* the directory whose parents were listed last, see list_parents */
	bool listed_touched;
	bool has_listed;
};

struct layer_edit *layer_edit_open(struct store *s, const struct rootfs *base, int64_t now,
				   const struct layer_need_dirs *need)
{
	struct layer_edit *e = NEW(struct layer_edit);

	e->store = s;
	e->base = base;
	e->plan = layer_plan_new(s);
	e->now = now;
	if (need)
		e->need = *need;
	e->listed = (struct buf)BUF_INIT;
	return e;
}

void layer_edit_free(struct layer_edit *e)
{
	if (!e)
		return;
	layer_plan_free(e->plan);
	buf_release(&e->listed);
	free(e);
}

int64_t layer_edit_now(const struct layer_edit *e)
{
	return e->now;
}

struct layer_plan *layer_edit_plan(struct layer_edit *e)
{
	return e->plan;
}

/* Does something in the layer above `path` hide what lower layers have there? */
static bool base_is_hidden(const struct layer_edit *e, const char *path)
{
	_cleanup_free_ char *up = NULL;
	char *slash;

	if (layer_plan_count(e->plan) == 0)
		return false;
	up = xstrdup(path);
	while ((slash = strrchr(up, '/'))) {
		const struct entry *above;

		*slash = '\0';
		above = layer_plan_get(e->plan, up);
		if (above && (above->type != ENTRY_DIR || above->opaque))
			return true;
	}
	return false;
}

static bool get_from_base(const struct layer_edit *e, const char *path, struct rootfs_node *ret)
{
	return !base_is_hidden(e, path) && rootfs_get(e->base, path, ret);
}

bool layer_edit_get(const struct layer_edit *e, const char *path, struct entry *ret)
{
	const struct entry *own = layer_plan_get(e->plan, path);
	struct rootfs_node node;

	if (own && own->type == ENTRY_WHITEOUT)
		return false;
	if (own) {
		/* A hard link shows the metadata of the file that it names, but not its bytes. */
		*ret = *own;
		if (ret->type == ENTRY_HARDLINK) {
			const char *name = ret->path;
			const struct entry *data = layer_plan_get(e->plan, ret->link);

			if (!data)
				return false;
			*ret = *data;
			ret->path = name;
		}
		return true;
	}
	if (*path == '\0' && !rootfs_get(e->base, "", &node)) {
		*ret = (struct entry){.path = "", .type = ENTRY_DIR, .mode = 0755};
		return true;
	}
	if (!get_from_base(e, path, &node))
		return false;
	*ret = node.entry;
	return true;
}

static bool edit_lookup(const void *data, const char *path, struct entry *ret)
{
	return layer_edit_get(data, path, ret);
}

int layer_edit_resolve(const struct layer_edit *e, const char *scope, const char *path,
		       bool follow_last, char **ret_path, bool *ret_exists, struct entry *ret,
		       struct error **err)
{
	return tree_resolve_scoped(edit_lookup, e, scope, path, follow_last, ret_path, ret_exists,
				   ret, err);
}

/* Puts `path`, a directory of lower layers, into this layer as it is there. */
static int list_directory(struct layer_edit *e, const char *path, struct error **err)
{
	struct rootfs_node node;
	struct entry dir;

	if (layer_plan_get(e->plan, path))
		return 0;
	if (!get_from_base(e, path, &node) || node.entry.type != ENTRY_DIR)
		return error_new(err, ERR_INVALID, 0, "/%s: not a directory", path);
	dir = node.entry;
	dir.path = path;
	dir.opaque = false;
	return layer_plan_put(e->plan, &dir, err);
}

/* Lists the directories above `path` in the layer, and with `touch` gives the nearest one the time
 * `now`. The root itself is never listed: no layer tar names it. */
static int list_parents(struct layer_edit *e, const char *path, bool touch, struct error **err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	const struct entry *parent;
	int r;

	if (n == 0)
		return 0;
	if (e->has_listed && e->listed.n == n && memcmp(e->listed.p, path, n) == 0 &&
	    (e->listed_touched || !touch))
		return 0;
	buf_clear(&e->listed);
	buf_add(&e->listed, path, n);
	for (size_t i = 1; i <= n; i++) {
		char c = e->listed.p[i];

		if (c != '/' && c != '\0')
			continue;
		e->listed.p[i] = '\0';
		r = list_directory(e, e->listed.p, err);
		e->listed.p[i] = c;
		if (r < 0)
			return r;
	}
	parent = layer_plan_get(e->plan, e->listed.p);
	if (touch && parent && parent->mtime != e->now) {
		struct entry dir = *parent;

		dir.path = e->listed.p;
		dir.mtime = e->now;
		r = layer_plan_put(e->plan, &dir, err);
		if (r < 0)
			return r;
	}
	e->has_listed = true;
	e->listed_touched = touch;
	return 0;
}

/* Forgets what was listed last: `path` was removed or its metadata was set. */
static void forget_listed(struct layer_edit *e, const char *path)
{
	if (e->has_listed && path_within(e->listed.p, path))
		e->has_listed = false;
}

int layer_edit_mkdir_all(struct layer_edit *e, const char *path, const struct layer_owner *owner,
			 struct error **err)
{
	_cleanup_free_ char *up = xstrdup(path);

	for (char *p = up; *up != '\0'; p++) {
		struct entry entry = {.path = up,
				      .type = ENTRY_DIR,
				      .mode = owner->mode,
				      .uid = owner->uid,
				      .gid = owner->gid,
				      .mtime = owner->mtime},
			     have;
		char c = *p;
		int r = 0;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (!layer_edit_get(e, up, &have))
			r = layer_edit_put(e, &entry, false, err);
		else if (have.type != ENTRY_DIR)
			r = error_hint(
				err,
				error_new(err, ERR_INVALID, 0, "mkdir /%s: not a directory", up),
				"'/%s' in the image is %s: remove it in a step before, or choose "
				"another name",
				up, have.type == ENTRY_SYMLINK ? "a link" : "a file");
		if (r < 0)
			return r;
		*p = c;
		if (c == '\0')
			break;
	}
	return 0;
}

/* Makes room in the layer for a new entry: *ret_opaque tells whether a directory put there must
 * hide one of the lower layers that was removed. */
static void clear_own(struct layer_edit *e, const struct entry *entry, bool *ret_opaque)
{
	const struct entry *own = layer_plan_get(e->plan, entry->path);
	struct rootfs_node node;

	*ret_opaque = false;
	if (!own)
		return;
	if (own->type == ENTRY_DIR && entry->type == ENTRY_DIR) {
		*ret_opaque = own->opaque;
		return;
	}
	/* `own` is good until the layer is asked again. */
	if (entry->type == ENTRY_DIR && !base_is_hidden(e, entry->path) &&
	    rootfs_get(e->base, entry->path, &node))
		*ret_opaque = node.entry.type == ENTRY_DIR;
	layer_plan_remove(e->plan, entry->path);
}

/* All that is to be done before an entry is written; *ret is the entry as it is to be written. */
static int prepare(struct layer_edit *e, const struct entry *entry, bool quiet, struct entry *ret,
		   struct error **err)
{
	struct entry have;
	bool existed = layer_edit_get(e, entry->path, &have);
	bool opaque;
	int r;

	/* Setting the metadata of a directory that is there does not touch the one above it. */
	r = list_parents(e, entry->path,
			 !quiet && !(existed && have.type == ENTRY_DIR && entry->type == ENTRY_DIR),
			 err);
	if (r < 0)
		return r;
	clear_own(e, entry, &opaque);
	forget_listed(e, entry->path);
	*ret = *entry;
	ret->opaque = opaque;
	return 0;
}

int layer_edit_put(struct layer_edit *e, const struct entry *entry, bool quiet, struct error **err)
{
	struct entry put;
	int r;

	if (*entry->path == '\0')
		return 0;
	r = prepare(e, entry, quiet, &put, err);
	if (r < 0)
		return r;
	return layer_plan_put(e->plan, &put, err);
}

int layer_edit_file(struct layer_edit *e, const struct entry *entry, struct tree *tree,
		    const char *path, bool quiet, struct error **err)
{
	struct entry put;
	int r = prepare(e, entry, quiet, &put, err);

	return r < 0 ? r : layer_plan_file(e->plan, &put, tree, path, err);
}

int layer_edit_spool(struct layer_edit *e, const struct entry *entry, bool quiet,
		     struct error **err)
{
	struct entry put;
	int r = prepare(e, entry, quiet, &put, err);

	return r < 0 ? r : layer_plan_spool(e->plan, &put, err);
}

/* Opens the bytes of a file of the layers below. */
static int open_below(const struct layer_edit *e, const char *path, struct error **err)
{
	struct rootfs_node node;
	int64_t layer;
	int r = 0;

	if (!get_from_base(e, path, &node))
		return error_new(err, ERR_NOTFOUND, 0, "open '/%s': not found", path);
	layer = rootfs_layer(e->base, &node);
	if (e->need.require)
		r = e->need.require(e->need.data, &layer, 1, err);
	return r < 0 ? r : rootfs_open_file(e->base, &node, err);
}

/* Writes a file of the layers below into this one under its own name. */
static int copy_up(struct layer_edit *e, const char *path, struct error **err)
{
	_cleanup_free_ char *name = xstrdup(path);
	_cleanup_close_ int fd = -1;
	struct file_piece piece;
	struct file_read in;
	struct entry file;
	int r, got = 0;

	if (!layer_edit_get(e, name, &file))
		return error_new(err, ERR_NOTFOUND, 0, "/%s: not found", name);
	fd = open_below(e, name, err);
	if (fd < 0)
		return fd;
	file.path = name;
	r = list_parents(e, name, false, err);
	if (r == 0)
		r = layer_plan_spool(e->plan, &file, err);
	file_read_init(&in, fd, store_cancel(e->store));
	while (r == 0 && (got = file_read_next(&in, &piece)) > 0)
		r = layer_plan_write(e->plan, piece.p, piece.n, err);
	file_read_release(&in);
	if (got < 0)
		return error_new(err, ERR_IO, -got, "read '/%s'", name);
	if (r == 0)
		layer_plan_spool_end(e->plan);
	return r;
}

int layer_edit_link(struct layer_edit *e, const char *path, const char *target, bool quiet,
		    struct error **err)
{
	struct entry link = {.path = path, .type = ENTRY_HARDLINK, .link = target}, have;
	_cleanup_free_ char *symlink = NULL;
	int r;

	if (strcmp(path, target) == 0)
		return 0;
	if (!layer_edit_get(e, target, &have))
		return error_new(err, ERR_NOTFOUND, 0, "link '/%s' to '/%s': no such file", path,
				 target);
	if (have.type == ENTRY_DIR)
		return error_new(err, ERR_INVALID, 0,
				 "link '/%s' to '/%s': the target is a directory", path, target);
	if (have.type != ENTRY_FILE) {
		/* A second name of a symlink or a device is another one: nothing can tell. */
		have.path = path;
		have.link = symlink = xstrdup(have.link);
		return layer_edit_put(e, &have, quiet, err);
	}
	if (!layer_plan_get(e->plan, target)) {
		r = copy_up(e, target, err);
		if (r < 0)
			return r;
	}
	return layer_edit_put(e, &link, quiet, err);
}

int layer_edit_remove(struct layer_edit *e, const char *path, bool quiet, struct error **err)
{
	struct entry whiteout = {.path = path, .type = ENTRY_WHITEOUT}, have;
	struct rootfs_node node;
	bool in_base;
	int r;

	if (*path == '\0')
		return error_new(err, ERR_INVALID, 0, "the root directory cannot be removed");
	if (!layer_edit_get(e, path, &have))
		return 0;
	r = list_parents(e, path, !quiet, err);
	if (r < 0)
		return r;
	in_base = get_from_base(e, path, &node);
	layer_plan_remove(e->plan, path);
	forget_listed(e, path);
	if (!in_base)
		return 0;
	return layer_plan_put(e->plan, &whiteout, err);
}

int layer_edit_read(const struct layer_edit *e, const char *path, size_t max, struct buf *ret,
		    struct error **err)
{
	_cleanup_free_ char *resolved = NULL;
	_cleanup_close_ int fd = -1;
	struct entry entry;
	bool exists;
	int r;

	r = layer_edit_resolve(e, "", path, true, &resolved, &exists, &entry, err);
	if (r < 0)
		return r;
	if (!exists || entry.type != ENTRY_FILE)
		return error_new(err, ERR_NOTFOUND, 0, "'%s' is not a file in the image", path);
	if (entry.size > max)
		return error_new(err, ERR_INVALID, 0, "'%s' is larger than %zu bytes", path, max);
	if (layer_plan_get(e->plan, resolved))
		return layer_plan_read(e->plan, resolved, ret, err);
	fd = open_below(e, resolved, err);
	if (fd < 0)
		return fd;
	r = fs_read_fd(fd, ret);
	return r < 0 ? error_new(err, ERR_IO, -r, "read '%s'", path) : 0;
}
