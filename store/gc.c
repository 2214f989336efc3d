/* SPDX-License-Identifier: Apache-2.0 */
#include "store/gc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"
#include "base/number.h"
#include "base/times.h"
#include "base/vec.h"
#include "store/durable.h"
#include "store/gc_sweep.h"
#include "store/internal.h"
#include "store/mounts.h"
#include "store/statindex.h"

void gc_result_release(struct gc_result *r)
{
	free(r->records);
	free(r->layers);
	free(r->blobs);
	strv_release(&r->mounts);
	*r = (struct gc_result){0};
}

static int list_dir(struct store *s, const char *path, struct strv *ret, struct error **err)
{
	int fd = fs_open_dir(s->dirfd, path), r;
	struct dirent *de;
	DIR *dir;

	if (fd == -ENOENT)
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int errnum = fd < 0 ? -fd : errno;

		if (fd >= 0)
			(void)close(fd);
		return error_new(err, ERR_IO, errnum, "list '%s/%s'", s->root, path);
	}
	while ((r = fs_next_entry(dir, &de)) > 0)
		if (de->d_name[0] != '.')
			strv_push(ret, de->d_name);
	(void)closedir(dir);
	return r < 0 ? error_new(err, ERR_IO, -r, "list '%s/%s'", s->root, path) : 0;
}

/* Rows of leases whose lock is free. The lock is asked for inside the transaction: a handle that
 * starts now makes its row after us, under a name of its own. */
static int drop_dead_leases(struct store *s, struct db_tx *tx, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT name FROM lease", "");

	for (; r > 0; r = db_step(tx, q, err))
		strv_push_take(&names, db_col_text(q, 0));
	for (size_t i = 0; i < names.n && r == 0; i++)
		if (!lease_alive(s, names.v[i]))
			r = db_run(tx, err, "DELETE FROM lease WHERE name = ?", "t", names.v[i]);
	return r;
}

/* tmp/<lease>.<random> of the dead. `bytes` may be NULL. */
static int remove_dead_temporaries(struct store *s, uint64_t *bytes, struct error **err)
{
	_cleanup_strv_ struct strv temps = {0};
	int r = list_dir(s, "tmp", &temps, err);

	for (size_t i = 0; r == 0 && i < temps.n && !cancel_is_set(s->cancel); i++) {
		_cleanup_free_ char *lease = xstrndup(temps.v[i], strcspn(temps.v[i], "."));
		_cleanup_free_ char *path = xasprintf("tmp/%s", temps.v[i]);

		if (lease_alive(s, lease))
			continue;
		if (bytes)
			*bytes += store_disk_usage(s, path);
		(void)!fs_remove_tree_until(s->dirfd, path, s->cancel);
	}
	return r;
}

void gc_sweep_temporaries(struct store *s)
{
	(void)remove_dead_temporaries(s, NULL, NULL);
}

/* These, and lock/lease.<lease> of the dead. */
static int remove_leavings(struct store *s, uint64_t *bytes, struct error **err)
{
	_cleanup_strv_ struct strv locks = {0};
	int r = remove_dead_temporaries(s, bytes, err);

	if (r == 0)
		r = list_dir(s, "lock", &locks, err);
	if (r < 0)
		return r;
	r = store_check_canceled(s, err);
	if (r < 0)
		return r;
	/* Last, since a lease file that is gone says that its temporaries are free to go. */
	for (size_t i = 0; i < locks.n; i++)
		if (strncmp(locks.v[i], "lease.", 6) == 0)
			lease_bury(s, locks.v[i] + 6);
	return 0;
}

static int trash_name(struct store *s, const char *folder, const char *name, struct strv *trash,
		      struct error **err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);

	return gc_trash(s, path, trash, err);
}

static bool is_listed(const char *name, const int64_t *ids, size_t n)
{
	int64_t id;

	return number_parse_signed(name, 0, INT64_MAX, &id) == 0 && n > 0 &&
	       bsearch(&id, ids, n, sizeof(id), store_compare_ids);
}

/* Names without a row: a transaction that was lost after its rename. Nothing can come to need them,
 * since whoever makes one renames and writes the row under the lock that we hold. */
static int sweep_orphan_layers(struct store *s, struct db_tx *tx, struct strv *trash,
			       struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	VEC(int64_t) ids = {0};
	struct sqlite3_stmt *q = NULL;
	int r = list_dir(s, "layers", &names, err);

	if (r == 0)
		r = db_query(tx, &q, err, "SELECT id FROM layer WHERE has_index <> 0 ORDER BY id",
			     "");
	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&ids, db_col_i64(q, 0));
	for (size_t i = 0; i < names.n && r == 0; i++)
		if (!is_listed(names.v[i], ids.v, ids.n))
			r = trash_name(s, "layers", names.v[i], trash, err);
	vec_release(&ids);
	return r;
}

static int sweep_orphan_blobs(struct store *s, struct db_tx *tx, struct strv *trash,
			      struct error **err)
{
	_cleanup_strv_ struct strv folders = {0};
	VEC(struct digest) known = {0};
	struct sqlite3_stmt *q = NULL;
	int r = list_dir(s, "blobs/sha256", &folders, err);

