/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/times.h"
#include "base/vec.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/internal.h"
#include "store/layer_check.h"
#include "store/stack.h"

void record_release(struct record *r)
{
	free(r->layers);
	free(r->description);
	buf_release(&r->data);
	*r = (struct record){.data = BUF_INIT};
}

/* Over what a build relies on: a row changed by anything but this file is a miss. */
static int64_t record_checksum(const int64_t *layers, size_t n, const void *data, size_t size)
{
	XXH64_hash_t sum = XXH3_64bits_withSeed(data, size, n);

	for (size_t i = 0; i < n; i++) {
		uint8_t b[8];

		for (int k = 0; k < 8; k++)
			b[k] = (uint8_t)((uint64_t)layers[i] >> (8 * k));
		sum = XXH3_64bits_withSeed(b, sizeof(b), sum);
	}
	return (int64_t)sum;
}

/* What is known about the layers of a record. */
struct health {
	bool sound;   /* every one has a body */
	bool suspect; /* some layer was written in another boot and never synced */
};

static int check_layer(struct db_tx *tx, int64_t id, struct health *health, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT has_dir, has_dir OR " LAYER_CAN_COME ", boot FROM layer"
			 " WHERE id = ?",
			 "i", id);

	if (r < 0)
		return r;
	if (r == 0 || !db_col_i64(q, 1)) {
		health->sound = false;
	} else if (db_col_i64(q, 0)) {
		_cleanup_free_ char *boot = db_col_text(q, 2);

		health->suspect = health->suspect || !durable_trusted(boot);
	}
	return 0;
}

static int check_layers(struct db_tx *tx, const int64_t *layers, size_t n, struct health *ret,
			struct error **err)
{
	int r = 0;

	*ret = (struct health){.sound = true};
	for (size_t i = 0; i < n && r == 0; i++)
		r = check_layer(tx, layers[i], ret, err);
	return r;
}

/* "12 13 14" */
static void parse_layers(const char *text, size_t n, struct record *r)
{
	VEC(int64_t) layers = {0};
	int64_t id = 0;

	vec_reserve(&layers, (n + 1) / 2); /* a digit and a blank each, or more */
	for (size_t i = 0; i < n; i++) {
		if (text[i] != ' ')
			id = id * 10 + (text[i] - '0');
		if (text[i] != ' ' && i + 1 < n)
			continue;
		vec_push(&layers, id);
		id = 0;
	}
	r->layers = layers.v;
	r->n_layers = layers.n;
}

static void format_layers(const struct record *r, struct buf *ret)
{
	for (size_t i = 0; i < r->n_layers; i++)
		buf_addf(ret, "%s%lld", i > 0 ? " " : "", (long long)r->layers[i]);
}

#define RECORD_COLUMNS "id, data, layers, description, created, duration, checksum"

/* False if the row is not as it was written. */
static bool read_row(struct sqlite3_stmt *q, struct record *ret)
{
	const void *p;
	size_t n;

	ret->id = db_col_i64(q, 0);
	p = db_col_bytes(q, 1, &n);
	buf_add(&ret->data, p, n);
	p = db_col_bytes(q, 2, &n);
	parse_layers(p, n, ret);
	ret->description = db_col_text(q, 3);
	ret->created = db_col_i64(q, 4);
	ret->duration = db_col_i64(q, 5);
	return db_col_i64(q, 6) ==
	       record_checksum(ret->layers, ret->n_layers, ret->data.p, ret->data.n);
}

/* *ret_found = false if there is none. *ret_whole: is it as it was written? */
static int load(struct db_tx *tx, const struct digest *key, bool *ret_found, bool *ret_whole,
		struct record *ret, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 "SELECT " RECORD_COLUMNS " FROM record_key"
			 " JOIN record ON record.id = record_key.record WHERE key = ?",
			 "d", key);

	if (r < 0)
		return r;
	*ret_found = r > 0;
	if (*ret_found)
		*ret_whole = read_row(q, ret);
	return 0;
}

