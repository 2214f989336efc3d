/* SPDX-License-Identifier: Apache-2.0 */
/* Reading back the upper directory of an overlay mount: what the kernel wrote there becomes the dir
 * body of a layer and its index. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file_read.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/path.h"
#include "base/strv.h"
#include "base/vec.h"
#include "store/internal.h"
#include "store/layer_owner.h"
#include "store/layer_snapshot.h"
#include "store/layer_writer.h"

enum {
	HASH_THREADS = 4,
	XATTR_NAMES_MAX = 1 << 16,
	CAPABILITY_V2 = 20, /* bytes of security.capability without a root id */
	CAPABILITY_V2_REVISION = 0x02,
};

/* A regular file whose bytes are to be hashed. */
struct job {
	char *path;
	struct entry entry;
};

struct scan {
	struct layer_writer *w;
	struct buf path; /* of the directory being read */
	VEC(struct job) jobs;
	struct map links; /* device and inode -> first path (heap) */
	struct step_owners owners;
	struct entry dir;		   /* the directory being read: its mode and owner */
	const struct layer_snapshot *from; /* the step ran on a copy; NULL: on an overlay */
	bool same_dir;			   /* the directory being read is one of the copy's */
	size_t listed;			   /* entries that are not only passed through */
	_Atomic size_t next_job;
	atomic_int failed; /* errno of a worker */
};

/* What the xattrs of a node say. */
struct marks {
	bool opaque, whiteout, origin, owned;
	struct owner owner;
	uint8_t capability[ENTRY_CAPABILITY_MAX];
	uint8_t capability_size;
};

/* "/proc/self/fd/<fd>": reaches the node behind an O_PATH descriptor, a symlink's own xattrs are
 * not looked at. */
static void fd_path(int fd, char out[32])
{
	(void)snprintf(out, 32, "/proc/self/fd/%d", fd);
}

/* The kernel gives the v3 form where a root id is recorded; layers carry v2. */
static void read_capability(const char *node, struct marks *m)
{
	ssize_t n = getxattr(node, "security.capability", m->capability, sizeof(m->capability));

	if (n < CAPABILITY_V2)
		return;
	m->capability[3] = CAPABILITY_V2_REVISION;
	m->capability_size = CAPABILITY_V2;
}

static int take_mark(const struct scan *scan, const char *node, const char *name, const char *path,
		     struct marks *m, struct error **err)
{
	const char *prefix = scan->w->s->overlay_prefix, *mark;
	char value[4] = "";

	if (strcmp(name, "security.capability") == 0) {
		read_capability(node, m);
		return 0;
	}
	if (scan->owners.step && strcmp(name, OWNER_MARK_XATTR) == 0) {
		m->owner = owner_mark_read(node);
		m->owned = true;
		return 0;
	}
	mark = strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : NULL;
	if (mark && (strcmp(mark, "redirect") == 0 || strcmp(mark, "metacopy") == 0))
		return error_new(err, ERR_CORRUPT, 0,
				 "'%s' refers to a lower layer: overlayfs was mounted with %s",
				 path, mark);
	if (mark && strcmp(mark, "opaque") == 0 &&
	    getxattr(node, name, value, sizeof(value)) == 1 && value[0] == 'y') {
		m->opaque = true;
		return 0;
	}
	if (mark && strcmp(mark, "whiteout") == 0)
		m->whiteout = true;
	if (mark && strcmp(mark, "origin") == 0)
		m->origin = true;
	/* A layer carries no other xattr. Labels of a security module cannot be removed and do not
	 * count. */
	(void)removexattr(node, name);
	return 0;
}

static int read_marks(const struct scan *scan, const char *node, const char *path,
		      struct marks *ret, struct error **err)
{
	_cleanup_free_ char *names = NULL;
	ssize_t n;

