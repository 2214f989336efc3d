/* SPDX-License-Identifier: Apache-2.0 */
#include "store/gc_sweep.h"

#include <stdlib.h>

#include "base/fs.h"
#include "base/vec.h"
#include "store/internal.h"
#include "store/stack.h"

static int sweep_layers(struct db_tx *tx, struct gc_result *result, struct error **err)
{
	VEC(int64_t) ids = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT id FROM layer WHERE"
			 " NOT EXISTS (SELECT 1 FROM lease_layer WHERE layer = layer.id) AND"
			 " NOT EXISTS (SELECT 1 FROM image_layer WHERE layer = layer.id) AND"
			 " NOT EXISTS (SELECT 1 FROM stack WHERE layer = layer.id)",
			 "");

	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&ids, db_col_i64(q, 0));
	for (size_t i = 0; i < ids.n && r == 0; i++)
		r = db_run(tx, err, "DELETE FROM layer WHERE id = ?", "i", ids.v[i]);
	if (r < 0) {
		vec_release(&ids);
		return r;
	}
	free(result->layers);
	result->layers = ids.v;
	result->n_layers = ids.n;
	return 0;
}

static int sweep_blobs(struct db_tx *tx, struct gc_result *result, struct error **err)
{
	VEC(struct digest) blobs = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT digest FROM blob WHERE"
			 " NOT EXISTS (SELECT 1 FROM layer WHERE layer.blob = blob.digest) AND"
			 " NOT EXISTS (SELECT 1 FROM image WHERE manifest = blob.digest) AND"
			 " NOT EXISTS (SELECT 1 FROM image WHERE config = blob.digest) AND"
			 " NOT EXISTS (SELECT 1 FROM image_blob i WHERE i.digest = blob.digest) AND"
			 " NOT EXISTS (SELECT 1 FROM lease_blob l WHERE l.digest = blob.digest)",
			 "");

	for (; r > 0; r = db_step(tx, q, err)) {
		struct digest d;

		if (db_col_digest(q, 0, &d))
			vec_push(&blobs, d);
	}
	for (size_t i = 0; i < blobs.n && r == 0; i++)
		r = db_run(tx, err, "DELETE FROM blob WHERE digest = ?", "d", &blobs.v[i]);
	if (r < 0) {
		vec_release(&blobs);
		return r;
	}
	free(result->blobs);
	result->blobs = blobs.v;
	result->n_blobs = blobs.n;
	return 0;
}

/* Says that files without rows may be there, until they are not. */
static int mark(struct db_tx *tx, struct gc_result *result, struct error **err)
{
	int r;

	if (result->n_layers + result->n_blobs == 0)
		return 0;
	r = db_run(tx, err,
		   "INSERT OR IGNORE INTO meta (name, value) VALUES ('" GC_SWEEPING "', '1')", "");
	result->marked = r == 0 && db_changes(tx) > 0;
	return r;
}

int gc_sweep(struct db_tx *tx, struct gc_result *result, struct error **err)
{
	int r = stack_sweep(tx, err);

	if (r == 0)
		r = sweep_layers(tx, result, err);
	if (r == 0)
		r = sweep_blobs(tx, result, err);
	return r < 0 ? r : mark(tx, result, err);
}

int gc_trash(struct store *s, const char *path, struct strv *trash, struct error **err)
{
	char *name = NULL;
	int r = store_trash(s, path, &name, err);

	if (r == 0 && name)
		strv_push_take(trash, name);
	return r;
}

/* Somebody may have made the same blob again since its row went. */
static int trash_blob(struct store *s, struct db_tx *tx, const struct digest *digest,
		      struct strv *trash, struct error **err)
{
	_cleanup_free_ char *path = store_blob_path(digest);
	int64_t is_there;
	int r = db_get_i64(tx, &is_there, 0, err, "SELECT 1 FROM blob WHERE digest = ?", "d",
			   digest);

	return r < 0 || is_there ? r : gc_trash(s, path, trash, err);
}

int gc_trash_swept(struct store *s, struct db_tx *tx, const struct gc_result *result,
		   struct strv *trash, struct error **err)
{
	int r = 0;

	/* Ids of layers are never used again. */
	for (size_t i = 0; i < result->n_layers && r == 0; i++) {
		_cleanup_free_ char *path = store_layer_path(result->layers[i]);

		r = gc_trash(s, path, trash, err);
	}
	for (size_t i = 0; i < result->n_blobs && r == 0; i++)
		r = trash_blob(s, tx, &result->blobs[i], trash, err);
	if (r == 0 && result->marked)
		r = db_run(tx, err, "DELETE FROM meta WHERE name = '" GC_SWEEPING "'", "");
	return r;
}

int gc_remove_swept(struct store *s, struct gc_result *result, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_strv_ struct strv trash = {0};
	int r;

	if (result->n_layers + result->n_blobs == 0)
		return 0;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r == 0)
		r = gc_trash_swept(s, &tx, result, &trash, err);
	if (r == 0)
		r = db_commit(&tx, err);
	db_end(&tx);
	result->bytes += gc_empty_trash(s, &trash);
	return r;
}

uint64_t gc_empty_trash(struct store *s, const struct strv *trash)
{
	uint64_t bytes = 0;

	/* What resists, or is left when we are to end, stays in the trash for the next gc. */
	for (size_t i = 0; i < trash->n && !cancel_is_set(s->cancel); i++) {
		bytes += store_disk_usage(s, trash->v[i]);
		(void)!fs_remove_tree_until(s->dirfd, trash->v[i], s->cancel);
	}
	return bytes;
}
