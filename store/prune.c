/* SPDX-License-Identifier: Apache-2.0 */
/* Which cache records go on demand: by name, by age, by size. */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/map.h"
#include "base/times.h"
#include "base/vec.h"
#include "store/durable.h"
#include "store/evict.h"
#include "store/gc_sweep.h"
#include "store/internal.h"
#include "store/mounts.h"
#include "store/stack.h"

static bool limits_size(const struct prune_options *o)
{
	return o->limit_storage || o->max_used_space || o->min_free_space;
}

/* Only what was used before this goes. */
static int64_t age_limit(const struct prune_options *o)
{
	return o->unused_since > 0 ? o->unused_since : INT64_MAX;
}

static int delete_record(struct db_tx *tx, int64_t id, struct gc_result *result, struct error **err)
{
	int r = db_run(tx, err, "DELETE FROM record WHERE id = ?", "i", id);

	if (r < 0)
		return r;
	result->records =
		xreallocarray(result->records, result->n_records + 1, sizeof(*result->records));
	result->records[result->n_records++] = id;
	return 0;
}

/* Those of the choice that nobody has used since it was made. */
static int drop_chosen(struct db_tx *tx, const struct prune_options *o, struct gc_result *result,
		       struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < o->only->records.n && r == 0; i++) {
		int64_t id = o->only->records.v[i], is_there;

		r = db_get_i64(tx, &is_there, 0, err,
			       "SELECT 1 FROM record_use WHERE record = ? AND last_used < ?", "ii",
			       id, age_limit(o));
		if (r == 0 && is_there)
			r = delete_record(tx, id, result, err);
	}
	return r;
}

static int drop_matching(struct db_tx *tx, const struct prune_options *o, struct gc_result *result,
			 struct error **err)
{
	VEC(int64_t) ids = {0};
	struct sqlite3_stmt *q = NULL;
	int r;

	if (o->only)
		return drop_chosen(tx, o, result, err);
	r = db_query(tx, &q, err,
		     "SELECT record FROM record_use WHERE last_used < ? ORDER BY record", "i",
		     age_limit(o));
	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&ids, db_col_i64(q, 0));
	for (size_t i = 0; i < ids.n && r == 0; i++)
		r = delete_record(tx, ids.v[i], result, err);
	vec_release(&ids);
	return r;
}

/* How many bytes of cache may stay, of `total`. */
static uint64_t size_limit(struct store *s, const struct prune_options *o, uint64_t total)
{
	uint64_t limit = UINT64_MAX, free;
	struct statvfs v;

	if (o->max_used_space)
		limit = o->max_used_space;
	if (o->min_free_space && fstatvfs(s->dirfd, &v) == 0) {
		free = (uint64_t)v.f_bavail * v.f_frsize;
		if (free < o->min_free_space) {
			uint64_t excess = o->min_free_space - free;
			uint64_t target = total > excess ? total - excess : 0;

			limit = target < limit ? target : limit;
		}
	}
	if (!o->limit_storage)
		return limit;
	if (!o->max_used_space && !o->min_free_space)
		return o->keep_storage;
	return limit < o->keep_storage ? o->keep_storage : limit;
}

static int drop_by_size(struct store *s, struct db_tx *tx, const struct prune_options *o,
			struct evicted *chosen, struct gc_result *result, struct error **err)
{
	struct evict_options eo = {.unused_before = age_limit(o), .mounts = o->mounts};
	int64_t total;
	int r = db_get_i64(tx, &total, 0, err, "SELECT bytes FROM usage", "");

	if (r < 0)
		return r;
	eo.limit = size_limit(s, o, (uint64_t)total);
	r = evict_choose(s, tx, &eo, chosen, err);
	for (size_t i = 0; i < chosen->records.n && r == 0; i++)
		r = delete_record(tx, chosen->records.v[i], result, err);
	return r;
}

/* What a collection would free, inside the transaction that deleted the records. */
static int estimate(struct db_tx *tx, struct gc_result *result, struct error **err)
{
	VEC(int64_t) layers = {0};
	struct sqlite3_stmt *q = NULL;
	int64_t blobs = 0, n_blobs = 0;
	int r = stack_sweep(tx, err);

	if (r == 0)
		r = db_query(tx, &q, err,
			     "SELECT id, has_dir * disk FROM layer WHERE"
			     " NOT EXISTS (SELECT 1 FROM stack WHERE layer = layer.id) AND"
			     " NOT EXISTS (SELECT 1 FROM image_layer WHERE layer = layer.id) AND"
			     " NOT EXISTS (SELECT 1 FROM lease_layer WHERE layer = layer.id)",
			     "");
	for (; r > 0; r = db_step(tx, q, err)) {
		vec_push(&layers, db_col_i64(q, 0));
		result->bytes += (uint64_t)db_col_i64(q, 1);
	}
	result->layers = layers.v;
	result->n_layers = layers.n;
	for (size_t i = 0; i < layers.n && r == 0; i++)
		r = db_run(tx, err, "DELETE FROM layer WHERE id = ?", "i", layers.v[i]);
	if (r == 0)
		r = db_query(tx, &q, err,
			     "SELECT count(*), coalesce(sum(size), 0) FROM blob WHERE"
			     " NOT EXISTS (SELECT 1 FROM layer WHERE layer.blob = blob.digest) AND"
			     " NOT EXISTS (SELECT 1 FROM image WHERE manifest = blob.digest) AND"
			     " NOT EXISTS (SELECT 1 FROM image WHERE config = blob.digest) AND"
			     " NOT EXISTS (SELECT 1 FROM image_blob i WHERE i.digest ="
			     " blob.digest) AND"
			     " NOT EXISTS (SELECT 1 FROM lease_blob l WHERE l.digest ="
			     " blob.digest)",
			     "");
	if (r > 0) {
		n_blobs = db_col_i64(q, 0);
		blobs = db_col_i64(q, 1);
	}
	result->n_blobs = (size_t)n_blobs;
	result->bytes += (uint64_t)blobs;
	return r < 0 ? r : 0;
}

