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
	       struct error **err);
/* Was the content key of v over these inputs computed from what this store has, or from what an
 * imported cache says? Where the layers are here by now, what was said is compared with them. */
int op_content_is_own(struct store *s, struct remote_imports *imports, const struct vertex *v,
		      struct result *const *inputs, bool *ret, struct error **err);
/* A content key that rests on what an imported cache says is nothing to go by for who does not
 * import it. What was found or made under one is kept under this name, which no build asks for,
 * until it is linked to a definition. */
struct digest op_content_hearsay(const struct digest *content);
/* The content digest of a merged stack of layers without looking into them. */
int op_content_known_tree(struct store *s, struct remote_imports *imports, const int64_t *layers,
			  size_t n, bool *ret_found, struct digest *ret, struct error **err);

#endif
