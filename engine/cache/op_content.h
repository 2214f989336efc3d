/* SPDX-License-Identifier: Apache-2.0 */
/* What an op selects of an input, as one digest: the engine's part of content keys
 * (solver_ops.content). */
#ifndef KILN_ENGINE_CACHE_OP_CONTENT_H
#define KILN_ENGINE_CACHE_OP_CONTENT_H

#include "engine/remote_cache/remote_import.h"
#include "engine/tree/result.h"
#include "solver/graph.h"

/* Layers that were never unpacked can be told only as a whole, and only where the store or an
 * imported cache (`imports`, may be NULL) knows what the whole looks like; else *ret_available =
 * false. */
int op_content(struct store *s, struct remote_imports *imports, const struct vertex *v,
	       size_t input, const struct result *in, struct digest *ret, bool *ret_available,
	       struct error **err) _must_check_;
/* Was the content key of v over these inputs computed from what this store has, or from what an
 * imported cache says? Where the layers are here by now, what was said is compared with them. */
int op_content_is_own(struct store *s, struct remote_imports *imports, const struct vertex *v,
		      struct result *const *inputs, bool *ret, struct error **err) _must_check_;
/* The content digest of a merged stack of layers without looking into them. */
int op_content_known_tree(struct store *s, struct remote_imports *imports, const int64_t *layers,
			  size_t n, bool *ret_found, struct digest *ret,
			  struct error **err) _must_check_;

/* Content digest of vertex input number `input` as the op uses it (solver/op_key.h): what it
 * changes by the whole rootfs, a copy source by what is selected from it (copy_select.h). `result`
 * is that input; NULL is scratch. `whole` is the content digest of all of it where that is known,
 * else NULL; layers that have to be looked into must have their indexes. A literal source that does
 * not exist is ERR_NOTFOUND with BuildKit's text. */
int file_op_content(struct store *s, const struct op_file *op, size_t n_inputs, size_t input,
		    const struct result *result, const struct digest *whole, struct digest *ret,
		    struct error **err) _must_check_;

#endif
