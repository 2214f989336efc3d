/* SPDX-License-Identifier: Apache-2.0 */
/* A plan made a layer that has a dir: first what has no bytes, then the files, on several threads,
 * then the hard links to them. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/parallel.h"
#include "engine/layer/layer_plan_inside.h"
#include "store/index_draft.h"
#include "store/layer.h"

enum { PIECE = 128 /* entries */ };

struct making {
	struct layer_plan *plan;
	const struct index_draft *draft;
	const struct index *entries;
	struct layer_writer *w;
	struct cancel *cancel;
};

/* A thread that writes files. */
struct lane {
	const struct making *making;
	struct layer_writer *w;
};

/* A descriptor at the file's first byte that nobody else moves. */
static int at_start(struct plan_reader *reader, const struct entry *e, struct error **err)
{
	_cleanup_free_ char *path = NULL;

	if (reader->owned)
		return 0;
	path = xasprintf("/proc/self/fd/%d", reader->fd);
	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	reader->owned = true;
	if (reader->fd < 0 || lseek(reader->fd, (off_t)reader->at, SEEK_SET) < 0)
		return error_new(err, ERR_IO, errno, "read the source of '%s'", e->path);
	return 0;
}

/* Reads and writes a file's bytes once; *ret_still is false if the file changed meanwhile. */
static int write_bytes(struct lane *l, const struct plan_source *source, const struct entry *e,
		       bool known, bool *ret_still, struct error **err)
{
	_cleanup_(plan_reader_close) struct plan_reader reader = {.fd = -1};
	struct digest content;
	uint64_t size;
	int r;

	r = plan_reader_open(l->making->plan, source, e, &reader, err);
	if (r == 0)
		r = plan_reader_size(&reader, e, &size, err);
	if (r == 0)
		r = plan_source_check(source, e, size, err);
	if (r == 0)
		r = at_start(&reader, e, err);
	if (r < 0)
		return r;
	/* What is known is known of another file. */
	known = known && size == e->size;
	r = known ? layer_writer_copy_known(l->w, reader.fd, &e->content, e->size, err)
		  : layer_writer_copy(l->w, reader.fd, err);
	if (r == 0)
		r = layer_writer_file_end(l->w, &content, err);
	if (r == 0)
		*ret_still = plan_source_still(source, e, reader.fd, known ? NULL : &content);
	return r;
}

static int write_file(struct lane *l, const struct plan_source *source, const struct entry *e,
		      struct error **err)
{
	bool known = !digest_is_zero(&e->content), still = false;

	for (unsigned i = 0; i < LAYER_PLAN_TRIES; i++) {
		int r = layer_writer_file(l->w, e, err);

		if (r == 0)
			r = write_bytes(l, source, e, known, &still, err);
		if (r < 0)
			return plan_source_wrap(source, r, err);
		if (still)
			return 0;
		/* What was known about its bytes may not hold any more: they are hashed. */
		known = false;
		r = layer_writer_remove(l->w, e->path, err);
		if (r < 0)
			return r;
	}
	return plan_source_keeps_changing(source, err);
}

static int canceled(const struct making *m, struct error **err)
{
	return cancel_is_set(m->cancel) ? error_new(err, ERR_CANCELED, 0, "canceled") : 0;
}

/* The files among a run of entries. */
static int write_piece(void *data, size_t piece, struct error **err)
{
	const struct making *m = data;
	_cleanup_(layer_writer_freep) struct layer_writer *w = layer_writer_lane(m->w);
	struct lane lane = {.making = m, .w = w};
	size_t end = (piece + 1) * PIECE;
	int r = 0;

	for (size_t n = piece * PIECE; r == 0 && n < end && n < index_count(m->entries); n++) {
		struct entry e;

		index_entry(m->entries, n, &e);
		if (e.type != ENTRY_FILE)
			continue;
		r = canceled(m, err);
		if (r == 0)
			r = write_file(&lane, &m->plan->sources.v[index_draft_tag(m->draft, n) - 1],
				       &e, err);
	}
	return r;
}

/* Everything but files: the hard links, or all the rest. */
static int put_others(const struct making *m, bool links, struct error **err)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < index_count(m->entries); n++) {
		struct entry e;

		index_entry(m->entries, n, &e);
		if (e.type == ENTRY_FILE || links != (e.type == ENTRY_HARDLINK))
			continue;
		r = canceled(m, err);
		if (r == 0)
			r = layer_writer_put(m->w, &e, err);
	}
	return r;
}

int layer_plan_make_dir(struct layer_plan *p, const struct rootfs *below, struct cancel *cancel,
			int64_t *ret_layer, struct error **err)
{
	_cleanup_(index_draft_freep) struct index_draft *draft = NULL;
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	struct making m = {.plan = p, .cancel = cancel};
	int r = layer_plan_settle(p, below, &draft, err);

	if (r == 0)
		r = layer_writer_open(p->s, &w, err);
	if (r < 0)
		return r;
	layer_writer_watch(w, cancel);
	m.w = w;
	m.draft = draft;
	m.entries = index_draft_view(draft);
	r = put_others(&m, false, err);
	if (r == 0)
		r = parallel_for((index_count(m.entries) + PIECE - 1) / PIECE, write_piece, &m,
				 err);
	if (r == 0)
		r = put_others(&m, true, err);
	return r < 0 ? r : layer_writer_commit(w, ret_layer, err);
}
