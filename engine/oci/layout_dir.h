/* SPDX-License-Identifier: Apache-2.0 */
/* The files of an OCI image layout directory (image-layout.md). Symlinks are not followed,
 * and nothing but regular files is opened. `dirfd` is the layout's. */
#ifndef KILN_ENGINE_OCI_LAYOUT_DIR_H
#define KILN_ENGINE_OCI_LAYOUT_DIR_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

/* Is it a layout of a version that we know? ERR_NOTFOUND if it has no marker. */
/* Makes the folder for blobs where it is not there. Where a symlink stands for it, whoever made the
 * layout would choose what is written and swept. */
int layout_dir_make_blobs(int dirfd, struct error **err) _must_check_;
int layout_dir_check(int dirfd, struct error **err) _must_check_;
/* Returns the descriptor; ERR_NOTFOUND if there is no such file. */
int layout_dir_open(int dirfd, const char *name, struct error **err) _must_check_;
/* The whole of a small file; more than `max` bytes is ERR_INVALID. */
int layout_dir_read(int dirfd, const char *name, size_t max, struct buf *ret,
		    struct error **err) _must_check_;
/* The same for a blob, whose bytes are verified: ERR_CORRUPT. */
int layout_dir_read_blob(int dirfd, const struct digest *digest, size_t max, struct buf *ret,
			 struct error **err) _must_check_;
/* Removes the blobs that no descriptor in `manifests` (an array, index.json's) leads to. One that
 * cannot be followed keeps everything. */
int layout_dir_sweep(int dirfd, const json_t *manifests, struct error **err) _must_check_;

#endif
