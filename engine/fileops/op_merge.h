/* SPDX-License-Identifier: Apache-2.0 */
/* Merge and diff ops, on layer lists. */
#ifndef KILN_ENGINE_FILEOPS_OP_MERGE_H
#define KILN_ENGINE_FILEOPS_OP_MERGE_H

#include "engine/layer/layer_edit.h"
#include "engine/tree/result.h"
#include "solver/op.h"
#include "solver/progress.h"
#include "store/store.h"

/* All inputs' layers on top of each other, lowest first. A layer that would appear twice in the
 * stack is cloned, since overlayfs refuses the same directory twice; `need` (may be NULL)
 * brings its dir about. NULL inputs are scratch. */
int merge_op_run(struct store *s, struct result *const *inputs, size_t n,
		 const struct layer_need_dirs *need, struct job *job, struct result **ret,
		 struct error **err) _must_check_;

/* What must be put on `lower` to get `upper` (either may be NULL, scratch): the layers that upper
 * has more, or one new layer where upper was not made from lower. */
int diff_op_run(struct store *s, const struct result *lower, const struct result *upper,
		struct job *job, struct result **ret, struct error **err) _must_check_;

#endif
