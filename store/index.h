/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a layer: its sorted path table, as a file that is mapped, not parsed.
 *
 * Entries are in path_compare order (a directory's subtree follows it contiguously), each path
 * once. An index answers what a path is and what its content digest is without touching the layer's
 * files. Format: docs/formats-store.md, "Layer index".
 */
#ifndef KILN_STORE_INDEX_H
#define KILN_STORE_INDEX_H

#include <stdbool.h>

#include "base/error.h"
#include "store/entry.h"

/* Collects entries in any order; a later entry of the same path replaces the earlier one (as the
 * OCI layer spec says for duplicate tar entries). Copies what it keeps. A hard link joins the file
 * that its target is at that moment and stays with it when the target is replaced later; in the
 * written table the first path of such a group is the file and the others are links to it. A link
 * to a path that is not there stands as it is. */
struct index_builder;
struct index_builder *index_builder_new(void);
void index_builder_add(struct index_builder *b, const struct entry *e);
/* The entry added last for `path`, or NULL; valid until the next add. */
const struct entry *index_builder_get(const struct index_builder *b, const char *path);
void index_builder_remove_tree(struct index_builder *b, const char *path); /* path and below */
size_t index_builder_count(const struct index_builder *b);
/* Fills in what a file's bytes turned out to be; `path` was added as a file. */
void index_builder_set_content(struct index_builder *b, const char *path,
			       const struct digest *content, uint64_t size);
/* Gives a file that is there e's mode, owner, capability and time; all its hard links share
 * them. */
void index_builder_set_attributes(struct index_builder *b, const char *path, const struct entry *e);
/* A number that the caller attaches to a file (0: none) and that stays with its bytes, whichever of
 * its hard links carries them. `path` was added as a file. */
void index_builder_tag(struct index_builder *b, const char *path, uint32_t tag);
uint32_t index_builder_tag_of(const struct index_builder *b, const char *path);
/* Visits the directories added so far, in no order: start with *at = 0; NULL at the end. */
const struct entry *index_builder_next_dir(const struct index_builder *b, size_t *at);
/* Writes the sorted table to `fd` (an empty file). */
int index_builder_write(struct index_builder *b, int fd, struct error **err) _must_check_;
void index_builder_free(struct index_builder *b);
DEFINE_FREEP(struct index_builder, index_builder_free)

struct index;
/* Maps an index file; its checksum is verified. ERR_CORRUPT if it is damaged or of another
 * version. */
int index_open(int dirfd, const char *path, struct index **ret, struct error **err) _must_check_;
/* The same for an open file; `name` is for errors. The descriptor stays the caller's. */
int index_open_fd(int fd, const char *name, struct index **ret, struct error **err) _must_check_;
struct index *index_ref(struct index *i);
void index_unref(struct index *i);
DEFINE_FREEP(struct index, index_unref)

size_t index_count(const struct index *i);
uint64_t index_file_size(const struct index *i); /* sum of file sizes */
/* Digest over all entries without mtimes: equal content, equal digest. */
void index_tree_digest(const struct index *i, struct digest *ret);
/* Entry number n in order; strings point into the mapping. */
void index_entry(const struct index *i, size_t n, struct entry *ret);
/* Position of `path`, or -1. */
int64_t index_find(const struct index *i, const char *path);
/* First position whose path is >= `path` (index_count if none). */
size_t index_lower_bound(const struct index *i, const char *path);
/* First position after n's subtree. */
size_t index_skip_subtree(const struct index *i, size_t n);

#endif
