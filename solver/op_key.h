/* SPDX-License-Identifier: Apache-2.0 */
/* The key form of an op: what of it enters cache keys, as opposed to the vertex digest.
 *
 * Left out: predefined proxy arguments, the addresses of extra hosts, id and sharing of cache
 * mounts, and the platform of ops that run nothing. Moved to the selection of an input: selectors
 * of mounts, and the directory part of what a copy takes from an input. A source has no key form:
 * its pin stands for it. The encoding is in docs/formats-op.md.
 */
#ifndef KILN_SOLVER_OP_KEY_H
#define KILN_SOLVER_OP_KEY_H

#include "base/digest.h"
#include "solver/op.h"

/* `n_inputs` is the vertex's number of inputs: copies from earlier actions keep their whole
 * path. */
struct digest op_key(const struct op *op, size_t n_inputs);

/* How an op uses one of its inputs. A content digest of the input is the digest of these in
 * order. */
enum op_use_kind {
	OP_USE_WHOLE = 1, /* everything: a rootfs, the tree a file action changes, merge and diff */
	OP_USE_PATH,	  /* the subtree `path` (a bind mount's selector) */
	OP_USE_COPY,	  /* what `copy` selects: src with its wildcards, includes and excludes */
};

struct op_use {
	enum op_use_kind kind;
	const char *path;		 /* OP_USE_PATH; borrowed */
	const struct op_file_copy *copy; /* OP_USE_COPY; borrowed */
};

/* Visits the uses of `input`: start with *i = 0; false at the end. */
bool op_use_next(const struct op *op, size_t input, size_t *i, struct op_use *ret);

/* The digest of what is selected of `input`, by name (paths as written), for definition keys. */
struct digest op_selection(const struct op *op, size_t input);

/* How many outputs an op has; at least 1. */
size_t op_n_outputs(const struct op *op);

#endif
