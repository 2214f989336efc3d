/* SPDX-License-Identifier: Apache-2.0 */
#include "store/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/owner_set.h"
#include "base/times.h"
#include "base/vec.h"
#include "store/db.h"
#include "store/internal.h"
#include "store/layer.h"
#include "store/lock.h"

struct mount_use {
	struct store *s;
	struct lock *lock; /* NULL: nothing was taken */
	int64_t dir;	   /* its number below mounts/; 0: none yet */
	char *path;
	bool is_new;
};

static int lock_instance(struct store *s, const char *id, int64_t instance, struct lock **ret,
			 struct error **err)
{
	_cleanup_free_ char *name = xasprintf("%lld:%s", (long long)instance, id);

	return lock_name_try(s, "mount", name, ret, err);
}

/* The instance that there is unless steps want it privately. */
static int wait_for_first(struct store *s, const char *id, enum lock_mode mode,
			  struct cancel *cancel, struct lock **ret, struct error **err)
{
	_cleanup_free_ char *name = xasprintf("0:%s", id);

	return lock_name(s, "mount", name, mode, cancel, ret, err);
}

/* The first instance that nobody has; there are never more than steps that run at once. */
static int lock_private(struct store *s, const char *id, int64_t *ret_instance, struct lock **ret,
			struct error **err)
{
	for (int64_t i = 0;; i++) {
		int r = lock_instance(s, id, i, ret, err);

		if (r < 0)
			return r;
		if (*ret) {
			*ret_instance = i;
			return 0;
		}
	}
}

static int make_dir(struct store *s, const char *path, const struct mount_wish *w, bool *ret_new,
		    struct error **err)
{
	int r = 0;

	*ret_new = false;
	if (mkdirat(s->dirfd, path, 0700) < 0)
		return errno == EEXIST
			       ? 0
			       : error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, path);
	*ret_new = true;
	if (w->uid != geteuid() || w->gid != getegid())
		r = owner_set(s->dirfd, path, w->uid, w->gid);
	if (r < 0)
		r = error_new(err, ERR_IO, -r, "give a cache mount to %u:%u", w->uid, w->gid);
	else if (fchmodat(s->dirfd, path, w->mode & 07777, 0) < 0)
		r = error_new(err, ERR_IO, errno, "set the mode of '%s/%s'", s->root, path);
	if (r < 0)
		(void)unlinkat(s->dirfd, path, AT_REMOVEDIR);
	return r;
}

static int add_row(struct db_tx *tx, const char *id, int64_t instance, int64_t now,
		   int64_t *ret_dir, struct error **err)
{
	int r = db_get_i64(tx, ret_dir, 1, err, "SELECT coalesce(max(dir), 0) + 1 FROM mount", "");

	return r < 0 ? r
		     : db_run(tx, err,
			      "INSERT INTO mount (id, instance, dir, created, last_used)"
			      " VALUES (?, ?, ?, ?, ?)",
			      "tiiii", id, instance, *ret_dir, now, now);
}

/* Called with the instance locked. One mkdir happens inside the transaction, so that a removal in
 * another process, which renames inside one, is either before or after it. */
static int find_or_make(struct store *s, const struct mount_wish *w, int64_t instance,
			struct mount_use *m, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *path = NULL, *trash = NULL;
	int64_t dir, now = times_now_ns();
	int r = lease_take(s, err);

	if (r == 0)
		r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = db_get_i64(&tx, &dir, 0, err, "SELECT dir FROM mount WHERE id = ? AND instance = ?",
		       "ti", w->id, instance);
	if (r == 0 && dir == 0) {
		r = add_row(&tx, w->id, instance, now, &dir, err);
		path = xasprintf("mounts/%lld", (long long)dir);
		/* Of another mount, whose row a power cut or a kill took. */
		if (r == 0)
			r = store_trash(s, path, &trash, err);
	}
	if (r == 0)
		r = db_run(&tx, err,
			   "UPDATE mount SET last_used = ?, uses = uses + 1 WHERE dir = ?", "ii",
			   now, dir);
	if (r < 0)
		return r;
	if (!path)
		path = xasprintf("mounts/%lld", (long long)dir);
	r = make_dir(s, path, w, &m->is_new, err);
	if (r < 0)
		return r;
	r = db_commit(&tx, err);
	if (r < 0)
		return r;
	if (trash)
		(void)!fs_remove_tree(s->dirfd, trash);
	m->path = xasprintf("%s/%s", s->root, path);
	m->dir = dir;
	return 0;
}

int mounts_acquire(struct store *s, const struct mount_wish *w, enum mount_sharing sharing,
		   struct cancel *cancel, struct mount_use **ret, struct error **err)
{
	_cleanup_(mounts_releasep) struct mount_use *m = NEW(struct mount_use);
	int64_t instance = 0;
	int r;

	m->s = s;
	if (sharing == MOUNT_PRIVATE)
		r = lock_private(s, w->id, &instance, &m->lock, err);
	else
		r = wait_for_first(s, w->id, sharing == MOUNT_SHARED ? LOCK_SHARED : LOCK_EXCLUSIVE,
				   cancel, &m->lock, err);
	if (r == 0)
		r = find_or_make(s, w, instance, m, err);
	if (r < 0)
		return error_wrap(err, r, "use the cache mount '%s'", w->id);
	*ret = TAKE_PTR(m);
	return 0;
}

