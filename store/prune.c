/* Which cache records go, by age and by size. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "store/gc_sweep.h"
#include "store/internal.h"
#include "store/mounts.h"

struct used_layer {
	uint64_t size;
	unsigned records; /* how many of the remaining records need it */
};

struct usage {
	VEC(int64_t) records; /* least recently used first */
	struct map layers;    /* id -> struct used_layer */
	uint64_t total;
};

static int load_usage(struct db_tx *tx, struct usage *u, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT id FROM record ORDER BY last_used, id", "");

	while (r == 0 && (r = db_step(tx, q, err)) > 0) {
		vec_push(&u->records, db_col_i64(q, 0));
		r = 0;
	}
	if (r < 0)
		return r;
	r = db_query(
		tx, &q, err,
		"SELECT layer.id, max(size, coalesce(blob_size, 0)), count(*) FROM record_layer"
		" JOIN layer ON layer.id = record_layer.layer GROUP BY layer.id",
		"");
	while (r == 0 && (r = db_step(tx, q, err)) > 0) {
		int64_t id = db_col_i64(q, 0);
		struct used_layer *l = NEW(struct used_layer);

		l->size = (uint64_t)db_col_i64(q, 1);
		l->records = (unsigned)db_col_i64(q, 2);
		u->total += l->size;
		*map_put(&u->layers, &id, sizeof(id)) = l;
		r = 0;
	}
	return r;
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

/* What its layers would free if this record went. */
static int release_layers(struct db_tx *tx, struct usage *u, int64_t record, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT layer FROM record_layer WHERE record = ?", "i",
			 record);

	while (r == 0 && (r = db_step(tx, q, err)) > 0) {
		int64_t id = db_col_i64(q, 0);
		struct used_layer *l = map_get(&u->layers, &id, sizeof(id));

		if (l && --l->records == 0)
			u->total -= l->size;
		r = 0;
	}
	return r;
}

static int drop_least_used(struct db_tx *tx, uint64_t keep, struct gc_result *result,
			   struct error **err)
{
	struct usage u = {0};
	int r = load_usage(tx, &u, err);

	for (size_t i = 0; i < u.records.n && r == 0 && u.total > keep; i++) {
		r = release_layers(tx, &u, u.records.v[i], err);
		if (r == 0)
			r = delete_record(tx, u.records.v[i], result, err);
	}
	vec_release(&u.records);
	map_release(&u.layers, free);
	return r;
}

static int drop_older(struct db_tx *tx, int64_t before, struct gc_result *result,
		      struct error **err)
{
	VEC(int64_t) ids = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT id FROM record WHERE last_used < ?", "i", before);

	while (r == 0 && (r = db_step(tx, q, err)) > 0) {
		vec_push(&ids, db_col_i64(q, 0));
		r = 0;
	}
	for (size_t i = 0; i < ids.n && r == 0; i++)
		r = delete_record(tx, ids.v[i], result, err);
	vec_release(&ids);
	return r;
}

static int drop_records(struct store *s, const struct prune_options *o, struct gc_result *result,
			struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0 && o->all)
		r = drop_older(&tx, INT64_MAX, result, err);
	else if (r == 0 && o->unused_since > 0)
		r = drop_older(&tx, o->unused_since, result, err);
	if (r == 0 && o->limit_storage)
		r = drop_least_used(&tx, o->keep_storage, result, err);
	if (r == 0)
		r = db_run(&tx, err, "DELETE FROM pin WHERE time < ?", "i", o->unused_since);
	return r < 0 ? r : db_commit(&tx, err);
}

int store_prune(struct store *s, const struct prune_options *options, struct gc_result *ret,
		struct error **err)
{
	struct gc_result dropped = {0}, result = {0};
	int r = drop_records(s, options, &dropped, err);

	if (r == 0 && options->mounts)
		r = mounts_prune(s, options->all ? INT64_MAX : options->unused_since,
				 &dropped.mounts, &dropped.bytes, err);
	if (r == 0)
		r = store_gc(s, &result, err);
	if (r < 0 || !ret) {
		gc_result_release(&dropped);
		gc_result_release(&result);
		return r;
	}
	result.bytes += dropped.bytes;
	result.records = TAKE_PTR(dropped.records);
	result.n_records = dropped.n_records;
	result.mounts = dropped.mounts;
	*ret = result;
	return 0;
}
