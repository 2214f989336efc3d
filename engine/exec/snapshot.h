/* SPDX-License-Identifier: Apache-2.0 */
/* Layers put together without overlayfs: by copying their files. See store/layer_snapshot.h. */
#ifndef KILN_ENGINE_EXEC_SNAPSHOT_H
#define KILN_ENGINE_EXEC_SNAPSHOT_H

#include "base/cancel.h"
#include "store/layer_snapshot.h"

/* Copies what the layers show into the empty directory `dir`, which gets the
 * attributes of their root. `clock` is a name for a file on the same file system. Release *ret also
 * after failure. */
int snapshot_make(const struct layer_chain *chain, const char *dir, const char *clock,
		  struct cancel *cancel, struct layer_snapshot *ret,
		  struct error **err) _must_check_;
/* Removes the mount points that the sandbox helper made in `dir` and listed in its scratch
 * directory: they do not count as changes by the step. */
int snapshot_clear(const char *dir, const char *scratch, struct error **err) _must_check_;

#endif
