/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "store/index.h"
#include "store/rootfs_stack.h"

enum { MAX_LINKS = 40, READ_PATH_MAX = 1 << 16 };

int rootfs_open(struct store *s, const int64_t *layers, size_t n, struct rootfs **ret,
		struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *fs = NEW(struct rootfs);

	fs->s = s;
	fs->layers = xreallocarray(NULL, n + 1, sizeof(*fs->layers));
	fs->indexes = xcalloc(n + 1, sizeof(*fs->indexes));
	for (size_t i = 0; i < n; i++) {
		int r = layer_index(s, layers[i], &fs->indexes[i], err);

		if (r < 0)
			return r;
		fs->layers[i] = layers[i];
		fs->n = i + 1;
	}
	*ret = TAKE_PTR(fs);
	return 0;
}

void rootfs_free(struct rootfs *fs)
{
	if (!fs)
		return;
	for (size_t i = 0; i < fs->n; i++)
		index_unref(fs->indexes[i]);
	free(fs->indexes);
	free(fs->layers);
	free(fs);
}

/* Looks `path` up in layers [floor, n), top down. Returns the topmost layer that says something and
 * its position there, or false. For a directory *ret_floor is the lowest layer whose entries below
 * it are not hidden by a whiteout, another type or an opaque mark. */
static bool find_top(const struct rootfs *fs, const char *path, size_t floor, size_t *ret_layer,
		     struct entry *ret, size_t *ret_floor)
{
	bool found = false;

	*ret_floor = floor;
	for (size_t i = fs->n; i-- > floor;) {
		int64_t n = index_find(fs->indexes[i], path);
		struct entry e;

		if (n < 0)
			continue;
		index_entry(fs->indexes[i], (size_t)n, &e);
		if (!found) {
			found = true;
			*ret = e;
			*ret_layer = i;
			if (e.type != ENTRY_DIR)
				return true;
		} else if (e.type != ENTRY_DIR) {
			*ret_floor = i + 1;
			return true;
		}
		if (e.opaque) {
			*ret_floor = i;
			return true;
		}
	}
	return found;
}

/* The root is a directory even if no layer says so. */
static void default_root(struct entry *ret)
{
	*ret = (struct entry){.path = "", .type = ENTRY_DIR, .mode = 0755};
}

bool rootfs_locate(const struct rootfs *fs, const char *path, struct entry *ret, size_t *ret_layer,
		   size_t *ret_floor)
{
	_cleanup_free_ char *copy = xstrdup(path);
	size_t floor = 0, layer = 0;
	char *at = copy;

	if (!find_top(fs, "", 0, &layer, ret, &floor) || ret->type != ENTRY_DIR) {
		default_root(ret);
		layer = floor = 0;
	}
	while (*at) {
		char *slash = strchr(at, '/'), c = '\0';
		bool found;

		if (ret->type != ENTRY_DIR)
			return false;
		if (slash) {
			c = *slash;
			*slash = '\0';
		}
		found = find_top(fs, copy, floor, &layer, ret, &floor);
		if (!found || ret->type == ENTRY_WHITEOUT)
			return false;
		if (!slash)
			break;
		*slash = c;
		at = slash + 1;
	}
	*ret_layer = layer;
	*ret_floor = floor;
	return true;
}

void rootfs_fill_node(const struct rootfs *fs, size_t layer, const struct entry *e,
		      struct rootfs_node *ret)
{
	*ret = (struct rootfs_node){.entry = *e, .layer = layer, .data_path = e->path};
	if (e->type == ENTRY_HARDLINK) {
		int64_t n = index_find(fs->indexes[layer], e->link);

		/* A link to nothing is what a damaged or hostile layer may hold: an empty file. */
		if (n >= 0)
			index_entry(fs->indexes[layer], (size_t)n, &ret->entry);
		if (n < 0 || ret->entry.type == ENTRY_HARDLINK) {
			ret->entry.type = ENTRY_FILE;
			ret->entry.size = 0;
		}
		ret->data_path = e->link;
		ret->entry.path = e->path;
	}
}