	*ret = (struct marks){0};
	n = listxattr(node, NULL, 0);
	if (n == 0 || (n < 0 && errno == ENOTSUP))
		return 0;
	names = xmalloc(XATTR_NAMES_MAX);
	n = listxattr(node, names, XATTR_NAMES_MAX);
	if (n < 0)
		return error_new(err, ERR_IO, errno, "list the xattrs of '%s'", path);
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		int r = take_mark(scan, node, name, path, ret, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static enum entry_type type_of(const struct stat *st, const struct marks *m)
{
	if (m->whiteout || (S_ISCHR(st->st_mode) && st->st_rdev == 0))
		return ENTRY_WHITEOUT;
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return ENTRY_DIR;
	case S_IFLNK:
		return ENTRY_SYMLINK;
	case S_IFIFO:
		return ENTRY_FIFO;
	case S_IFCHR:
		return ENTRY_CHAR;
	case S_IFBLK:
		return ENTRY_BLOCK;
	default:
		return ENTRY_FILE;
	}
}

static struct entry entry_from(const char *path, const struct stat *st, const struct marks *m)
{
	struct entry e = {
		.path = path,
		.type = type_of(st, m),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim.tv_sec,
		.opaque = m->opaque,
	};

	memcpy(e.capability, m->capability, m->capability_size);
	e.capability_size = m->capability_size;
	return e;
}

static void list(struct scan *scan, const struct entry *e)
{
	index_builder_add(scan->w->index, e);
	scan->listed++;
}

/* Times on disk are those of the index: whole seconds. */
static int clamp_time(int dirfd, const char *name, const struct stat *st, const char *path,
		      struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = st->st_mtim.tv_sec}};

	if (st->st_mtim.tv_nsec == 0)
		return 0;
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_new(err, ERR_IO, errno, "set the time of '%s'", path);
	return 0;
}

static int add_symlink(struct scan *scan, int dirfd, const char *name, struct entry *e,
		       struct error **err)
{
	_cleanup_free_ char *target = xmalloc(4097);
	ssize_t n = readlinkat(dirfd, name, target, 4096);

	if (n < 0)
		return error_new(err, ERR_IO, errno, "read symlink '%s'", e->path);
	target[n] = '\0';
	e->mode = 0777;
	e->link = target;
	list(scan, e);
	return 0;
}

/* The first path of a file in path order is hashed later; others become links to it. */
static void add_file(struct scan *scan, const struct stat *st, struct entry *e)
{
	struct job job;

	if (st->st_nlink > 1) {
		uint64_t key[2] = {st->st_dev, st->st_ino};
		void **slot = map_put(&scan->links, key, sizeof(key));

		if (*slot) {
			e->type = ENTRY_HARDLINK;
			e->link = *slot;
			e->capability_size = 0;
			list(scan, e);
			return;
		}
		*slot = xstrdup(e->path);
	}
	e->size = (uint64_t)st->st_size;
	/* Links join the group of what is in the index, so the file is there before its digest. */
	list(scan, e);
	job = (struct job){.path = xstrdup(e->path), .entry = *e};
	job.entry.path = job.path;
	vec_push(&scan->jobs, job);
}

static int make_whiteout(struct scan *scan, int dirfd, const char *name, struct entry *e,
			 const struct stat *st, struct error **err)
{
	/* The xattr form, as nested overlays write it, becomes the plain one. */
	if (S_ISREG(st->st_mode) &&
	    (unlinkat(dirfd, name, 0) < 0 || mknodat(dirfd, name, S_IFCHR | 0600, 0) < 0))
		return error_new(err, ERR_IO, errno, "make a whiteout of '%s'", e->path);
	e->capability_size = 0;
	e->mode = 0;
	e->uid = e->gid = 0;
	list(scan, e);
	return 0;
}

static int scan_dir(struct scan *scan, int dirfd, struct error **err);

/* Of a copy: nothing in it has changed. */
static int drop_dir(struct scan *scan, int dirfd, const char *name, const char *path,
		    struct error **err)
{
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
		return error_new(err, ERR_IO, errno, "remove the copy of '%s'", path);
	index_builder_remove_tree(scan->w->index, path);
	scan->listed--;
	return 0;
}

