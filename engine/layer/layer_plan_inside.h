/* SPDX-License-Identifier: Apache-2.0 */
/* What layer_plan*.c share. */
#ifndef KILN_ENGINE_LAYER_LAYER_PLAN_INSIDE_H
#define KILN_ENGINE_LAYER_LAYER_PLAN_INSIDE_H

#include "base/file_read.h"
#include "base/strv.h"
#include "base/vec.h"
#include "engine/layer/layer_plan.h"
#include "engine/stream/tar_write.h"
#include "store/index_draft.h"

/* How often a file that changes under our hands is read. */
enum { LAYER_PLAN_TRIES = 3 };

/* Where the bytes of a file are. */
struct plan_source {
	struct tree *tree; /* borrowed from the plan; NULL: the spool */
	union {
		const char *path; /* in the tree */
		uint64_t at;	  /* in the spool */
	};
};

struct layer_plan {
	struct store *s;
	struct index_builder *entries; /* a file's tag is the number of its source, plus one */
	VEC(struct plan_source) sources;
	VEC(struct tree *) trees; /* references */
	bool dir_only;		  /* see layer_plan_is_dir_only */
	struct strv odd;	  /* paths that layer_plan_check_names looks at */
	int spool;		  /* -1: none yet */
	uint64_t spooled;
	/* The file that is being spooled, and where it begins. */
	char *file;
	uint64_t file_at;
	struct hasher hasher;
};

/* Reads a file's bytes from its first to its last. Several may read the spool at once. */
struct plan_reader {
	int fd;
	bool owned;
	uint64_t at;
	struct file_holes holes; /* which need not be read */
};
int plan_reader_open(const struct layer_plan *p, const struct plan_source *source,
		     const struct entry *e, struct plan_reader *ret,
		     struct error **err) _must_check_;
void plan_reader_close(struct plan_reader *r);
/* Up to n bytes, fewer only at the end; -errno. */
ssize_t plan_reader_read(struct plan_reader *r, void *p, size_t n) _must_check_;
/* The same in one call, of a regular file that nobody changes. */
ssize_t plan_reader_read_once(struct plan_reader *r, void *p, size_t n) _must_check_;
/* How many bytes the file has now; of the spool what e says. */
int plan_reader_size(const struct plan_reader *r, const struct entry *e, uint64_t *ret,
		     struct error **err) _must_check_;

/* Were the bytes read through `fd` those of one state of the file? `content` as in
 * tree_ops.still. */
bool plan_source_still(const struct plan_source *source, const struct entry *e, int fd,
		       const struct digest *content);
/* Are `size` bytes what e says? They may be others only where a file can change: a layer's are not
 * as many as it says if it is damaged (ERR_CORRUPT). */
int plan_source_check(const struct plan_source *source, const struct entry *e, uint64_t size,
		      struct error **err) _must_check_;
int plan_source_keeps_changing(const struct plan_source *source, struct error **err) _must_check_;
/* For an error about reading or writing the file: its code and name. */
int plan_source_wrap(const struct plan_source *source, int r, struct error **err) _must_check_;

/* The plan, which is used up, without what changes nothing of `below` (NULL: not known) and without
 * opaque directories: its entries are those of the layer's tar. */
int layer_plan_settle(struct layer_plan *p, const struct rootfs *below, struct index_draft **ret,
		      struct error **err) _must_check_;

/* Writes the tar of a settled plan: entries of `draft` are what it is to hold, hard links after
 * what they name. Sizes and contents of files are set in the draft as they are read. Each of the
 * two sinks gets all of it, `first` on this thread and `second` on another. After a failure
 * *ret_again tells that a file changed meanwhile: from the start it may go well. */
int plan_tar_write(struct layer_plan *p, struct index_draft *draft, tar_sink_fn first,
		   tar_sink_fn second, void *data, bool *ret_again,
		   struct error **err) _must_check_;

#endif
