/* SPDX-License-Identifier: Apache-2.0 */
/* The tar of a plan: several threads read the files and write headers, two hand the bytes on. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/parallel.h"
#include "engine/layer/layer_plan_inside.h"
#include "engine/layer/layer_tar.h"
#include "engine/stream/ordered.h"

enum {
	WORKERS_MAX = 8,
	/* A file up to this size is read whole before its header is written. */
	SMALL = 256 * 1024,
	PIECE_BYTES = ORDERED_CHUNK / 2,
	PIECE_ENTRIES = 512,
};

struct plan_tar {
	struct layer_plan *plan;
	struct index_draft *draft;
	const struct index *entries;
	struct ordered ordered;
	size_t next;	      /* the first entry that nobody has taken; see ordered_begin */
	pthread_mutex_t lock; /* protects what follows */
	bool again;	      /* a large file changed while it was read */
	int r;
	struct error *err;
};

struct worker {
	struct plan_tar *t;
	size_t from, to; /* the entries of the piece at hand */
	struct ordered_writer out;
	struct tar_writer tar;
	unsigned char *scratch;
};

/* A piece is many small entries, or one large file. */
static bool take_piece(void *data)
{
	struct worker *w = data;
	struct plan_tar *t = w->t;
	uint64_t bytes = 0;

	w->from = t->next;
	while (t->next < index_count(t->entries) && bytes < PIECE_BYTES &&
	       t->next - w->from < PIECE_ENTRIES) {
		struct entry e;

		index_entry(t->entries, t->next, &e);
		if (e.size > SMALL && t->next > w->from)
			break;
		bytes += e.size;
		t->next++;
	}
	w->to = t->next;
	return w->from < w->to;
}

static int stopped(struct error **err)
{
	return error_new(err, ERR_CANCELED, 0, "canceled");
}

static int worker_put(void *data, const void *p, size_t n, struct error **err)
{
	struct worker *w = data;

	return ordered_put(&w->out, p, n) ? 0 : stopped(err);
}

/* --- Files --- */

static const struct plan_source *source_of(const struct worker *w, size_t n)
{
	return &w->t->plan->sources.v[index_draft_tag(w->t->draft, n) - 1];
}

static int read_failed(const struct entry *e, ssize_t n, struct error **err)
{
	return error_new(err, ERR_IO, (int)-n, "read the source of '%s'", e->path);
}

/* Reads a small file into the scratch buffer and sets size and content of `e` to what it is.
 * *ret_still is false if it changed meanwhile, and *ret_large if it has grown too large for this.
 */
static int read_small(struct worker *w, const struct plan_source *source, struct entry *e,
		      bool *ret_still, bool *ret_large, struct error **err)
{
	_cleanup_(plan_reader_close) struct plan_reader reader = {.fd = -1};
	bool known = !digest_is_zero(&e->content);
	/* One byte more than there should be, to see that it is the end. */
	size_t want = source->tree ? (size_t)e->size + 1 : (size_t)e->size;
	ssize_t n;
	int r = plan_reader_open(w->t->plan, source, e, &reader, err);

	if (r < 0)
		return r;
	n = plan_reader_read_once(&reader, w->scratch, want);
	if (n < 0)
		return read_failed(e, n, err);
	known = known && (uint64_t)n == e->size;
	r = plan_source_check(source, e, (uint64_t)n, err);
	if (r < 0)
		return r;
	if ((uint64_t)n <= e->size) {
		struct digest content = known ? e->content : digest_of(w->scratch, (size_t)n);

		*ret_still = plan_source_still(source, e, reader.fd, known ? NULL : &content);
		e->size = (uint64_t)n;
		e->content = content;
	} else {
		/* It has grown; the tree is told when the whole of it was read. */
		(void)plan_source_still(source, e, reader.fd, NULL);
	}
	if (*ret_still)
		return 0;
	e->content = (struct digest){0};
	r = plan_reader_size(&reader, e, &e->size, err);
	*ret_large = e->size > SMALL;
	return r;
}

static int write_header(struct worker *w, const struct entry *e, struct error **err)
{
	const struct layer_tar_options plain = {0};

	return layer_tar_put(&w->tar, w->t->entries, e, &plain, err);
}

/* Hashes (where `h` is given) and hands on what the file holds, at most e->size bytes. */
static int stream(struct worker *w, struct plan_reader *reader, const struct entry *e,
		  struct hasher *h, uint64_t *ret_size, struct error **err)
{
	uint64_t done = 0;

	while (done < e->size) {
		unsigned char *to;
		size_t room = ordered_room(&w->out, &to);
		ssize_t n;

		if (room == 0)
			return stopped(err);
		if (room > e->size - done)
			room = (size_t)(e->size - done);
		n = plan_reader_read(reader, to, room);
		if (n < 0)
			return read_failed(e, n, err);
		if (n == 0)
			break;
		if (h)
			hasher_add(h, to, (size_t)n);
		ordered_advance(&w->out, (size_t)n);
		tar_write_elsewhere(&w->tar, (size_t)n);
		done += (uint64_t)n;
	}
	*ret_size = done;
	return 0;
}

/* The header goes out before the file is read: if the file turns out to be another one, everything
 * has to start over. */
static int write_large(struct worker *w, const struct plan_source *source, size_t n,
		       struct entry *e, struct error **err)
{
	_cleanup_(plan_reader_close) struct plan_reader reader = {.fd = -1};
	_cleanup_hasher_ struct hasher h = {0};
	bool known = !digest_is_zero(&e->content);
	struct digest content = e->content;
	uint64_t size = 0;
	bool still;
	int r = plan_reader_open(w->t->plan, source, e, &reader, err);