static int add_dir(struct scan *scan, int dirfd, const char *name, struct entry *e,
		   const struct stat *st, struct error **err)
{
	bool is_same = scan->from && layer_snapshot_has_dir(scan->from, e->path, st);
	bool outer_is_same = scan->same_dir;
	struct entry outer = scan->dir;
	size_t before = scan->path.n, listed;
	_cleanup_close_ int fd = -1;
	int r;

	e->capability_size = 0;
	list(scan, e);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open directory '%s'", e->path);
	buf_addf(&scan->path, "%s%s", before ? "/" : "", name);
	scan->dir = *e;
	scan->same_dir = is_same;
	listed = scan->listed;
	r = scan_dir(scan, fd, err);
	scan->dir = outer;
	scan->same_dir = outer_is_same;
	buf_truncate(&scan->path, before);
	/* Whiteouts rewritten or sockets dropped inside have touched it. */
	if (r == 0) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					    {.tv_sec = st->st_mtim.tv_sec}};

		if (futimens(fd, times) < 0)
			r = error_new(err, ERR_IO, errno, "set the time of a directory");
	}
	if (r == 0 && scan->from && scan->listed == listed &&
	    layer_snapshot_same_dir(scan->from, e))
		r = drop_dir(scan, dirfd, name, e->path, err);
	return r;
}

/* Where files cannot say themselves whose they are. A copy has not the overlay's signs for what was
 * there before the step and for directories that it made anew, but others that say the same. */
static int set_owner(struct scan *scan, int fd, const char *node, const struct stat *st,
		     const struct marks *m, struct entry *e, struct error **err)
{
	bool copied = m->origin;
	int r;

	if (scan->owners.step && scan->from) {
		copied = layer_snapshot_made(scan->from, fd);
		e->opaque = !layer_snapshot_has_dir(scan->from, e->path, st);
	}
	r = step_owners_apply(&scan->owners, fd, node, m->owned ? &m->owner : NULL, copied,
			      &scan->dir, e, err);
	e->opaque = m->opaque;
	return r;
}

/* What the layers below have in the directory and the step's copy has not. */
static int add_missing(struct scan *scan, int dirfd, const struct strv *names, struct error **err)
{
	_cleanup_strv_ struct strv missing = {0};
	int r = layer_snapshot_missing(scan->from, scan->path.p, names, &missing, err);

	for (size_t i = 0; i < missing.n && r == 0; i++) {
		_cleanup_free_ char *path = path_join(scan->path.p, missing.v[i]);

		r = store_put_whiteout(scan->w->s, dirfd, missing.v[i]);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "make a whiteout of '%s'", path);
		list(scan, &(struct entry){.path = path, .type = ENTRY_WHITEOUT});
	}
	return r;
}

static int add_node(struct scan *scan, int dirfd, const char *name, const char *path,
		    struct error **err)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct marks m = {0};
	char node[32];
	struct entry e;
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_new(err, ERR_IO, errno, "look at '%s'", path);
	if (S_ISSOCK(st.st_mode)) {
		if (unlinkat(dirfd, name, 0) < 0)
			return error_new(err, ERR_IO, errno, "remove the socket '%s'", path);
		return 0;
	}
	if (scan->from && scan->same_dir && !S_ISDIR(st.st_mode) &&
	    layer_snapshot_untouched(scan->from, path, &st)) {
		if (unlinkat(dirfd, name, 0) < 0)
			return error_new(err, ERR_IO, errno, "remove the copy of '%s'", path);
		return 0;
	}
	fd_path(fd, node);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		r = read_marks(scan, node, path, &m, err);
	if (r < 0)
		return r;
	e = entry_from(path, &st, &m);
	r = set_owner(scan, fd, node, &st, &m, &e, err);
	if (r < 0)
		return r;
	if (e.type == ENTRY_WHITEOUT)
		return make_whiteout(scan, dirfd, name, &e, &st, err);
	if (S_ISDIR(st.st_mode))
		return add_dir(scan, dirfd, name, &e, &st, err);
	r = clamp_time(dirfd, name, &st, path, err);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode))
		return add_symlink(scan, dirfd, name, &e, err);
	if (S_ISREG(st.st_mode)) {
		add_file(scan, &st, &e);
		return 0;
	}
	if (e.type != ENTRY_FIFO) {
		e.dev_major = major(st.st_rdev);
		e.dev_minor = minor(st.st_rdev);
	}
	list(scan, &e);
	return 0;
}

