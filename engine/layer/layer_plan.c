/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/layer_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/layer/layer_plan_inside.h"
#include "store/layer_diff.h"
#include "store/layer_writer.h"

struct layer_plan *layer_plan_new(struct store *s)
{
	struct layer_plan *p = NEW(struct layer_plan);

	p->s = s;
	p->entries = index_builder_new();
	p->spool = -1;
	return p;
}

void layer_plan_free(struct layer_plan *p)
{
	if (!p)
		return;
	index_builder_free(p->entries);
	vec_release(&p->sources);
	for (size_t i = 0; i < p->trees.n; i++)
		tree_unref(p->trees.v[i]);
	vec_release(&p->trees);
	strv_release(&p->odd);
	cleanup_closep(&p->spool);
	hasher_release(&p->hasher);
	free(p->file);
	free(p);
}

const struct entry *layer_plan_get(const struct layer_plan *p, const char *path)
{
	return index_builder_get(p->entries, path);
}

size_t layer_plan_count(const struct layer_plan *p)
{
	return index_builder_count(p->entries);
}

void layer_plan_remove(struct layer_plan *p, const char *path)
{
	if (layer_plan_get(p, path))
		index_builder_remove_tree(p->entries, path);
}

/* --- Entries --- */

static void put_dir(struct layer_plan *p, const struct entry *e)
{
	const struct entry *old = layer_plan_get(p, e->path);
	struct entry dir = *e;

	dir.opaque = e->opaque || (old && (old->type != ENTRY_DIR || old->opaque));
	if (old && old->type != ENTRY_DIR)
		layer_plan_remove(p, e->path);
	index_builder_add(p->entries, &dir);
}

/* A whiteout hides lower layers only: beside a directory of this layer it makes that opaque, and
 * anything else of this layer hides what is below it already. */
static void put_whiteout(struct layer_plan *p, const struct entry *e)
{
	const struct entry *old = layer_plan_get(p, e->path);
	struct entry dir;

	if (!old) {
		index_builder_add(p->entries, e);
	} else if (old->type == ENTRY_DIR) {
		dir = *old;
		dir.path = e->path;
		dir.opaque = true;
		index_builder_add(p->entries, &dir);
	}
}

static int put_hardlink(struct layer_plan *p, const struct entry *e, struct error **err)
{
	int r = layer_writer_check_link(p->entries, e, err);

	if (r < 0)
		return r;
	layer_plan_remove(p, e->path);
	index_builder_add(p->entries, e);
	return 0;
}

bool layer_plan_is_dir_only(const struct layer_plan *p)
{
	return p->dir_only;
}

int layer_plan_check_names(const struct layer_plan *p, struct error **err)
{
	int r = 0;

	/* One that was removed again does not belong to the layer. */
	for (size_t i = 0; r == 0 && i < p->odd.n; i++)
		if (layer_plan_get(p, p->odd.v[i]))
			r = layer_writer_check_name(p->odd.v[i], err);
	return r;
}

static int check_entry(struct layer_plan *p, const struct entry *e, struct error **err)
{
	bool is_null = e->type == ENTRY_CHAR && e->dev_major == 0 && e->dev_minor == 0;
	bool is_odd = e->type != ENTRY_WHITEOUT && layer_name_is_whiteout(e->path);

	if (is_odd)
		strv_push(&p->odd, e->path);
	if (is_null || is_odd)
		p->dir_only = true;
	return layer_writer_check_path(e->path, err);
}

static int put_symlink(struct layer_plan *p, const struct entry *e, struct error **err)
{
	struct entry link = *e;

	if (!e->link || !*e->link)
		return error_new(err, ERR_INVALID, 0, "symlink '%s' has no target", e->path);
	link.mode = 0777;
	layer_plan_remove(p, e->path);
	index_builder_add(p->entries, &link);
	return 0;
}

