/* SPDX-License-Identifier: Apache-2.0 */
#include "store/trace.h"

#include <stdlib.h>

#include "base/vec.h"
#include "store/db.h"
#include "store/internal.h"

void trace_release(struct trace *t)
{
	buf_release(&t->data);
}

int trace_add(struct db_tx *tx, int64_t record, const struct trace_entry *t, struct error **err)
{
	return db_run(tx, err,
		      "INSERT INTO trace (record, op, kind, place, data) VALUES (?, ?, ?, ?, ?)",
		      "iditb", record, &t->op, (int64_t)t->kind, t->place, t->data, t->n);
}

int trace_has_op(struct store *s, const struct digest *op, bool *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int64_t found = 0;
	int r = db_begin(s->db, DB_LOOK, &tx, err);

	if (r == 0)
		r = db_get_i64(&tx, &found, 0, err, "SELECT 1 FROM trace WHERE op = ? LIMIT 1", "d",
			       op);
	*ret = found != 0;
	return r;
}

static int query(struct db_tx *tx, struct sqlite3_stmt **q, const char *place, int kind, size_t max,
		 struct error **err)
{
	if (place)
		return db_query(tx, q, err,
				"SELECT record.id, record.created, trace.data FROM trace"
				" JOIN record ON record.id = trace.record WHERE place = ?"
				" ORDER BY trace.record DESC LIMIT ?",
				"ti", place, (int64_t)max);
	return db_query(tx, q, err,
			"SELECT record.id, record.created, trace.data FROM trace"
			" JOIN record ON record.id = trace.record WHERE ?1 IN (0, kind)"
			" ORDER BY trace.record DESC LIMIT ?2",
			"ii", (int64_t)kind, (int64_t)max);
}

int trace_list(struct store *s, const char *place, int kind, size_t max, struct trace **ret,
	       size_t *ret_n, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	VEC(struct trace) list = {0};
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r == 0)
		r = query(&tx, &q, place, kind, max, err);
	for (; r > 0; r = db_step(&tx, q, err)) {
		struct trace t = {.data = BUF_INIT};
		const void *data;
		size_t n;

		t.record = db_col_i64(q, 0);
		t.created = db_col_i64(q, 1);
		data = db_col_bytes(q, 2, &n);
		buf_add(&t.data, data, n);
		vec_push(&list, t);
	}
	if (r < 0) {
		for (size_t i = 0; i < list.n; i++)
			trace_release(&list.v[i]);
		vec_release(&list);
		return r;
	}
	*ret = list.v;
	*ret_n = list.n;
	return 0;
}
