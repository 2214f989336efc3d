/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical msgpack form of an op (docs/formats-op.md): map keys sorted, every field present,
 * NULL strings written as "". */
#ifndef KILN_SOLVER_OP_ENCODE_H
#define KILN_SOLVER_OP_ENCODE_H

#include "base/buf.h"
#include "solver/op.h"

#define OP_VERSION 1

enum op_form {
	OP_FORM_FULL, /* everything: the vertex digest is made of it */
	OP_FORM_KEY,  /* what enters cache keys, see solver/op_key.h */
};

/* Appends the encoding. `n_inputs` (the vertex's) matters to OP_FORM_KEY only. */
void op_encode(const struct op *op, size_t n_inputs, enum op_form form, struct buf *b);

/* Does the op see only the subtree `selector` of the mount's input? */
bool op_mount_selects(const struct op_mount *m);

#endif
