/* SPDX-License-Identifier: Apache-2.0 */
/* A mapped index file, as index.c reads it and index_draft.c completes it. Private to index*.c. */
#ifndef KILN_STORE_INDEX_MAP_H
#define KILN_STORE_INDEX_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "store/index.h"
#include "store/index_format.h"

struct index {
	_Atomic unsigned refs;
	uint8_t *map;
	size_t map_size;
	const uint8_t *entries;
	const char *heap;
	size_t count, heap_size;
};

/* Maps the file as it is, writable where it is a draft: nothing is checked. */
int index_map(int fd, bool writable, const char *name, struct index **ret,
	      struct error **err) _must_check_;
/* Sets the view up from the counts in the header. */
void index_set_view(struct index *i);

/* Fills in all that the header says of entries and heap; the mapping is writable. */
void index_seal(struct index *i);
/* Writes everything but the sums, sorted, to `fd`. *ret_tags (heap, may be NULL): the tag of each
 * entry. */
int index_builder_layout(struct index_builder *b, int fd, uint32_t **ret_tags,
			 struct error **err) _must_check_;

#endif
