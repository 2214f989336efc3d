/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/source/context_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/parallel.h"
#include "base/path.h"
#include "base/pattern.h"
#include "base/times.h"
#include "base/vec.h"

enum {
	SCAN_THREADS_MAX = 8,
	CAPABILITY_V2_SIZE = 20, /* linux/capability.h: struct vfs_cap_data */
	CAPABILITY_V3_SIZE = 24,
};

struct scan_dir;

struct scan_item {
	struct scan_node *node;
	struct scan_dir *dir; /* of a directory that is read too */
	bool excluded;	      /* a directory that stays only if something below it does */
};

struct scan_dir {
	struct scan_dir *next; /* in the queue */
	const char *path;      /* "" is the root */
	bool covered;	       /* all that is below is followed */
	VEC(struct scan_item) items;
};

struct scanner {
	int rootfd;
	const char *name;
	const struct scan_options *o;
	pthread_mutex_t lock; /* protects queue, open, found, r, err */
	pthread_cond_t changed;
	struct scan_dir *queue;
	size_t open;  /* directories queued or being read */
	size_t found; /* items of directories that were read */
	int r;
	struct error *err;
};

struct worker {
	struct scanner *scanner;
	struct arena *arena;
};

/* --- What is wanted --- */

enum want { WANT_NONE, WANT_LEADS /* to something that is wanted */, WANT_ALL };

static enum want wanted(const struct scanner *s, const char *path)
{
	const struct strv *follow = s->o->follow;
	size_t low = 0, high = follow ? follow->n : 0;

	if (!follow)
		return WANT_ALL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (path_compare(follow->v[mid], path) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < follow->n && strcmp(follow->v[low], path) == 0)
		return WANT_ALL;
	if (low < follow->n && path_within(follow->v[low], path))
		return WANT_LEADS;
	return WANT_NONE;
}

/* --- One directory --- */

static int64_t statx_ns(const struct statx_timestamp *t)
{
	return t->tv_sec * NS_PER_S + t->tv_nsec;
}

/* Only what is executable can use a capability; asking for all files would double the
 * system calls. */
static void read_capability(int dirfd, const char *name, mode_t mode, struct scan_extra *ret)
{
	_cleanup_free_ char *path = NULL;
	uint8_t data[ENTRY_CAPABILITY_MAX];
	ssize_t n;

	if (!S_ISREG(mode) || !(mode & 0111))
		return;
	path = xasprintf("/proc/self/fd/%d/%s", dirfd, name);
	n = lgetxattr(path, "security.capability", data, sizeof(data));
	if (n != CAPABILITY_V2_SIZE && n != CAPABILITY_V3_SIZE)
		return;
	/* Layers carry the v2 form: no owner of a user namespace. The revision is the top byte of a
	 * little-endian word. */
	data[3] = 2;
	memcpy(ret->capability, data, CAPABILITY_V2_SIZE);
	ret->capability_size = CAPABILITY_V2_SIZE;
}

/* All but the path and what a node may point to. */
static struct scan_node node_of(const struct statx *stx)
{
	return (struct scan_node){
		.size = S_ISREG(stx->stx_mode) ? stx->stx_size : 0,
		.dev = (uint64_t)stx->stx_dev_major << 32 | stx->stx_dev_minor,
		.ino = stx->stx_ino,
		.mtime = statx_ns(&stx->stx_mtime),
		.ctime = statx_ns(&stx->stx_ctime),
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
	};
}

/* Shared by all nodes that have nothing of it. */
static const struct scan_extra no_extra;

static const struct scan_extra *keep_extra(struct worker *w, const struct scan_extra *extra)
{
	struct scan_extra *kept;

	if (!extra->link && !extra->dev_major && !extra->dev_minor && !extra->capability_size)
		return &no_extra;
	kept = ARENA_NEW(w->arena, struct scan_extra);
	*kept = *extra;
	return kept;
}

/* *ret = NULL if it is gone. */
static int read_node(struct worker *w, int dirfd, const char *name, const char *path,
		     struct scan_node **ret)
{
	unsigned mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_SIZE | STATX_MTIME |
			STATX_CTIME | STATX_INO;
	struct scan_extra extra = {0};
	struct scan_node *node;
	struct statx stx;

