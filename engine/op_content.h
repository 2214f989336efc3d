/* The content digest of an input, as an op selects it (solver/op_key.h lists what that is): a whole
 * rootfs, the subtree that a bind mount shows, or what the copies of a file op take. */
#ifndef KILN_ENGINE_OP_CONTENT_H
#define KILN_ENGINE_OP_CONTENT_H

#include "base/digest.h"
#include "base/error.h"
#include "engine/result.h"
#include "solver/op.h"
#include "store/store.h"

/* `result` is input number `input` of the op, NULL for scratch. Every layer that is looked at must
 * have its index (ERR_NOTFOUND else). A literal copy source that does not exist is ERR_NOTFOUND
 * with BuildKit's text. */
int op_content(struct store *s, const struct op *op, size_t input, const struct result *result,
	       struct digest *ret, struct error **err);

#endif
