/* SPDX-License-Identifier: Apache-2.0 */
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_read.h"
#include "base/fs.h"
#include "base/times.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/internal.h"
#include "store/space.h"

enum { HASH_CHUNK = 1 << 17, RESERVE_STEP = 64 << 20 };

struct blob_row {
	bool found;
	uint64_t size;
	bool trusted;
};

static int get_row(struct db_tx *tx, const struct digest *digest, struct blob_row *ret,
		   struct error **err)
{
	struct sqlite3_stmt *q = NULL;
	int r = db_query(tx, &q, err, "SELECT size, boot FROM blob WHERE digest = ?", "d", digest);

	if (r < 0)
		return r;
	*ret = (struct blob_row){.found = r > 0};
	if (r > 0) {
		_cleanup_free_ char *boot = db_col_text(q, 1);

		ret->size = (uint64_t)db_col_i64(q, 0);
		ret->trusted = durable_trusted(boot);
	}
	return 0;
}

/* Looks the blob up and names it under our lease, so that it stays from here on. */
static int hold(struct store *s, const struct digest *digest, struct blob_row *ret,
		struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r;

	r = db_begin(s->db, DB_READ, &tx, err);
	if (r < 0)
		return r;
	r = get_row(&tx, digest, ret, err);
	if (r < 0)
		return r;
	db_end(&tx);
	if (!ret->found || lease_holds_blob(s, digest))
		return 0;
	r = lease_take(s, err);
	if (r < 0)
		return r;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = get_row(&tx, digest, ret, err);
	if (r < 0)
		return r;
	if (!ret->found)
		return 0;
	r = lease_add_blob(s, &tx, digest, err);
	if (r < 0)
		return r;
	r = db_commit(&tx, err);
	if (r == 0)
		lease_note_blob(s, digest, false);
	return r;
}

/* The file of a row is gone or wrong: forget the row, so that it is a miss from now on. */
static void drop(struct store *s, const struct digest *digest)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	char text[DIGEST_TEXT];

	store_notice(s, "blob %s in the store is damaged: it is made or fetched again",
		     digest_format(digest, text));
	lease_forget_blob(s, digest);
	if (db_begin(s->db, DB_WRITE, &tx, NULL) == 0 &&
	    db_run(&tx, NULL, "DELETE FROM blob WHERE digest = ?", "d", digest) == 0)
		(void)!db_commit(&tx, NULL);
}

/* Of all of it; the position is at its start again. */
static int hash_fd(const struct store *s, int fd, struct digest *ret)
{
	int r = file_read_digest(fd, s->cancel, ret, NULL);

	return r == 0 && lseek(fd, 0, SEEK_SET) < 0 ? -errno : r;
}

/* Verified after a change of boot: the mark moves to this boot, so that it is hashed only once. */
static void mark_trusted(struct store *s, const struct digest *digest)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;

	if (db_begin(s->db, DB_WRITE, &tx, NULL) == 0 &&
	    db_run(&tx, NULL, "UPDATE blob SET boot = ? WHERE digest = ?", "td", durable_boot(),
		   digest) == 0)
		(void)!db_commit(&tx, NULL);
}

