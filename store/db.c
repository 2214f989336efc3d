/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "store/durable.h"
#include "store/schema.h"
#include "store/stack.h"

enum {
	BUSY_TIMEOUT_MS = 60000,
	/* Pages in the log from which on it is folded back: when the handle closes, so that no step
	 * waits for the disk, or in the middle of a build that writes a lot. Small, since the first
	 * process to open the store reads the whole log. */
	CHECKPOINT_PAGES = 256,
	CHECKPOINT_AT_ONCE = 16384,
};

struct db {
	pthread_mutex_t mutex; /* protects all below */
	sqlite3 *conn;
	struct map statements;	    /* address of the SQL text -> sqlite3_stmt */
	VEC(sqlite3_stmt *) in_use; /* to reset when the transaction ends */
	int log_pages;		    /* after our last commit */
	bool has_viewer;
	pthread_t viewer; /* whose look-ups share a transaction */
};

static int db_error(struct db *db, int rc, struct error **err, const char *what)
{
	enum err_code code = ERR_IO;
	int r;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = ERR_BUSY;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		code = ERR_CORRUPT;
		break;
	case SQLITE_FULL:
		code = ERR_NOSPACE;
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		code = ERR_DENIED;
		break;
	case SQLITE_ERROR:
	case SQLITE_MISUSE:
	case SQLITE_CONSTRAINT:
		code = ERR_INTERNAL;
		break;
	default:
		break;
	}
	r = error_new(err, code, 0, "%s the store's database: %s", what,
		      db->conn ? sqlite3_errmsg(db->conn) : sqlite3_errstr(rc));
	if (code == ERR_DENIED)
		return error_hint(
			err, r,
			"the store's directory and everything in it must be writable by this user");
	return code == ERR_CORRUPT ? error_hint(err, r, DB_LOST) : r;
}

static int db_script(struct db *db, const char *sql, struct error **err)
{
	int rc = sqlite3_exec(db->conn, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_error(db, rc, err, "set up");
}

static int user_version(struct db *db, int *ret, struct error **err)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db->conn, "PRAGMA user_version", -1, &q, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(q);
		if (rc == SQLITE_ROW)
			*ret = sqlite3_column_int(q, 0);
	}
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 0 : db_error(db, rc, err, "read");
}