	*ret = NULL;
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, mask, &stx) < 0)
		return errno == ENOENT ? 0 : -errno;
	extra.dev_major = stx.stx_rdev_major;
	extra.dev_minor = stx.stx_rdev_minor;
	if (S_ISLNK(stx.stx_mode)) {
		char target[PATH_MAX];
		ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

		if (n < 0)
			return errno == ENOENT || errno == EINVAL ? 0 : -errno;
		extra.link = arena_strndup(w->arena, target, (size_t)n);
	}
	read_capability(dirfd, name, stx.stx_mode, &extra);
	node = ARENA_NEW(w->arena, struct scan_node);
	*node = node_of(&stx);
	node->extra = keep_extra(w, &extra);
	node->path = arena_strdup(w->arena, path);
	*ret = node;
	return 0;
}

/* Adds one name of a directory; *ret_sub is set if it is a directory to be read. */
static int add_name(struct worker *w, struct scan_dir *dir, int dirfd, const struct dirent *de,
		    struct scan_dir **ret_sub, struct error **err)
{
	struct scanner *s = w->scanner;
	_cleanup_free_ char *path =
		*dir->path ? xasprintf("%s/%s", dir->path, de->d_name) : xstrdup(de->d_name);
	enum want want = dir->covered ? WANT_ALL : wanted(s, path);
	struct scan_item item = {0};
	bool is_dir;
	int r;

	*ret_sub = NULL;
	if (want == WANT_NONE)
		return 0;
	item.excluded = s->o->excludes && pattern_list_matches(s->o->excludes, path);
	if (item.excluded && !pattern_list_may_reinclude(s->o->excludes, path))
		return 0;
	r = read_node(w, dirfd, de->d_name, path, &item.node);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read '%s/%s'", s->name, path);
	is_dir = item.node && S_ISDIR(item.node->mode);
	if (!item.node || (!is_dir && (item.excluded || want == WANT_LEADS)))
		return 0;
	if (is_dir && item.node->ino == s->o->skip_ino && item.node->dev == s->o->skip_dev)
		return 0;
	if (is_dir) {
		item.dir = arena_alloc(w->arena, sizeof(*item.dir));
		item.dir->path = item.node->path;
		item.dir->covered = want == WANT_ALL;
		*ret_sub = item.dir;
	}
	vec_push(&dir->items, item);
	return 0;
}

