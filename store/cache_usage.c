/* SPDX-License-Identifier: Apache-2.0 */
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
	vec_release(&u->layers);
}

static int compare_id(const void *key, const void *element)
{
	const int64_t *id = key;
	const struct usage_layer *l = element;

	return (*id > l->id) - (*id < l->id);
}

/* NULL if it is gone. `before`: the one that was asked for before, NULL: none. A chain mostly goes
 * on with the layer that was made next. */
static struct usage_layer *find_layer(const struct cache_usage *u, int64_t id,
				      struct usage_layer *before)
{
	if (before && before < &vec_last(&u->layers) && before[1].id == id)
		return before + 1;
	return u->layers.n > 0
		       ? bsearch(&id, u->layers.v, u->layers.n, sizeof(*u->layers.v), compare_id)
		       : NULL;
}

static int load_layers(struct db_tx *tx, struct cache_usage *u, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT id, has_dir * disk FROM layer ORDER BY id", "");

	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&u->layers, (struct usage_layer){.id = db_col_i64(q, 0),
							  .bytes = (uint64_t)db_col_i64(q, 1)});
	return r;
}

/* Both tables in the order of their digests: blob by blob for the layers it would be all over. */
static int add_blobs(struct db_tx *tx, struct cache_usage *u, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT layer.id, blob.size FROM blob CROSS JOIN layer"
			 " ON layer.blob = blob.digest",
			 "");

	for (; r > 0; r = db_step(tx, q, err)) {
		struct usage_layer *l = find_layer(u, db_col_i64(q, 0), NULL);

		if (l)
			l->bytes += (uint64_t)db_col_i64(q, 1);
	}
	return r;
}

static int mark_images(struct db_tx *tx, struct cache_usage *u, struct error **err)
{
	struct usage_layer *l = NULL;
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT layer FROM image_layer ORDER BY layer", "");

	for (; r > 0; r = db_step(tx, q, err)) {
		l = find_layer(u, db_col_i64(q, 0), l);
		if (!l || l->image)
			continue;
		l->image = true;
		u->image_bytes += l->bytes;
	}
	return r;
}

/* "12 13 14", as in record.layers: to walk the rows of stack would take most of the time. */
static void add_chain(struct cache_usage *u, struct usage_record *rec, const char *text, size_t n)
{
	struct usage_layer *l = NULL;
	int64_t id = 0;

	rec->at = u->chains.n;
	for (size_t i = 0; i < n; i++) {
		if (text[i] != ' ')
			id = id * 10 + (text[i] - '0');
		if (text[i] != ' ' && i + 1 < n)
			continue;
		l = find_layer(u, id, l);
		if (l)
			vec_push(&u->chains, l);
		id = 0;
	}
	rec->n_layers = u->chains.n - rec->at;
}

static int compare_use(const void *a, const void *b)
{
	const struct usage_record *x = a, *y = b;

	if (x->last_used != y->last_used)
		return x->last_used < y->last_used ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static int load_records(struct db_tx *tx, struct cache_usage *u, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT id, description, type, created, last_used, uses, duration, layers"
			 " FROM record JOIN record_use ON record_use.record = record.id",
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
		size_t n;
		const char *layers = db_col_bytes(q, 7, &n);

		add_chain(u, &rec, layers, n);
		vec_push(&u->records, rec);
	}
	/* SQLite would sort the rows as a whole, in a temporary file. */
	if (u->records.n > 0)
		qsort(u->records.v, u->records.n, sizeof(*u->records.v), compare_use);
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
			struct usage_layer *l = find_layer(u, db_col_i64(q, 0), NULL);

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
		r = add_blobs(tx, &u, err);
	if (r == 0)
		r = mark_images(tx, &u, err);
	if (r == 0)
		r = load_records(tx, &u, err);
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
