/* SPDX-License-Identifier: Apache-2.0 */
/* Can this machine stack directories by overlayfs? Found out by trying: file systems, kernels and
 * container managers refuse it for many reasons. */
#ifndef KILN_ENGINE_SANDBOX_OVERLAY_H
#define KILN_ENGINE_SANDBOX_OVERLAY_H

#include "base/alloc.h"

/* Mounts an overlay of new directories in `dir` as a step would, and leaves nothing. Returns 0 or
 * -errno. */
int overlay_try(const char *dir) _must_check_;

#endif
