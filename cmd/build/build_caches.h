/* SPDX-License-Identifier: Apache-2.0 */
/* What --cache-to asks for, from before the solve until after the images were exported. NULL is
 * nothing. */
#ifndef KILN_CMD_BUILD_BUILD_CACHES_H
#define KILN_CMD_BUILD_BUILD_CACHES_H

#include "cmd/build/build_outputs.h"

struct build_caches;
/* *ret stays NULL where nothing is asked for. `b` is borrowed. */
int build_caches_open(const struct build_outputs *b, struct build_caches **ret,
		      struct error **err) _must_check_;
/* Before engine_solve: those of all requests hear of results. Each solve starts afresh. */
void build_caches_watch(struct build_outputs *const *all, size_t n);
struct export_inline build_caches_inline(struct build_caches *c);
int build_caches_write(struct build_caches *c, struct error **err) _must_check_;
/* Of all requests: they know the same of what was used. */
void build_caches_close(struct build_outputs *const *all, size_t n);

#endif
