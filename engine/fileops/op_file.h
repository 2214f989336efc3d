/* SPDX-License-Identifier: Apache-2.0 */
/* File ops: copy, mkdir, mkfile, rm and symlink, without a process or a mount.
 *
 * Paths are resolved in memory on the indexes of the layers below; only what changes is written,
 * into one new layer. The layer holds what a diff of the merged trees would hold: changed paths,
 * whiteouts and the directories above them.
 */
#ifndef KILN_ENGINE_FILEOPS_OP_FILE_H
#define KILN_ENGINE_FILEOPS_OP_FILE_H

#include "base/digest.h"
#include "base/error.h"
#include "engine/layer/layer_edit.h"
#include "engine/tree/result.h"
#include "solver/op.h"
#include "solver/progress.h"
#include "store/store.h"

struct tree;

/* What becomes of a file op's layer. */
struct file_op_form {
	bool as_blob; /* nobody needs its files: it becomes a blob, compressed so */
	struct compress_options compression;
	struct layer_need_dirs need; /* for layers below; see layer_edit_open */
	bool any_name; /* it is part of no image: layer_plan_check_names is not asked */
};

/* Runs all actions into one new layer on top of the destination (the first action's input, of which
 * the indexes have to be there) and returns the extended result. `inputs` are the vertex's, NULL
 * for scratch. An op that changes nothing leaves an empty layer. ERR_UNSUPPORTED for actions that
 * do not form one chain. `form` NULL: a dir. `job` may be NULL. */
int file_op_run(struct store *s, const struct op_file *op, struct result *const *inputs,
		size_t n_inputs, const struct file_op_form *form, struct job *job,
		struct result **ret, struct error **err) _must_check_;
/* Number of the input that is changed, -1 for none: of the others files are read. */
int file_op_destination(const struct op_file *op);

/* A plain tree (a local context as base image) as a rootfs of one new layer. */
int file_op_materialise(struct store *s, struct tree *tree, const struct file_op_form *form,
			struct job *job, struct result **ret, struct error **err) _must_check_;

#endif
