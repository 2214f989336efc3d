/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/source/context_local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file_read.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/path.h"
#include "base/pattern.h"
#include "base/times.h"
#include "base/vec.h"
#include "engine/source/context_scan.h"
#include "store/statindex.h"

enum {
	CHANGED_TRIES = 3,     /* how often a file that changes under our hands is read */
	MESSAGE_OVERHEAD = 24, /* what one path costs beside its name when it is announced */
};

/* What is known of a node beyond the scan. */
struct node_state {
	const struct digest *content; /* of the file as the node describes it; NULL: not known */
	uint32_t group;		      /* of hard links, 0: none */
};

struct context {
	struct tree base;
	struct store *store;
	char *dir; /* absolute */
	int rootfd;
	struct pattern_list *excludes;	  /* NULL: none */
	const struct ignore_file *ignore; /* what they come from; may be NULL */
	struct scan scan;
	struct node_state *states; /* one per node */
	struct statindex *index;
	bool whole;	      /* everything was scanned: `followed` is empty */
	struct strv followed; /* the paths that were scanned, sorted */
	int64_t scanned;      /* when the scan began, ns */
	/* Protects the states' content, the nodes' stat data, learned and dirty. */
	pthread_mutex_t lock;
	struct arena learned; /* digests that the stat index does not have */
	bool dirty;	      /* something became known that the stat index does not have */
	bool normalize;	      /* modes, see context_normalize_modes */
};

static struct context *context_of(struct tree *t)
{
	return (struct context *)t;
}

static bool is_file(const struct scan_node *n)
{
	return S_ISREG(n->mode) || S_ISSOCK(n->mode);
}

static enum entry_type entry_type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return ENTRY_DIR;
	case S_IFLNK:
		return ENTRY_SYMLINK;
	case S_IFCHR:
		return ENTRY_CHAR;
	case S_IFBLK:
		return ENTRY_BLOCK;
	case S_IFIFO:
		return ENTRY_FIFO;
	default:
		return ENTRY_FILE; /* a socket becomes an empty file */
	}
}

static int64_t seconds_of(int64_t ns)
{
	return ns / NS_PER_S - (ns % NS_PER_S < 0);
}

static void node_entry(struct context *c, size_t i, struct entry *ret)
{
	const struct scan_node *n = c->scan.nodes[i];

	*ret = (struct entry){.path = n->path,
			      .type = entry_type_of(n->mode),
			      .mode = n->mode & 07777,
			      .link = n->extra->link};
	if (c->normalize && ret->type != ENTRY_SYMLINK)
		ret->mode = ret->type == ENTRY_DIR || (n->mode & 0111) ? 0755 : 0644;
	if (ret->type == ENTRY_CHAR || ret->type == ENTRY_BLOCK) {
		ret->dev_major = n->extra->dev_major;
		ret->dev_minor = n->extra->dev_minor;
	}
	memcpy(ret->capability, n->extra->capability, n->extra->capability_size);
	ret->capability_size = n->extra->capability_size;
	(void)pthread_mutex_lock(&c->lock);
	ret->size = n->size;
	ret->mtime = seconds_of(n->mtime);
	if (c->states[i].content)
		ret->content = *c->states[i].content;
	(void)pthread_mutex_unlock(&c->lock);
}

