/* SPDX-License-Identifier: Apache-2.0 */
/* Cache keys of vertices (docs/formats-op.md, "Keys"). A key of a vertex is made of its op's key
 * form and of one part for every input. */
#ifndef KILN_SOLVER_CACHEKEY_H
#define KILN_SOLVER_CACHEKEY_H

#include "base/digest.h"
#include "solver/op.h"

enum key_part_kind {
	KEY_PART_SCRATCH = 0,	 /* the input is the empty rootfs */
	KEY_PART_DEFINITION = 1, /* definition key of the input and what is selected by name */
	KEY_PART_CONTENT = 2,	 /* digest of the content selected */
};

struct key_part {
	enum key_part_kind kind;
	struct digest digest;
	unsigned output;	 /* KEY_PART_DEFINITION */
	struct digest selection; /* KEY_PART_DEFINITION */
};

/* The definition key of a source that was pinned to `pin`. */
struct digest cachekey_source(const struct op *op, const struct digest *pin);

/* Definition keys may mix all kinds of parts; content keys have no KEY_PART_DEFINITION. `salt`
 * (NULL: none) is what solver_ops.salt gave. */
struct digest cachekey_definition(const struct op *op, const struct digest *salt,
				  const struct key_part *parts, size_t n);
struct digest cachekey_content(const struct op *op, const struct digest *salt,
			       const struct key_part *parts, size_t n);

#endif
