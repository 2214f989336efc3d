/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layer/layer_tar.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/map.h"
#include "base/path.h"
#include "store/index.h"
#include "store/layer_diff.h"
#include "store/layer_writer.h"

#define OPAQUE_MARK ".wh..wh..opq"
#define WHITEOUT_PREFIX ".wh."
#define COPY_CHUNK ((size_t)128 * 1024)

struct layer_tar {
	const struct layer_tar_options *o;
	struct index *index;
	int dirfd;
	struct layer_diff diff;
	struct map first_of_group; /* path that carries a file -> the name it was first written
				      under */
	struct tar_writer w;
};

static void layer_tar_release(struct layer_tar *t)
{
	index_unref(t->index);
	cleanup_closep(&t->dirfd);
	layer_diff_release(&t->diff);
	map_release(&t->first_of_group, NULL);
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
static int put_whiteout(struct tar_writer *w, const char *dir, size_t dir_size, const char *prefix,
			const char *base, struct error **err)
{
	_cleanup_free_ char *name =
		xasprintf("%.*s%s%s%s", (int)dir_size, dir, dir_size > 0 ? "/" : "", prefix, base);
	struct tar_header h = {.type = TAR_FILE, .name = name};

	return tar_write_header(w, &h, err);
}

static int put_whiteout_of(struct tar_writer *w, const char *path, struct error **err)
{
	const char *base = path_base(path);
	size_t dir_size = base == path ? 0 : (size_t)(base - path) - 1;

	return put_whiteout(w, path, dir_size, WHITEOUT_PREFIX, base, err);
}

/* No whiteout. `full` carries the attributes of e; `first` is the name that its bytes were written
 * under, NULL if they come now. */
static int put_header(struct tar_writer *w, const struct entry *e, const struct entry *full,
		      const char *first, const struct layer_tar_options *o, struct error **err)
{
	_cleanup_free_ char *name =
		e->type == ENTRY_DIR ? xasprintf("%s/", e->path) : xstrdup(e->path);
	int r = layer_writer_check_name(e->path, err);
	struct tar_header h;

	if (r < 0)
		return r;
	layer_tar_header(full, name, &h);
	if (o->clamp && h.mtime > o->clamp_time)
		h.mtime = o->clamp_time;
	if (first) {
		h.type = TAR_HARDLINK;
		h.link = first;
		h.size = 0;
	}
	return tar_write_header(w, &h, err);
}

int layer_tar_put(struct tar_writer *w, const struct index *index, const struct entry *e,
		  const struct layer_tar_options *o, struct error **err)
{
	struct entry full;
	int r;

	if (e->type == ENTRY_WHITEOUT)
		return put_whiteout_of(w, e->path, err);
	r = layer_diff_carrier(index, e, &full, err);
	return r < 0 ? r
		     : put_header(w, e, &full, e->type == ENTRY_HARDLINK ? e->link : NULL, o, err);
}

static int write_bytes(struct layer_tar *t, const char *path, struct error **err)
{
	_cleanup_close_ int fd = fs_open_no_symlinks(t->dirfd, path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open '%s'", path);
	return tar_write_fd(&t->w, fd, path, t->o->cancel, err);
}

/* Writes an entry other than a whiteout. The first name of a hard-link group carries the bytes. */
static int write_entry(struct layer_tar *t, const struct entry *e, struct error **err)
{
	const char *first = NULL;
	struct entry full;
	int r;

	r = layer_diff_carrier(t->index, e, &full, err);
	if (r < 0)
		return r;
	if (full.type != ENTRY_DIR) {
		void **slot = map_puts(&t->first_of_group, full.path);

		first = *slot;
		/* Paths are in the mapped index, which outlives the table. */
		if (!first)
			*slot = (void *)(uintptr_t)e->path;
	}
	r = put_header(&t->w, e, &full, first, t->o, err);
	if (r < 0)
		return r;
	if (!first && full.type == ENTRY_FILE && full.size > 0)
		return write_bytes(t, full.path, err);
	return 0;
}

static int write_item(struct layer_tar *t, const struct diff_item *item, struct error **err)
{
	struct entry e;
	int r;

	if (item->position < 0)
		return put_whiteout_of(&t->w, item->path, err);
	index_entry(t->index, (size_t)item->position, &e);
	if (e.type == ENTRY_WHITEOUT)
		return put_whiteout_of(&t->w, e.path, err);
	r = write_entry(t, &e, err);
	if (r < 0)
		return r;
	if (e.opaque && !t->o->below)
		return put_whiteout(&t->w, e.path, strlen(e.path), "", OPAQUE_MARK, err);
	return 0;
}

int layer_tar_write(struct store *s, int64_t id, const struct layer_tar_options *o,
		    tar_sink_fn sink, void *data, struct error **err)
{
	_cleanup_(layer_tar_release) struct layer_tar t = {.o = o, .dirfd = -1};
	int r;

	tar_writer_init(&t.w, sink, data);
	r = layer_index(s, id, &t.index, err);
	if (r < 0)
		return r;
	t.dirfd = layer_dir_open(s, id, err);
	if (t.dirfd < 0)
		return t.dirfd;
	r = layer_diff_make(t.index, o->below, &t.diff, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < t.diff.n; i++) {
		if (cancel_is_set(o->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		r = write_item(&t, &t.diff.v[i], err);
		if (r < 0)
			return error_wrap(err, r, "write the tar of layer %lld", (long long)id);
	}
	return tar_write_end(&t.w, err);
}

/* --- Another clamp --- */

/* Takes the header that an archive has and expects it in the other archive. */
struct expected {
	layer_tar_read_fn read;
	void *data;
};

static int expect_bytes(void *data, const void *p, size_t n, struct error **err)
{
	struct expected *x = data;
	const char *want = p;
	char have[4096];

	while (n > 0) {
		size_t part = n < sizeof(have) ? n : sizeof(have);
		int r = x->read(x->data, have, part, err);

		if (r < 0)
			return r;
		if (memcmp(have, want, part) != 0)
			return error_new(err, ERR_CORRUPT, 0,
					 "the tar is not what the layer's index says");
		want += part;
		n -= part;
	}
	return 0;
}

static int copy_file(struct tar_writer *from, struct tar_writer *to, struct expected *x,
		     char *chunk, uint64_t size, struct error **err)
{
	while (size > 0) {
		size_t part = size < COPY_CHUNK ? (size_t)size : COPY_CHUNK;
		int r = x->read(x->data, chunk, part, err);

		if (r == 0)
			r = tar_write_data(to, chunk, part, err);
		if (r < 0)
			return r;
		tar_write_elsewhere(from, part);
		size -= part;
	}
	return 0;
}

/* Reads the header of entry e as it is without a clamp, and writes the one with it. */
static int rewrite_header(const struct index *index, const struct entry *e, struct tar_writer *from,
			  struct tar_writer *to, const struct layer_tar_options *o,
			  struct error **err)
{
	const struct layer_tar_options plain = {0};
	int r = layer_tar_put(from, index, e, &plain, err);

	return r < 0 ? r : layer_tar_put(to, index, e, o, err);
}

int layer_tar_rewrite(struct store *s, int64_t id, const struct layer_tar_options *o,
		      layer_tar_read_fn read, void *read_data, tar_sink_fn sink, void *data,
		      struct error **err)
{
	_cleanup_free_ char *chunk = xmalloc(COPY_CHUNK);
	_cleanup_(index_unrefp) struct index *index = NULL;
	struct expected x = {.read = read, .data = read_data};
	struct tar_writer from, to;
	int r = layer_index(s, id, &index, err);

	tar_writer_init(&from, expect_bytes, &x);
	tar_writer_init(&to, sink, data);
	for (size_t n = 0; r == 0 && n < index_count(index); n++) {
		struct entry e;

		if (cancel_is_set(o->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		index_entry(index, n, &e);
		r = rewrite_header(index, &e, &from, &to, o, err);
		if (r == 0 && e.type == ENTRY_FILE)
			r = copy_file(&from, &to, &x, chunk, e.size, err);
	}
	if (r == 0)
		r = tar_write_end(&from, err);
	if (r == 0)
		r = tar_write_end(&to, err);
	return r < 0 ? error_wrap(err, r, "rewrite the tar of layer %lld", (long long)id) : 0;
}
