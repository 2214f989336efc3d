/* File ops: copy, mkdir, mkfile, rm and symlink, without a process or a mount.
 *
 * Paths are resolved in memory on the indexes of the layers below; only what changes is written,
 * into one new layer. The layer holds what a diff of the merged trees would hold: changed paths,
 * whiteouts and the directories above them.
 */
#ifndef KILN_ENGINE_OP_FILE_H
#define KILN_ENGINE_OP_FILE_H

#include "engine/result.h"
#include "solver/op.h"
#include "solver/progress.h"
#include "store/store.h"

/* Content digest of vertex input number `input` as the op uses it: a destination by its whole
 * rootfs, a copy source by what is selected from it (see copy_select.h). `result` is that input;
 * NULL is scratch. A literal source that does not exist is ERR_NOTFOUND with BuildKit's text. */
int file_op_content(struct store *s, const struct op_file *op, size_t n_inputs, size_t input,
		    const struct result *result, struct digest *ret, struct error **err);

/* Runs all actions into one new layer on top of the destination (the first action's input) and
 * returns the extended result. `inputs` are the vertex's, NULL for scratch. An op that changes
 * nothing leaves an empty layer. `job` may be NULL. */
int file_op_run(struct store *s, const struct op_file *op, struct result *const *inputs,
		size_t n_inputs, struct job *job, struct result **ret, struct error **err);

#endif