/* First position whose path is >= `path`. */
static size_t lower_bound(const struct context *c, const char *path)
{
	size_t low = 0, high = c->scan.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (path_compare(c->scan.nodes[mid]->path, path) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool find_node(const struct context *c, const char *path, size_t *ret)
{
	size_t i = lower_bound(c, path);

	if (i == c->scan.n || strcmp(c->scan.nodes[i]->path, path) != 0)
		return false;
	*ret = i;
	return true;
}

static bool context_get(struct tree *t, const char *path, struct entry *ret, uint64_t *ret_group)
{
	struct context *c = context_of(t);
	size_t i;

	if (!find_node(c, path, &i))
		return false;
	node_entry(c, i, ret);
	*ret_group = c->states[i].group;
	return true;
}

static int context_walk(struct tree *t, const char *path, tree_visit_fn visit, void *data,
			struct error **err)
{
	struct context *c = context_of(t);
	size_t i;

	if (!find_node(c, path, &i))
		return error_new(err, ERR_NOTFOUND, 0, "'/%s' is not in the build context", path);
	while (i < c->scan.n && path_within(c->scan.nodes[i]->path, path)) {
		const char *at = c->scan.nodes[i]->path;
		struct entry e;
		int r;

		node_entry(c, i, &e);
		r = visit(data, &e, c->states[i].group, err);
		if (r != 0 && !(r == TREE_SKIP && e.type == ENTRY_DIR))
			return r == TREE_SKIP ? 0 : r;
		i++;
		while (r == TREE_SKIP && i < c->scan.n && path_within(c->scan.nodes[i]->path, at))
			i++;
	}
	return 0;
}

static int64_t timespec_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * NS_PER_S + t->tv_nsec;
}

static bool same_file(const struct scan_node *n, const struct stat *st)
{
	return n->size == (uint64_t)st->st_size && n->ino == st->st_ino &&
	       n->mtime == timespec_ns(&st->st_mtim) && n->ctime == timespec_ns(&st->st_ctim);
}

/* Remembers what the file is now; what was known of its bytes is void if that differs. */
static void update_node(struct context *c, size_t i, const struct stat *st)
{
	struct scan_node *n = c->scan.nodes[i];

	if (same_file(n, st))
		return;
	n->size = (uint64_t)st->st_size;
	n->ino = st->st_ino;
	n->mtime = timespec_ns(&st->st_mtim);
	n->ctime = timespec_ns(&st->st_ctim);
	c->states[i].content = NULL;
}

static void learn(struct context *c, size_t i, const struct digest *content)
{
	struct digest *kept;

	if (c->states[i].content)
		return;
	kept = ARENA_NEW(&c->learned, struct digest);
	*kept = *content;
	c->states[i].content = kept;
	c->dirty = true;
}

static int open_node(struct context *c, size_t i, struct error **err)
{
	const struct scan_node *n = c->scan.nodes[i];
	int fd;

	if (!S_ISREG(n->mode)) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return fd < 0 ? error_new(err, ERR_IO, errno, "open '/dev/null'") : fd;
	}
	fd = fs_open_no_symlinks(c->rootfd, n->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s/%s'", c->dir, n->path);
	return fd;
}

static int context_open_file(struct tree *t, const struct entry *e, struct error **err)
{
	struct context *c = context_of(t);
	size_t i;

	if (!find_node(c, e->path, &i))
		return error_new(err, ERR_NOTFOUND, 0, "'/%s' is not in the build context",
				 e->path);
	return open_node(c, i, err);
}

static bool context_still(struct tree *t, const struct entry *e, int fd,
			  const struct digest *content)
{
	struct context *c = context_of(t);
	struct stat st;
	bool still;
	size_t i;

	if (!find_node(c, e->path, &i) || !S_ISREG(c->scan.nodes[i]->mode))
		return true;
	if (fstat(fd, &st) < 0)
		return false;
	(void)pthread_mutex_lock(&c->lock);
	still = same_file(c->scan.nodes[i], &st);
	if (!still)
		update_node(c, i, &st);
	else if (content)
		learn(c, i, content);
	(void)pthread_mutex_unlock(&c->lock);
	return still;
}

static int hash_node(struct context *c, size_t i, struct digest *ret, struct error **err)
{
	_cleanup_close_ int fd = open_node(c, i, err);
	struct stat before, after;

	if (fd < 0)
		return fd;
	for (unsigned k = 0; k < CHANGED_TRIES; k++) {
		int r;

		if (fstat(fd, &before) < 0 || lseek(fd, 0, SEEK_SET) < 0)
			r = -errno;
		else
			r = file_read_digest(fd, store_cancel(c->store), ret, NULL);
		if (r == 0 && fstat(fd, &after) < 0)
			r = -errno;
		if (r < 0)
			return error_new(err, ERR_IO, -r, "read '%s/%s'", c->dir,
					 c->scan.nodes[i]->path);
		if (before.st_size != after.st_size ||
		    timespec_ns(&before.st_mtim) != timespec_ns(&after.st_mtim) ||
		    timespec_ns(&before.st_ctim) != timespec_ns(&after.st_ctim))
			continue;
		(void)pthread_mutex_lock(&c->lock);
		update_node(c, i, &after);
		learn(c, i, ret);
		(void)pthread_mutex_unlock(&c->lock);
		return 0;
	}
	return error_new(err, ERR_BUSY, 0, "'%s/%s' keeps changing while it is read", c->dir,
			 c->scan.nodes[i]->path);
}

static int context_content(struct tree *t, const struct entry *e, struct digest *ret,
			   struct error **err)
{
	struct context *c = context_of(t);
	bool known;
	size_t i;

	if (!find_node(c, e->path, &i) || !is_file(c->scan.nodes[i]))
		return error_new(err, ERR_NOTFOUND, 0, "'/%s' is not a file in the build context",
				 e->path);
	if (!S_ISREG(c->scan.nodes[i]->mode)) {
		*ret = digest_of("", 0);
		return 0;
	}
	(void)pthread_mutex_lock(&c->lock);
	known = c->states[i].content != NULL;
	if (known)
		*ret = *c->states[i].content;
	(void)pthread_mutex_unlock(&c->lock);
	return known ? 0 : hash_node(c, i, ret, err);
}

/* --- The stat index --- */

static void node_record(const struct scan_node *n, struct statindex_record *ret)
{
	*ret = (struct statindex_record){.path = n->path,
					 .size = n->size,
					 .dev = n->dev,
					 .ino = n->ino,
					 .mtime = n->mtime,
					 .ctime = n->ctime,
					 .mode = n->mode};
}

/* What the new stat index is to hold: nodes of this scan, and records of the old index for places
 * that it did not look at. */
struct records {
	struct context *c;
	VEC(uint32_t) list; /* the number of a node, or OLD and that of an old record */
};

#define OLD UINT32_C(0x80000000)

static void get_record(void *data, size_t n, struct statindex_record *ret)
{
	struct records *r = data;
	uint32_t at = r->list.v[n];

	if (at & OLD) {
		statindex_record(r->c->index, at & ~OLD, ret);
		return;
	}
	node_record(r->c->scan.nodes[at], ret);
	ret->content = *r->c->states[at].content;
}

/* Did this scan look at the place where `path` is, or was? */
static bool was_scanned(const struct context *c, const char *path)
{
	size_t low = 0, high = c->followed.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (path_compare(c->followed.v[mid], path) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return c->whole || (low > 0 && path_within(path, c->followed.v[low - 1]));
}

/* Adds the old records before `path` (NULL: all that are left) that this scan did not look at. */
static void keep_old(const struct context *c, struct records *r, size_t *old, const char *path)
{
	struct statindex_record record;

	for (; *old < statindex_count(c->index); (*old)++) {
		int order;

		statindex_record(c->index, *old, &record);
		order = path ? path_compare(record.path, path) : -1;
		if (order > 0)
			return;
		if (order < 0 && !was_scanned(c, record.path))
			vec_push(&r->list, OLD | (uint32_t)*old);
	}
}

static void save_index(struct context *c)
{
	struct records records = {.c = c};
	size_t old = 0;

	if (c->scan.n >= OLD || statindex_count(c->index) >= OLD)
		return;
	for (size_t i = 0; i < c->scan.n; i++) {
		if (!S_ISREG(c->scan.nodes[i]->mode))
			continue;
		keep_old(c, &records, &old, c->scan.nodes[i]->path);
		if (c->states[i].content)
			vec_push(&records.list, (uint32_t)i);
	}
	keep_old(c, &records, &old, NULL);
	/* Without it the next build only takes longer. */
	(void)!statindex_save(c->store, c->dir, records.list.n, get_record, &records, c->scanned,
			      NULL);
	vec_release(&records.list);
}

static void context_free(struct tree *t)
{
	struct context *c = context_of(t);

	if (c->dirty)
		save_index(c);
	statindex_free(c->index);
	scan_release(&c->scan);
	pattern_list_free(c->excludes);
	arena_release(&c->learned);
	strv_release(&c->followed);
	free(c->states);
	free(c->dir);
	if (c->rootfd >= 0)
		(void)close(c->rootfd);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

static void context_names(struct tree *t, const char *dir, struct strv *ret)
{
	int fd = fs_open_no_symlinks(context_of(t)->rootfd, dir, O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	/* For a hint alone. */
	while (d && fs_next_entry(d, &de) > 0)
		strv_push(ret, de->d_name);
	if (d)
		(void)closedir(d);
	else if (fd >= 0)
		(void)close(fd);
}

static char *context_leaves_out(struct tree *t, const char *path)
{
	const struct context *c = context_of(t);
	const char *pattern = c->excludes ? pattern_list_match(c->excludes, path) : NULL;
	unsigned line = 0;

	if (pattern && c->ignore && c->ignore->name)
		line = ignorefile_line(c->ignore->text, c->ignore->n, pattern);
	if (!pattern)
		return NULL;
	return line > 0 ? xasprintf("line %u of %s (\"%s\")", line, c->ignore->name, pattern)
			: xasprintf("\"%s\" in .dockerignore", pattern);
}

static const char *context_place(struct tree *t)
{
	return context_of(t)->dir;
}

static const struct tree_ops context_ops = {
	.get = context_get,
	.walk = context_walk,
	.content = context_content,
	.open = context_open_file,
	.still = context_still,
	.names = context_names,
	.leaves_out = context_leaves_out,
	.place = context_place,
	.free = context_free,
};

/* --- Opening
 * -------------------------------------------------------------------------------------- */

/* Looks every file up in the stat index, numbers hard links, and counts what a client would
 * send. */
static uint64_t fill_states(struct context *c)
{
	struct map links = MAP_INIT;
	uint64_t bytes = 0;
	uint32_t next = 1;
	size_t old = 0;

	for (size_t i = 0; i < c->scan.n; i++) {
		const struct scan_node *n = c->scan.nodes[i];
		struct node_state *state = &c->states[i];
		struct statindex_record want;

		bytes += strlen(n->path) + MESSAGE_OVERHEAD;
		if (!S_ISREG(n->mode))
			continue;
		node_record(n, &want);
		state->content = statindex_find_next(c->index, &old, &want);
		if (!state->content)
			bytes += n->size;
		if (n->nlink > 1) {
			const uint64_t key[2] = {n->dev, n->ino};
			void **slot = map_put(&links, key, sizeof(key));

			if (!*slot)
				*slot = (void *)(uintptr_t)next++;
			state->group = (uint32_t)(uintptr_t)*slot;
		}
	}
	map_release(&links, NULL);
	return bytes;
}

static int scan_context(struct context *c, const struct strv *excludes, const struct strv *follow,
			struct cancel *cancel, struct error **err)
{
	struct scan_options o = {.cancel = cancel};
	struct stat st;
	bool all = true;
	int r;

	/* A store below the context would grow with every build of itself. */
	if (fstat(store_dirfd(c->store), &st) == 0) {
		o.skip_dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
		o.skip_ino = st.st_ino;
	}

	if (excludes && excludes->n > 0) {
		r = pattern_list_new(excludes, &c->excludes, err);
		if (r < 0)
			return r;
		o.excludes = c->excludes;
	}
	if (follow) {
		r = context_follow(c->rootfd, follow, &c->followed, &all, err);
		if (r < 0)
			return r;
		if (!all)
			o.follow = &c->followed;
	}
	c->whole = all;
	c->scanned = times_now_ns();
	return context_scan(c->rootfd, c->dir, &o, &c->scan, err);
}

int context_open(struct store *s, const char *dir, const struct strv *excludes,
		 const struct strv *follow, struct job *job, struct tree **ret, struct error **err)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct context *c = NEW(struct context);
	uint64_t bytes;
	int r;

	tree = &c->base;
	c->base = (struct tree){.ops = &context_ops, .refs = 1, .is_context = true};
	c->store = s;
	(void)pthread_mutex_init(&c->lock, NULL);
	c->rootfd = fs_open_dir(AT_FDCWD, dir);
	c->dir = realpath(dir, NULL);
	if (c->rootfd < 0 || !c->dir) {
		r = c->rootfd < 0 ? -c->rootfd : errno;
		if (r == ENOENT)
			return error_new(err, ERR_NOTFOUND, 0,
					 "unable to prepare context: path \"%s\" not found", dir);
		return error_new(err, ERR_IO, r, "open the build context '%s'", dir);
	}
	r = scan_context(c, excludes, follow, job ? job_cancel(job) : NULL, err);
	if (r < 0)
		return r;
	c->index = statindex_open(s, c->dir);
	c->states = xcalloc(c->scan.n, sizeof(*c->states));
	bytes = fill_states(c);
	if (job)
		job_status(job, "transferring context:", bytes, 0, true);
	*ret = TAKE_PTR(tree);
	return 0;
}

void context_normalize_modes(struct tree *t)
{
	context_of(t)->normalize = true;
}

void context_explain_ignored(struct tree *t, const struct ignore_file *file)
{
	context_of(t)->ignore = file;
}
