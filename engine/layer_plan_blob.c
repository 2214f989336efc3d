/* A plan made a layer that is a blob. */
#include "base/map.h"
#include "engine/layer_diff.h"
#include "engine/layer_pack.h"
#include "engine/layer_plan_inside.h"

/* The plan again without what changes nothing and without opaque directories, so that its entries
 * are those of the tar. */
struct settling {
	const struct index_draft *draft;
	struct index_builder *to;
	struct map first_of_group; /* path that carries a file -> the name that does from now on */
};

static int keep_file(struct settling *g, const struct entry *e, struct error **err)
{
	const struct index *from = index_draft_view(g->draft);
	struct entry full;
	uint32_t tag;
	void **first;
	int r = layer_diff_carrier(from, e, &full, err);

	if (r < 0)
		return r;
	first = map_puts(&g->first_of_group, full.path);
	if (*first) {
		full = (struct entry){.path = e->path, .type = ENTRY_HARDLINK, .link = *first};
		index_builder_add(g->to, &full);
		return 0;
	}
	/* Paths are the draft's, which outlives the table. */
	*first = (void *)(uintptr_t)e->path;
	tag = index_draft_tag(g->draft, (size_t)index_find(from, full.path));
	full.path = e->path;
	index_builder_add(g->to, &full);
	index_builder_tag(g->to, full.path, tag);
	return 0;
}

static int keep_items(struct settling *g, const struct layer_diff *diff, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < diff->n && r == 0; i++) {
		struct entry e = {.path = diff->v[i].path, .type = ENTRY_WHITEOUT};

		if (diff->v[i].position >= 0)
			index_entry(index_draft_view(g->draft), (size_t)diff->v[i].position, &e);
		e.opaque = false;
		if (e.type == ENTRY_FILE || e.type == ENTRY_HARDLINK)
			r = keep_file(g, &e, err);
		else
			index_builder_add(g->to, &e);
	}
	return r;
}

/* The entries of the layer as they are in its tar. */
static int settle(struct layer_plan *p, const struct rootfs *below, struct index_draft **ret,
		  struct error **err)
{
	_cleanup_(index_builder_freep) struct index_builder *to = NULL;
	_cleanup_(index_draft_freep) struct index_draft *draft = NULL;
	struct settling g = {0};
	struct layer_diff diff;
	int r = index_draft_open(p->s, p->entries, &draft, err);

	index_builder_free(TAKE_PTR(p->entries));
	if (r == 0)
		r = layer_diff_make(index_draft_view(draft), below, &diff, err);
	if (r < 0)
		return r;
	if (diff.whole) {
		*ret = TAKE_PTR(draft);
	} else {
		g = (struct settling){.draft = draft, .to = to = index_builder_new()};
		r = keep_items(&g, &diff, err);
		if (r == 0)
			r = index_draft_open(p->s, to, ret, err);
		map_release(&g.first_of_group, NULL);
	}
	layer_diff_release(&diff);
	return r;
}

static int pack(struct layer_plan *p, struct index_draft *draft, const struct layer_pack_options *o,
		struct cancel *cancel, struct layer_body *ret, uint64_t *ret_size, bool *ret_again,
		struct error **err)
{
	_cleanup_(layer_pack_freep) struct layer_pack *packer = NULL;
	int r = layer_pack_open(p->s, o, cancel, &packer, err);

	*ret_again = false;
	if (r == 0)
		r = plan_tar_write(p, draft, layer_pack_body, layer_pack_hash, packer, ret_again,
				   err);
	return r < 0 ? r : layer_pack_finish(packer, ret, ret_size, err);
}

int layer_plan_make_blob(struct layer_plan *p, const struct rootfs *below,
			 const struct compress_options *compression, struct cancel *cancel,
			 int64_t *ret_layer, struct error **err)
{
	const struct layer_pack_options o = {.compression = *compression, .store = true};
	_cleanup_(layer_body_release) struct layer_body body = {0};
	_cleanup_(index_draft_freep) struct index_draft *draft = NULL;
	_cleanup_(error_freep) struct error *why = NULL;
	bool again = true;
	uint64_t size;
	int r = settle(p, below, &draft, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < LAYER_PLAN_TRIES && again; i++) {
		error_free(TAKE_PTR(why));
		r = pack(p, draft, &o, cancel, &body, &size, &again, &why);
	}
	if (r < 0) {
		if (err)
			*err = TAKE_PTR(why);
		return r;
	}
	index_draft_seal(draft);
	return layer_blob_add(p->s, draft, compression, &body, size, ret_layer, err);
}
