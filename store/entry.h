/* SPDX-License-Identifier: Apache-2.0 */
/* One path of a layer, an index or a tree: what a tar header says, and nothing a layer cannot
 * carry. Times are whole seconds. Of xattrs only `security.capability` (v2 form) is kept. */
#ifndef KILN_STORE_ENTRY_H
#define KILN_STORE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/digest.h"

enum entry_type {
	ENTRY_FILE = 1,
	ENTRY_DIR,
	ENTRY_SYMLINK,
	ENTRY_CHAR,
	ENTRY_BLOCK,
	ENTRY_FIFO,
	ENTRY_HARDLINK, /* `link` names an earlier path of the same layer; that one carries the rest
			 */
	ENTRY_WHITEOUT, /* hides this path of the layers below */
};

#define ENTRY_CAPABILITY_MAX 24 /* bytes of a v3 security.capability; v2 takes 20 */

struct entry {
	const char *path; /* clean, no leading slash, "" is the root; borrowed */
	enum entry_type type;
	uint32_t mode; /* permission and set-id bits, 07777 */
	uint32_t uid, gid;
	uint64_t size;	  /* ENTRY_FILE */
	int64_t mtime;	  /* seconds */
	const char *link; /* symlink target or hard link path, else NULL; borrowed */
	uint32_t dev_major, dev_minor;
	struct digest content; /* sha256 of a file's bytes */
	uint8_t capability[ENTRY_CAPABILITY_MAX];
	uint8_t capability_size; /* 0: none */
	bool opaque;		 /* a directory that hides what is below it in lower layers */
};

/* What all names of one file share, but for its bytes: mode, owner, time and capability. */
static inline bool entry_same_attributes(const struct entry *a, const struct entry *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->mtime == b->mtime &&
	       a->capability_size == b->capability_size &&
	       memcmp(a->capability, b->capability, a->capability_size) == 0;
}

#endif
