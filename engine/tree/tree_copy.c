/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tree/tree_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file_read.h"
#include "base/fs.h"
#include "base/owner_set.h"
#include "base/parallel.h"
#include "base/path.h"
#include "base/vec.h"

enum { ROUND_FILES = 64 }; /* neighbours: threads should not meet in one directory */

/* Directories and links are made in the order of the walk; files, which cost most, afterwards and
 * several at once. */
struct copied_file {
	struct entry entry; /* its strings are the tree's */
	char *to;	    /* owned */
};

struct copy {
	struct tree *tree;
	size_t skip; /* bytes of the source path that `name` stands for */
	const char *name;
	int dirfd;
	unsigned flags; /* enum tree_copy_flag */
	struct cancel *cancel;
	VEC(struct copied_file) files;
	VEC(struct copied_file) dirs; /* whose times are set at the end */
};

static int failed(const struct entry *e, int r, struct error **err)
{
	return error_new(err, ERR_IO, -r, "copy '%s' for a mount", e->path);
}

static int canceled(struct error **err)
{
	return error_new(err, ERR_CANCELED, 0, "copying for a mount was stopped");
}

static void entry_times(const struct entry *e, struct timespec times[2])
{
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = e->mtime};
}

/* The owner first: changing it clears set-id bits. */
static int set_file_attributes(const struct copy *c, const struct entry *e, int fd)
{
	struct timespec times[2];
	int r = c->tree->is_context ? 0 : owner_set(fd, "", e->uid, e->gid);

	if (r < 0)
		return r;
	entry_times(e, times);
	if (c->flags & TREE_COPY_WHOLE && e->capability_size > 0 &&
	    fsetxattr(fd, "security.capability", e->capability, e->capability_size, 0) < 0)
		return -errno;
	return fchmod(fd, e->mode) < 0 || futimens(fd, times) < 0 ? -errno : 0;
}

/* The file itself under another name; false where that cannot be. */
static bool link_file(const struct copy *c, int in, const char *to)
{
	char path[32];
	struct fs_place at;
	bool linked;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", in);
	linked = fs_place_open(c->dirfd, to, &at) == 0 &&
		 linkat(AT_FDCWD, path, at.fd, at.name, AT_SYMLINK_FOLLOW) == 0;
	fs_place_close(&at);
	return linked;
}

static int copy_file(const struct copy *c, const struct copied_file *file, struct error **err)
{
	const struct tree_ops *ops = c->tree->ops;
	const struct entry *e = &file->entry;
	_cleanup_close_ int in = -1, out = -1;
	int r;

	if (cancel_is_set(c->cancel))
		return canceled(err);
	in = ops->open(c->tree, e, err);
	if (in < 0)
		return in;
	if (c->flags & TREE_COPY_LINK && link_file(c, in, file->to))
		return 0;
	/* The directory is ours alone and holds no links but those that we copied. */
	out = fs_open_no_symlinks(c->dirfd, file->to, O_CREAT | O_EXCL | O_WRONLY, 0600);
	r = out < 0 ? out : file_copy(in, out, UINT64_MAX, c->cancel);
	if (r == 0)
		r = set_file_attributes(c, e, out);
	if (r < 0)
		return failed(e, r, err);
	/* The step is known by what the tree described: it must not see anything else. */
	if (ops->still && !ops->still(c->tree, e, in, NULL))
		return error_new(err, ERR_IO, 0,
				 "'%s' was changed while it was copied for a mount; build again",
				 e->path);
	return 0;
}

static int copy_round(void *data, size_t round, struct error **err)
{
	const struct copy *c = data;
	size_t first = round * ROUND_FILES, end = first + ROUND_FILES;
	int r = 0;

	for (size_t i = first; i < end && i < c->files.n && r == 0; i++)
		r = copy_file(c, &c->files.v[i], err);
	return r;
}

static int make_node_at(const struct copy *c, const struct entry *e, int dirfd, const char *name)
{
	struct timespec times[2];
	int r = 0;

	entry_times(e, times);
	if (e->type == ENTRY_DIR)
		r = mkdirat(dirfd, name, 0755);
	else if (e->type == ENTRY_SYMLINK)
		r = symlinkat(e->link, dirfd, name);
	else if (e->type == ENTRY_FIFO)
		r = mkfifoat(dirfd, name, 0600);
	else if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK)
		r = mknodat(dirfd, name, (e->type == ENTRY_CHAR ? S_IFCHR : S_IFBLK) | 0600,
			    makedev(e->dev_major, e->dev_minor));
	if (r < 0)
		return -errno;
	if (!c->tree->is_context)
		r = owner_set(dirfd, name, e->uid, e->gid);
	if (r < 0)
		return r;
	if (e->type != ENTRY_SYMLINK && fchmodat(dirfd, name, e->mode, 0) < 0)
		return -errno;
	(void)utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int make_node(const struct copy *c, const struct entry *e, const char *to)
{
	struct fs_place at;
	int r = fs_place_open(c->dirfd, to, &at);

	if (r == 0)
		r = make_node_at(c, e, at.fd, at.name);
	fs_place_close(&at);
	return r;
}

static int set_dir_times(const struct copy *c, const struct copied_file *dir)
{
	struct timespec times[2];
	struct fs_place at;
	int r = fs_place_open(c->dirfd, dir->to, &at);

	entry_times(&dir->entry, times);
	if (r == 0 && utimensat(at.fd, at.name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	fs_place_close(&at);
	return r;
}

static int take_entry(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	struct copy *c = data;
	const char *rest = e->path + c->skip;
	_cleanup_free_ char *to = path_join(c->name, rest + strspn(rest, "/"));
	bool is_device;
	int r;

	(void)group; /* links to one file become files of their own */
	if (cancel_is_set(c->cancel))
		return canceled(err);
	is_device = e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK;
	if (to[0] == '\0' || (is_device && !(c->flags & TREE_COPY_WHOLE)))
		return 0;
	if (e->type == ENTRY_FILE) {
		struct copied_file file = {*e, TAKE_PTR(to)};

		vec_push(&c->files, file);
		return 0;
	}
	r = make_node(c, e, to);
	/* A user may make none; on an overlay the layer would not show it either. */
	if (r == -EPERM && is_device)
		return 0;
	if (r == 0 && e->type == ENTRY_DIR && c->flags & TREE_COPY_WHOLE) {
		struct copied_file dir = {*e, TAKE_PTR(to)};

		vec_push(&c->dirs, dir);
	}
	return r < 0 ? failed(e, r, err) : 0;
}

int tree_copy(struct tree *t, const char *path, int dirfd, const char *name, unsigned flags,
	      struct cancel *cancel, struct error **err)
{
	struct copy c = {t, strlen(path), name, dirfd, flags, cancel, {0}, {0}};
	int r = t->ops->walk(t, path, take_entry, &c, err);

	if (r == 0)
		r = parallel_for((c.files.n + ROUND_FILES - 1) / ROUND_FILES, copy_round, &c, err);
	for (size_t i = 0; i < c.dirs.n && r == 0; i++) {
		r = set_dir_times(&c, &c.dirs.v[i]);
		if (r < 0)
			r = failed(&c.dirs.v[i].entry, r, err);
	}
	for (size_t i = 0; i < c.dirs.n; i++)
		free(c.dirs.v[i].to);
	vec_release(&c.dirs);
	for (size_t i = 0; i < c.files.n; i++)
		free(c.files.v[i].to);
	vec_release(&c.files);
	return r;
}