/* The directory that there is; m->dir stays 0 if there is none. */
static int find(struct store *s, const char *id, struct mount_use *m, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r == 0)
		r = db_get_i64(&tx, &m->dir, 0, err,
			       "SELECT dir FROM mount WHERE id = ? AND instance = 0", "t", id);
	if (r == 0 && m->dir)
		m->path = xasprintf("%s/mounts/%lld", s->root, (long long)m->dir);
	return r;
}

static int look_for_content(const struct mount_use *m, bool *ret_empty, struct error **err)
{
	DIR *dir = opendir(m->path);
	struct dirent *de;
	int r;

	/* Not there: it was being removed when its remover was killed. */
	if (!dir && errno != ENOENT)
		return error_new(err, ERR_IO, errno, "open '%s'", m->path);
	*ret_empty = true;
	if (!dir)
		return 0;
	r = fs_next_entry(dir, &de);
	*ret_empty = r == 0;
	closedir(dir);
	return r < 0 ? error_new(err, ERR_IO, -r, "read directory '%s'", m->path) : 0;
}

int mounts_acquire_empty(struct store *s, const struct mount_wish *w, struct mount_use **ret,
			 struct error **err)
{
	_cleanup_(mounts_releasep) struct mount_use *m = NEW(struct mount_use);
	bool empty = false;
	int r;

	m->s = s;
	r = lock_instance(s, w->id, 0, &m->lock, err);
	if (r == 0 && m->lock)
		r = find_or_make(s, w, 0, m, err);
	if (r == 0 && m->lock)
		r = look_for_content(m, &empty, err);
	if (r < 0)
		return error_wrap(err, r, "fill the cache mount '%s'", w->id);
	*ret = empty ? TAKE_PTR(m) : NULL;
	return 0;
}

int mounts_acquire_full(struct store *s, const char *id, struct cancel *cancel,
			struct mount_use **ret, struct error **err)
{
	_cleanup_(mounts_releasep) struct mount_use *m = NEW(struct mount_use);
	bool empty = true;
	int r;

	m->s = s;
	r = wait_for_first(s, id, LOCK_EXCLUSIVE, cancel, &m->lock, err);
	if (r == 0)
		r = find(s, id, m, err);
	if (r == 0 && m->dir)
		r = look_for_content(m, &empty, err);
	if (r < 0)
		return error_wrap(err, r, "use the cache mount '%s'", id);
	*ret = empty ? NULL : TAKE_PTR(m);
	return 0;
}

int mounts_fill(struct mount_use *m, struct layer_writer *w, struct error **err)
{
	_cleanup_free_ char *path = xasprintf("mounts/%lld", (long long)m->dir);

	return layer_writer_move(w, path, err);
}

const char *mounts_path(const struct mount_use *m)
{
	return m->path;
}

bool mounts_is_new(const struct mount_use *m)
{
	return m->is_new;
}

int mounts_note_step(struct mount_use *m, const char *step, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(m->s->db, DB_WRITE, &tx, err);

	if (r == 0)
		r = db_run(&tx, err, "UPDATE mount SET step = ? WHERE dir = ? AND step = ''", "ti",
			   step, m->dir);
	return r < 0 ? r : db_commit(&tx, err);
}

/* Not knowing the size, because of some failure, only makes eviction less exact. */
static void measure(struct mount_use *m)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *path = xasprintf("mounts/%lld", (long long)m->dir);
	uint64_t size = store_disk_usage(m->s, path);

	if (db_begin(m->s->db, DB_WRITE, &tx, NULL) == 0 &&
	    db_run(&tx, NULL, "UPDATE mount SET size = ? WHERE dir = ?", "ii", (int64_t)size,
		   m->dir) == 0)
		(void)!db_commit(&tx, NULL);
}

void mounts_release(struct mount_use *m)
{
	if (!m)
		return;
	if (m->dir)
		measure(m);
	lock_release(m->lock);
	free(m->path);
	free(m);
}

void mount_info_release(struct mount_info *m)
{
	free(m->id);
	free(m->step);
	free(m->path);
	*m = (struct mount_info){0};
}

typedef VEC(struct mount_info) mount_infos;

static int load_infos(struct store *s, mount_infos *ret, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	struct sqlite3_stmt *q = NULL;
	int r = db_begin(s->db, DB_READ, &tx, err);

	if (r < 0)
		return r;
	r = db_query(&tx, &q, err,
		     "SELECT id, instance, created, last_used, uses, dir, step FROM mount"
		     " ORDER BY last_used, id",
		     "");
	for (; r > 0; r = db_step(&tx, q, err)) {
		struct mount_info info = {
			.id = db_col_text(q, 0),
			.instance = db_col_i64(q, 1),
			.created = db_col_i64(q, 2),
			.last_used = db_col_i64(q, 3),
			.uses = db_col_i64(q, 4),
			.path = xasprintf("%s/mounts/%lld", s->root, (long long)db_col_i64(q, 5)),
			.step = db_col_text(q, 6),
		};

		vec_push(ret, info);
	}
	return r;
}