/* The descriptor, or -1 for a miss with *ret_row.found false. */
static int open_held(struct store *s, const struct digest *digest, struct blob_row *ret_row,
		     int *ret_fd, struct error **err)
{
	_cleanup_free_ char *path = store_blob_path(digest);
	_cleanup_close_ int fd = -1;
	struct digest actual;
	struct stat st;
	int r = hold(s, digest, ret_row, err);

	if (r < 0 || !ret_row->found)
		return r;
	fd = openat(s->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if ((fd < 0 && errno != ENOENT) || (fd >= 0 && fstat(fd, &st) < 0))
		return error_new(err, ERR_IO, errno, "open '%s/%s'", s->root, path);
	if (fd < 0 || (uint64_t)st.st_size != ret_row->size) {
		drop(s, digest);
		ret_row->found = false;
		return 0;
	}
	if (!ret_row->trusted) {
		r = hash_fd(s, fd, &actual);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "read '%s/%s'", s->root, path);
		if (!digest_equal(&actual, digest)) {
			drop(s, digest);
			ret_row->found = false;
			return 0;
		}
		mark_trusted(s, digest);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

bool blob_exists(struct store *s, const struct digest *digest, uint64_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	struct blob_row row = {0};

	if (open_held(s, digest, &row, &fd, NULL) < 0 || !row.found)
		return false;
	if (ret_size)
		*ret_size = row.size;
	return true;
}

int blob_open(struct store *s, const struct digest *digest, uint64_t *ret_size, struct error **err)
{
	struct blob_row row = {0};
	char text[DIGEST_TEXT];
	int fd = -1, r;

	r = open_held(s, digest, &row, &fd, err);
	if (r < 0)
		return error_wrap(err, r, "open blob %s", digest_format(digest, text));
	if (!row.found)
		return error_new(err, ERR_NOTFOUND, 0, "blob %s is not in the store",
				 digest_format(digest, text));
	if (ret_size)
		*ret_size = row.size;
	return fd;
}

bool blob_is_ours(struct store *s, const struct digest *digest)
{
	return lease_wrote_blob(s, digest);
}

int blob_read(struct store *s, const struct digest *digest, size_t max, struct buf *ret,
	      struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct digest actual;
	char text[DIGEST_TEXT];
	uint64_t size;
	int r;

	fd = blob_open(s, digest, &size, err);
	if (fd < 0)
		return fd;
	if (size > max)
		return error_new(err, ERR_INVALID, 0,
				 "blob %s has %llu bytes, at most %zu are allowed",
				 digest_format(digest, text), (unsigned long long)size, max);
	r = fs_read_fd(fd, &b);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read blob %s", digest_format(digest, text));
	actual = digest_of(b.p, b.n);
	if (!digest_equal(&actual, digest)) {
		drop(s, digest);
		return error_new(err, ERR_CORRUPT, 0, "blob %s in the store is damaged",
				 digest_format(digest, text));
	}
	buf_add(ret, b.p, b.n);
	return 0;
}

int blob_verify(struct store *s, const struct digest *digest, uint64_t *ret_size,
		struct error **err)
{
	_cleanup_close_ int fd = -1;
	struct digest actual;
	char text[DIGEST_TEXT];
	int r;

	fd = blob_open(s, digest, ret_size, err);
	if (fd < 0)
		return fd;
	r = hash_fd(s, fd, &actual);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read blob %s", digest_format(digest, text));
	if (digest_equal(&actual, digest))
		return 0;
	drop(s, digest);
	return error_new(err, ERR_CORRUPT, 0, "its bytes have another digest: %s",
			 digest_format(&actual, text));
}

int blob_put(struct store *s, const void *p, size_t n, struct digest *ret, struct error **err)
{
	_cleanup_(blob_writer_freep) struct blob_writer *w = NULL;
	struct digest digest = digest_of(p, n);
	int r;

	if (!blob_exists(s, &digest, NULL)) {
		r = blob_writer_open(s, &w, err);
		if (r < 0)
			return r;
		blob_writer_write(w, p, n);
		r = blob_writer_commit(w, NULL, &digest, err);
		if (r < 0)
			return r;
	}
	if (ret)
		*ret = digest;
	return 0;
}

struct blob_writer {
	struct store *s;
	char *tmp; /* NULL once it has its final name */
	int fd;
	bool hashes;
	struct hasher hasher;
	uint64_t size;
	uint64_t reserved; /* how much room was last made for */
	int failed;	   /* first write error */
};

int blob_writer_open_hashed(struct store *s, struct blob_writer **ret, struct error **err)
{
	_cleanup_free_ char *tmp = NULL;
	struct blob_writer *w;
	int fd, r;

	r = space_reserve(s, 0, err);
	if (r == 0)
		r = store_tmp_name(s, &tmp, err);
	if (r < 0)
		return r;
	fd = openat(s->dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, tmp);
	w = NEW(struct blob_writer);
	w->s = s;
	w->tmp = TAKE_PTR(tmp);
	w->fd = fd;
	*ret = w;
	return 0;
}

int blob_writer_open(struct store *s, struct blob_writer **ret, struct error **err)
{
	int r = blob_writer_open_hashed(s, ret, err);

	if (r < 0)
		return r;
	(*ret)->hashes = true;
	hasher_init(&(*ret)->hasher);
	return 0;
}

void blob_writer_write(struct blob_writer *w, const void *p, size_t n)
{
	if (w->failed)
		return;
	/* A blob of many gigabytes makes its room as it grows. */
	if (w->size - w->reserved >= RESERVE_STEP) {
		w->reserved = w->size;
		w->failed = space_reserve(w->s, w->size, NULL) == -ERR_NOSPACE ? -ENOSPC : 0;
		if (w->failed)
			return;
	}
	w->failed = fs_write_full(w->fd, p, n);
	if (w->hashes)
		hasher_add(&w->hasher, p, n);
	w->size += n;
}

uint64_t blob_writer_size(const struct blob_writer *w)
{
	return w->size;
}

static int rename_blob(struct store *s, const char *tmp, const char *path, struct error **err)
{
	int r = durable_rename(s, tmp, path, true);

	if (r == -ENOENT) {
		_cleanup_free_ char *folder = xstrndup(path, strlen("blobs/sha256/xx"));

		if (mkdirat(s->dirfd, folder, 0700) < 0 && errno != EEXIST)
			return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, folder);
		r = durable_rename(s, tmp, path, true);
	}
	return r < 0 ? error_new(err, ERR_IO, -r, "name blob '%s/%s'", s->root, path) : 0;
}

/* The rename happens inside the transaction: gc renames under the same lock, so that no gc can come
 * between the name and the row, and a row that is there vouches for its file. */
static int publish(struct blob_writer *w, const struct digest *digest, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *path = store_blob_path(digest);
	struct store *s = w->s;
	struct blob_row row;
	struct stat st;
	int r;

	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = get_row(&tx, digest, &row, err);
	if (r < 0)
		return r;
	if (!row.found || !row.trusted || fstatat(s->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (uint64_t)st.st_size != w->size) {
		r = rename_blob(s, w->tmp, path, err);
		if (r < 0)
			return r;
		free(TAKE_PTR(w->tmp));
		r = db_run(&tx, err,
			   "INSERT INTO blob (digest, size, boot, created) VALUES (?1, ?2, ?3, ?4)"
			   " ON CONFLICT (digest) DO UPDATE SET size = ?2, boot = ?3, created = ?4",
			   "diti", digest, (int64_t)w->size, durable_boot(), times_now_ns());
		if (r < 0)
			return r;
	}
	r = lease_add_blob(s, &tx, digest, err);
	if (r < 0)
		return r;
	r = db_commit(&tx, err);
	if (r == 0)
		lease_note_blob(s, digest, !w->tmp);
	return r;
}

int blob_writer_commit(struct blob_writer *w, const struct digest *expect, struct digest *ret,
		       struct error **err)
{
	char want[DIGEST_TEXT], got[DIGEST_TEXT];
	struct digest digest;
	int r;

	/* Where it was the cap that stopped it, that says so; the database needs room to tell. */
	if (w->failed == -ENOSPC && ftruncate(w->fd, 0) == 0) {
		r = space_reserve(w->s, w->size, err);
		if (r < 0)
			return r;
	}
	if (w->failed)
		return error_new(err, ERR_IO, -w->failed, "write a blob to the store '%s'",
				 w->s->root);
	if (w->hashes)
		hasher_final(&w->hasher, &digest);
	else
		digest = *expect;
	if (expect && !digest_equal(expect, &digest))
		return error_new(err, ERR_CORRUPT, 0, "blob has digest %s, expected %s",
				 digest_format(&digest, got), digest_format(expect, want));
	r = space_reserve(w->s, w->size, err);
	if (r == 0)
		r = publish(w, &digest, err);
	if (r < 0)
		return error_wrap(err, r, "store blob %s", digest_format(&digest, got));
	space_note(w->s, w->size);
	if (ret)
		*ret = digest;
	return 0;
}

void blob_writer_free(struct blob_writer *w)
{
	if (!w)
		return;
	if (w->tmp)
		(void)unlinkat(w->s->dirfd, w->tmp, 0);
	free(w->tmp);
	cleanup_closep(&w->fd);
	hasher_release(&w->hasher);
	free(w);
}
