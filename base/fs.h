/* SPDX-License-Identifier: Apache-2.0 */
/* Leaf wrappers over file system calls. Unless stated otherwise they return 0 or -errno and carry
 * no error object: the caller knows what it was doing. Every descriptor is O_CLOEXEC. Names that
 * come from a Dockerfile, a tar or an image go through fs_open_no_symlinks. */
#ifndef KILN_BASE_FS_H
#define KILN_BASE_FS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/alloc.h"
#include "base/buf.h"

/* Reads until n bytes or the end; returns the count or -errno. EINTR is retried, as everywhere. */
ssize_t fs_read_full(int fd, void *p, size_t n) _must_check_;
int fs_write_full(int fd, const void *p, size_t n) _must_check_;
int fs_pwrite_full(int fd, const void *p, size_t n, off_t at) _must_check_;

/* Appends the whole file to b, at most b->max bytes (-EFBIG beyond it). */
int fs_read_fd(int fd, struct buf *b) _must_check_;
int fs_read_file(int dirfd, const char *path, struct buf *b) _must_check_;
/* Writes a new file beside the name, fsyncs it, renames it over the name. */
int fs_write_file_atomic(int dirfd, const char *path, const void *p, size_t n,
			 mode_t mode) _must_check_;

/* openat2 below rootfd: a symlink in any component is refused (-ELOOP), and so is leaving the root.
 * Retries rename races. A path that is longer than the kernel takes (PATH_MAX) is opened piece by
 * piece. Returns the descriptor or -errno. */
int fs_open_no_symlinks(int rootfd, const char *path, uint64_t flags, mode_t mode) _must_check_;

/* What the calls that take a directory and a path take for a path of any length: the path itself,
 * unless it is too long for them. Then nothing on it but its last component may be a symlink. */
struct fs_place {
	int fd;
	const char *name; /* borrows the path */
	int own;	  /* what was opened for it, or -1 */
};
int fs_place_open(int rootfd, const char *path, struct fs_place *ret) _must_check_;
void fs_place_close(struct fs_place *p);

/* mkdir -p below dirfd (AT_FDCWD allowed); trusted paths only. */
int fs_mkdir_p(int dirfd, const char *path, mode_t mode) _must_check_;
/* Removes a file or a whole tree, on one file system, never following symlinks; directories without
 * permission are made writable first. A missing path is no failure. A tree may have any depth. */
int fs_remove_tree(int dirfd, const char *path) _must_check_;
/* -ECANCELED once `cancel`, which may be NULL, is set: the rest stays. */
struct cancel;
int fs_remove_tree_until(int dirfd, const char *path, const struct cancel *cancel) _must_check_;
/* The next entry but "." and "..": 1, 0 at the end, -errno where the directory cannot be read on.
 * It is never to be mistaken for the end: what stood behind it would be missing from an image. */
int fs_next_entry(DIR *dir, struct dirent **ret) _must_check_;
/* An fd that is a directory's; -errno. */
int fs_open_dir(int dirfd, const char *path) _must_check_;

#endif