static int scan_dir(struct scan *scan, int dirfd, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	struct dirent *de;
	DIR *dir;
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		r = error_new(err, ERR_IO, errno, "read directory '%s'", scan->path.p);
		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	while ((r = fs_next_entry(dir, &de)) > 0)
		strv_push(&names, de->d_name);
	if (r < 0)
		r = error_new(err, ERR_IO, -r, "read directory '%s'", scan->path.p);
	(void)closedir(dir);
	strv_sort(&names);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		_cleanup_free_ char *path =
			xasprintf("%s%s%s", scan->path.p, scan->path.n ? "/" : "", names.v[i]);

		r = layer_writer_canceled(scan->w, err);
		if (r == 0)
			r = layer_writer_check_path(path, err);
		if (r == 0)
			r = layer_writer_check_name(path, err);
		if (r == 0)
			r = add_node(scan, dirfd, names.v[i], path, err);
	}
	return r == 0 && scan->from ? add_missing(scan, dirfd, &names, err) : r;
}

static int hash_job(struct scan *scan, struct job *job)
{
	_cleanup_close_ int fd = fs_open_no_symlinks(scan->w->fs, job->path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	return file_read_digest(fd, scan->w->cancel, &job->entry.content, &job->entry.size);
}

static void *hash_worker(void *data)
{
	struct scan *scan = data;

	for (;;) {
		size_t i = atomic_fetch_add(&scan->next_job, 1);
		int r;

		if (i >= scan->jobs.n || atomic_load(&scan->failed))
			return NULL;
		r = hash_job(scan, &scan->jobs.v[i]);
		if (r < 0)
			atomic_store(&scan->failed, -r);
	}
}

static int hash_all(struct scan *scan, struct error **err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[HASH_THREADS];
	size_t n = 0;

	/* This thread works too; a thread that cannot be started is done without. */
	while (n < HASH_THREADS && (long)n + 1 < cpus && n + 1 < scan->jobs.n &&
	       pthread_create(&threads[n], NULL, hash_worker, scan) == 0)
		n++;
	(void)hash_worker(scan);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	if (scan->failed)
		return error_new(err, ERR_IO, scan->failed, "read the files that a step left");
	for (size_t i = 0; i < scan->jobs.n; i++)
		index_builder_set_content(scan->w->index, scan->jobs.v[i].path,
					  &scan->jobs.v[i].entry.content,
					  scan->jobs.v[i].entry.size);
	return 0;
}

/* The root is not in the index; but what is made in it may take its group. */
static int scan_root(struct scan *scan, struct error **err)
{
	struct marks marks;
	struct stat st;
	char node[32];
	int r;

	fd_path(scan->w->fs, node);
	r = read_marks(scan, node, "", &marks, err);
	if (r < 0)
		return r;
	if (fstat(scan->w->fs, &st) < 0)
		return error_new(err, ERR_IO, errno, "look at the root of a layer");
	scan->dir = entry_from("", &st, &marks);
	r = step_owners_apply(&scan->owners, scan->w->fs, node, marks.owned ? &marks.owner : NULL,
			      false, &scan->dir, &scan->dir, err);
	if (r == 0)
		r = scan_dir(scan, scan->w->fs, err);
	if (r == 0 && scan->from &&
	    futimens(scan->w->fs, (struct timespec[2]){st.st_atim, st.st_mtim}) < 0)
		r = error_new(err, ERR_IO, errno, "set the time of the root of a layer");
	return r;
}

int layer_writer_scan(struct layer_writer *w, const struct layer_step *step,
		      const struct layer_snapshot *from, struct error **err)
{
	struct scan scan = {.w = w, .path = BUF_INIT, .from = from, .same_dir = true};
	_cleanup_free_ char *work = xasprintf("%s/work", w->tmp);
	int r = step_owners_open(&scan.owners, w->s->dirfd, work, step, err);

	if (r == 0)
		r = scan_root(&scan, err);
	if (r == 0)
		r = hash_all(&scan, err);
	for (size_t i = 0; i < scan.jobs.n; i++)
		free(scan.jobs.v[i].path);
	vec_release(&scan.jobs);
	map_release(&scan.links, free);
	step_owners_release(&scan.owners);
	buf_release(&scan.path);
	w->scanned = true;
	return r < 0 ? error_wrap(err, r, "read back what a step wrote") : 0;
}
