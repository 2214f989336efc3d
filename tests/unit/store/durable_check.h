/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the order of names and rows while a test runs: whenever a transaction has been committed,
 * every blob and every layer that a row of the store names must be there under its name. What a
 * power cut leaves of the database is always a state after some commit, so none of them may name
 * what was not there yet (docs/formats-store.md, "What is synced"). */
#ifndef KILN_TESTS_STORE_DURABLE_CHECK_H
#define KILN_TESTS_STORE_DURABLE_CHECK_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "store/db.h"
#include "store/durable.h"

struct durable_check {
	char root[256];
	pthread_mutex_t lock; /* commits come from any thread; protects what follows */
	unsigned commits;
	struct buf missing; /* what rows named that was not there */
};

static struct durable_check durable_check = {.lock = PTHREAD_MUTEX_INITIALIZER,
					     .missing = BUF_INIT};

static inline void durable_check_path(const char *path, int64_t size)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", durable_check.root, path);
	struct stat st;

	if (lstat(full, &st) < 0 || (size >= 0 && st.st_size != size))
		buf_addf(&durable_check.missing, " %s", path);
}

static inline void durable_check_blobs(struct db_tx *tx)
{
	struct sqlite3_stmt *q;
	int r = db_query(tx, &q, NULL, "SELECT digest, size FROM blob", "");

	for (; r > 0; r = db_step(tx, q, NULL)) {
		_cleanup_free_ char *path = NULL;
		char text[DIGEST_TEXT];
		struct digest d;

		if (!db_col_digest(q, 0, &d))
			continue;
		digest_format(&d, text);
		path = xasprintf("blobs/sha256/%.2s/%s", text + 7, text + 7);
		durable_check_path(path, db_col_i64(q, 1));
	}
	if (r < 0)
		buf_adds(&durable_check.missing, " the rows of blobs");
}

static inline void durable_check_layers(struct db_tx *tx)
{
	struct sqlite3_stmt *q;
	int r = db_query(tx, &q, NULL, "SELECT id FROM layer WHERE has_dir <> 0", "");

	for (; r > 0; r = db_step(tx, q, NULL)) {
		_cleanup_free_ char *fs = xasprintf("layers/%lld/fs", (long long)db_col_i64(q, 0));
		_cleanup_free_ char *index =
			xasprintf("layers/%lld/index", (long long)db_col_i64(q, 0));

		durable_check_path(fs, -1);
		durable_check_path(index, -1);
	}
	if (r < 0)
		buf_adds(&durable_check.missing, " the rows of layers");
}

static inline void durable_check_step(void *data, enum durable_step step, const char *what)
{
	_cleanup_free_ char *path = xasprintf("%s/kiln.db", durable_check.root);
	_cleanup_(db_closep) struct db *db = NULL;
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;

	(void)data;
	(void)what;
	if (step != DURABLE_COMMIT)
		return;
	pthread_mutex_lock(&durable_check.lock);
	durable_check.commits++;
	if (db_open(path, false, &db, NULL) == 0 && db_begin(db, DB_READ, &tx, NULL) == 0) {
		durable_check_blobs(&tx);
		durable_check_layers(&tx);
	}
	pthread_mutex_unlock(&durable_check.lock);
}

static inline void durable_check_start(const char *root)
{
	snprintf(durable_check.root, sizeof(durable_check.root), "%s", root);
	durable_check.commits = 0;
	durable_trace(durable_check_step, NULL);
}

/* For a test that takes away itself what rows name. */
static inline void durable_check_stop(void)
{
	durable_trace(NULL, NULL);
}

/* In the teardown: fails it if a commit named what was not there. */
static inline int durable_check_end(void)
{
	bool whole = durable_check.missing.n == 0;

	durable_check_stop();
	if (!whole)
		fprintf(stderr, "committed before they were there:%s\n", durable_check.missing.p);
	buf_release(&durable_check.missing);
	durable_check.missing = (struct buf)BUF_INIT;
	return whole ? 0 : -1;
}

#endif
