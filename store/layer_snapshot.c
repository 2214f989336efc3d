/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/strv.h"

void layer_snapshot_release(struct layer_snapshot *s)
{
	rootfs_free(s->below);
	s->below = NULL;
	map_release(&s->dirs, NULL);
}

void layer_snapshot_note(struct layer_snapshot *s, const char *path, const struct stat *st)
{
	*map_puts(&s->dirs, path) = (void *)(uintptr_t)st->st_ino;
}

bool layer_snapshot_has_dir(const struct layer_snapshot *s, const char *path, const struct stat *st)
{
	return (uintptr_t)map_gets(&s->dirs, path) == (uintptr_t)st->st_ino;
}

static bool is_later(int64_t seconds, int64_t ns, const struct timespec *than)
{
	return seconds > than->tv_sec || (seconds == than->tv_sec && ns > than->tv_nsec);
}

static mode_t type_bits(enum entry_type type)
{
	static const mode_t bits[] = {
		[ENTRY_FILE] = S_IFREG,	    [ENTRY_DIR] = S_IFDIR,   [ENTRY_SYMLINK] = S_IFLNK,
		[ENTRY_CHAR] = S_IFCHR,	    [ENTRY_BLOCK] = S_IFBLK, [ENTRY_FIFO] = S_IFIFO,
		[ENTRY_HARDLINK] = S_IFREG, [ENTRY_WHITEOUT] = 0,
	};

	return bits[type];
}

bool layer_snapshot_untouched(const struct layer_snapshot *s, const char *path,
			      const struct stat *st)
{
	struct rootfs_node node;

	return !is_later(st->st_ctim.tv_sec, st->st_ctim.tv_nsec, &s->end) &&
	       rootfs_get(s->below, path, &node) &&
	       type_bits(node.entry.type) == (st->st_mode & S_IFMT);
}

bool layer_snapshot_made(const struct layer_snapshot *s, int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) == 0 && st.stx_mask & STATX_BTIME &&
	       !is_later(st.stx_btime.tv_sec, st.stx_btime.tv_nsec, &s->end);
}

bool layer_snapshot_same_dir(const struct layer_snapshot *s, const struct entry *e)
{
	struct rootfs_node node;
	const struct entry *was = &node.entry;

	return rootfs_get(s->below, e->path, &node) && was->type == ENTRY_DIR && !e->opaque &&
	       was->mode == e->mode && was->uid == e->uid && was->gid == e->gid &&
	       was->mtime == e->mtime;
}

struct missing_walk {
	const struct layer_snapshot *snapshot;
	const char *dir;
	const struct strv *names;
	struct strv *ret;
};

static int compare_names(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

static int take_name(void *data, const struct rootfs_node *node, struct error **err)
{
	const struct missing_walk *w = data;
	const struct entry *e = &node->entry;
	bool is_device = e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK;
	const char *name = path_base(e->path);

	(void)err;
	if (strcmp(e->path, w->dir) == 0)
		return 0;
	if (!(is_device && w->snapshot->no_devices) &&
	    (w->names->n == 0 ||
	     !bsearch(name, w->names->v, w->names->n, sizeof(*w->names->v), compare_names)))
		strv_push(w->ret, name);
	return e->type == ENTRY_DIR ? ROOTFS_SKIP : 0;
}

int layer_snapshot_missing(const struct layer_snapshot *s, const char *path,
			   const struct strv *names, struct strv *ret, struct error **err)
{
	struct missing_walk w = {s, path, names, ret};
	struct rootfs_node node;

	if (*path && (!rootfs_get(s->below, path, &node) || node.entry.type != ENTRY_DIR))
		return 0;
	return rootfs_walk(s->below, path, take_name, &w, err);
}
