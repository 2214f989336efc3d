/* SPDX-License-Identifier: Apache-2.0 */
/* Slash-separated path text. No function touches the file system. */
#ifndef KILN_BASE_PATH_H
#define KILN_BASE_PATH_H

#include <stdbool.h>

#include "base/alloc.h"
#include "base/error.h"

/* The shortest equivalent path, by Go's path.Clean: "" gives ".", "/.." gives "/". Heap. */
char *path_clean(const char *path) _must_check_;
/* Clean of "a/b"; an empty part is left out. Heap. */
char *path_join(const char *a, const char *b) _must_check_;
/* `path` as seen from `dir`: itself if absolute, else joined; cleaned. Heap. */
char *path_resolve(const char *dir, const char *path) _must_check_;
/* Cleaned path inside a root, without a leading slash: "/a/../../b/" gives "b", "/" gives
 * "". Heap. */
char *path_rooted(const char *path) _must_check_;
/* The text after the last slash; borrowed. "a/" gives "". */
const char *path_base(const char *path);
/* Everything before the last slash, "/" or "." as Go's path.Dir. Heap. */
char *path_dir(const char *path) _must_check_;
bool path_is_absolute(const char *path);
/* Is `path` equal to `dir` or below it? Both clean. "" and "/" contain everything. */
bool path_within(const char *path, const char *dir);
/* No tree may have a path of more bytes or components than these (ERR_INVALID, ENAMETOOLONG). The
 * kernel takes 4095 bytes at once; what makes a path expensive is its depth, since each directory
 * on it has an entry with its own path: so there may be no more than 4095 bytes can name. */
enum { PATH_BYTES_MAX = 32767, PATH_DEPTH_MAX = 2048 };
int path_check_length(const char *path, struct error **err) _must_check_;
/* The same of two that are to be one. */
int path_check_lengths(const char *a, const char *b, struct error **err) _must_check_;
/* Orders paths so that a directory's subtree is contiguous right after it ('/' sorts below every
 * other byte). */
int path_compare(const char *a, const char *b);

#endif