static int drop_records(struct store *s, const struct prune_options *o, struct evicted *chosen,
			struct gc_result *result, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0 && limits_size(o))
		r = drop_by_size(s, &tx, o, chosen, result, err);
	else if (r == 0 && (o->all || o->unused_since > 0 || o->only))
		r = drop_matching(&tx, o, result, err);
	if (r == 0)
		r = db_run(&tx, err, "DELETE FROM pin WHERE time < ?", "i", o->unused_since);
	if (r < 0)
		return r;
	/* A dry run ends by taking everything back. */
	return o->dry_run ? estimate(&tx, result, err) : db_commit(&tx, err);
}

static int remove_chosen_mounts(struct store *s, const struct evicted *chosen, bool dry_run,
				struct gc_result *result, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < chosen->mounts.n && r == 0; i++) {
		const struct evicted_mount *m = &chosen->mounts.v[i];
		bool removed = dry_run;

		r = store_check_canceled(s, err);
		if (r < 0)
			break;
		if (dry_run)
			result->bytes += m->bytes;
		else
			r = mounts_evict(s, m->id, m->instance, m->last_used + 1, &removed,
					 &result->bytes, err);
		if (removed)
			strv_push(&result->mounts, m->id);
	}
	return r;
}

static bool is_chosen(const struct prune_choice *only, const struct mount_info *m)
{
	if (!only)
		return true;
	for (size_t i = 0; i < only->mounts.n; i++)
		if (only->mounts.v[i].instance == m->instance &&
		    strcmp(only->mounts.v[i].id, m->id) == 0)
			return true;
	return false;
}

static int drop_mount(struct store *s, const struct prune_options *o, const struct mount_info *m,
		      struct gc_result *result, struct error **err)
{
	bool removed = false;
	int r = 0;

	if (m->last_used >= age_limit(o) || m->in_use || !is_chosen(o->only, m))
		return 0;
	if (o->dry_run)
		result->bytes += m->size;
	else
		r = mounts_evict(s, m->id, m->instance, age_limit(o), &removed, &result->bytes,
				 err);
	if (removed || o->dry_run)
		strv_push(&result->mounts, m->id);
	return r;
}

static int drop_matching_mounts(struct store *s, const struct prune_options *o,
				struct gc_result *result, struct error **err)
{
	struct mount_info *infos = NULL;
	size_t n = 0;
	int r = mounts_list(s, &infos, &n, err);

	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = store_check_canceled(s, err);
		if (r == 0)
			r = drop_mount(s, o, &infos[i], result, err);
		mount_info_release(&infos[i]);
	}
	free(infos);
	return r;
}

static int drop_mounts(struct store *s, const struct prune_options *o, const struct evicted *chosen,
		       struct gc_result *result, struct error **err)
{
	if (!o->mounts)
		return 0;
	if (limits_size(o))
		return remove_chosen_mounts(s, chosen, o->dry_run, result, err);
	return drop_matching_mounts(s, o, result, err);
}

int store_prune(struct store *s, const struct prune_options *options, struct gc_result *ret,
		struct error **err)
{
	struct gc_result dropped = {0}, result = {0};
	struct evicted chosen = {0};
	int r = drop_records(s, options, &chosen, &dropped, err);

	if (r == 0)
		r = drop_mounts(s, options, &chosen, &dropped, err);
	evicted_release(&chosen);
	if (r == 0)
		r = store_check_canceled(s, err);
	if (r == 0 && !options->dry_run)
		r = store_gc(s, &result, err);
	if (r < 0 || !ret) {
		gc_result_release(&dropped);
		gc_result_release(&result);
		return r;
	}
	if (options->dry_run) {
		*ret = dropped;
		return 0;
	}
	result.bytes += dropped.bytes;
	result.records = TAKE_PTR(dropped.records);
	result.n_records = dropped.n_records;
	result.mounts = dropped.mounts;
	*ret = result;
	return 0;
}