int layer_plan_put(struct layer_plan *p, const struct entry *e, struct error **err)
{
	int r = check_entry(p, e, err);

	if (r < 0)
		return r;
	switch (e->type) {
	case ENTRY_DIR:
		put_dir(p, e);
		return 0;
	case ENTRY_WHITEOUT:
		put_whiteout(p, e);
		return 0;
	case ENTRY_HARDLINK:
		return put_hardlink(p, e, err);
	case ENTRY_SYMLINK:
		return put_symlink(p, e, err);
	case ENTRY_FILE:
		return error_new(err, ERR_INTERNAL, 0, "'%s' is a file: it has bytes", e->path);
	default:
		break;
	}
	layer_plan_remove(p, e->path);
	index_builder_add(p->entries, e);
	return 0;
}

static int put_file(struct layer_plan *p, const struct entry *e, const struct plan_source *source,
		    struct error **err)
{
	struct entry file = *e;
	int r = check_entry(p, e, err);

	if (r < 0)
		return r;
	if (p->sources.n >= UINT32_MAX - 1)
		return error_new(err, ERR_UNSUPPORTED, 0, "the layer has too many files");
	file.type = ENTRY_FILE;
	file.link = NULL;
	layer_plan_remove(p, e->path);
	index_builder_add(p->entries, &file);
	vec_push(&p->sources, *source);
	index_builder_tag(p->entries, e->path, (uint32_t)p->sources.n);
	return 0;
}

int layer_plan_file(struct layer_plan *p, const struct entry *e, struct tree *tree,
		    const char *path, struct error **err)
{
	const struct plan_source source = {.tree = tree, .path = path};

	if (p->trees.n == 0 || vec_last(&p->trees) != tree)
		vec_push(&p->trees, tree_ref(tree));
	return put_file(p, e, &source, err);
}

void layer_plan_set_attributes(struct layer_plan *p, const char *path, const struct entry *e)
{
	index_builder_set_attributes(p->entries, path, e);
}

/* --- The spool --- */

int layer_plan_spool(struct layer_plan *p, const struct entry *e, struct error **err)
{
	const struct plan_source source = {.at = p->spooled};
	struct entry file = *e;
	int r;

	if (p->spool < 0)
		p->spool = store_tmp_file(p->s, err);
	if (p->spool < 0)
		return p->spool;
	file.size = 0;
	r = put_file(p, &file, &source, err);
	if (r < 0)
		return r;
	free(p->file);
	p->file = xstrdup(e->path);
	p->file_at = p->spooled;
	hasher_release(&p->hasher);
	hasher_init(&p->hasher);
	return 0;
}

int layer_plan_write(struct layer_plan *p, const void *data, size_t n, struct error **err)
{
	int r = fs_write_full(p->spool, data, n);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "keep the source of '%s'", p->file);
	hasher_add(&p->hasher, data, n);
	p->spooled += n;
	return 0;
}

void layer_plan_spool_end(struct layer_plan *p)
{
	struct digest content;

	hasher_final(&p->hasher, &content);
	index_builder_set_content(p->entries, p->file, &content, p->spooled - p->file_at);
}

/* --- Settling --- */

int layer_plan_settle(struct layer_plan *p, const struct rootfs *below, struct index_draft **ret,
		      struct error **err)
{
	_cleanup_(index_builder_freep) struct index_builder *settled = NULL;
	_cleanup_(index_draft_freep) struct index_draft *draft = NULL;
	_cleanup_(layer_diff_release) struct layer_diff diff = {0};
	int r = index_draft_open(p->s, p->entries, &draft, err);

	index_builder_free(TAKE_PTR(p->entries));
	if (r == 0)
		r = layer_diff_make(index_draft_view(draft), below, &diff, err);
	if (r < 0)
		return r;
	if (diff.whole) {
		*ret = TAKE_PTR(draft);
		return 0;
	}
	r = layer_diff_apply(draft, &diff, &settled, err);
	return r < 0 ? r : index_draft_open(p->s, settled, ret, err);
}

/* --- Reading --- */