	if (r == 0)
		r = write_header(w, e, err);
	if (r < 0)
		return r;
	if (!known)
		hasher_init(&h);
	r = stream(w, &reader, e, known ? NULL : &h, &size, err);
	if (r < 0)
		return r;
	if (!known)
		hasher_final(&h, &content);
	still = size == e->size;
	still = plan_source_still(source, e, reader.fd, known || !still ? NULL : &content) && still;
	if (still) {
		index_draft_set(w->t->draft, n, size, &content);
		return 0;
	}
	r = plan_source_check(source, e, size, err);
	if (r == 0)
		r = plan_reader_size(&reader, e, &size, err);
	if (r < 0)
		return r;
	content = (struct digest){0};
	index_draft_set(w->t->draft, n, size, &content);
	pthread_mutex_lock(&w->t->lock);
	w->t->again = true;
	pthread_mutex_unlock(&w->t->lock);
	return plan_source_keeps_changing(source, err);
}

static int write_file(struct worker *w, size_t n, struct entry *e, struct error **err)
{
	const struct plan_source *source = source_of(w, n);
	bool still = false, large = e->size > SMALL;
	int r = 0;

	for (unsigned i = 0; i < LAYER_PLAN_TRIES && r == 0 && !still && !large; i++)
		r = read_small(w, source, e, &still, &large, err);
	if (r == 0 && large)
		r = write_large(w, source, n, e, err);
	else if (r == 0 && !still)
		return plan_source_keeps_changing(source, err);
	else if (r == 0)
		r = write_header(w, e, err);
	if (r < 0)
		return r == -ERR_BUSY ? r : plan_source_wrap(source, r, err);
	if (large)
		return 0;
	index_draft_set(w->t->draft, n, e->size, &e->content);
	return tar_write_data(&w->tar, w->scratch, (size_t)e->size, err);
}

/* --- Workers --- */

static int write_piece(struct worker *w, struct error **err)
{
	tar_writer_init(&w->tar, worker_put, w);
	for (size_t n = w->from; n < w->to; n++) {
		struct entry e;
		int r;

		index_entry(w->t->entries, n, &e);
		r = e.type == ENTRY_FILE ? write_file(w, n, &e, err) : write_header(w, &e, err);
		if (r < 0)
			return r;
	}
	return tar_write_pad(&w->tar, err);
}

/* The first failure counts, and stops the others. */
static void note_failure(struct plan_tar *t, int r, struct error *err)
{
	pthread_mutex_lock(&t->lock);
	if (t->r == 0) {
		t->r = r;
		t->err = TAKE_PTR(err);
	}
	pthread_mutex_unlock(&t->lock);
	error_free(err);
	ordered_stop(&t->ordered);
}

static bool has_failed(struct plan_tar *t)
{
	bool failed;

	pthread_mutex_lock(&t->lock);
	failed = t->r < 0;
	pthread_mutex_unlock(&t->lock);
	return failed;
}

static void *work(void *data)
{
	struct worker *w = data;

	w->scratch = xmalloc(SMALL + 1);
	while (ordered_begin(&w->t->ordered, &w->out, take_piece, w)) {
		struct error *err = NULL;
		int r = write_piece(w, &err);

		if (r < 0)
			note_failure(w->t, r, err);
		ordered_end(&w->out);
	}
	ordered_leave(&w->t->ordered);
	free(w->scratch);
	return NULL;
}

/* Hands on what the workers make, and the end of the archive. */
struct delivery {
	struct plan_tar *t;
	unsigned reader;
	tar_sink_fn sink;
	void *data;
};

static void *deliver(void *data)
{
	const struct delivery *d = data;
	struct tar_writer tar;
	struct error *err = NULL;
	const unsigned char *p;
	size_t n;
	int r = 0;

	while (r == 0 && ordered_read(&d->t->ordered, d->reader, &p, &n))
		r = d->sink(d->data, p, n, &err);
	tar_writer_init(&tar, d->sink, d->data);
	if (r == 0 && !has_failed(d->t))
		r = tar_write_end(&tar, &err);
	if (r < 0)
		note_failure(d->t, r, err);
	return NULL;
}

int plan_tar_write(struct layer_plan *p, struct index_draft *draft, tar_sink_fn first,
		   tar_sink_fn second, void *data, bool *ret_again, struct error **err)
{
	struct plan_tar t = {.plan = p,
			     .draft = draft,
			     .entries = index_draft_view(draft),
			     .lock = PTHREAD_MUTEX_INITIALIZER};
	struct delivery here = {&t, 0, first, data}, beside = {&t, 1, second, data};
	struct worker workers[WORKERS_MAX];
	pthread_t threads[WORKERS_MAX], other;
	unsigned want = parallel_threads() < WORKERS_MAX ? parallel_threads() : WORKERS_MAX;
	struct error *none = NULL;
	bool has_other;
	unsigned n = 0;

	ordered_init(&t.ordered, want, ORDERED_READERS);
	has_other = pthread_create(&other, NULL, deliver, &beside) == 0;
	for (unsigned i = 0; i < want; i++) {
		workers[n] = (struct worker){.t = &t};
		if (pthread_create(&threads[n], NULL, work, &workers[n]) == 0)
			n++;
		else
			ordered_leave(&t.ordered);
	}
	if (n == 0 || !has_other) {
		int r = error_new(&none, ERR_IO, EAGAIN, "start a thread");

		note_failure(&t, r, none);
	}
	deliver(&here);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (has_other)
		pthread_join(other, NULL);
	ordered_release(&t.ordered);
	*ret_again = t.again;
	if (err)
		*err = t.err;
	else
		error_free(t.err);
	return t.r;
}
