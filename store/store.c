/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "store/db.h"
#include "store/durable.h"
#include "store/gc.h"
#include "store/index.h"
#include "store/internal.h"

static const char *const folders[] = {"blobs/sha256", "layers", "stat", "tmp", "lock", "mounts"};
/* All of a store, in the order in which it goes: what shows that it is one comes last. */
static const char *const everything[] = {
	"ready", "kiln.db", "kiln.db-wal", "kiln.db-shm", "layers",	"mounts", "blobs",
	"stat",	 "tmp",	    "git",	   "history",	  "secret.key", "lock"};

static bool has_sys_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN));
}

/* The id maps as one line of numbers: "0 0 4294967295 / 0 0 4294967295". */
static char *read_id_maps(void)
{
	static const char *const files[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 16);
		char *save = NULL;

		if (fs_read_file(AT_FDCWD, files[i], &text) < 0)
			buf_clear(&text);
		if (i > 0)
			buf_adds(&out, " /");
		for (char *w = strtok_r(text.p, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
			buf_addf(&out, "%s%s", out.n ? " " : "", w);
	}
	return buf_take(&out);
}

static const char identity_map[] = "0 0 4294967295 / 0 0 4294967295";

/* Files in layer dirs carry the ids of the map they were made under. A process that has no map of
 * its own and is not root cannot make such files, and may look at any store. */
static int check_id_map(struct store *s, const char *map, struct error **err)
{
	_cleanup_(db_end) struct db_tx tx = DB_TX_INIT;
	_cleanup_free_ char *kept = NULL;
	struct sqlite3_stmt *q = NULL;
	int r;

	if (strcmp(map, identity_map) == 0 && geteuid() != 0)
		return 0;
	r = db_begin(s->db, DB_READ, &tx, err);
	if (r < 0)
		return r;
	r = db_query(&tx, &q, err, "SELECT value FROM meta WHERE name = 'id_map'", "");
	if (r < 0)
		return r;
	kept = r > 0 ? db_col_text(q, 0) : NULL;
	r = db_commit(&tx, err);
	if (r < 0)
		return r;
	if (!kept) {
		r = db_begin(s->db, DB_WRITE, &tx, err);
		if (r < 0)
			return r;
		r = db_run(&tx, err,
			   "INSERT OR IGNORE INTO meta (name, value) VALUES ('id_map', ?)", "t",
			   map);
		return r < 0 ? r : db_commit(&tx, err);
	}
	if (strcmp(kept, map) == 0)
		return 0;
	r = error_new(err, ERR_UNSUPPORTED, 0,
		      "the store '%s' was made under the id map '%s', this process has '%s'",
		      s->root, kept, map);
	return error_hint(err, r, "use another root for this user or id map, or remove that store");
}

/* Of a store that an earlier kiln made. */
static void close_database(struct store *s)
{
	static const char *const files[] = {"kiln.db", "kiln.db-wal", "kiln.db-shm"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		/* One that is not there will be made with the mode of the first. */
		if (fchmodat(s->dirfd, files[i], 0600, 0) < 0)
			continue;
}

/* Whoever may write here says what every build's result is. */
static int check_owner(int dirfd, const char *root, struct error **err)
{
	struct stat st;
	int r;

	if (fstat(dirfd, &st) < 0)
		return error_new(err, ERR_IO, errno, "look at store '%s'", root);
	if (st.st_uid != geteuid()) {
		r = error_new(err, ERR_DENIED, 0, "the store '%s' belongs to another user", root);
		return error_hint(err, r,
				  "set KILN_ROOT to a folder that this user owns, or make this "
				  "user the owner: chown -R \"$(id -u)\" '%s'",
				  root);
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		r = error_new(err, ERR_DENIED, 0, "other users can write to the store '%s'", root);
		return error_hint(err, r, "remove their write permission: chmod go-w '%s'", root);
	}
	return 0;
}

/* Two processes that create the store at once: one sets the database up, the other waits. */
static int open_db(struct store *s, struct error **err)
{
	_cleanup_free_ char *path = xasprintf("%s/kiln.db", s->root);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int fd = -1;

	if (faccessat(s->dirfd, "ready", F_OK, 0) == 0) {
		struct stat st;

		if (fstatat(s->dirfd, "kiln.db", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			return error_hint(err,
					  error_new(err, ERR_NOTFOUND, 0, "'%s' is gone", path),
					  DB_LOST);
		if (st.st_mode & 077)
			close_database(s);
		return db_open(path, false, &s->db, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int r = fs_mkdir_p(s->dirfd, folders[i], 0700);

		if (r < 0)
			return error_new(err, ERR_IO, -r, "create '%s/%s'", s->root, folders[i]);
	}
	fd = openat(s->dirfd, "lock/create", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fcntl(fd, F_OFD_SETLKW, &lock) < 0)
		return error_new(err, ERR_IO, errno, "lock '%s/lock/create'", s->root);
	/* SQLite gives its other files the mode of this one. */
	_cleanup_close_ int db =
		openat(s->dirfd, "kiln.db", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (db < 0)
		return error_new(err, ERR_IO, errno, "create '%s'", path);
	cleanup_closep(&db);
	int r = db_open(path, true, &s->db, err);
	_cleanup_close_ int ready = -1;

	if (r < 0)
		return r;
	ready = openat(s->dirfd, "ready", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return ready < 0 ? error_new(err, ERR_IO, errno, "create '%s/ready'", s->root) : 0;
}

int store_open(const char *root, struct store **ret, struct error **err)
{
	_cleanup_(store_closep) struct store *s = NEW(struct store);
	_cleanup_free_ char *map = NULL;
	int r;

	s->dirfd = -1;
	s->lease = (struct lease)LEASE_INIT;
	s->root = xstrdup(root);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_mutex_init(&s->space_mutex, NULL);
	if (root[0] != '/')
		return error_new(err, ERR_INVALID, 0, "open store '%s': the path is not absolute",
				 root);
	s->dirfd = fs_open_dir(AT_FDCWD, root);
	if (s->dirfd == -ENOENT) {
		r = fs_mkdir_p(AT_FDCWD, root, 0700);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "create store '%s'", root);
		s->dirfd = fs_open_dir(AT_FDCWD, root);
	}
	if (s->dirfd < 0)
		return error_new(err, ERR_IO, -s->dirfd, "open store '%s'", root);
	r = check_owner(s->dirfd, root, err);
	if (r < 0)
		return r;
	map = read_id_maps();
	s->overlay_prefix = strcmp(map, identity_map) == 0 && has_sys_admin() ? "trusted.overlay."
									      : "user.overlay.";
	r = open_db(s, err);
	if (r < 0)
		return error_wrap(err, r, "open store '%s'", root);
	atomic_init(&s->plain, faccessat(s->dirfd, "plain", F_OK, 0) == 0);
	r = check_id_map(s, map, err);
	if (r < 0)
		return error_wrap(err, r, "open store '%s'", root);
	*ret = TAKE_PTR(s);
	return 0;
}

static void unref_index(void *i)
{
	index_unref(i);
}

void store_settle(struct store *s)
{
	db_fold_log(s->db);
}

void store_watch(struct store *s, const struct cancel *cancel)
{
	s->cancel = cancel;
}

int store_check_canceled(const struct store *s, struct error **err)
{
	return cancel_is_set(s->cancel) ? error_new(err, ERR_CANCELED, 0, "canceled") : 0;
}

const struct cancel *store_cancel(const struct store *s)
{
	return s->cancel;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->db)
		lease_release(s);
	db_close(s->db);
	map_release(&s->indexes, unref_index);
	map_release(&s->held, NULL);
	cleanup_closep(&s->dirfd);
	pthread_mutex_destroy(&s->mutex);
	pthread_mutex_destroy(&s->space_mutex);
	strv_release(&s->notices);
	free(s->root);
	free(s);
}

void store_notice(struct store *s, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&s->mutex);
	if (!strv_contains(&s->notices, text))
		strv_push(&s->notices, text);
	pthread_mutex_unlock(&s->mutex);
}

size_t store_count_notices(struct store *s)
{
	size_t n;

	pthread_mutex_lock(&s->mutex);
	n = s->notices.n;
	pthread_mutex_unlock(&s->mutex);
	return n;
}

void store_take_notices(struct store *s, struct strv *ret)
{
	pthread_mutex_lock(&s->mutex);
	for (size_t i = 0; i < s->notices.n; i++)
		strv_push(ret, s->notices.v[i]);
	strv_release(&s->notices);
	pthread_mutex_unlock(&s->mutex);
}

const char *store_root(const struct store *s)
{
	return s->root;
}

int store_dirfd(const struct store *s)
{
	return s->dirfd;
}

const char *store_overlay_prefix(const struct store *s)
{
	return s->overlay_prefix;
}

bool store_is_plain(const struct store *s)
{
	return atomic_load(&s->plain);
}

/* After a call on its files failed with `errnum`. */
static int become_plain(struct store *s, int errnum)
{
	int r;

	if (errnum != EPERM && errnum != EOPNOTSUPP)
		return -errnum;
	if (store_is_plain(s))
		return 0;
	r = fs_write_file_atomic(s->dirfd, "plain", "", 0, 0600);
	if (r == 0)
		atomic_store(&s->plain, true);
	return r;
}

int store_put_whiteout(struct store *s, int dirfd, const char *name)
{
	return mknodat(dirfd, name, S_IFCHR | 0600, 0) < 0 ? become_plain(s, errno) : 0;
}

int store_mark_opaque(struct store *s, int fd)
{
	_cleanup_free_ char *name = xasprintf("%sopaque", s->overlay_prefix);

	return fsetxattr(fd, name, "y", 1, 0) < 0 ? become_plain(s, errno) : 0;
}

char *store_blob_path(const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(digest, hex);
	return xasprintf("blobs/sha256/%.2s/%s", hex, hex);
}

int store_compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

char *store_layer_path(int64_t id)
{
	return xasprintf("layers/%lld", (long long)id);
}

static int tmp_name(struct store *s, char **ret, struct error **err)
{
	uint64_t random;
	int r = lease_take(s, err);

	if (r < 0)
		return r;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_new(err, ERR_IO, errno, "read random bytes");
	*ret = xasprintf("tmp/%s.%016llx", s->lease.name, (unsigned long long)random);
	return 0;
}

int store_tmp_name(struct store *s, char **ret, struct error **err)
{
	/* What killed processes left may be what fills the disk: it goes before the first of ours
	 * comes. Whoever makes nothing does not look. */
	if (!atomic_exchange(&s->swept, true))
		gc_sweep_temporaries(s);
	return tmp_name(s, ret, err);
}

/* In a transaction, during which nothing is swept. */
int store_trash(struct store *s, const char *path, char **ret, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	int r = tmp_name(s, &name, err);

	if (r < 0)
		return r;
	r = durable_rename(s, path, name, false);
	if (r < 0 && r != -ENOENT)
		return error_new(err, ERR_IO, -r, "move '%s/%s' to the trash", s->root, path);
	*ret = r == 0 ? TAKE_PTR(name) : NULL;
	return 0;
}

int store_tmp_dir(struct store *s, char **ret_name, int *ret_fd, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	int fd, r = store_tmp_name(s, &path, err);

	if (r < 0)
		return r;
	if (mkdirat(s->dirfd, path, 0700) < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, path);
	fd = fs_open_dir(s->dirfd, path);
	if (fd < 0) {
		(void)unlinkat(s->dirfd, path, AT_REMOVEDIR);
		return error_new(err, ERR_IO, -fd, "open '%s/%s'", s->root, path);
	}
	*ret_name = xstrdup(path + strlen("tmp/"));
	*ret_fd = fd;
	return 0;
}

int store_tmp_file(struct store *s, struct error **err)
{
	_cleanup_free_ char *path = NULL;
	int fd, r = store_tmp_name(s, &path, err);

	if (r < 0)
		return r;
	fd = openat(s->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s/%s'", s->root, path);
	(void)unlinkat(s->dirfd, path, 0);
	return fd;
}

void store_tmp_remove(struct store *s, const char *name)
{
	_cleanup_free_ char *path = xasprintf("tmp/%s", name);

	/* What cannot be removed now is a dead lease's leaving later. */
	(void)!fs_remove_tree(s->dirfd, path);
}

/* --- Removing it --- */

static int check_unused(int rootfd, const char *root, struct error **err)
{
	_cleanup_close_ int fd = fs_open_dir(rootfd, "lock");
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	bool used = false;
	int r = 0;

	if (!dir)
		return error_hint(err, error_new(err, ERR_NOTFOUND, 0, "'%s' is not a store", root),
				  "set KILN_ROOT to the path of the store");
	(void)TAKE_FD(fd);
	while (!used && (r = fs_next_entry(dir, &de)) > 0) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		_cleanup_close_ int file =
			openat(dirfd(dir), de->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

		if (file >= 0 && fcntl(file, F_OFD_SETLK, &lock) < 0)
			used = errno == EAGAIN || errno == EACCES;
	}
	(void)closedir(dir);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "list '%s/lock'", root);
	if (!used)
		return 0;
	r = error_new(err, ERR_BUSY, 0, "the store '%s' is in use", root);
	return error_hint(err, r, "try again when the other kiln commands have ended");
}

int store_remove(const char *root, const struct cancel *cancel, struct error **err)
{
	_cleanup_close_ int rootfd = fs_open_dir(AT_FDCWD, root);
	int r;

	if (rootfd == -ENOENT) {
		r = error_new(err, ERR_NOTFOUND, 0, "remove the store '%s': it does not exist",
			      root);
		return error_hint(err, r, "if the store is elsewhere, set KILN_ROOT to its path");
	}
	if (rootfd < 0)
		return error_new(err, ERR_IO, -rootfd, "open store '%s'", root);
	r = check_owner(rootfd, root, err);
	if (r == 0)
		r = check_unused(rootfd, root, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(everything); i++) {
		r = fs_remove_tree_until(rootfd, everything[i], cancel);
		if (r == -ECANCELED)
			return error_new(err, ERR_CANCELED, 0, "canceled: a part of it is left");
		if (r < 0)
			return error_new(err, ERR_IO, -r, "remove '%s/%s'", root, everything[i]);
	}
	/* It stays where it holds something else, or is a mount point. */
	(void)rmdir(root);
	return 0;
}
