/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/times.h"
#include "store/blob.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/index.h"
#include "store/internal.h"
#include "store/layer_check.h"

void layer_info_release(struct layer_info *info)
{
	free(info->blob.media_type);
	free(info->source);
	*info = (struct layer_info){0};
}

#define LAYER_COLUMNS                                                                   \
	"id, has_dir, diff_id, blob, blob_type, blob_size, size, tree_digest, source, " \
	"has_index, created, exact"

static void read_info(struct sqlite3_stmt *q, struct layer_info *ret)
{
	*ret = (struct layer_info){
		.id = db_col_i64(q, 0),
		.has_dir = db_col_i64(q, 1) != 0,
		.blob.media_type = db_col_text(q, 4),
		.blob.size = (uint64_t)db_col_i64(q, 5),
		.size = (uint64_t)db_col_i64(q, 6),
		.source = db_col_text(q, 8),
		.has_index = db_col_i64(q, 9) != 0,
		.created = db_col_i64(q, 10),
		.is_exact = db_col_i64(q, 11) != 0,
	};
	ret->has_diff_id = db_col_digest(q, 2, &ret->diff_id);
	ret->has_blob = db_col_digest(q, 3, &ret->blob.digest);
	ret->has_digest = db_col_digest(q, 7, &ret->tree_digest);
}

static int no_such_layer(int64_t id, struct error **err)
{
	return error_new(err, ERR_NOTFOUND, 0, "layer %lld is not in the store", (long long)id);
}

static int get_row(struct store *s, int64_t id, struct layer_info *ret, bool *ret_suspect,
		   struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *boot = NULL;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_LOOK, &tx, err);

	if (r < 0)
		return r;
	r = db_query(&tx, &q, err, "SELECT " LAYER_COLUMNS ", boot FROM layer WHERE id = ?", "i",
		     id);
	if (r < 0)
		return r;
	if (r == 0)
		return no_such_layer(id, err);
	read_info(q, ret);
	boot = db_col_text(q, 12);
	*ret_suspect = ret->has_dir && !durable_trusted(boot);
	return 0;
}

int layer_get(struct store *s, int64_t id, struct layer_info *ret, struct error **err)
{
	bool suspect;
	int r = get_row(s, id, ret, &suspect, err);

	if (r < 0 || !suspect)
		return r;
	/* Whoever asks is about to use the dir. */
	layer_info_release(ret);
	layer_settle(s, id);
	return get_row(s, id, ret, &suspect, err);
}

/* Somebody may have removed it by hand. */
static bool dir_is_there(struct store *s, int64_t id)
{
	_cleanup_free_ char *path = xasprintf("layers/%lld/index", (long long)id);

	return faccessat(s->dirfd, path, F_OK, 0) == 0 || errno != ENOENT;
}

/* The layer of this diff id that is best to use, named under our lease: one with a dir if any. */
static int find_diff_id(struct store *s, struct db_tx *tx, const struct digest *diff_id,
			int64_t *ret_id, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int64_t id = 0, hollow = 0;
	int r;

	r = db_query(tx, &q, err,
		     "SELECT id, has_dir, blob IS NOT NULL FROM layer WHERE diff_id = ?"
		     " ORDER BY has_dir DESC, " LAYER_CAN_COME " DESC, blob IS NOT NULL DESC, id",
		     "d", diff_id);
	for (; r > 0 && id == 0; r = db_step(tx, q, err)) {
		if (db_col_i64(q, 1) && !dir_is_there(s, db_col_i64(q, 0)))
			hollow = db_col_i64(q, 0);
		else if (db_col_i64(q, 1) || db_col_i64(q, 2))
			id = db_col_i64(q, 0);
	}
	if (r < 0)
		return r;
	if (hollow) {
		r = db_run(tx, err,
			   "UPDATE layer SET has_dir = 0, has_index = 0, boot = NULL"
			   " WHERE id = ?",
			   "i", hollow);
		if (r < 0)
			return r;
	}
	if (id) {
		r = lease_add_layers(s, tx, &id, 1, err);
		if (r < 0)
			return r;
	}
	*ret_id = id;
	return 0;
}