bool rootfs_get(const struct rootfs *fs, const char *path, struct rootfs_node *ret)
{
	size_t layer, floor;
	struct entry e;

	if (!rootfs_locate(fs, path, &e, &layer, &floor))
		return false;
	rootfs_fill_node(fs, layer, &e, ret);
	return true;
}

/* `rest` becomes link target, slash, rest. */
static int follow(struct buf *done, char **rest, const char *target, struct error **err)
{
	char *next = **rest ? xasprintf("%s/%s", target, *rest) : xstrdup(target);

	free(*rest);
	*rest = next;
	if (strlen(next) > READ_PATH_MAX)
		return error_new(err, ERR_INVALID, 0, "symlinks make a path too long");
	if (path_is_absolute(target))
		buf_clear(done);
	return 0;
}

static void pop_component(struct buf *done)
{
	const char *slash = strrchr(done->p, '/');

	buf_truncate(done, slash ? (size_t)(slash - done->p) : 0);
}

int rootfs_resolve(const struct rootfs *fs, const char *path, bool follow_last, char **ret_path,
		   bool *ret_exists, struct rootfs_node *ret, struct error **err)
{
	_cleanup_buf_ struct buf done = BUF_INIT; /* resolved so far */
	_cleanup_free_ char *rest = xstrdup(path);
	struct rootfs_node node;
	bool exists = rootfs_get(fs, "", &node);
	unsigned links = 0;

	while (*rest) {
		size_t skip = strspn(rest, "/"), n = strcspn(rest + skip, "/");
		_cleanup_free_ char *name = xstrndup(rest + skip, n);
		bool last;

		memmove(rest, rest + skip + n, strlen(rest + skip + n) + 1);
		last = rest[strspn(rest, "/")] == '\0';
		if (n == 0 || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			pop_component(&done);
			exists = rootfs_get(fs, done.p, &node);
			continue;
		}
		buf_addf(&done, "%s%s", done.n ? "/" : "", name);
		exists = exists && rootfs_get(fs, done.p, &node);
		if (exists && node.entry.type == ENTRY_SYMLINK && (!last || follow_last)) {
			int r;

			if (++links > MAX_LINKS)
				return error_new(err, ERR_INVALID, 0,
						 "'%s' has too many levels of symlinks", path);
			pop_component(&done);
			r = follow(&done, &rest, node.entry.link, err);
			if (r < 0)
				return r;
			exists = rootfs_get(fs, done.p, &node);
		}
	}
	if (exists && ret)
		*ret = node;
	*ret_exists = exists;
	*ret_path = buf_take(&done);
	return 0;
}

int64_t rootfs_layer(const struct rootfs *fs, const struct rootfs_node *node)
{
	return fs->layers[node->layer];
}

int rootfs_open_file(const struct rootfs *fs, const struct rootfs_node *node, struct error **err)
{
	_cleanup_close_ int dirfd = -1;
	int fd;

	if (node->entry.type != ENTRY_FILE)
		return error_new(err, ERR_INVALID, 0, "'%s' is not a regular file",
				 node->entry.path);
	dirfd = layer_dir_open(fs->s, fs->layers[node->layer], err);
	if (dirfd < 0)
		return dirfd;
	fd = fs_open_no_symlinks(dirfd, node->data_path, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s' in layer %lld", node->data_path,
				 (long long)fs->layers[node->layer]);
	return fd;
}

int rootfs_read(const struct rootfs *fs, const char *path, size_t max, struct buf *ret,
		struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(max);
	_cleanup_free_ char *resolved = NULL;
	_cleanup_close_ int fd = -1;
	struct rootfs_node node;
	bool exists;
	int r;

	r = rootfs_resolve(fs, path, true, &resolved, &exists, &node, err);
	if (r < 0)
		return r;
	if (!exists)
		return error_new(err, ERR_NOTFOUND, 0, "'/%s' does not exist", resolved);
	if (node.entry.size > max)
		return error_new(err, ERR_INVALID, 0, "'/%s' has more than %zu bytes", resolved,
				 max);
	fd = rootfs_open_file(fs, &node, err);
	if (fd < 0)
		return fd;
	r = fs_read_fd(fd, &b);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read '/%s'", resolved);
	buf_add(ret, b.p, b.n);
	return 0;
}
