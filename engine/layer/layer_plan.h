/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer will hold, before any of it is written: its entries, and where the bytes of each
 * file come from. Once it is complete it becomes a layer, as a dir or as a blob.
 *
 *	p = layer_plan_new(s);
 *	layer_plan_put(p, &entry, err);			directories, links, devices, whiteouts
 *	layer_plan_file(p, &entry, tree, path, err);	a file that a tree has
 *	layer_plan_spool(p, &entry, err);		a file whose bytes are at hand now:
 *	layer_plan_write(p, data, n, err);		they are kept in a file without a name
 *	layer_plan_spool_end(p);
 *	layer_plan_make_dir(p, below, cancel, &layer, err);	or layer_plan_make_blob
 *
 * Entries of a layer follow the rules of store/layer.h: one for each path, a whiteout beside a
 * directory makes that opaque, a hard link names an earlier file. Nothing is read of a tree's file
 * until the layer is made; if it is another one by then, that is what the layer gets. One thread at
 * a time.
 */
#ifndef KILN_ENGINE_LAYER_LAYER_PLAN_H
#define KILN_ENGINE_LAYER_LAYER_PLAN_H

#include "base/buf.h"
#include "base/cancel.h"
#include "engine/stream/compress.h"
#include "engine/tree/tree.h"
#include "store/index.h"
#include "store/rootfs.h"
#include "store/store.h"

struct layer_plan;
struct layer_plan *layer_plan_new(struct store *s);
void layer_plan_free(struct layer_plan *p);
DEFINE_FREEP(struct layer_plan, layer_plan_free)

/* What the layer says about `path` so far; NULL if nothing. Valid until the next call. */
const struct entry *layer_plan_get(const struct layer_plan *p, const char *path);
size_t layer_plan_count(const struct layer_plan *p);
/* Forgets path and what is below it. */
void layer_plan_remove(struct layer_plan *p, const char *path);

int layer_plan_put(struct layer_plan *p, const struct entry *e, struct error **err) _must_check_;
/* Gives a file of the layer, with all its hard links, e's mode, owner, capability and time. */
void layer_plan_set_attributes(struct layer_plan *p, const char *path, const struct entry *e);
/* e->size and, if it is known, e->content are the tree's. `path` lives as long as the tree, which
 * is kept. */
int layer_plan_file(struct layer_plan *p, const struct entry *e, struct tree *tree,
		    const char *path, struct error **err) _must_check_;
int layer_plan_spool(struct layer_plan *p, const struct entry *e, struct error **err) _must_check_;
int layer_plan_write(struct layer_plan *p, const void *data, size_t n,
		     struct error **err) _must_check_;
void layer_plan_spool_end(struct layer_plan *p);

/* The bytes of a planned file. */
int layer_plan_read(const struct layer_plan *p, const char *path, struct buf *ret,
		    struct error **err) _must_check_;

/* Makes the layer, with its dir. `below` is what it goes on top of (NULL: it may be anything);
 * entries that change nothing of it are left out. The plan is used up, also on failure. ERR_BUSY
 * naming a file that keeps changing while it is read. `cancel` may be NULL. */
int layer_plan_make_dir(struct layer_plan *p, const struct rootfs *below, struct cancel *cancel,
			int64_t *ret_layer, struct error **err) _must_check_;
/* Would a tar say something else than the plan? A name that looks like a whiteout does that. */
bool layer_plan_is_dir_only(const struct layer_plan *p);
/* Names that an image cannot have (layer_writer_check_name). */
int layer_plan_check_names(const struct layer_plan *p, struct error **err) _must_check_;
/* The same as a blob without dir: every byte is read once, and goes to the layer's tar. */
int layer_plan_make_blob(struct layer_plan *p, const struct rootfs *below,
			 const struct compress_options *compression, struct cancel *cancel,
			 int64_t *ret_layer, struct error **err) _must_check_;

#endif