int layer_find_diff_id(struct store *s, const struct digest *diff_id, int64_t *ret_id,
		       struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t id;
	int r = lease_take(s, err);

	if (r < 0)
		return r;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = find_diff_id(s, &tx, diff_id, &id, err);
	if (r < 0)
		return r;
	r = db_commit(&tx, err);
	if (r < 0)
		return r;
	if (id != 0)
		layer_settle(s, id);
	*ret_id = id;
	return 0;
}

static int set_blob(struct db_tx *tx, int64_t id, const struct layer_blob *blob, struct error **err)
{
	return db_run(tx, err,
		      "UPDATE layer SET blob = ?, blob_type = ?, blob_size = ? WHERE id = ?",
		      "dtii", &blob->digest, blob->media_type, (int64_t)blob->size, id);
}

/* A received layer whose bytes are not here can be fetched where it was named last, and so can one that
 * is lost. */
static int move_source(struct db_tx *tx, int64_t id, const struct layer_blob *blob,
		       const char *source, struct error **err)
{
	return db_run(tx, err,
		      "UPDATE layer SET source = ?, blob = ?, blob_type = ?, blob_size = ?"
		      " WHERE id = ? AND (source IS NOT NULL OR has_dir = 0)"
		      " AND NOT EXISTS (SELECT 1 FROM blob WHERE digest = layer.blob)",
		      "tdtii", source, &blob->digest, blob->media_type, (int64_t)blob->size, id);
}

int layer_add_remote(struct store *s, const struct digest *diff_id, const struct layer_blob *blob,
		     const char *source, int64_t *ret_id, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t id;
	int r = lease_take(s, err);

	if (r < 0)
		return r;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = find_diff_id(s, &tx, diff_id, &id, err);
	if (r < 0)
		return r;
	if (id == 0) {
		r = db_run(&tx, err,
			   "INSERT INTO layer (diff_id, source, created) VALUES (?, ?, ?)", "dti",
			   diff_id, source, times_now_ns());
		if (r < 0)
			return r;
		id = db_last_id(&tx);
		r = set_blob(&tx, id, blob, err);
		if (r == 0)
			r = lease_add_layers(s, &tx, &id, 1, err);
	} else if (source) {
		r = move_source(&tx, id, blob, source, err);
	}
	if (r < 0)
		return r;
	r = db_commit(&tx, err);
	if (r < 0)
		return r;
	layer_settle(s, id);
	*ret_id = id;
	return 0;
}

int layer_claim(struct store *s, int64_t id, int64_t created, const struct digest *tree,
		struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = db_run(&tx, err,
			   "UPDATE layer SET created = ?, tree_digest = coalesce(tree_digest, ?)"
			   " WHERE id = ? AND source IS NOT NULL AND has_index = 0",
			   "idi", created, tree, id);
	return r < 0 ? r : db_commit(&tx, err);
}

int layer_give_up(struct store *s, int64_t id, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = db_run(
			&tx, err,
			"UPDATE layer SET source = NULL, blob = NULL WHERE id = ? AND has_dir = 0",
			"i", id);
	return r < 0 ? r : db_commit(&tx, err);
}

int layer_set_diff_id(struct store *s, int64_t id, const struct digest *diff_id, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = db_run(&tx, err, "UPDATE layer SET diff_id = ? WHERE id = ?", "di", diff_id, id);
	if (r < 0)
		return r;
	if (db_changes(&tx) == 0)
		return no_such_layer(id, err);
	return db_commit(&tx, err);
}

int layer_set_blob(struct store *s, int64_t id, const struct layer_blob *blob, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = set_blob(&tx, id, blob, err);
	if (r < 0)
		return r;
	if (db_changes(&tx) == 0)
		return no_such_layer(id, err);
	return db_commit(&tx, err);
}

static bool is_index_cached(struct store *s, int64_t id)
{
	bool cached;

	pthread_mutex_lock(&s->mutex);
	cached = map_get(&s->indexes, &id, sizeof(id)) != NULL;
	pthread_mutex_unlock(&s->mutex);
	return cached;
}

static struct index *cached_index(struct store *s, int64_t id)
{
	struct index *i;

	pthread_mutex_lock(&s->mutex);
	i = map_get(&s->indexes, &id, sizeof(id));
	if (i)
		index_ref(i);
	pthread_mutex_unlock(&s->mutex);
	return i;
}

