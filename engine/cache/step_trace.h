/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache keys of a step were made of, in a form that two steps can be compared by: the op,
 * and of every input the content digest and, where files were selected, a digest of each
 * (docs/formats-trace.md). */
#ifndef KILN_ENGINE_CACHE_STEP_TRACE_H
#define KILN_ENGINE_CACHE_STEP_TRACE_H

#include "base/json.h"
#include "solver/solver.h"
#include "store/store.h"

#define TRACE_FILES_MAX 2000 /* of one input; the rest shows only in the input's digest */

/* Appends the encoding. e->parts may be NULL: nothing is known of the inputs. `salt` may be
 * NULL. */
int step_trace_encode(struct store *s, const struct cache_entry *e, const struct digest *salt,
		      struct buf *b, struct error **err) _must_check_;
/* Decodes one as JSON: {"version", "name", "op": {...}, "salt", "inputs": [{"name", "content",
 * "files": {path: digest}, "cut"}]}; digests are in hex. ERR_CORRUPT if it is not a trace. */
int step_trace_decode(const void *data, size_t n, json_t **ret, struct error **err) _must_check_;
/* The whole op as JSON, as docs/formats-op.md has it. */
int step_trace_op(const struct op *op, size_t n_inputs, json_t **ret,
		  struct error **err) _must_check_;
/* Where a step stands, for store/trace.h: `project` and the stage and number of the step as
 * displayed;
 * "" if it has no number. Heap. */
char *step_trace_place(const char *project, const struct vertex *v);

#endif
