/* SPDX-License-Identifier: Apache-2.0 */
/* From a target to the options of `kiln build`. */
#ifndef KILN_CMD_BAKE_BAKE_REQUEST_H
#define KILN_CMD_BAKE_BAKE_REQUEST_H

#include "cmd/build/build_options.h"
#include "frontend/bake/bake_target.h"

/* Texts live in the arena. Contexts "target:NAME" are left out: they are the caller's to add. */
int bake_request_options(struct arena *a, const struct bake_target *t, struct build_options *o,
			 struct error **err) _must_check_;

#endif