void layer_cache_index(struct store *s, int64_t id, struct index *i)
{
	void **slot;

	pthread_mutex_lock(&s->mutex);
	slot = map_put(&s->indexes, &id, sizeof(id));
	if (!*slot)
		*slot = index_ref(i);
	pthread_mutex_unlock(&s->mutex);
}

/* What there is of a layer, and whether its dir may be used unseen. */
struct layer_state {
	bool has_index, has_dir, trusted;
};

static int read_state(struct db_tx *tx, int64_t id, struct layer_state *ret, struct error **err)
{
	_cleanup_free_ char *boot = NULL;
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT has_index, has_dir, boot FROM layer WHERE id = ?",
			 "i", id);

	*ret = (struct layer_state){0};
	if (r <= 0)
		return r;
	boot = db_col_text(q, 2);
	*ret = (struct layer_state){.has_index = db_col_i64(q, 0) != 0,
				    .has_dir = db_col_i64(q, 1) != 0,
				    .trusted = durable_trusted(boot)};
	return 0;
}

static int layer_state(struct store *s, int64_t id, struct layer_state *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_LOOK, &tx, err);

	return r < 0 ? r : read_state(&tx, id, ret, err);
}

int layers_have(struct store *s, enum layer_part part, const int64_t *ids, size_t n, bool *ret,
		struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	bool all = true;
	int r = db_begin(s->db, DB_READ, &tx, err);

	for (size_t i = 0; i < n && r == 0 && all; i++) {
		struct layer_state state;

		if (part == LAYER_INDEX && is_index_cached(s, ids[i]))
			continue;
		r = read_state(&tx, ids[i], &state, err);
		if (r == 0)
			all = part == LAYER_INDEX ? state.has_index
						  : state.has_dir && state.trusted;
	}
	if (r == 0)
		*ret = all;
	return r;
}

/* The verdict of a check: a dir that is usable from now on in this boot. */
static int trust_dir(struct store *s, int64_t id, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = db_run(&tx, err, "UPDATE layer SET boot = ? WHERE id = ?", "ti", durable_boot(), id);
	return r < 0 ? r : db_commit(&tx, err);
}

/* The other verdict: a layer without index and dir. */
static void drop_body(struct store *s, int64_t id)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;

	if (db_begin(s->db, DB_WRITE, &tx, NULL) == 0 &&
	    db_run(&tx, NULL,
		   "UPDATE layer SET has_index = 0, has_dir = 0, boot = NULL WHERE id = ?", "i",
		   id) == 0)
		(void)!db_commit(&tx, NULL);
}

/* The next layer_index opens the file anew. */
static void forget_index(struct store *s, int64_t id)
{
	struct index *i;
	void **slot;

	pthread_mutex_lock(&s->mutex);
	slot = map_put(&s->indexes, &id, sizeof(id));
	i = *slot;
	*slot = NULL;
	pthread_mutex_unlock(&s->mutex);
	index_unref(i);
}

/* A damaged layer has neither dir nor index from now on. */
static void forget_damaged(struct store *s, int64_t id)
{
	drop_body(s, id);
	forget_index(s, id);
	store_notice(s, "layer %lld in the store is damaged: it is made or fetched again",
		     (long long)id);
}

/* Maps the index and, with `check`, compares the dir with it. A layer that fails has neither from
 * then on: it is fetched or built again. */
static int open_index(struct store *s, int64_t id, bool check, struct index **ret,
		      struct error **err)
{
	_cleanup_free_ char *path = xasprintf("layers/%lld/index", (long long)id);
	_cleanup_(index_unrefp) struct index *i = NULL;
	int r = index_open(s->dirfd, path, &i, err);

	if (r == 0 && check) {
		r = layer_check_dir(s, id, i, err);
		if (r == 0)
			r = trust_dir(s, id, err);
	}
	if (r == -ERR_CORRUPT || r == -ERR_NOTFOUND) {
		forget_damaged(s, id);
		/* Also where a file is gone: its row said that it is there. */
		r = error_wrap(err, -ERR_CORRUPT, "it is damaged");
		return error_hint(err, r, "build, load or pull the image again");
	}
	if (r == 0)
		*ret = TAKE_PTR(i);
	return r;
}

