#include "engine/layer_tar.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/map.h"
#include "base/path.h"
#include "base/strv.h"
#include "base/vec.h"
#include "store/index.h"

#define OPAQUE_MARK ".wh..wh..opq"
#define WHITEOUT_PREFIX ".wh."

/* One line of the difference: an entry of the index, or a whiteout that an opaque directory
 * implies. */
struct item {
	const char *path;
	int64_t position; /* in the index; -1: a whiteout */
	bool keep;
};

struct layer_tar {
	struct store *s;
	const struct layer_tar_options *o;
	struct index *index;
	int dirfd;
	VEC(struct item) items;
	struct strv implied;	   /* owns the paths of implied whiteouts */
	struct map first_of_group; /* path that carries a file -> the name it was first written
				      under */
	struct tar_writer w;
};

static void layer_tar_release(struct layer_tar *t)
{
	index_unref(t->index);
	cleanup_closep(&t->dirfd);
	vec_release(&t->items);
	strv_release(&t->implied);
	map_release(&t->first_of_group, NULL);
}

/* The entry that carries a file's attributes and bytes: itself, or what a hard link names. */
static int carrier(const struct index *index, const struct entry *e, struct entry *ret,
		   struct error **err)
{
	struct entry at = *e;

	for (unsigned hops = 0; at.type == ENTRY_HARDLINK; hops++) {
		int64_t n = at.link ? index_find(index, at.link) : -1;

		if (n < 0 || hops > 16)
			return error_new(err, ERR_CORRUPT, 0, "hard link '%s' leads nowhere",
					 e->path);
		index_entry(index, (size_t)n, &at);
	}
	*ret = at;
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Would a walk of both trees call them the same? Times of directories do not count. */
static bool is_unchanged(const struct entry *a, const struct entry *b)
{
	if (a->type != b->type || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return false;
	if (a->capability_size != b->capability_size ||
	    memcmp(a->capability, b->capability, a->capability_size) != 0)
		return false;
	if (a->type == ENTRY_DIR)
		return true;
	if (a->mtime != b->mtime)
		return false;
	switch (a->type) {
	case ENTRY_FILE:
		return a->size == b->size && digest_equal(&a->content, &b->content);
	case ENTRY_SYMLINK:
		return same_text(a->link, b->link);
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
	default:
		return true;
	}
}

struct hidden_walk {
	struct layer_tar *t;
	const char *root;
};

/* Below an opaque directory: what exists below and not in this layer needs a whiteout. */
static int add_hidden(void *data, const struct rootfs_node *node, struct error **err)
{
	struct hidden_walk *walk = data;
	struct layer_tar *t = walk->t;
	int64_t n = index_find(t->index, node->entry.path);
	int skip = node->entry.type == ENTRY_DIR ? ROOTFS_SKIP : 0;
	struct entry here = {0};

	(void)err;
	if (strcmp(node->entry.path, walk->root) == 0)
		return 0;
	if (n >= 0)
		index_entry(t->index, (size_t)n, &here);
	if (n < 0 || here.type == ENTRY_WHITEOUT) {
		strv_push(&t->implied, node->entry.path);
		vec_push(&t->items,
			 (struct item){.path = t->implied.v[t->implied.n - 1], .position = -1});
		return skip;
	}
	return here.type == ENTRY_DIR ? 0 : skip;
}

static int compare_items(const void *a, const void *b)
{
	return path_compare(((const struct item *)a)->path, ((const struct item *)b)->path);
}

/* Lists the subtree of an opaque directory that something below exists for. */
static int list_opaque(struct layer_tar *t, const char *path, size_t from, size_t to,
		       struct error **err)
{
	struct hidden_walk walk = {.t = t, .root = path};
	size_t first = t->items.n;
	int r;

	for (size_t i = from; i < to; i++) {
		struct entry e;

		index_entry(t->index, i, &e);
		if (e.type != ENTRY_WHITEOUT)
			vec_push(&t->items, (struct item){.path = e.path, .position = (int64_t)i});
	}
	r = rootfs_walk(t->o->below, path, add_hidden, &walk, err);
	if (r < 0)
		return r;
	qsort(t->items.v + first, t->items.n - first, sizeof(struct item), compare_items);
	return 0;
}

static int list_items(struct layer_tar *t, struct error **err)
{
	size_t n = index_count(t->index), i = 0;

	while (i < n) {
		struct rootfs_node node;
		struct entry e;
		size_t end = index_skip_subtree(t->index, i);
		int r;

		index_entry(t->index, i, &e);
		if (e.path[0] != '\0')
			vec_push(&t->items, (struct item){.path = e.path, .position = (int64_t)i});
		i++;
		if (!e.opaque || !t->o->below || !rootfs_get(t->o->below, e.path, &node) ||
		    node.entry.type != ENTRY_DIR)
			continue;
		r = list_opaque(t, e.path, i, end, err);
		if (r < 0)
			return r;
		i = end;
	}
	return 0;
}

static int item_differs(struct layer_tar *t, const struct item *item, bool *ret, struct error **err)
{
	struct rootfs_node node;
	struct entry e, full;
	bool exists;
	int r;

	*ret = true;
	if (item->position < 0 || !t->o->below)
		return 0;
	index_entry(t->index, (size_t)item->position, &e);
	exists = rootfs_get(t->o->below, e.path, &node);
	if (e.type == ENTRY_WHITEOUT) {
		*ret = exists;
		return 0;
	}
	r = carrier(t->index, &e, &full, err);
	if (r < 0)
		return r;
	*ret = !exists || !is_unchanged(&full, &node.entry);
	return 0;
}

/* From the end, so that a directory knows whether anything in it is written. */
static int mark_kept(struct layer_tar *t, struct error **err)
{
	const struct item *next = NULL;

	for (size_t i = t->items.n; i-- > 0;) {
		struct item *item = &t->items.v[i];
		int r = item_differs(t, item, &item->keep, err);

		if (r < 0)
			return r;
		if (!item->keep && next && path_within(next->path, item->path))
			item->keep = true;
		if (item->keep)
			next = item;
	}
	return 0;
}

void layer_tar_header(const struct entry *e, const char *name, struct tar_header *ret)
{
	static const enum tar_type types[] = {
		[ENTRY_FILE] = TAR_FILE,	 [ENTRY_DIR] = TAR_DIR,
		[ENTRY_SYMLINK] = TAR_SYMLINK,	 [ENTRY_CHAR] = TAR_CHAR,
		[ENTRY_BLOCK] = TAR_BLOCK,	 [ENTRY_FIFO] = TAR_FIFO,
		[ENTRY_HARDLINK] = TAR_HARDLINK, [ENTRY_WHITEOUT] = TAR_FILE,
	};

	*ret = (struct tar_header){
		.type = types[e->type],
		.name = name,
		.mode = e->type == ENTRY_SYMLINK ? 0777 : e->mode & 07777,
		.uid = e->uid,
		.gid = e->gid,
		.size = e->type == ENTRY_FILE ? e->size : 0,
		.mtime = e->mtime,
	};
	if (e->type == ENTRY_SYMLINK || e->type == ENTRY_HARDLINK)
		ret->link = e->link;
	if (e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK) {
		ret->dev_major = e->dev_major;
		ret->dev_minor = e->dev_minor;
	}
	if (e->capability_size > 0) {
		ret->capability = e->capability;
		ret->capability_size = e->capability_size;
	}
}

/* A whiteout is an empty file without owner or time. */
static int write_whiteout(struct layer_tar *t, const char *dir, size_t dir_size, const char *prefix,
			  const char *base, struct error **err)
{
	_cleanup_free_ char *name =
		xasprintf("%.*s%s%s%s", (int)dir_size, dir, dir_size > 0 ? "/" : "", prefix, base);
	struct tar_header h = {.type = TAR_FILE, .name = name};

	return tar_write_header(&t->w, &h, err);
}

static int write_whiteout_of(struct layer_tar *t, const char *path, struct error **err)
{
	const char *base = path_base(path);
	size_t dir_size = base == path ? 0 : (size_t)(base - path) - 1;

	return write_whiteout(t, path, dir_size, WHITEOUT_PREFIX, base, err);
}

static int write_bytes(struct layer_tar *t, const char *path, struct error **err)
{
	_cleanup_close_ int fd = fs_open_no_symlinks(t->dirfd, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s'", path);
	return tar_write_fd(&t->w, fd, path, err);
}

/* Writes an entry other than a whiteout. The first name of a hard-link group carries the bytes. */
static int write_entry(struct layer_tar *t, const struct entry *e, struct error **err)
{
	_cleanup_free_ char *name =
		e->type == ENTRY_DIR ? xasprintf("%s/", e->path) : xstrdup(e->path);
	struct tar_header h;
	struct entry full;
	void **first;
	int r;

	r = carrier(t->index, e, &full, err);
	if (r < 0)
		return r;
	layer_tar_header(&full, name, &h);
	if (t->o->clamp && h.mtime > t->o->clamp_time)
		h.mtime = t->o->clamp_time;
	if (full.type != ENTRY_DIR) {
		first = map_puts(&t->first_of_group, full.path);
		if (*first) {
			h.type = TAR_HARDLINK;
			h.link = *first;
			h.size = 0;
		} else {
			/* Paths are in the mapped index, which outlives the table. */
			*first = (void *)(uintptr_t)e->path;
		}
	}
	r = tar_write_header(&t->w, &h, err);
	if (r < 0)
		return r;
	if (h.type == TAR_FILE && h.size > 0)
		return write_bytes(t, full.path, err);
	return 0;
}

static int write_item(struct layer_tar *t, const struct item *item, struct error **err)
{
	struct entry e;
	int r;

	if (item->position < 0)
		return write_whiteout_of(t, item->path, err);
	index_entry(t->index, (size_t)item->position, &e);
	if (e.type == ENTRY_WHITEOUT)
		return write_whiteout_of(t, e.path, err);
	r = write_entry(t, &e, err);
	if (r < 0)
		return r;
	if (e.opaque && !t->o->below)
		return write_whiteout(t, e.path, strlen(e.path), "", OPAQUE_MARK, err);
	return 0;
}

int layer_tar_write(struct store *s, int64_t id, const struct layer_tar_options *o,
		    tar_sink_fn sink, void *data, struct error **err)
{
	_cleanup_(layer_tar_release) struct layer_tar t = {.s = s, .o = o, .dirfd = -1};
	int r;

	tar_writer_init(&t.w, sink, data);
	r = layer_index(s, id, &t.index, err);
	if (r < 0)
		return r;
	t.dirfd = layer_dir_open(s, id, err);
	if (t.dirfd < 0)
		return t.dirfd;
	r = list_items(&t, err);
	if (r < 0)
		return r;
	r = mark_kept(&t, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < t.items.n; i++) {
		if (!t.items.v[i].keep)
			continue;
		if (cancel_is_set(o->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		r = write_item(&t, &t.items.v[i], err);
		if (r < 0)
			return error_wrap(err, r, "write the tar of layer %lld", (long long)id);
	}
	return tar_write_end(&t.w, err);
}
