/* SPDX-License-Identifier: Apache-2.0 */
#include "store/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/vec.h"
#include "store/blob.h"
#include "store/db.h"
#include "store/index.h"
#include "store/internal.h"
#include "store/layer.h"
#include "store/layer_check.h"
#include "store/record.h"

struct verify {
	struct store *s;
	struct cancel *cancel;
	verify_report_fn report;
	void *data;
	struct verify_counts counts;
};

static void report(struct verify *v, enum verify_verdict verdict, const char *what, const char *why)
{
	if (verdict == VERIFY_DAMAGED)
		v->counts.damaged++;
	else
		v->counts.unread++;
	if (v->report)
		v->report(v->data, verdict, what, why);
}

static int canceled(struct verify *v, struct error **err)
{
	return cancel_is_set(v->cancel) ? error_new(err, ERR_CANCELED, 0, "verify the store") : 0;
}

/* Counts what was found damaged. What could not be read (a bad disk, too few descriptors) may be as
 * it was: it is told, and nothing is forgotten. */
static int judge(struct verify *v, const char *what, int r, struct error **why, struct error **err)
{
	bool damaged = r == -ERR_CORRUPT || r == -ERR_NOTFOUND;

	if (damaged || r == -ERR_IO || r == -ERR_DENIED) {
		report(v, damaged ? VERIFY_DAMAGED : VERIFY_UNREAD, what, error_text(*why));
		return 0;
	}
	if (r < 0 && err)
		*err = TAKE_PTR(*why);
	return r < 0 ? error_wrap(err, r, "verify %s", what) : 0;
}

static int verify_blob(struct verify *v, const struct digest *digest, struct error **err)
{
	char text[DIGEST_TEXT];
	_cleanup_free_ char *what = xasprintf("blob %s", digest_format(digest, text));
	_cleanup_(error_freep) struct error *why = NULL;
	uint64_t size = 0;
	int r;

	r = blob_verify(v->s, digest, &size, &why);
	v->counts.blobs++;
	v->counts.bytes += size;
	return judge(v, what, r, &why, err);
}

static int verify_layer(struct verify *v, int64_t id, struct error **err)
{
	_cleanup_free_ char *what = xasprintf("layer %lld", (long long)id);
	_cleanup_(index_unrefp) struct index *index = NULL;
	_cleanup_(error_freep) struct error *why = NULL;
	int r;

	v->counts.layers++;
	r = layer_verify(v->s, id, &index, &why);
	if (index)
		v->counts.bytes += index_file_size(index);
	return judge(v, what, r, &why, err);
}

static int verify_blobs(struct verify *v, struct error **err)
{
	VEC(struct digest) digests = {0};
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(v->s->db, DB_READ, &tx, err);

	if (r == 0)
		r = db_query(&tx, &q, err, "SELECT digest FROM blob", "");
	for (; r > 0; r = db_step(&tx, q, err)) {
		struct digest d;

		if (db_col_digest(q, 0, &d))
			vec_push(&digests, d);
	}
	db_end(&tx);
	for (size_t i = 0; i < digests.n && r == 0; i++) {
		r = canceled(v, err);
		if (r == 0)
			r = verify_blob(v, &digests.v[i], err);
	}
	vec_release(&digests);
	return r;
}

static int verify_layers(struct verify *v, struct error **err)
{
	VEC(int64_t) ids = {0};
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(v->s->db, DB_READ, &tx, err);

	if (r == 0)
		r = db_query(&tx, &q, err, "SELECT id FROM layer WHERE has_index <> 0", "");
	for (; r > 0; r = db_step(&tx, q, err))
		vec_push(&ids, db_col_i64(q, 0));
	db_end(&tx);
	for (size_t i = 0; i < ids.n && r == 0; i++) {
		r = canceled(v, err);
		if (r == 0)
			r = verify_layer(v, ids.v[i], err);
	}
	vec_release(&ids);
	return r;
}

static int verify_records(struct verify *v, struct error **err)
{
	struct record_verdict verdict = {0};
	int r = record_verify_all(v->s, &verdict, err);

	v->counts.records = verdict.looked_at;
	for (size_t i = 0; i < verdict.damaged.n && r == 0; i++) {
		_cleanup_free_ char *what =
			xasprintf("cache record %lld", (long long)verdict.damaged.v[i]);

		report(v, VERIFY_DAMAGED, what, "its checksum is wrong");
	}
	vec_release(&verdict.damaged);
	return r;
}

int store_verify(struct store *s, struct cancel *cancel, verify_report_fn report_fn, void *data,
		 struct verify_counts *ret, struct error **err)
{
	struct verify v = {.s = s, .cancel = cancel, .report = report_fn, .data = data};
	int r = verify_blobs(&v, err);

	if (r == 0)
		r = verify_layers(&v, err);
	if (r == 0)
		r = verify_records(&v, err);
	if (r == 0 && ret)
		*ret = v.counts;
	return r;
}