int layer_forget_gone(struct store *s, const int64_t *ids, size_t n, bool *ret, struct error **err)
{
	*ret = false;
	for (size_t k = 0; k < n; k++) {
		_cleanup_free_ char *path = NULL;
		struct layer_state state;
		int r = layer_state(s, ids[k], &state, err);

		if (r < 0)
			return r;
		path = xasprintf("layers/%lld/fs", (long long)ids[k]);
		if (!state.has_dir || faccessat(s->dirfd, path, F_OK, 0) == 0 || errno != ENOENT)
			continue;
		forget_damaged(s, ids[k]);
		*ret = true;
	}
	return 0;
}

int layer_index(struct store *s, int64_t id, struct index **ret, struct error **err)
{
	struct index *i = cached_index(s, id);
	struct layer_state state;
	int r;

	if (i) {
		*ret = i;
		return 0;
	}
	r = layer_state(s, id, &state, err);
	if (r < 0)
		return r;
	if (!state.has_index)
		return error_new(err, ERR_NOTFOUND, 0, "layer %lld is not unpacked", (long long)id);
	r = open_index(s, id, state.has_dir && !state.trusted, &i, err);
	if (r < 0)
		return error_wrap(err, r, "use layer %lld", (long long)id);
	layer_cache_index(s, id, i);
	*ret = i;
	return 0;
}

void layer_settle(struct store *s, int64_t id)
{
	struct layer_state state;
	struct index *i = NULL;

	if (layer_state(s, id, &state, NULL) == 0 && state.has_dir && !state.trusted &&
	    open_index(s, id, true, &i, NULL) == 0)
		layer_cache_index(s, id, i);
	index_unref(i);
}

int layer_verify(struct store *s, int64_t id, struct index **ret, struct error **err)
{
	struct layer_state state;
	int r = layer_state(s, id, &state, err);

	return r < 0 ? r : open_index(s, id, state.has_dir, ret, err);
}

char *layer_dir_path(struct store *s, int64_t id)
{
	return xasprintf("%s/layers/%lld/fs", s->root, (long long)id);
}

int layer_dir_open(struct store *s, int64_t id, struct error **err)
{
	_cleanup_free_ char *path = xasprintf("layers/%lld/fs", (long long)id);
	int r, fd = fs_open_dir(s->dirfd, path);

	if (fd >= 0)
		return fd;
	if (fd != -ENOENT)
		return error_new(err, ERR_IO, -fd, "open the files of layer %lld", (long long)id);
	forget_damaged(s, id);
	r = error_new(err, ERR_CORRUPT, 0, "layer %lld is damaged: its files are gone",
		      (long long)id);
	return error_hint(err, r, "build, load or pull the image again");
}

int layer_is_lost(struct store *s, int64_t id, bool *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t lost;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r == 0)
		r = db_get_i64(&tx, &lost, 1, err,
			       "SELECT has_dir = 0 AND NOT " LAYER_CAN_COME
			       " FROM layer WHERE id = ?",
			       "i", id);
	if (r == 0)
		*ret = lost != 0;
	return r;
}

/* The body of a layer made here as a blob. */
static int recheck_blob(struct store *s, int64_t id, struct error **err)
{
	_cleanup_(layer_info_release) struct layer_info info = {0};
	bool suspect;
	int r = get_row(s, id, &info, &suspect, err);

	if (r < 0 || info.source || !info.has_blob || !blob_exists(s, &info.blob.digest, NULL))
		return r;
	return blob_verify(s, &info.blob.digest, NULL, err);
}

int layer_recheck(struct store *s, int64_t id, bool *ret_whole, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct layer_state state;
	struct index *i = NULL;
	int r = layer_state(s, id, &state, err);

	*ret_whole = true;
	if (r < 0 || !state.has_index)
		return r;
	r = open_index(s, id, state.has_dir, &i, &why);
	index_unref(i);
	if (r == 0)
		r = recheck_blob(s, id, &why);
	*ret_whole = r == 0;
	if (r == 0 || r == -ERR_CORRUPT || r == -ERR_NOTFOUND)
		return 0;
	if (err)
		*err = TAKE_PTR(why);
	return r;
}
