/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of RUN --mount=type=cache, by id. They live outside layers and never enter a key. */
#ifndef KILN_STORE_MOUNTS_H
#define KILN_STORE_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/strv.h"
#include "store/store.h"

enum mount_sharing {
	MOUNT_SHARED = 1, /* any number at once */
	MOUNT_PRIVATE,	  /* one at a time; who finds it taken gets another directory of the id */
	MOUNT_LOCKED,	  /* one at a time; others wait */
};

/* A cache directory that a step is about to take. */
struct mount_wish {
	const char *id;
	uint32_t mode, uid, gid; /* of the directory if it has to be made */
	const char *step;	 /* who wants it, for people; NULL: not known */
};

/* A cache directory in use; release when the step has ended. */
struct mount_use;

/* Takes the directory of w->id, creating it if it is new. Waits for
 * MOUNT_LOCKED until it is free or `cancel` is set (ERR_CANCELED). Take several in strcmp order of
 * their ids. */
int mounts_acquire(struct store *s, const struct mount_wish *w, enum mount_sharing sharing,
		   struct cancel *cancel, struct mount_use **ret, struct error **err) _must_check_;
/* Takes the directory of w->id to fill it with what a cache outside the store has: only if it is new
 * or empty and nobody uses it now, else *ret = NULL. */
int mounts_acquire_empty(struct store *s, const struct mount_wish *w, struct mount_use **ret,
			 struct error **err) _must_check_;
/* Takes the directory of `id` alone, to save what is in it, once no step uses it; *ret = NULL if
 * there is none or nothing in it. */
int mounts_acquire_full(struct store *s, const char *id, struct cancel *cancel,
			struct mount_use **ret, struct error **err) _must_check_;
/* The writer's tree, with the attributes of its root, becomes the content of a directory that
 * mounts_acquire_empty gave, at once. */
struct layer_writer;
int mounts_fill(struct mount_use *m, struct layer_writer *w, struct error **err) _must_check_;
/* Remembers which step a directory is of, for people. */
int mounts_note_step(struct mount_use *m, const char *step, struct error **err) _must_check_;
const char *mounts_path(const struct mount_use *m); /* absolute */
/* Did this call create the directory (so that `from=` content has to be copied into it)? */
bool mounts_is_new(const struct mount_use *m);
/* Measures it, and lets go. */
void mounts_release(struct mount_use *m);
DEFINE_FREEP(struct mount_use, mounts_release)

struct mount_info {
	char *id;		    /* owned */
	int64_t instance;	    /* 0, or more for directories made because of MOUNT_PRIVATE */
	int64_t created, last_used; /* ns since the epoch */
	int64_t uses;
	uint64_t size; /* bytes on disk */
	char *step;    /* the step that made it; owned */
	char *path;    /* of the directory; owned */
	bool in_use;
};
void mount_info_release(struct mount_info *m);
/* All, least recently used first. The caller releases each and frees the array. */
int mounts_list(struct store *s, struct mount_info **ret, size_t *ret_n,
		struct error **err) _must_check_;

/* Removes all directories of an id. ERR_BUSY if one is in use, ERR_NOTFOUND if there is none. */
int mounts_remove(struct store *s, const char *id, struct error **err) _must_check_;
/* Removes those last used before `before` (ns) and not in use; their ids are appended. */
int mounts_prune(struct store *s, int64_t before, struct strv *ret_ids, uint64_t *ret_bytes,
		 struct error **err) _must_check_;

/* Removes one directory if it is not in use and was last used before `before`. */
int mounts_evict(struct store *s, const char *id, int64_t instance, int64_t before,
		 bool *ret_removed, uint64_t *ret_bytes, struct error **err) _must_check_;

#endif