int plan_reader_open(const struct layer_plan *p, const struct plan_source *source,
		     const struct entry *e, struct plan_reader *ret, struct error **err)
{
	struct entry at = *e;

	if (!source->tree) {
		*ret = (struct plan_reader){.fd = p->spool, .at = source->at};
		return 0;
	}
	at.path = source->path;
	*ret = (struct plan_reader){.fd = source->tree->ops->open(source->tree, &at, err),
				    .owned = true};
	if (ret->fd < 0)
		return ret->fd;
	file_holes_init(&ret->holes, ret->fd);
	return 0;
}

void plan_reader_close(struct plan_reader *r)
{
	if (r->owned && r->fd >= 0)
		(void)close(r->fd);
	*r = (struct plan_reader){.fd = -1};
}

ssize_t plan_reader_read(struct plan_reader *r, void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t part = n - done;
		ssize_t k = file_holes_at(&r->holes, r->fd, r->at, &part);

		if (k > 0) {
			memset((char *)p + done, 0, part);
			done += part;
			r->at += part;
			continue;
		}
		if (k == 0) {
			k = pread(r->fd, (char *)p + done, part, (off_t)r->at);
			if (k < 0 && errno == EINTR)
				continue;
			k = k < 0 ? -errno : k;
		}
		if (k < 0)
			return k;
		if (k == 0)
			break;
		done += (size_t)k;
		r->at += (uint64_t)k;
	}
	return (ssize_t)done;
}

ssize_t plan_reader_read_once(struct plan_reader *r, void *p, size_t n)
{
	ssize_t k;

	do
		k = pread(r->fd, p, n, (off_t)r->at);
	while (k < 0 && errno == EINTR);
	return k < 0 ? -errno : k;
}

int plan_reader_size(const struct plan_reader *r, const struct entry *e, uint64_t *ret,
		     struct error **err)
{
	struct stat st;

	*ret = e->size;
	if (!r->owned)
		return 0;
	if (fstat(r->fd, &st) < 0)
		return error_new(err, ERR_IO, errno, "look at the source of '%s'", e->path);
	*ret = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	return 0;
}

bool plan_source_still(const struct plan_source *source, const struct entry *e, int fd,
		       const struct digest *content)
{
	struct entry at = *e;

	if (!source->tree || !source->tree->ops->still)
		return true;
	at.path = source->path;
	return source->tree->ops->still(source->tree, &at, fd, content);
}

int plan_source_check(const struct plan_source *source, const struct entry *e, uint64_t size,
		      struct error **err)
{
	if (size == e->size || (source->tree && source->tree->ops->still))
		return 0;
	return error_new(err, ERR_CORRUPT, 0, "it has %llu bytes instead of %llu",
			 (unsigned long long)size, (unsigned long long)e->size);
}

int plan_source_keeps_changing(const struct plan_source *source, struct error **err)
{
	return error_new(err, ERR_BUSY, 0, "copy '/%s': the file keeps changing while it is read",
			 source->path);
}

int plan_source_wrap(const struct plan_source *source, int r, struct error **err)
{
	return source->tree ? error_wrap(err, r, "copy '/%s'", source->path) : r;
}

int layer_plan_read(const struct layer_plan *p, const char *path, struct buf *ret,
		    struct error **err)
{
	const struct entry *e = layer_plan_get(p, path);
	uint32_t tag = index_builder_tag_of(p->entries, path);
	struct entry file;
	_cleanup_(plan_reader_close) struct plan_reader reader = {.fd = -1};
	_cleanup_free_ char *bytes = NULL;
	ssize_t n;
	int r;

	if (!e || tag == 0)
		return error_new(err, ERR_NOTFOUND, 0, "'%s' is not a file of the layer", path);
	if (e->type == ENTRY_HARDLINK)
		e = layer_plan_get(p, e->link);
	file = *e;
	bytes = xmalloc((size_t)file.size + 1);
	r = plan_reader_open(p, &p->sources.v[tag - 1], &file, &reader, err);
	if (r < 0)
		return r;
	n = plan_reader_read(&reader, bytes, (size_t)file.size);
	if (n < 0)
		return error_new(err, ERR_IO, (int)-n, "read '%s'", path);
	buf_add(ret, bytes, (size_t)n);
	return 0;
}
