/* SPDX-License-Identifier: Apache-2.0 */
/* What the store's record of a step says: docs/formats.md, "Cache record data". */
#ifndef KILN_ENGINE_CACHE_CACHE_RECORD_H
#define KILN_ENGINE_CACHE_CACHE_RECORD_H

#include "engine/remote_cache/remote_graph.h"
#include "engine/tree/result.h"
#include "solver/solver.h"
#include "store/record.h"

/* Was it written by this version, for an op of this shape? */
bool cache_record_is_readable(const struct record *rec, const struct cache_query *q);
/* Was the result made of the inputs that this build uses? A definition stands for what was last
 * made by it, so an input that was run again since, with another outcome, shows only here. */
bool cache_record_fits(const struct record *rec, const struct cache_query *q);
/* Fills q->outputs: the recorded chains, or by content the step's own layers on top of what the
 * inputs are now. False if the record makes no sense. */
bool cache_record_outputs(const struct record *rec, const struct cache_query *q);

/* How many of an output's layers, the last ones, the step added; REMOTE_OWN_ALL: it stands alone,
 * or the record makes no sense. */
uint32_t cache_record_own(const struct record *rec, size_t output);

/* Fills layers, data, description and type; `from` is what an imported result was found by, NULL
 * for one that was made here. */
void cache_record_describe(struct record *rec, const struct cache_entry *e,
			   const struct remote_record *from);

#endif
