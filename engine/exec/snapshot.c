/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/sandbox/wire.h"
#include "engine/tree/tree_copy.h"
#include "engine/tree/tree_rootfs.h"

#define STUBS_MAX (16u << 20) /* bytes of names */

/* The root is in no index: the topmost layer's directory lends its times, as on an overlay. */
static int copy_root(struct store *s, int64_t layer, int dirfd, struct error **err)
{
	_cleanup_close_ int top = layer_dir_open(s, layer, err);
	struct timespec times[2];
	struct stat st;

	if (top < 0)
		return top;
	if (fstat(top, &st) < 0)
		return error_new(err, ERR_IO, errno, "look at the root of a layer");
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (fchmod(dirfd, 0755) < 0 || futimens(dirfd, times) < 0)
		return error_new(err, ERR_IO, errno, "copy the root of a layer");
	return 0;
}

struct noting {
	struct layer_snapshot *snapshot;
	int dirfd;
};

static int note_node(void *data, const struct rootfs_node *node, struct error **err)
{
	const struct noting *n = data;
	const struct entry *e = &node->entry;
	bool is_device = e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK;
	struct fs_place at;
	struct stat st;
	int r;

	if (!*e->path || (!is_device && e->type != ENTRY_DIR))
		return 0;
	r = fs_place_open(n->dirfd, e->path, &at);
	if (r == 0 && fstatat(at.fd, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	fs_place_close(&at);
	if (is_device)
		n->snapshot->no_devices |= r < 0;
	else if (r < 0)
		return error_new(err, ERR_IO, -r, "look at the copy of '%s'", e->path);
	else
		layer_snapshot_note(n->snapshot, e->path, &st);
	return 0;
}

static int change_time(int fd, struct timespec *ret)
{
	struct stat st;

	if (futimens(fd, NULL) < 0 || fstat(fd, &st) < 0)
		return -errno;
	*ret = st.st_ctim;
	return 0;
}

/* File systems keep time by a clock that ticks every few milliseconds: what is changed from here on
 * must not have the time of what was copied. */
static int wait_for_tick(const char *clock, struct timespec *ret, struct error **err)
{
	static const struct timespec pause = {.tv_nsec = 500 * 1000};
	_cleanup_close_ int fd = open(clock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct timespec now = {0};
	int r = fd < 0 ? -errno : change_time(fd, ret);

	now = *ret;
	while (r == 0 && now.tv_sec == ret->tv_sec && now.tv_nsec == ret->tv_nsec) {
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		r = change_time(fd, &now);
	}
	if (r == 0 && unlink(clock) < 0)
		r = -errno;
	return r < 0 ? error_new(err, ERR_IO, -r, "take the time by '%s'", clock) : 0;
}

int snapshot_make(const struct layer_chain *chain, const char *dir, const char *clock,
		  struct cancel *cancel, struct layer_snapshot *ret, struct error **err)
{
	struct store *s = chain->store;
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	_cleanup_close_ int dirfd = fs_open_dir(AT_FDCWD, dir);
	struct noting noting = {ret, dirfd};
	int r;

	*ret = (struct layer_snapshot){0};
	if (dirfd < 0)
		return error_new(err, ERR_IO, -dirfd, "open '%s'", dir);
	r = rootfs_open(s, chain->layers, chain->n, &ret->below, err);
	if (r == 0)
		r = tree_rootfs_open(s, chain->layers, chain->n, &tree, err);
	if (r == 0)
		r = tree_copy(tree, "", dirfd, "", TREE_COPY_WHOLE, cancel, err);
	if (r == 0 && chain->n > 0)
		r = copy_root(s, chain->layers[chain->n - 1], dirfd, err);
	if (r == 0)
		r = rootfs_walk(ret->below, "", note_node, &noting, err);
	return r == 0 ? wait_for_tick(clock, &ret->end, err) : r;
}

/* The directory in which `path` is keeps its times. */
static int remove_stub(int dirfd, const char *path)
{
	_cleanup_free_ char *parent = path_dir(path);
	_cleanup_close_ int fd = fs_open_no_symlinks(dirfd, parent, O_RDONLY | O_DIRECTORY, 0);
	const char *name = path_base(path);
	struct stat dir, st;

	/* The step may have put something in it, or moved what is above it: then it stays. */
	if (fd < 0 || fstat(fd, &dir) < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISDIR(st.st_mode)) {
		if (unlinkat(fd, name, AT_REMOVEDIR) < 0)
			return errno == ENOTEMPTY || errno == EEXIST ? 0 : -errno;
	} else if (!S_ISREG(st.st_mode) || st.st_size > 0) {
		return 0;
	} else if (unlinkat(fd, name, 0) < 0) {
		return -errno;
	}
	return futimens(fd, (struct timespec[2]){dir.st_atim, dir.st_mtim}) < 0 ? -errno : 0;
}

int snapshot_clear(const char *dir, const char *scratch, struct error **err)
{
	_cleanup_free_ char *file = xasprintf("%s/" WIRE_STUBS_FILE, scratch);
	_cleanup_close_ int dirfd = fs_open_dir(AT_FDCWD, dir);
	_cleanup_buf_ struct buf names = BUF_INIT_MAX(STUBS_MAX);
	int r = fs_read_file(AT_FDCWD, file, &names);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && dirfd < 0)
		r = dirfd;
	/* Each name ends with a NUL; what is deepest was made last. */
	for (size_t end = names.n; r == 0 && end > 0;) {
		size_t start = end - 1;

		while (start > 0 && names.p[start - 1] != '\0')
			start--;
		r = remove_stub(dirfd, names.p + start);
		end = start;
	}
	return r < 0 ? error_new(err, ERR_IO, -r, "remove the mount points of a step") : 0;
}