static int migrate(struct db *db, int version, struct error **err)
{
	int r = db_script(db, "BEGIN IMMEDIATE", err);

	if (r < 0)
		return r;
	/* Another process may have migrated it while we waited. */
	r = user_version(db, &version, err);
	for (; r == 0 && version < schema_version; version++) {
		_cleanup_free_ char *bump = xasprintf("PRAGMA user_version = %d", version + 1);

		r = db_script(db, schema_scripts[version], err);
		if (r == 0)
			r = db_script(db, bump, err);
	}
	if (r == 0)
		r = db_script(db, "COMMIT", err);
	if (r < 0)
		(void)sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int note_log(void *data, sqlite3 *conn, const char *name, int pages)
{
	struct db *db = data;

	db->log_pages = pages;
	if (pages >= CHECKPOINT_AT_ONCE)
		(void)sqlite3_wal_checkpoint_v2(conn, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

void db_fold_log(struct db *db)
{
	pthread_mutex_lock(&db->mutex);
	if (db->log_pages >= CHECKPOINT_PAGES) {
		/* Others are not waited for. */
		sqlite3_busy_timeout(db->conn, 0);
		if (sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
					      NULL) == SQLITE_OK)
			db->log_pages = 0;
		sqlite3_busy_timeout(db->conn, BUSY_TIMEOUT_MS);
	}
	pthread_mutex_unlock(&db->mutex);
}

/* Nobody asks for SQLite's count of its memory, which costs every allocation a lock. */
static void configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* chain_id(parent, layer) */
static void chain_id(sqlite3_context *context, int n, sqlite3_value **args)
{
	(void)n;
	sqlite3_result_int64(context,
			     stack_id(sqlite3_value_int64(args[0]), sqlite3_value_int64(args[1])));
}

int db_open(const char *path, bool create, struct db **ret, struct error **err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	_cleanup_(db_closep) struct db *db = NEW(struct db);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int r, rc, version = 0;

	pthread_once(&once, configure);
	pthread_mutex_init(&db->mutex, NULL);
	rc = sqlite3_open_v2(path, &db->conn, flags | (create ? SQLITE_OPEN_CREATE : 0), NULL);
	if (rc != SQLITE_OK)
		return db_error(db, rc, err, "open");
	sqlite3_busy_timeout(db->conn, BUSY_TIMEOUT_MS);
	sqlite3_wal_hook(db->conn, note_log, db);
	/* Folding the log back at every exit would cost a no-op build its fsyncs. */
	(void)sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_db_config(db->conn, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	rc = sqlite3_create_function_v2(db->conn, "chain_id", 2,
					SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
					NULL, chain_id, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_error(db, rc, err, "set up");
	/* The cache, in KiB at most, holds what a build of ten thousand steps looks at. */
	r = db_script(db, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384", err);
	if (r == 0)
		r = user_version(db, &version, err);
	/* This is kept in the file: a new one, or one that somebody emptied. */
	if (r == 0 && version == 0)
		r = db_script(db, "PRAGMA journal_mode = WAL", err);
	if (r < 0)
		return r;
	if (version > schema_version) {
		r = error_new(err, ERR_UNSUPPORTED, 0,
			      "the store's database has version %d, this kiln knows %d", version,
			      schema_version);
		return error_hint(
			err, r, "it was made by a newer kiln: update this one or use another root");
	}
	if (version < schema_version) {
		r = migrate(db, version, err);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(db);
	return 0;
}

static void finalize(void *q)
{
	(void)sqlite3_finalize(q);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	map_release(&db->statements, finalize);
	vec_release(&db->in_use);
	db_fold_log(db);
	(void)sqlite3_close(db->conn);
	pthread_mutex_destroy(&db->mutex);
	free(db);
}

/* The statement of an SQL text, prepared once; *ret_rc tells why there is none. */
static sqlite3_stmt *prepared(struct db *db, const char *sql, int *ret_rc)
{
	void **slot = map_put(&db->statements, &sql, sizeof(sql));
	sqlite3_stmt *q = NULL;

	*ret_rc = SQLITE_OK;
	if (!*slot) {
		*ret_rc =
			sqlite3_prepare_v3(db->conn, sql, -1, SQLITE_PREPARE_PERSISTENT, &q, NULL);
		*slot = q;
	}
	return *slot;
}

/* Not for PRAGMA, some of which act when they are prepared. */
static int run_plain(struct db *db, const char *sql)
{
	int rc;
	sqlite3_stmt *q = prepared(db, sql, &rc);

	if (!q)
		return rc;
	(void)sqlite3_step(q);
	return sqlite3_reset(q);
}

static int set_synchronous(struct db *db, const char *pragma)
{
	return sqlite3_exec(db->conn, pragma, NULL, NULL, NULL);
}

static bool is_viewer(const struct db *db)
{
	return db->has_viewer && pthread_equal(db->viewer, pthread_self());
}

/* Between the transactions of others only that of a view can be open. */
static bool view_is_open(const struct db *db)
{
	return !sqlite3_get_autocommit(db->conn);
}

static void close_view(struct db *db)
{
	if (view_is_open(db))
		(void)run_plain(db, "COMMIT");
}

static int enter(struct db *db, enum db_mode mode)
{
	int rc = SQLITE_OK;

	if (mode == DB_LOOK && is_viewer(db))
		return view_is_open(db) ? SQLITE_OK : run_plain(db, "BEGIN");
	close_view(db);
	if (mode == DB_WRITE_DURABLE)
		rc = set_synchronous(db, "PRAGMA synchronous = FULL");
	if (rc == SQLITE_OK && mode != DB_LOOK)
		rc = run_plain(db, mode == DB_READ ? "BEGIN" : "BEGIN IMMEDIATE");
	return rc;
}

void db_view_begin(struct db *db)
{
	pthread_mutex_lock(&db->mutex);
	close_view(db);
	db->has_viewer = true;
	db->viewer = pthread_self();
	pthread_mutex_unlock(&db->mutex);
}

void db_view_end(struct db *db)
{
	pthread_mutex_lock(&db->mutex);
	if (is_viewer(db)) {
		close_view(db);
		db->has_viewer = false;
	}
	pthread_mutex_unlock(&db->mutex);
}

int db_begin(struct db *db, enum db_mode mode, struct db_tx *tx, struct error **err)
{
	int rc;

	pthread_mutex_lock(&db->mutex);
	rc = enter(db, mode);
	if (rc != SQLITE_OK) {
		int r = db_error(db, rc, err, "lock");

		if (mode == DB_WRITE_DURABLE)
			(void)set_synchronous(db, "PRAGMA synchronous = NORMAL");
		pthread_mutex_unlock(&db->mutex);
		return r;
	}
	tx->db = db;
	tx->mode = mode;
	return 0;
}

static void reset_statements(struct db *db)
{
	for (size_t i = 0; i < db->in_use.n; i++) {
		(void)sqlite3_reset(db->in_use.v[i]);
		(void)sqlite3_clear_bindings(db->in_use.v[i]);
	}
	db->in_use.n = 0;
}

static void finish(struct db_tx *tx)
{
	struct db *db = TAKE_PTR(tx->db);

	if (tx->mode == DB_WRITE_DURABLE)
		(void)set_synchronous(db, "PRAGMA synchronous = NORMAL");
	pthread_mutex_unlock(&db->mutex);
}

int db_commit(struct db_tx *tx, struct error **err)
{
	int rc;

	reset_statements(tx->db);
	rc = run_plain(tx->db, "COMMIT");
	if (rc != SQLITE_OK) {
		int r = db_error(tx->db, rc, err, "write");

		db_end(tx);
		return r;
	}
	if (tx->mode != DB_READ)
		durable_note(DURABLE_COMMIT, "kiln.db");
	finish(tx);
	return 0;
}

void db_end(struct db_tx *tx)
{
	if (!tx->db)
		return;
	reset_statements(tx->db);
	/* A look-up has no transaction but that of a view, which stays. */
	if (tx->mode != DB_LOOK && !sqlite3_get_autocommit(tx->db->conn))
		(void)run_plain(tx->db, "ROLLBACK");
	finish(tx);
}

static int bind_all(sqlite3_stmt *q, const char *types, va_list ap)
{
	int rc = SQLITE_OK;

	for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
		const struct digest *d;
		const void *p;
		const char *t;

		switch (*types) {
		case 'i':
			rc = sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
			break;
		case 't':
			t = va_arg(ap, const char *);
			rc = t ? sqlite3_bind_text(q, i, t, -1, SQLITE_STATIC)
			       : sqlite3_bind_null(q, i);
			break;
		case 'd':
			d = va_arg(ap, const struct digest *);
			rc = d ? sqlite3_bind_blob(q, i, d->b, DIGEST_SIZE, SQLITE_STATIC)
			       : sqlite3_bind_null(q, i);
			break;
		case 'b':
			p = va_arg(ap, const void *);
			rc = sqlite3_bind_blob64(q, i, p, va_arg(ap, size_t), SQLITE_STATIC);
			break;
		default:
			abort(); /* a mistake in the caller, seen by its first test */
		}
	}
	return rc;
}

int db_step(struct db_tx *tx, struct sqlite3_stmt *q, struct error **err)
{
	int rc = sqlite3_step(q);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : db_error(tx->db, rc, err, "query");
}

static int vquery(struct db_tx *tx, sqlite3_stmt **ret, struct error **err, const char *sql,
		  const char *types, va_list ap)
{
	struct db *db = tx->db;
	int rc;
	sqlite3_stmt *q = prepared(db, sql, &rc);

	if (!q)
		return db_error(db, rc, err, "query");
	(void)sqlite3_reset(q);
	(void)sqlite3_clear_bindings(q);
	rc = bind_all(q, types, ap);
	if (rc != SQLITE_OK)
		return db_error(db, rc, err, "query");
	vec_push(&db->in_use, q);
	*ret = q;
	return db_step(tx, q, err);
}

int db_query(struct db_tx *tx, struct sqlite3_stmt **ret, struct error **err, const char *sql,
	     const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = vquery(tx, ret, err, sql, types, ap);
	va_end(ap);
	return r;
}

int db_run(struct db_tx *tx, struct error **err, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q = NULL;
	va_list ap;
	int r;

	va_start(ap, types);
	r = vquery(tx, &q, err, sql, types, ap);
	va_end(ap);
	(void)sqlite3_reset(q);
	return r < 0 ? r : 0;
}

int db_get_i64(struct db_tx *tx, int64_t *ret, int64_t otherwise, struct error **err,
	       const char *sql, const char *types, ...)
{
	sqlite3_stmt *q = NULL;
	va_list ap;
	int r;

	va_start(ap, types);
	r = vquery(tx, &q, err, sql, types, ap);
	va_end(ap);
	if (r < 0)
		return r;
	*ret = r > 0 ? sqlite3_column_int64(q, 0) : otherwise;
	(void)sqlite3_reset(q);
	return 0;
}

int64_t db_last_id(const struct db_tx *tx)
{
	return sqlite3_last_insert_rowid(tx->db->conn);
}

int64_t db_changes(const struct db_tx *tx)
{
	return sqlite3_changes64(tx->db->conn);
}

int64_t db_col_i64(struct sqlite3_stmt *q, int column)
{
	return sqlite3_column_int64(q, column);
}

char *db_col_text(struct sqlite3_stmt *q, int column)
{
	const void *text = sqlite3_column_text(q, column);

	return xstrdup(text);
}

bool db_col_digest(struct sqlite3_stmt *q, int column, struct digest *ret)
{
	const void *p = sqlite3_column_blob(q, column);

	if (!p || sqlite3_column_bytes(q, column) != DIGEST_SIZE)
		return false;
	memcpy(ret->b, p, DIGEST_SIZE);
	return true;
}

const void *db_col_bytes(struct sqlite3_stmt *q, int column, size_t *ret_n)
{
	const void *p = sqlite3_column_blob(q, column);

	*ret_n = (size_t)sqlite3_column_bytes(q, column);
	return p ? p : "";
}
