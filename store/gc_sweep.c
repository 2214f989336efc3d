#include "store/gc_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/times.h"
#include "base/vec.h"
#include "store/internal.h"

static int to_trash(struct store *s, const char *path, struct strv *trash, struct error **err)
{
	char *name = NULL;
	int r = store_trash(s, path, &name, err);

	if (r == 0 && name)
		strv_push_take(trash, name);
	return r;
}

static int sweep_layers(struct store *s, struct db_tx *tx, struct gc_result *result,
			struct strv *trash, struct error **err)
{
	VEC(int64_t) ids = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 /* The largest table comes last: most layers are not looked for in it. */
			 "SELECT id FROM layer WHERE"
			 " NOT EXISTS (SELECT 1 FROM lease_layer WHERE layer = id) AND"
			 " NOT EXISTS (SELECT 1 FROM image_layer WHERE layer = id) AND"
			 " NOT EXISTS (SELECT 1 FROM record_layer WHERE layer = id)",
			 "");

	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&ids, db_col_i64(q, 0));
	for (size_t i = 0; i < ids.n && r == 0; i++) {
		_cleanup_free_ char *path = store_layer_path(ids.v[i]);

		r = db_run(tx, err, "DELETE FROM layer WHERE id = ?", "i", ids.v[i]);
		if (r == 0)
			r = to_trash(s, path, trash, err);
	}
	if (r < 0) {
		vec_release(&ids);
		return r;
	}
	free(result->layers);
	result->layers = ids.v;
	result->n_layers = ids.n;
	return 0;
}

static int sweep_blobs(struct store *s, struct db_tx *tx, struct gc_result *result,
		       struct strv *trash, struct error **err)
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
	for (size_t i = 0; i < blobs.n && r == 0; i++) {
		_cleanup_free_ char *path = store_blob_path(&blobs.v[i]);

		r = db_run(tx, err, "DELETE FROM blob WHERE digest = ?", "d", &blobs.v[i]);
		if (r == 0)
			r = to_trash(s, path, trash, err);
	}
	result->n_blobs += blobs.n;
	vec_release(&blobs);
	return r;
}

int gc_sweep(struct store *s, struct db_tx *tx, struct gc_result *result, struct strv *trash,
	     struct error **err)
{
	int r = sweep_layers(s, tx, result, trash, err);

	return r < 0 ? r : sweep_blobs(s, tx, result, trash, err);
}

int gc_barrier(struct store *s, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *now = times_rfc3339(times_now_ns());
	int r = db_begin(s->db, DB_WRITE_DURABLE, &tx, err);

	if (r < 0)
		return r;
	/* Something must be written for the log to be synced. */
	r = db_run(&tx, err, "INSERT OR REPLACE INTO meta (name, value) VALUES ('last_gc', ?)", "t",
		   now);
	return r < 0 ? r : db_commit(&tx, err);
}

uint64_t gc_empty_trash(struct store *s, const struct strv *trash)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < trash->n; i++) {
		bytes += store_disk_usage(s, trash->v[i]);
		/* What resists stays in the trash for the next gc. */
		(void)fs_remove_tree(s->dirfd, trash->v[i]);
	}
	return bytes;
}
