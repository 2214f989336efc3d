/* A plan made a layer that has a dir. */
#include <errno.h>
#include <unistd.h>

#include "engine/layer_plan_inside.h"
#include "store/index_draft.h"
#include "store/layer.h"

struct making {
	struct layer_plan *plan;
	struct layer_writer *w;
};

/* Reads and writes a file's bytes once; *ret_still is false if the file changed meanwhile. */
static int write_bytes(struct making *m, const struct plan_source *source, const struct entry *e,
		       bool known, bool *ret_still, struct error **err)
{
	_cleanup_(plan_reader_close) struct plan_reader reader = {.fd = -1};
	struct digest content;
	int r;

	r = plan_reader_open(m->plan, source, e, &reader, err);
	if (r < 0)
		return r;
	if (!reader.owned && lseek(reader.fd, (off_t)reader.at, SEEK_SET) < 0)
		return error_new(err, ERR_IO, errno, "read what becomes '%s'", e->path);
	r = known ? layer_writer_copy_known(m->w, reader.fd, &e->content, e->size, err)
		  : layer_writer_copy(m->w, reader.fd, err);
	if (r == 0)
		r = layer_writer_file_end(m->w, &content, err);
	if (r == 0)
		*ret_still = plan_source_still(source, e, reader.fd, known ? NULL : &content);
	return r;
}

static int write_file(struct making *m, const struct plan_source *source, const struct entry *e,
		      struct error **err)
{
	bool known = !digest_is_zero(&e->content), still = false;

	for (unsigned i = 0; i < LAYER_PLAN_TRIES; i++) {
		int r = layer_writer_file(m->w, e, err);

		if (r == 0)
			r = write_bytes(m, source, e, known, &still, err);
		if (r < 0)
			return plan_source_wrap(source, r, err);
		if (still)
			return 0;
		/* What was known about its bytes may not hold any more: they are hashed. */
		known = false;
		r = layer_writer_remove(m->w, e->path, err);
		if (r < 0)
			return r;
	}
	return plan_source_keeps_changing(source, err);
}

static int write_entries(struct making *m, const struct index_draft *draft, struct cancel *cancel,
			 struct error **err)
{
	const struct index *entries = index_draft_view(draft);

	for (size_t n = 0; n < index_count(entries); n++) {
		struct entry e;
		int r;

		if (cancel_is_set(cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		index_entry(entries, n, &e);
		r = e.type != ENTRY_FILE
			    ? layer_writer_put(m->w, &e, err)
			    : write_file(m, &m->plan->sources.v[index_draft_tag(draft, n) - 1], &e,
					 err);
		if (r < 0)
			return r;
	}
	return 0;
}

int layer_plan_make_dir(struct layer_plan *p, struct cancel *cancel, int64_t *ret_layer,
			struct error **err)
{
	_cleanup_(index_draft_freep) struct index_draft *draft = NULL;
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	struct making m = {.plan = p};
	int r = index_draft_open(p->s, p->entries, &draft, err);

	if (r < 0)
		return r;
	index_builder_free(TAKE_PTR(p->entries));
	r = layer_writer_open(p->s, &w, err);
	if (r < 0)
		return r;
	m.w = w;
	r = write_entries(&m, draft, cancel, err);
	return r < 0 ? r : layer_writer_commit(w, ret_layer, err);
}