	if (r == 0)
		r = db_query(tx, &q, err, "SELECT digest FROM blob ORDER BY digest", "");
	for (; r > 0; r = db_step(tx, q, err)) {
		struct digest digest;

		if (db_col_digest(q, 0, &digest))
			vec_push(&known, digest);
	}
	for (size_t i = 0; i < folders.n && r == 0; i++) {
		_cleanup_free_ char *folder = xasprintf("blobs/sha256/%s", folders.v[i]);
		_cleanup_strv_ struct strv names = {0};

		r = list_dir(s, folder, &names, err);
		for (size_t k = 0; k < names.n && r == 0; k++) {
			struct digest digest;

			if (digest_parse_hex(names.v[k], strlen(names.v[k]), &digest) < 0 ||
			    known.n == 0 ||
			    !bsearch(&digest, known.v, known.n, sizeof(digest), digest_compare))
				r = trash_name(s, folder, names.v[k], trash, err);
		}
	}
	vec_release(&known);
	return r;
}

/* Directories of cache mounts without a row, and rows without a directory. Both are made, and both
 * go, under the lock that we hold. */
static int sweep_orphan_mounts(struct store *s, struct db_tx *tx, struct strv *trash,
			       struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	VEC(int64_t) dirs = {0};
	struct sqlite3_stmt *q = NULL;
	int r = list_dir(s, "mounts", &names, err);

	if (r == 0)
		r = db_query(tx, &q, err, "SELECT dir FROM mount ORDER BY dir", "");
	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&dirs, db_col_i64(q, 0));
	for (size_t i = 0; i < names.n && r == 0; i++)
		if (!is_listed(names.v[i], dirs.v, dirs.n))
			r = trash_name(s, "mounts", names.v[i], trash, err);
	for (size_t i = 0; i < dirs.n && r == 0; i++) {
		_cleanup_free_ char *path = xasprintf("mounts/%lld", (long long)dirs.v[i]);

		if (faccessat(s->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			r = db_run(tx, err, "DELETE FROM mount WHERE dir = ?", "i", dirs.v[i]);
	}
	vec_release(&dirs);
	return r;
}

/* A context that was not built for this long has its files hashed again. */
#define STATINDEX_AGE INT64_C(5184000000000000) /* 60 days */

int gc_note_collection(struct db_tx *tx, struct error **err)
{
	_cleanup_free_ char *now = times_rfc3339(times_now_ns());

	return db_run(tx, err,
		      "INSERT OR REPLACE INTO meta (name, value) VALUES ('last_full_gc', ?)", "t",
		      now);
}

/* Did a collection die between its two transactions? */
static int was_interrupted(struct db_tx *tx, bool *ret, struct error **err)
{
	int64_t found;
	int r = db_get_i64(tx, &found, 0, err, "SELECT 1 FROM meta WHERE name = '" GC_SWEEPING "'",
			   "");

	if (r == 0)
		*ret = found != 0;
	return r;
}

static int delete_rows(struct store *s, bool *full, struct gc_result *result, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	bool interrupted = false;
	int r = db_begin(s->db, DB_WRITE_DURABLE, &tx, err);

	if (r == 0)
		r = drop_dead_leases(s, &tx, err);
	if (r == 0)
		r = was_interrupted(&tx, &interrupted, err);
	if (r == 0)
		r = gc_sweep(&tx, result, err);
	if (r == 0 && *full)
		r = gc_note_collection(&tx, err);
	*full = *full || interrupted;
	return r < 0 ? r : db_commit(&tx, err);
}

/* Looks for files without rows, whoever left them. */
static int sweep_orphans(struct store *s, struct strv *trash, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = sweep_orphan_layers(s, &tx, trash, err);
	if (r == 0)
		r = sweep_orphan_blobs(s, &tx, trash, err);
	if (r == 0)
		r = sweep_orphan_mounts(s, &tx, trash, err);
	if (r == 0)
		r = db_run(&tx, err, "DELETE FROM meta WHERE name = '" GC_SWEEPING "'", "");
	return r < 0 ? r : db_commit(&tx, err);
}

static int collect(struct store *s, bool full, struct gc_result *result, struct error **err)
{
	_cleanup_strv_ struct strv trash = {0};
	int r;

	/* The trash is ours, so that another gc leaves it alone while we work. */
	r = lease_take(s, err);
	if (r == 0)
		r = delete_rows(s, &full, result, err);
	if (r < 0)
		return r;
	if (full)
		r = sweep_orphans(s, &trash, err);
	else
		r = gc_remove_swept(s, result, err);
	result->bytes += gc_empty_trash(s, &trash);
	if (r == 0)
		r = store_check_canceled(s, err);
	return r < 0 ? r : remove_leavings(s, &result->bytes, err);
}

int gc_collect(struct store *s, struct gc_result *result, struct error **err)
{
	return collect(s, false, result, err);
}

int store_gc(struct store *s, struct gc_result *ret, struct error **err)
{
	struct gc_result result = {0};
	int r = collect(s, true, &result, err);

	if (r == 0)
		statindex_prune(s, times_now_ns() - STATINDEX_AGE);

	if (r == 0)
		r = durable_sync(s, err);
	if (r < 0 || !ret) {
		gc_result_release(&result);
		return r < 0 ? error_wrap(err, r, "collect garbage in the store") : 0;
	}
	*ret = result;
	return 0;
}
