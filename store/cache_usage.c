#include "store/cache_usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "store/internal.h"

void cache_usage_release(struct cache_usage *u)
{
	for (size_t i = 0; i < u->records.n; i++) {
		free(u->records.v[i].description);
		free(u->records.v[i].type);
	}
	vec_release(&u->records);
	vec_release(&u->chains);
	map_release(&u->layers, free);
}

static struct usage_layer *find_layer(const struct cache_usage *u, int64_t id)
{
	return map_get(&u->layers, &id, sizeof(id));
}

static int load_layers(struct db_tx *tx, struct cache_usage *u, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT id, has_dir * disk + coalesce((SELECT blob.size FROM blob"
			 " WHERE blob.digest = layer.blob), 0),"
			 " EXISTS (SELECT 1 FROM image_layer i WHERE i.layer = layer.id)"
			 " FROM layer",
			 "");

	for (; r > 0; r = db_step(tx, q, err)) {
		struct usage_layer *l = NEW(struct usage_layer);

		l->id = db_col_i64(q, 0);
		l->bytes = (uint64_t)db_col_i64(q, 1);
		l->image = db_col_i64(q, 2) != 0;
		if (l->image)
			u->image_bytes += l->bytes;
		*map_put(&u->layers, &l->id, sizeof(l->id)) = l;
	}
	return r;
}

static int load_records(struct db_tx *tx, struct cache_usage *u, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT id, description, type, created, last_used, uses, duration"
			 " FROM record_use JOIN record ON record.id = record_use.record"
			 " ORDER BY last_used, id",
			 "");

	for (; r > 0; r = db_step(tx, q, err)) {
		struct usage_record rec = {
			.id = db_col_i64(q, 0),
			.description = db_col_text(q, 1),
			.type = db_col_text(q, 2),
			.created = db_col_i64(q, 3),
			.last_used = db_col_i64(q, 4),
			.uses = db_col_i64(q, 5),
			.duration = db_col_i64(q, 6),
		};

		vec_push(&u->records, rec);
	}
	return r;
}

static int load_chain(struct db_tx *tx, struct cache_usage *u, struct usage_record *rec,
		      struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT layer FROM record_layer WHERE record = ? ORDER BY position", "i",
			 rec->id);

	rec->at = u->chains.n;
	for (; r > 0; r = db_step(tx, q, err)) {
		struct usage_layer *l = find_layer(u, db_col_i64(q, 0));

		if (l)
			vec_push(&u->chains, l);
	}
	rec->n_layers = u->chains.n - rec->at;
	return r;
}

static void count_chain(struct usage_record *rec)
{
	for (size_t i = 0; i < rec->n_layers; i++) {
		rec->chain[i]->records++;
		if (i + 1 < rec->n_layers)
			rec->chain[i]->below++;
	}
}

/* A layer is counted for the record that has the fewest layers above it. */
static void assign_owners(struct cache_usage *u)
{
	for (size_t i = 0; i < u->records.n; i++) {
		struct usage_record *rec = &u->records.v[i];

		for (size_t k = 0; k < rec->n_layers; k++) {
			struct usage_layer *l = rec->chain[k];
			size_t above = rec->n_layers - 1 - k;

			if (l->owner && l->owner->n_layers - 1 - l->owner_position <= above)
				continue;
			l->owner = rec;
			l->owner_position = k;
		}
	}
	for (size_t i = 0; i < u->records.n; i++) {
		struct usage_record *rec = &u->records.v[i];

		for (size_t k = 0; k < rec->n_layers; k++)
			if (rec->chain[k]->owner == rec)
				rec->bytes += rec->chain[k]->bytes;
	}
}

/* What living processes hold. */
static int mark_in_use(struct store *s, struct db_tx *tx, bool but_ours, struct cache_usage *u,
		       struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	char own[LEASE_NAME + 1];
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT name FROM lease", "");

	pthread_mutex_lock(&s->mutex);
	memcpy(own, s->lease.name, sizeof(own));
	pthread_mutex_unlock(&s->mutex);
	for (; r > 0; r = db_step(tx, q, err))
		strv_push_take(&names, db_col_text(q, 0));
	for (size_t i = 0; i < names.n && r == 0; i++) {
		bool ours = strcmp(names.v[i], own) == 0;

		if ((ours && but_ours) || (!ours && !lease_alive(s, names.v[i])))
			continue;
		r = db_query(tx, &q, err,
			     "SELECT layer FROM lease_layer JOIN lease ON lease.id = lease"
			     " WHERE name = ?",
			     "t", names.v[i]);
		for (; r > 0; r = db_step(tx, q, err)) {
			struct usage_layer *l = find_layer(u, db_col_i64(q, 0));

			if (l)
				l->in_use = true;
		}
	}
	return r;
}

int cache_usage_load(struct store *s, struct db_tx *tx, bool but_ours, struct cache_usage *ret,
		     struct error **err)
{
	struct cache_usage u = CACHE_USAGE_INIT;
	int64_t total = 0;
	int r = load_layers(tx, &u, err);

	if (r == 0)
		r = load_records(tx, &u, err);
	for (size_t i = 0; i < u.records.n && r == 0; i++)
		r = load_chain(tx, &u, &u.records.v[i], err);
	if (r == 0)
		r = mark_in_use(s, tx, but_ours, &u, err);
	if (r == 0)
		r = db_get_i64(tx, &total, 0, err, "SELECT bytes FROM usage", "");
	if (r < 0) {
		cache_usage_release(&u);
		return r;
	}
	u.total = (uint64_t)total;
	for (size_t i = 0; i < u.records.n; i++) {
		u.records.v[i].chain = u.chains.v + u.records.v[i].at;
		count_chain(&u.records.v[i]);
	}
	assign_owners(&u);
	*ret = u;
	return 0;
}
