/* What an op selects of an input, as one digest: the engine's part of content keys
 * (solver_ops.content). */
#ifndef KILN_ENGINE_OP_CONTENT_H
#define KILN_ENGINE_OP_CONTENT_H

#include "engine/remote_import.h"
#include "engine/result.h"
#include "solver/graph.h"

/* Layers that were never unpacked can be told only as a whole, and only where the store or an
 * imported cache (`imports`, may be NULL) knows what the whole looks like; else *ret_available =
 * false. */
int op_content(struct store *s, struct remote_imports *imports, const struct vertex *v,
	       size_t input, const struct result *in, struct digest *ret, bool *ret_available,
	       struct error **err);
/* The content digest of a merged stack of layers without looking into them. */
int op_content_known_tree(struct store *s, struct remote_imports *imports, const int64_t *layers,
			  size_t n, bool *ret_found, struct digest *ret, struct error **err);

#endif
