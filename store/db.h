/* SPDX-License-Identifier: Apache-2.0 */
/* The store's SQLite database: kiln.db. Only files of store/ include this.
 *
 * One connection serves all threads of a store handle; its mutex protects the connection and the
 * prepared statements and is held from db_begin to db_commit or db_end. Nothing slow happens in
 * between: only SQLite itself and single renames, which must be ordered with other processes by the
 * database's write lock (see blob.c, layer_writer.c, gc.c).
 *
 *	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
 *	r = db_begin(s->db, DB_WRITE, &tx, err);
 *	r = db_query(&tx, &q, err, "SELECT size, boot FROM blob WHERE used < ?", "i", time);
 *	for (; r > 0; r = db_step(&tx, q, err))     1: a row; 0: no more
 *		size = db_col_i64(q, 0);
 *	return db_commit(&tx, err);                 else db_end rolls back
 *
 * SQL texts must be literals: statements are prepared on first use and cached by address. A query
 * is valid until the transaction ends or the same text is queried again.
 */
#ifndef KILN_STORE_DB_H
#define KILN_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

struct db;
struct sqlite3_stmt;

/* What to do where the database is lost. */
#define DB_LOST                                                                               \
	"nothing can be found without it: move the store's directory away, and what it held " \
	"is pulled and built anew"

enum db_mode {
	DB_READ,
	DB_LOOK,	  /* reading with one statement, which needs no transaction around it */
	DB_WRITE,	  /* takes the database's write lock at once; waits for other processes */
	DB_WRITE_DURABLE, /* the same, and its commit syncs the write-ahead log */
};

struct db_tx {
	struct db *db;
	enum db_mode mode;
};
#define DB_TX_INIT \
	{          \
		0  \
	}

/* Opens `path`; with `create` the file may be absent and is set up (callers serialise creation). */
int db_open(const char *path, bool create, struct db **ret, struct error **err) _must_check_;
/* Folds the write-ahead log back into the database if it has grown long, as far as others let us:
 * who uses the database now does it when it is done. */
void db_fold_log(struct db *db);
void db_close(struct db *db); /* does so, too */
DEFINE_FREEP(struct db, db_close)

int db_begin(struct db *db, enum db_mode mode, struct db_tx *tx, struct error **err) _must_check_;
int db_commit(struct db_tx *tx, struct error **err) _must_check_;
void db_end(struct db_tx *tx); /* rolls back what was not committed */

/* In between, the look-ups (DB_LOOK) of the calling thread may see the database as it was at the
 * first of them, and each costs a third less. Whatever else is done with the handle, by any thread,
 * ends that view, and the next look-up has a new one: nobody waits for a view, and nobody but the
 * caller sees old things. Where several threads have views at once it is the last one's; the
 * look-ups of the others are as without. */
void db_view_begin(struct db *db);
void db_view_end(struct db *db);

/* Goes to the first row: 1; 0 if there is none. `types` has a letter for each `?`: i int64_t, t
 * const char * (NULL: SQL NULL), d const struct digest * (NULL: SQL NULL), b const void * and
 * size_t. Bytes must live until the statement is done. */
int db_query(struct db_tx *tx, struct sqlite3_stmt **ret, struct error **err, const char *sql,
	     const char *types, ...) _must_check_;
/* Goes to the next row. */
int db_step(struct db_tx *tx, struct sqlite3_stmt *q, struct error **err) _must_check_;
/* Runs a statement that returns nothing of interest. */
int db_run(struct db_tx *tx, struct error **err, const char *sql, const char *types,
	   ...) _must_check_;
/* First column of the first row, or `otherwise`. */
int db_get_i64(struct db_tx *tx, int64_t *ret, int64_t otherwise, struct error **err,
	       const char *sql, const char *types, ...) _must_check_;
int64_t db_last_id(const struct db_tx *tx);
int64_t db_changes(const struct db_tx *tx);

int64_t db_col_i64(struct sqlite3_stmt *q, int column);
char *db_col_text(struct sqlite3_stmt *q, int column); /* heap; NULL for SQL NULL */
bool db_col_digest(struct sqlite3_stmt *q, int column, struct digest *ret); /* false: NULL */
const void *db_col_bytes(struct sqlite3_stmt *q, int column,
			 size_t *ret_n); /* until the next step */

#endif
