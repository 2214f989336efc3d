/* SPDX-License-Identifier: Apache-2.0 */
/* A tar on its way to libarchive, which understands some headers otherwise than Go's archive/tar,
 * and so BuildKit, does. These are rewritten; all other bytes pass as they are:
 *
 * - A regular file whose name ends with a slash is a file; libarchive makes it a directory and then
 *   takes its bytes for headers. Only the untyped entries of ancient tars (type NUL) become
 *   directories by a slash.
 * - Links, directories, devices and fifos have no bytes, whatever size their headers say.
 *
 * What is not a tar, or cannot be followed, passes as it is: libarchive judges it.
 */
#ifndef KILN_ENGINE_LAYER_TAR_RULES_H
#define KILN_ENGINE_LAYER_TAR_RULES_H

#include <stddef.h>

#include "base/alloc.h"
#include "engine/stream/inflate.h"

struct tar_rules;
/* Pulls the tar from `read`. */
struct tar_rules *tar_rules_open(inflate_read_fn read, void *data);
/* The next bytes, which are valid until the next call; *ret_n = 0 is the end. */
int tar_rules_read(struct tar_rules *t, const void **ret, size_t *ret_n,
		   struct error **err) _must_check_;
void tar_rules_free(struct tar_rules *t);
DEFINE_FREEP(struct tar_rules, tar_rules_free)

#endif