/* One that is not as it was written, or whose layers are not all there. */
static int drop_damaged(struct store *s, const struct record *r, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	bool dropped = false;
	int rc = db_begin(s->db, DB_WRITE, &tx, err);

	if (rc == 0)
		rc = db_run(&tx, err, "DELETE FROM record WHERE id = ?", "i", r->id);
	if (rc == 0)
		dropped = db_changes(&tx) > 0;
	if (rc == 0)
		rc = db_commit(&tx, err);
	if (rc == 0 && dropped)
		store_notice(s, "the cached result of '%s' is damaged: it is made again",
			     r->description);
	return rc;
}

void record_view_begin(struct store *s)
{
	db_view_begin(s->db);
}

void record_view_end(struct store *s)
{
	db_view_end(s->db);
}

/* Most look-ups of a changed build are misses: they take no write lock. */
int record_look(struct store *s, const struct digest *key, bool *ret_found, struct record *ret,
		struct error **err)
{
	_cleanup_(record_release) struct record found = {.data = BUF_INIT};
	bool known = false, whole = false;
	int r;

	{
		_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;

		r = db_begin(s->db, DB_LOOK, &tx, err);
		if (r == 0)
			r = load(&tx, key, &known, &whole, &found, err);
	}
	if (r == 0 && known && !whole)
		r = drop_damaged(s, &found, err);
	if (r < 0)
		return r;
	*ret_found = known && whole;
	if (*ret_found) {
		*ret = found;
		found = (struct record){.data = BUF_INIT};
	}
	return 0;
}

static int hold(struct store *s, const int64_t *layers, size_t n, struct health *ret,
		struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = lease_take(s, err);

	if (r == 0)
		r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r == 0)
		r = check_layers(&tx, layers, n, ret, err);
	if (r == 0 && ret->sound)
		r = lease_add_layers(s, &tx, layers, n, err);
	return r < 0 ? r : db_commit(&tx, err);
}

int record_hold(struct store *s, const int64_t *layers, size_t n, bool *ret_held,
		struct error **err)
{
	struct health health = {0};
	int r = hold(s, layers, n, &health, err);

	if (r == 0 && health.sound && health.suspect) {
		for (size_t i = 0; i < n; i++)
			layer_settle(s, layers[i]);
		r = hold(s, layers, n, &health, err);
	}
	if (r == 0)
		*ret_held = health.sound;
	return r;
}

int record_find(struct store *s, const struct digest *key, bool *ret_found, struct record *ret,
		struct error **err)
{
	_cleanup_(record_release) struct record found = {.data = BUF_INIT};
	bool known = false, held = false;
	int r = record_look(s, key, &known, &found, err);

	if (r == 0 && known)
		r = record_hold(s, found.layers, found.n_layers, &held, err);
	if (r == 0 && known && !held)
		r = drop_damaged(s, &found, err);
	if (r < 0)
		return r;
	*ret_found = known && held;
	if (*ret_found) {
		*ret = found;
		found = (struct record){.data = BUF_INIT};
	}
	return 0;
}

static int load_keys(struct db_tx *tx, int64_t id, struct digest **ret, size_t *ret_n,
		     struct error **err)
{
	VEC(struct digest) keys = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT key FROM record_key WHERE record = ? ORDER BY key",
			 "i", id);

	for (; r > 0; r = db_step(tx, q, err)) {
		struct digest key;

		if (db_col_digest(q, 0, &key))
			vec_push(&keys, key);
	}
	*ret = keys.v;
	*ret_n = keys.n;
	return r;
}

