/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/times.h"
#include "store/db.h"
#include "store/internal.h"

static char *lease_path(const char *name)
{
	return xasprintf("lock/lease.%s", name);
}

static int try_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int take_locked(struct store *s, struct error **err)
{
	while (!s->lease.name[0]) {
		_cleanup_free_ char *path = NULL;
		_cleanup_close_ int fd = -1;
		char name[LEASE_NAME + 1];
		uint64_t random;
		struct stat st;

		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return error_new(err, ERR_IO, errno, "read random bytes");
		(void)snprintf(name, sizeof(name), "%016llx", (unsigned long long)random);
		path = lease_path(name);
		fd = openat(s->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return error_new(err, ERR_IO, errno, "create lease '%s/%s'", s->root, path);
		/* A gc may see the file before we hold its lock and remove it as dead: take
		 * another. */
		if (try_lock(fd) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0)
			continue;
		memcpy(s->lease.name, name, sizeof(name));
		s->lease.fd = TAKE_FD(fd);
	}
	return 0;
}

int lease_take(struct store *s, struct error **err)
{
	int r;

	pthread_mutex_lock(&s->mutex);
	r = take_locked(s, err);
	pthread_mutex_unlock(&s->mutex);
	return r;
}

/* The row is looked up each time: a rollback may have undone the insert that we made. */
static int lease_row(struct store *s, struct db_tx *tx, int64_t *ret, struct error **err)
{
	int r = db_get_i64(tx, ret, 0, err, "SELECT id FROM lease WHERE name = ?", "t",
			   s->lease.name);

	if (r < 0 || *ret != 0)
		return r;
	r = db_run(tx, err, "INSERT INTO lease (name, created) VALUES (?, ?)", "ti", s->lease.name,
		   times_now_ns());
	*ret = db_last_id(tx);
	return r;
}

int lease_add_layers(struct store *s, struct db_tx *tx, const int64_t *layers, size_t n,
		     struct error **err)
{
	int64_t row;
	int r = lease_row(s, tx, &row, err);

	for (size_t i = 0; i < n && r == 0; i++)
		r = db_run(tx, err,
			   "INSERT OR IGNORE INTO lease_layer (lease, layer) VALUES (?, ?)", "ii",
			   row, layers[i]);
	return r;
}

int lease_add_blob(struct store *s, struct db_tx *tx, const struct digest *digest,
		   struct error **err)
{
	int64_t row;
	int r = lease_row(s, tx, &row, err);

	if (r < 0)
		return r;
	return db_run(tx, err, "INSERT OR IGNORE INTO lease_blob (lease, digest) VALUES (?, ?)",
		      "id", row, digest);
}

void lease_note_blob(struct store *s, const struct digest *digest, bool written)
{
	void **slot;

	pthread_mutex_lock(&s->mutex);
	slot = map_put(&s->held, digest->b, DIGEST_SIZE);
	if (written)
		*slot = &s->held;
	else if (!*slot)
		*slot = s;
	pthread_mutex_unlock(&s->mutex);
}

bool lease_wrote_blob(struct store *s, const struct digest *digest)
{
	bool wrote;

	pthread_mutex_lock(&s->mutex);
	wrote = map_get(&s->held, digest->b, DIGEST_SIZE) == &s->held;
	pthread_mutex_unlock(&s->mutex);
	return wrote;
}

bool lease_holds_blob(struct store *s, const struct digest *digest)
{
	bool held;

	pthread_mutex_lock(&s->mutex);
	held = map_get(&s->held, digest->b, DIGEST_SIZE) != NULL;
	pthread_mutex_unlock(&s->mutex);
	return held;
}

void lease_forget_blob(struct store *s, const struct digest *digest)
{
	pthread_mutex_lock(&s->mutex);
	if (map_get(&s->held, digest->b, DIGEST_SIZE))
		*map_put(&s->held, digest->b, DIGEST_SIZE) = NULL;
	pthread_mutex_unlock(&s->mutex);
}

bool lease_alive(struct store *s, const char *name)
{
	_cleanup_free_ char *path = lease_path(name);
	_cleanup_close_ int fd = openat(s->dirfd, path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno != ENOENT;
	/* Any failure but "somebody has it" leaves doubt, and doubt keeps the lease. */
	return try_lock(fd) != 0;
}

void lease_bury(struct store *s, const char *name)
{
	_cleanup_free_ char *path = lease_path(name);
	_cleanup_close_ int fd = openat(s->dirfd, path, O_RDWR | O_CLOEXEC);

	/* Unlinked under its lock: who has just created it sees that and takes another name. */
	if (fd >= 0 && try_lock(fd) == 0)
		(void)unlinkat(s->dirfd, path, 0);
}

void lease_release(struct store *s)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *path = NULL;

	if (!s->lease.name[0])
		return;
	/* A failure leaves rows and file for a gc, which finds the lock free. */
	if (db_begin(s->db, DB_WRITE, &tx, NULL) == 0 &&
	    db_run(&tx, NULL, "DELETE FROM lease WHERE name = ?", "t", s->lease.name) == 0)
		(void)!db_commit(&tx, NULL);
	path = lease_path(s->lease.name);
	(void)unlinkat(s->dirfd, path, 0);
	cleanup_closep(&s->lease.fd);
	s->lease.name[0] = '\0';
	map_release(&s->held, NULL);
}
