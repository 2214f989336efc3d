/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a layer_writer: opening, committing, throwing away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fs.h"
#include "base/owner_set.h"
#include "store/internal.h"
#include "store/layer_publish.h"
#include "store/layer_writer.h"
#include "store/space.h"

#define ROOT_MODE 0755

int layer_writer_open_for(struct store *s, int64_t id, struct layer_writer **ret,
			  struct error **err)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NEW(struct layer_writer);
	_cleanup_free_ char *fs = NULL;
	int r = space_reserve(s, 0, err);

	if (r < 0) {
		free(TAKE_PTR(w));
		return r;
	}
	w->s = s;
	w->cancel = s->cancel;
	w->for_id = id;
	(void)pthread_mutex_init(&w->lock, NULL);
	w->fs = w->parent_fd = w->file_fd = -1;
	w->uid = geteuid();
	w->gid = getegid();
	w->index = index_builder_new();
	r = store_tmp_name(s, &w->tmp, err);
	if (r < 0)
		return r;
	fs = xasprintf("%s/fs", w->tmp);
	if (mkdirat(s->dirfd, w->tmp, 0700) < 0 || mkdirat(s->dirfd, fs, 0755) < 0 ||
	    fchmodat(s->dirfd, fs, 0755, 0) < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, fs);
	w->fs = fs_open_dir(s->dirfd, fs);
	if (w->fs < 0)
		return error_new(err, ERR_IO, -w->fs, "open '%s/%s'", s->root, fs);
	*ret = TAKE_PTR(w);
	return 0;
}

int layer_writer_open(struct store *s, struct layer_writer **ret, struct error **err)
{
	return layer_writer_open_for(s, 0, ret, err);
}

void layer_writer_watch(struct layer_writer *w, const struct cancel *cancel)
{
	if (cancel)
		w->cancel = cancel;
}

int layer_writer_canceled(const struct layer_writer *w, struct error **err)
{
	return cancel_is_set(w->cancel) ? error_new(err, ERR_CANCELED, 0, "canceled") : 0;
}

struct layer_writer *layer_writer_lane(struct layer_writer *w)
{
	struct layer_writer *lane = NEW(struct layer_writer);

	*lane = (struct layer_writer){.main = w,
				      .s = w->s,
				      .fs = w->fs,
				      .index = w->index,
				      .cancel = w->cancel,
				      .parent_fd = -1,
				      .file_fd = -1,
				      .uid = w->uid,
				      .gid = w->gid};
	return lane;
}

/* What every lane has of its own. */
static void free_lane(struct layer_writer *w)
{
	layer_writer_forget_parent(w);
	cleanup_closep(&w->file_fd);
	free(w->file_path);
	hasher_release(&w->hasher);
}

void layer_writer_free(struct layer_writer *w)
{
	if (!w)
		return;
	free_lane(w);
	if (w->main) {
		free(w);
		return;
	}
	cleanup_closep(&w->fs);
	if (w->tmp)
		(void)!fs_remove_tree(w->s->dirfd, w->tmp);
	free(w->tmp);
	index_builder_free(w->index);
	map_release(&w->implied, NULL);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

char *layer_writer_upper(struct layer_writer *w)
{
	return xasprintf("%s/%s/fs", w->s->root, w->tmp);
}

char *layer_writer_work(struct layer_writer *w)
{
	char *path = xasprintf("%s/%s/work", w->s->root, w->tmp);

	/* A failure shows when the overlay is mounted, with the kernel's reason. */
	(void)mkdir(path, 0700);
	return path;
}

/* Modes and times of directories, last of all: writing into one needs the first and changes the
 * second. Children do not change when their parent's attributes do, so any order is right. */
static int finish_dirs(struct layer_writer *w, struct error **err)
{
	const struct entry *e;
	size_t at = 0;

	while ((e = index_builder_next_dir(w->index, &at))) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = e->mtime}};
		_cleanup_close_ int fd =
			fs_open_no_symlinks(w->fs, e->path, O_RDONLY | O_DIRECTORY, 0);

		if (fd < 0)
			return error_new(err, ERR_IO, -fd, "open directory '%s' of a layer",
					 e->path);
		if (fchmod(fd, e->mode) < 0 || futimens(fd, times) < 0)
			return error_new(err, ERR_IO, errno, "set the mode and time of '%s'",
					 e->path);
	}
	return 0;
}

/* What a step does to `/` itself is in no layer, and what a layer says about it counts for nothing
 * (as with containerd): the root is root's and 0755, whatever came before. */
static int settle_root(struct layer_writer *w, struct error **err)
{
	int r = owner_set(w->fs, "", w->uid, w->gid);

	if (r == 0 && fchmod(w->fs, ROOT_MODE) < 0)
		r = -errno;
	return r < 0 ? error_new(err, ERR_IO, -r, "give the root of a layer its mode") : 0;
}

static int write_index(struct layer_writer *w, struct index **ret, struct error **err)
{
	_cleanup_free_ char *path = xasprintf("%s/index", w->tmp);
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(w->s->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", w->s->root, path);
	r = index_builder_write(w->index, fd, err);
	return r < 0 ? r : index_open(w->s->dirfd, path, ret, err);
}

int layer_writer_commit(struct layer_writer *w, int64_t *ret_id, struct error **err)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *work = xasprintf("%s/work", w->tmp);
	struct layer_birth birth = {.id = w->for_id, .tmp = &w->tmp, .has_dir = true};
	int r;

	layer_writer_forget_parent(w);
	r = fs_remove_tree(w->s->dirfd, work);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "remove '%s/%s'", w->s->root, work);
	r = w->scanned ? 0 : finish_dirs(w, err);
	if (r == 0)
		r = settle_root(w, err);
	if (r < 0)
		return r;
	r = write_index(w, &index, err);
	if (r < 0)
		return r;
	birth.index = index;
	return layer_publish(w->s, &birth, ret_id, err);
}

int layer_writer_move(struct layer_writer *w, const char *path, struct error **err)
{
	_cleanup_free_ char *fs = xasprintf("%s/fs", w->tmp);
	int r;

	layer_writer_forget_parent(w);
	r = w->scanned ? 0 : finish_dirs(w, err);
	if (r < 0)
		return r;
	if (renameat(w->s->dirfd, fs, w->s->dirfd, path) < 0)
		return error_new(err, ERR_IO, errno, "move a tree to '%s/%s'", w->s->root, path);
	return 0;
}