int record_get(struct store *s, int64_t id, bool *ret_found, struct record *ret,
	       struct digest **ret_keys, size_t *ret_n_keys, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r == 0)
		r = db_query(&tx, &q, err, "SELECT " RECORD_COLUMNS " FROM record WHERE id = ?",
			     "i", id);
	*ret_found = r > 0 && read_row(q, ret);
	if (r < 0 || !*ret_found)
		return r < 0 ? r : 0;
	return load_keys(&tx, id, ret_keys, ret_n_keys, err);
}

/* Points the key to the record. A record that has lost its last key to this one can never be found
 * again and goes. */
static int link_key(struct db_tx *tx, int64_t id, const struct digest *key, struct error **err)
{
	int64_t old;
	int r = db_get_i64(tx, &old, id, err, "SELECT record FROM record_key WHERE key = ?", "d",
			   key);

	if (r == 0)
		r = db_run(tx, err, "INSERT OR REPLACE INTO record_key (key, record) VALUES (?, ?)",
			   "di", key, id);
	if (r == 0 && old != id)
		r = db_run(tx, err,
			   "DELETE FROM record WHERE id = ?1 AND"
			   " NOT EXISTS (SELECT 1 FROM record_key WHERE record = ?1)",
			   "i", old);
	return r;
}

int record_add(struct store *s, struct record *r, const struct digest *keys, size_t n_keys,
	       struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_buf_ struct buf layers = BUF_INIT;
	int64_t id = 0, stack = 0, now = times_now_ns();
	int rc = db_begin(s->db, DB_WRITE, &tx, err);

	if (rc < 0)
		return rc;
	format_layers(r, &layers);
	if (r->n_layers > 0)
		rc = stack_add(&tx, r->layers, r->n_layers, &stack, err);
	if (rc == 0)
		rc = db_run(&tx, err,
			    "INSERT INTO record (data, layers, stack, description, type, created,"
			    " duration, checksum) VALUES (?, ?, nullif(?, 0), ?, ?, ?, ?, ?)",
			    "btittiii", r->data.p, r->data.n, layers.p, stack,
			    r->description ? r->description : "", r->type ? r->type : "regular",
			    r->created ? r->created : now, r->duration,
			    record_checksum(r->layers, r->n_layers, r->data.p, r->data.n));
	if (rc == 0) {
		id = db_last_id(&tx);
		rc = db_run(&tx, err, "INSERT INTO record_use (record, last_used) VALUES (?, ?)",
			    "ii", id, now);
	}
	for (size_t i = 0; i < n_keys && rc == 0; i++)
		rc = link_key(&tx, id, &keys[i], err);
	if (rc == 0 && r->trace)
		rc = trace_add(&tx, id, r->trace, err);
	if (rc == 0)
		rc = db_commit(&tx, err);
	if (rc < 0)
		return error_wrap(err, rc, "record the result of '%s'",
				  r->description ? r->description : "a step");
	r->id = id;
	return 0;
}

int record_remove(struct store *s, int64_t id, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = db_run(&tx, err, "DELETE FROM record WHERE id = ?", "i", id);
	return r < 0 ? r : db_commit(&tx, err);
}

/* The records that one build made lie side by side: a statement for each run of numbers. */
int record_touch(struct store *s, int64_t *ids, size_t n, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t now = times_now_ns();
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	qsort(ids, n, sizeof(*ids), store_compare_ids);
	for (size_t i = 0, first = 0; i < n && r == 0; i++) {
		if (i + 1 < n && ids[i + 1] - ids[i] <= 1)
			continue;
		r = db_run(&tx, err,
			   "UPDATE record_use SET last_used = ?, uses = uses + 1"
			   " WHERE record BETWEEN ? AND ?",
			   "iii", now, ids[first], ids[i]);
		first = i + 1;
	}
	return r < 0 ? r : db_commit(&tx, err);
}

