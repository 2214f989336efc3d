/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a layer whose files are still to be read: in its final order, its file complete but
 * for the contents of files and the sums over everything.
 *
 *	index_draft_open(s, builder, &d, err);
 *	index_draft_set(d, n, size, &content);		for files, on any thread
 *	index_draft_seal(d);
 *	layer_put_blob(s, d, ...)			store/layer.h
 *
 * The builder is no longer needed once the draft is open. Free without putting it into the store
 * removes the file.
 */
#ifndef KILN_STORE_INDEX_DRAFT_H
#define KILN_STORE_INDEX_DRAFT_H

#include "store/index.h"
#include "store/store.h"

struct index_draft;
int index_draft_open(struct store *s, struct index_builder *b, struct index_draft **ret,
		     struct error **err) _must_check_;
void index_draft_free(struct index_draft *d);
DEFINE_FREEP(struct index_draft, index_draft_free)

/* Borrowed; entries read as they were set last. */
const struct index *index_draft_view(const struct index_draft *d);
/* The tag that the builder had for entry n (index_builder_tag). */
uint32_t index_draft_tag(const struct index_draft *d, size_t n);
/* What file n turned out to be. Different entries may be set by several threads at once. */
void index_draft_set(struct index_draft *d, size_t n, uint64_t size, const struct digest *content);
/* Completes the file. Nothing can be read or set after it. */
void index_draft_seal(struct index_draft *d);
/* Path of the directory that holds `index`, relative to the store's root; taken away from the draft
 * by whoever renames it. */
char **index_draft_dir(struct index_draft *d);

#endif
