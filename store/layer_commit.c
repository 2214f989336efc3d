/* Life of a layer_writer: opening, committing, throwing away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/times.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/internal.h"
#include "store/layer_writer.h"
#include "store/space.h"

enum { BLOCK = 4096 };

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
	w->for_id = id;
	w->fs = w->parent_fd = w->file_fd = -1;
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

void layer_writer_free(struct layer_writer *w)
{
	if (!w)
		return;
	layer_writer_forget_parent(w);
	cleanup_closep(&w->file_fd);
	cleanup_closep(&w->fs);
	if (w->tmp)
		(void)fs_remove_tree(w->s->dirfd, w->tmp);
	free(w->tmp);
	free(w->file_path);
	hasher_release(&w->hasher);
	index_builder_free(w->index);
	map_release(&w->implied, NULL);
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

/* Gives the layer its name. What is at that name without a row that says so is the leaving of a
 * transaction that was lost, and goes into the trash. */
static int name_layer(struct layer_writer *w, int64_t id, char **ret_trash, struct error **err)
{
	_cleanup_free_ char *path = store_layer_path(id);
	int r = durable_rename(w->s, w->tmp, path, false);

	if (r == -EEXIST) {
		r = store_trash(w->s, path, ret_trash, err);
		if (r < 0)
			return r;
		r = durable_rename(w->s, w->tmp, path, false);
	}
	if (r < 0)
		return error_new(err, ERR_IO, -r, "name layer '%s/%s'", w->s->root, path);
	free(TAKE_PTR(w->tmp));
	return 0;
}

/* What the dir takes on disk, as whole blocks: a layer of a million small files is not small. */
static uint64_t disk_size(const struct index *index)
{
	uint64_t bytes = BLOCK;

	for (size_t n = 0; n < index_count(index); n++) {
		struct entry e;

		index_entry(index, n, &e);
		if (e.type == ENTRY_FILE)
			bytes += (e.size + BLOCK - 1) / BLOCK * BLOCK;
		else if (e.type == ENTRY_DIR)
			bytes += BLOCK;
	}
	return bytes;
}

static int update_row(struct db_tx *tx, int64_t id, const struct index *index, uint64_t disk,
		      struct error **err)
{
	struct digest tree;

	index_tree_digest(index, &tree);
	return db_run(tx, err,
		      "UPDATE layer SET has_dir = 1, boot = ?, size = ?, disk = ?, tree_digest = ?"
		      " WHERE id = ?",
		      "tiidi", durable_boot(), (int64_t)index_file_size(index), (int64_t)disk,
		      &tree, id);
}

/* The rename is inside the transaction, as for blobs: gc can not come in between. */
static int publish(struct layer_writer *w, const struct index *index, uint64_t disk,
		   int64_t *ret_id, char **ret_trash, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t id = w->for_id, has_dir = 0;
	int r = db_begin(w->s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	if (id != 0) {
		r = db_get_i64(&tx, &has_dir, -1, err, "SELECT has_dir FROM layer WHERE id = ?",
			       "i", id);
		if (r < 0)
			return r;
		if (has_dir < 0)
			return error_new(err, ERR_NOTFOUND, 0, "layer %lld is not in the store",
					 (long long)id);
	} else {
		r = db_run(&tx, err, "INSERT INTO layer (created) VALUES (?)", "i", times_now_ns());
		if (r < 0)
			return r;
		id = db_last_id(&tx);
	}
	/* Another process may have unpacked it meanwhile: its dir is as good. */
	if (!has_dir) {
		r = name_layer(w, id, ret_trash, err);
		if (r == 0)
			r = update_row(&tx, id, index, disk, err);
		if (r < 0)
			return r;
	}
	r = lease_add_layers(w->s, &tx, &id, 1, err);
	if (r < 0)
		return r;
	r = db_commit(&tx, err);
	if (r == 0)
		*ret_id = id;
	return r;
}

int layer_writer_commit(struct layer_writer *w, int64_t *ret_id, struct error **err)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *work = xasprintf("%s/work", w->tmp);
	_cleanup_free_ char *trash = NULL;
	uint64_t disk;
	int r;

	layer_writer_forget_parent(w);
	r = fs_remove_tree(w->s->dirfd, work);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "remove '%s/%s'", w->s->root, work);
	r = w->scanned ? 0 : finish_dirs(w, err);
	if (r < 0)
		return r;
	r = write_index(w, &index, err);
	if (r < 0)
		return r;
	disk = disk_size(index);
	r = space_reserve(w->s, disk, err);
	if (r == 0)
		r = publish(w, index, disk, ret_id, &trash, err);
	if (trash)
		(void)fs_remove_tree(w->s->dirfd, trash);
	if (r < 0)
		return error_wrap(err, r, "commit a layer");
	layer_cache_index(w->s, *ret_id, index);
	return 0;
}
