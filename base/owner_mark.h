/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns a file in an image, where the file itself cannot say it: in a user namespace with one id
 * every file is that one's.
 *
 * Regular files and directories carry the owner in the xattr OWNER_MARK_XATTR, as text
 * "UID:GID" in decimal; "-" stands for a half that is as it was before, perhaps in another file
 * that this one replaced. The kernel takes no user.* xattr on anything else, so owners of symlinks
 * and fifos are records in a file, keyed by what identifies the inode; later records win, half by
 * half. docs/formats-sandbox.md.
 *
 * The engine, the store and the sandbox helper share this; it needs nothing but libc.
 */
#ifndef KILN_BASE_OWNER_MARK_H
#define KILN_BASE_OWNER_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

#define OWNER_MARK_PREFIX "user.kiln."
#define OWNER_MARK_XATTR OWNER_MARK_PREFIX "owner"
#define OWNER_UNKNOWN UINT32_MAX /* a half that was left as it was; no id, as for chown */
#define OWNER_MARK_MAX 24	 /* bytes of text with its NUL */

struct owner {
	uint32_t uid, gid;
};
#define OWNER_NONE ((struct owner){OWNER_UNKNOWN, OWNER_UNKNOWN})

/* Returns the length without the NUL. */
size_t owner_mark_format(const struct owner *o, char ret[OWNER_MARK_MAX]);
/* False for anything that owner_mark_format does not write: it comes from a step, which can set
 * such xattrs, too. */
bool owner_mark_parse(const char *text, size_t n, struct owner *ret);
/* What `over` knows replaces what *o says. */
void owner_merge(struct owner *o, const struct owner *over);

/* The mark of a node, by a path that may lead through /proc/self/fd; OWNER_NONE without one. */
struct owner owner_mark_read(const char *path);
/* Returns 0 or -errno. */
int owner_mark_write(const char *path, const struct owner *o) _must_check_;

#define OWNER_RECORDS "owners" /* the file's name, beside a step's upper directory */
/* One record of the file for what takes no xattrs. An inode number alone may be used again for
 * another file, so its time of birth (0 where the file system keeps none) is part of the key. */
struct owner_inode {
	uint64_t ino;
	int64_t born; /* ns since the epoch */
};
struct owner_record {
	struct owner_inode inode;
	struct owner owner;
};
/* The inode that `name` below dirfd is, with flags as for statx. Returns 0 or -errno. */
int owner_inode_of(int dirfd, const char *name, int flags, struct owner_inode *ret) _must_check_;

#endif