int pin_get(struct store *s, const char *name, bool *ret_found, struct buf *ret_value,
	    int64_t *ret_time, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *value = NULL;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r < 0)
		return r;
	r = db_query(&tx, &q, err, "SELECT value, time FROM pin WHERE name = ?", "t", name);
	if (r < 0)
		return r;
	*ret_found = r > 0;
	if (r == 0)
		return 0;
	value = db_col_text(q, 0);
	buf_adds(ret_value, value);
	if (ret_time)
		*ret_time = db_col_i64(q, 1);
	return 0;
}

int pin_set(struct store *s, const char *name, const char *value, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r < 0)
		return r;
	r = db_run(&tx, err, "INSERT OR REPLACE INTO pin (name, value, time) VALUES (?, ?, ?)",
		   "tti", name, value, times_now_ns());
	return r < 0 ? r : db_commit(&tx, err);
}

int record_drop_torn(struct store *s, size_t *ret_n, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = db_run(&tx, err,
			   STACK_ABOVE
			   "SELECT stack.id FROM layer JOIN stack ON stack.layer = layer.id"
			   " WHERE has_dir = 0 AND NOT " LAYER_CAN_COME STACK_ABOVE_END
			   "DELETE FROM record WHERE stack IN (SELECT id FROM above)",
			   "");
	if (r < 0)
		return r;
	*ret_n = (size_t)db_changes(&tx);
	return db_commit(&tx, err);
}

/* Is the record as it was written, and its stack that of the layers that it names? */
static int is_whole(struct db_tx *tx, int64_t id, bool *ret, struct error **err)
{
	_cleanup_(record_release) struct record rec = {.data = BUF_INIT};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT " RECORD_COLUMNS ", stack FROM record WHERE id = ?",
			 "i", id);

	*ret = true;
	if (r > 0)
		*ret = read_row(q, &rec) &&
		       db_col_i64(q, 7) == stack_id_of(rec.layers, rec.n_layers);
	return r < 0 ? r : 0;
}

/* Those whose stack has a row that is not what its id says, or is not there: they hold layers that
 * nobody knows of. */
static int find_unheld(struct db_tx *tx, struct record_verdict *ret, struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err,
			 STACK_ABOVE
			 "SELECT id FROM stack WHERE id <> chain_id(coalesce(parent, 0), layer)"
			 " UNION SELECT parent FROM stack WHERE"
			 " parent NOT IN (SELECT id FROM stack)"
			 " UNION SELECT stack FROM record WHERE"
			 " stack NOT IN (SELECT id FROM stack)" STACK_ABOVE_END
			 "SELECT id FROM record WHERE stack IN (SELECT id FROM above)",
			 "");

	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&ret->damaged, db_col_i64(q, 0));
	return r;
}

static int find_changed(struct store *s, struct db_tx *tx, struct record_verdict *ret,
			struct error **err)
{
	VEC(int64_t) ids = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT id FROM record ORDER BY id", "");

	for (; r > 0; r = db_step(tx, q, err))
		vec_push(&ids, db_col_i64(q, 0));
	for (size_t i = 0; i < ids.n && r == 0; i++) {
		bool whole = true;

		r = store_check_canceled(s, err);
		if (r == 0)
			r = is_whole(tx, ids.v[i], &whole, err);
		ret->looked_at++;
		if (r == 0 && !whole)
			vec_push(&ret->damaged, ids.v[i]);
	}
	vec_release(&ids);
	return r;
}

int record_verify_all(struct store *s, struct record_verdict *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = find_unheld(&tx, ret, err);
	for (size_t i = 0; i < ret->damaged.n && r == 0; i++)
		r = db_run(&tx, err, "DELETE FROM record WHERE id = ?", "i", ret->damaged.v[i]);
	if (r == 0)
		r = stack_sweep(&tx, err);
	if (r == 0)
		r = find_changed(s, &tx, ret, err);
	for (size_t i = 0; i < ret->damaged.n && r == 0; i++)
		r = db_run(&tx, err, "DELETE FROM record WHERE id = ?", "i", ret->damaged.v[i]);
	return r < 0 ? r : db_commit(&tx, err);
}
