/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/times.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/index_draft.h"
#include "store/internal.h"
#include "store/space.h"

enum { BLOCK = 4096, SPARSE_MIN = 1 << 20 };

/* Renames within the store. What is at the new name without a row that says so is the leaving of a
 * transaction that was lost, and goes into the trash. */
static int take_name(struct store *s, const char *from, const char *to, char **ret_trash,
		     struct error **err)
{
	int r = durable_rename(s, from, to, false);

	if (r == -EEXIST || r == -ENOTEMPTY) {
		r = store_trash(s, to, ret_trash, err);
		if (r < 0)
			return r;
		r = durable_rename(s, from, to, false);
	}
	return r < 0 ? error_new(err, ERR_IO, -r, "name layer '%s/%s'", s->root, to) : 0;
}

/* Of a sparse file what it holds. Only large ones are looked at. */
static uint64_t file_disk_size(int dirfd, const struct entry *e)
{
	uint64_t bytes = (e->size + BLOCK - 1) / BLOCK * BLOCK;
	struct stat st;

	if (e->size < SPARSE_MIN || dirfd < 0 ||
	    fstatat(dirfd, e->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return bytes;
	return (uint64_t)st.st_blocks * 512 < bytes ? (uint64_t)st.st_blocks * 512 : bytes;
}

/* What the dir takes on disk, as whole blocks: a layer of a million small files is not small. */
static uint64_t disk_size(struct store *s, const struct layer_birth *b)
{
	_cleanup_free_ char *fs = xasprintf("%s/fs", *b->tmp);
	_cleanup_close_ int dirfd = b->has_dir ? fs_open_dir(s->dirfd, fs) : -1;
	const struct index *index = b->index;
	uint64_t bytes = BLOCK;

	for (size_t n = 0; n < index_count(index); n++) {
		struct entry e;

		index_entry(index, n, &e);
		if (e.type == ENTRY_FILE)
			bytes += file_disk_size(dirfd, &e);
		else if (e.type == ENTRY_DIR)
			bytes += BLOCK;
	}
	return bytes;
}

/* What the row says before. */
struct former {
	bool has_index, has_dir;
	struct digest tree;
};

static int get_former(struct db_tx *tx, int64_t id, struct former *ret, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT has_index, has_dir, tree_digest FROM layer WHERE id = ?", "i", id);

	if (r < 0)
		return r;
	if (r == 0)
		return error_new(err, ERR_NOTFOUND, 0, "layer %lld is not in the store",
				 (long long)id);
	ret->has_index = db_col_i64(q, 0) != 0;
	ret->has_dir = db_col_i64(q, 1) != 0;
	(void)db_col_digest(q, 2, &ret->tree);
	return 0;
}

static int insert_row(struct db_tx *tx, const struct layer_birth *b, int64_t *ret_id,
		      struct error **err)
{
	int r;

	if (b->blob)
		r = db_run(tx, err,
			   "INSERT INTO layer (created, exact, diff_id, blob, blob_type, blob_size)"
			   " VALUES (?, 1, ?, ?, ?, ?)",
			   "iddti", times_now_ns(), b->diff_id, &b->blob->digest,
			   b->blob->media_type, (int64_t)b->blob->size);
	else
		r = db_run(tx, err, "INSERT INTO layer (created, exact) VALUES (?, 1)", "i",
			   times_now_ns());
	if (r == 0)
		*ret_id = db_last_id(tx);
	return r;
}

static int update_row(struct db_tx *tx, int64_t id, const struct layer_birth *b, uint64_t disk,
		      const struct digest *tree, struct error **err)
{
	/* Only of a dir can it be said that it was written in this boot: an index has a
	 * checksum. */
	return db_run(tx, err,
		      "UPDATE layer SET has_index = 1, has_dir = ?, boot = ?, size = ?, disk = ?,"
		      " tree_digest = ? WHERE id = ?",
		      "itiidi", (int64_t)b->has_dir, b->has_dir ? durable_boot() : NULL,
		      (int64_t)index_file_size(b->index), (int64_t)disk, tree, id);
}

/* A crash can lose the rename and keep the row. */
static bool index_is_there(struct store *s, int64_t id)
{
	_cleanup_free_ char *path = store_layer_path(id), *index = xasprintf("%s/index", path);

	return faccessat(s->dirfd, index, F_OK, 0) == 0 || errno != ENOENT;
}

/* Renames the whole, or the files alone where the index is there. */
static int place(struct store *s, const struct layer_birth *b, int64_t id, bool has_index,
		 char **ret_trash, struct error **err)
{
	_cleanup_free_ char *to = store_layer_path(id), *from_fs = NULL, *to_fs = NULL;
	int r;

	if (has_index && index_is_there(s, id)) {
		from_fs = xasprintf("%s/fs", *b->tmp);
		to_fs = xasprintf("%s/fs", to);
		return take_name(s, from_fs, to_fs, ret_trash, err);
	}
	r = take_name(s, *b->tmp, to, ret_trash, err);
	if (r == 0)
		free(TAKE_PTR(*b->tmp));
	return r;
}

/* The rename is inside the transaction, as for blobs: gc can not come in between. */
static int publish(struct store *s, const struct layer_birth *b, uint64_t disk, int64_t *ret_id,
		   char **ret_trash, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct former former = {0};
	int64_t id = b->id;
	struct digest tree;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = id ? get_former(&tx, id, &former, err) : insert_row(&tx, b, &id, err);
	if (r < 0)
		return r;
	index_tree_digest(b->index, &tree);
	/* Of a layer that never had an index the digest is what somebody said: now it is known. */
	if (former.has_index && !digest_equal(&former.tree, &tree))
		return error_new(err, ERR_CORRUPT, 0,
				 "the blob of layer %lld does not hold what its index says",
				 (long long)id);
	/* Another process may have unpacked it meanwhile: its dir is as good. */
	if (!former.has_dir) {
		r = place(s, b, id, former.has_index, ret_trash, err);
		if (r == 0)
			r = update_row(&tx, id, b, disk, &tree, err);
		if (r < 0)
			return r;
	}
	r = lease_add_layers(s, &tx, &id, 1, err);
	if (r == 0)
		r = db_commit(&tx, err);
	if (r == 0)
		*ret_id = id;
	return r;
}

int layer_publish(struct store *s, struct layer_birth *b, int64_t *ret_id, struct error **err)
{
	_cleanup_free_ char *trash = NULL;
	uint64_t disk = disk_size(s, b);
	int r = b->has_dir ? space_reserve(s, disk, err) : 0;

	if (r == 0)
		r = publish(s, b, disk, ret_id, &trash, err);
	if (trash)
		(void)!fs_remove_tree(s->dirfd, trash);
	if (r < 0)
		return error_wrap(err, r, "commit a layer");
	if (b->has_dir)
		space_note(s, disk);
	layer_cache_index(s, *ret_id, b->index);
	return 0;
}

int layer_put_blob(struct store *s, struct index_draft *draft, const struct layer_blob *blob,
		   const struct digest *diff_id, int64_t *ret_id, struct error **err)
{
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_free_ char *path = xasprintf("%s/index", *index_draft_dir(draft));
	struct layer_birth birth = {
		.tmp = index_draft_dir(draft), .blob = blob, .diff_id = diff_id};
	int r = index_open(s->dirfd, path, &index, err);

	if (r < 0)
		return r;
	birth.index = index;
	return layer_publish(s, &birth, ret_id, err);
}