/* Size and use of each; a use that cannot be told counts as one. */
static void look_at(struct store *s, struct mount_info *m)
{
	_cleanup_(lock_releasep) struct lock *lock = NULL;
	int r = lock_instance(s, m->id, m->instance, &lock, NULL);

	m->in_use = r < 0 || !lock;
	m->size = store_disk_usage(s, m->path + strlen(s->root) + 1);
}

int mounts_list(struct store *s, struct mount_info **ret, size_t *ret_n, struct error **err)
{
	mount_infos infos = {0};
	int r = load_infos(s, &infos, err);

	if (r < 0) {
		for (size_t i = 0; i < infos.n; i++)
			mount_info_release(&infos.v[i]);
		vec_release(&infos);
		return r;
	}
	for (size_t i = 0; i < infos.n; i++)
		look_at(s, &infos.v[i]);
	*ret = infos.v;
	*ret_n = infos.n;
	return 0;
}

/* Called with the instance locked exclusively. */
static int remove_instance(struct store *s, const char *id, int64_t instance, int64_t before,
			   bool *ret_removed, char **ret_trash, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *path = NULL;
	int64_t dir;
	int r = lease_take(s, err);

	*ret_removed = false;
	if (r < 0)
		return r;
	r = db_begin(s->db, DB_WRITE, &tx, err);
	if (r < 0)
		return r;
	r = db_get_i64(&tx, &dir, 0, err,
		       "SELECT dir FROM mount WHERE id = ? AND instance = ? AND last_used < ?",
		       "tii", id, instance, before);
	if (r < 0 || dir == 0)
		return r;
	path = xasprintf("mounts/%lld", (long long)dir);
	r = db_run(&tx, err, "DELETE FROM mount WHERE dir = ?", "i", dir);
	if (r == 0)
		r = store_trash(s, path, ret_trash, err);
	if (r == 0)
		r = db_commit(&tx, err);
	*ret_removed = r == 0;
	return r;
}

enum removal {
	REMOVAL_NEEDLESS, /* it is newer or gone */
	REMOVAL_BUSY,	  /* somebody uses it */
	REMOVAL_DONE,
};

static int try_remove(struct store *s, const char *id, int64_t instance, int64_t before,
		      enum removal *ret, uint64_t *bytes, struct error **err)
{
	_cleanup_(lock_releasep) struct lock *lock = NULL;
	_cleanup_free_ char *trash = NULL;
	int r = lock_instance(s, id, instance, &lock, err);
	bool removed;

	*ret = r == 0 && !lock ? REMOVAL_BUSY : REMOVAL_NEEDLESS;
	if (r < 0 || !lock)
		return r;
	r = remove_instance(s, id, instance, before, &removed, &trash, err);
	if (removed)
		*ret = REMOVAL_DONE;
	if (trash) {
		*bytes += store_disk_usage(s, trash);
		(void)!fs_remove_tree_until(s->dirfd, trash, s->cancel);
	}
	return r;
}

int mounts_remove(struct store *s, const char *id, struct error **err)
{
	mount_infos infos = {0};
	bool found = false, busy = false;
	uint64_t bytes = 0;
	int r = load_infos(s, &infos, err);

	for (size_t i = 0; i < infos.n; i++) {
		enum removal removal;

		if (r == 0 && strcmp(infos.v[i].id, id) == 0) {
			found = true;
			r = try_remove(s, id, infos.v[i].instance, INT64_MAX, &removal, &bytes,
				       err);
			busy = busy || removal == REMOVAL_BUSY;
		}
		mount_info_release(&infos.v[i]);
	}
	vec_release(&infos);
	if (r < 0)
		return r;
	if (!found)
		return error_new(err, ERR_NOTFOUND, 0, "there is no cache mount '%s'", id);
	if (busy)
		return error_new(err, ERR_BUSY, 0, "the cache mount '%s' is in use", id);
	return 0;
}

int mounts_prune(struct store *s, int64_t before, struct strv *ret_ids, uint64_t *ret_bytes,
		 struct error **err)
{
	mount_infos infos = {0};
	int r = load_infos(s, &infos, err);

	for (size_t i = 0; i < infos.n; i++) {
		enum removal removal = REMOVAL_NEEDLESS;

		if (r == 0 && infos.v[i].last_used < before)
			r = try_remove(s, infos.v[i].id, infos.v[i].instance, before, &removal,
				       ret_bytes, err);
		if (removal == REMOVAL_DONE)
			strv_push(ret_ids, infos.v[i].id);
		mount_info_release(&infos.v[i]);
	}
	vec_release(&infos);
	return r;
}

int mounts_evict(struct store *s, const char *id, int64_t instance, int64_t before,
		 bool *ret_removed, uint64_t *ret_bytes, struct error **err)
{
	enum removal removal;
	int r = try_remove(s, id, instance, before, &removal, ret_bytes, err);

	*ret_removed = removal == REMOVAL_DONE;
	return r;
}