static void enqueue(struct scanner *s, struct scan_dir *dir)
{
	(void)pthread_mutex_lock(&s->lock);
	dir->next = s->queue;
	s->queue = dir;
	s->open++;
	(void)pthread_cond_signal(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

static int compare_items(const void *a, const void *b)
{
	const struct scan_item *x = a, *y = b;

	return path_compare(x->node->path, y->node->path);
}

static int scan_one(struct worker *w, struct scan_dir *dir, struct error **err)
{
	struct scanner *s = w->scanner;
	int fd = fs_open_no_symlinks(s->rootfd, dir->path, O_RDONLY | O_DIRECTORY, 0);
	struct dirent *de;
	int dfd, r = 0, more = 0;
	DIR *d;

	if (fd == -ENOENT && *dir->path)
		return 0;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = fd < 0 ? fd : -errno;
		if (fd >= 0)
			(void)close(fd);
		return error_new(err, ERR_IO, -r, "read '%s/%s'", s->name, dir->path);
	}
	dfd = dirfd(d);
	while (r == 0 && (more = fs_next_entry(d, &de)) > 0) {
		struct scan_dir *sub;

		if (cancel_is_set(s->o->cancel)) {
			r = error_new(err, ERR_CANCELED, 0, "canceled");
			break;
		}
		r = add_name(w, dir, dfd, de, &sub, err);
		if (r == 0 && sub)
			enqueue(s, sub);
	}
	(void)closedir(d);
	if (more < 0)
		r = error_new(err, ERR_IO, -more, "read '%s/%s'", s->name, dir->path);
	if (dir->items.n > 1)
		qsort(dir->items.v, dir->items.n, sizeof(*dir->items.v), compare_items);
	return r;
}

/* --- The walk --- */

static void *scan_work(void *data)
{
	struct worker *w = data;
	struct scanner *s = w->scanner;

	(void)pthread_mutex_lock(&s->lock);
	while (s->open > 0) {
		struct scan_dir *dir = s->queue;
		struct error *err = NULL;
		int r = 0;

		if (!dir) {
			(void)pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		s->queue = dir->next;
		/* After a failure the queue is only emptied. */
		if (s->r == 0) {
			(void)pthread_mutex_unlock(&s->lock);
			r = scan_one(w, dir, &err);
			(void)pthread_mutex_lock(&s->lock);
		}
		if (r < 0 && s->r == 0) {
			s->r = r;
			s->err = TAKE_PTR(err);
		}
		error_free(err);
		s->found += dir->items.n;
		if (--s->open == 0)
			(void)pthread_cond_broadcast(&s->changed);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Reads the root and all that is below it. */
static void scan_all(struct scanner *s, struct scan_dir *root, struct arena *arenas, unsigned n)
{
	pthread_t threads[SCAN_THREADS_MAX];
	struct worker workers[SCAN_THREADS_MAX];
	unsigned started = 0;

	enqueue(s, root);
	for (unsigned i = 0; i < n; i++)
		workers[i] = (struct worker){.scanner = s, .arena = &arenas[i]};
	for (unsigned i = 1; i < n; i++) {
		if (pthread_create(&threads[started], NULL, scan_work, &workers[i]) == 0)
			started++;
	}
	(void)scan_work(&workers[0]);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
}

/* --- The sorted list --- */

struct flat {
	VEC(struct scan_node *) nodes;
};

/* Appends what is below `dir` in order, for which there is room, and frees it. Excluded directories
 * with nothing below them are left out. */
static void flatten(struct flat *f, struct scan_dir *dir)
{
	for (size_t i = 0; i < dir->items.n; i++) {
		struct scan_item *item = &dir->items.v[i];
		size_t before = f->nodes.n;

		f->nodes.v[f->nodes.n++] = item->node;
		if (item->dir)
			flatten(f, item->dir);
		if (item->excluded && f->nodes.n == before + 1)
			f->nodes.n = before;
	}
	vec_release(&dir->items);
}

void scan_release(struct scan *s)
{
	free(s->nodes);
	for (size_t i = 0; i < s->n_arenas; i++)
		arena_release(&s->arenas[i]);
	free(s->arenas);
	*s = (struct scan){0};
}

int context_scan(int rootfd, const char *dir, const struct scan_options *o, struct scan *ret,
		 struct error **err)
{
	struct scanner s = {.rootfd = rootfd,
			    .name = dir,
			    .o = o,
			    .lock = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER};
	unsigned cores = parallel_threads();
	unsigned n = cores < SCAN_THREADS_MAX ? cores : SCAN_THREADS_MAX;
	struct scan_dir root = {.path = "", .covered = !o->follow};
	struct scan scan = {.arenas = xcalloc(n, sizeof(*scan.arenas)), .n_arenas = n};
	struct worker w = {.scanner = &s, .arena = &scan.arenas[0]};
	struct scan_node *root_node;
	struct flat flat = {0};
	int r;

	r = read_node(&w, rootfd, ".", "", &root_node);
	if (r < 0 || !root_node) {
		scan_release(&scan);
		return error_new(err, ERR_IO, r < 0 ? -r : ENOENT, "read '%s'", dir);
	}
	scan_all(&s, &root, scan.arenas, n);
	vec_reserve(&flat.nodes, s.found + 1);
	vec_push(&flat.nodes, root_node);
	flatten(&flat, &root);
	scan.nodes = flat.nodes.v;
	scan.n = flat.nodes.n;
	if (s.r < 0) {
		scan_release(&scan);
		if (err)
			*err = s.err;
		else
			error_free(s.err);
		return s.r;
	}
	*ret = scan;
	return 0;
}
