/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a build as BuildKit writes them into provenance: its protobuf ops as JSON, by number,
 * inputs before what uses them. */
#ifndef KILN_ENGINE_ATTEST_ATTEST_LLB_H
#define KILN_ENGINE_ATTEST_ATTEST_LLB_H

#include "base/json.h"
#include "solver/graph.h"

/* The vertices below a target. */
struct attest_steps {
	const struct vertex **v; /* by step; owned, the vertices are the graph's */
	size_t n;
	size_t *step_of; /* vertex id -> step + 1, 0: not one of them; owned */
};
void attest_steps_find(const struct graph *g, struct edge target, struct attest_steps *ret);
void attest_steps_release(struct attest_steps *s);

/* {"llbDefinition": [...], "digestMapping": {...}}; a new reference. Left out: proxies of steps, who
 * may be known by their passwords, and the paths of layouts on this machine. */
json_t *attest_steps_json(const struct attest_steps *s, struct edge target);
/* {"step0": {"locations": [...]}}: which lines of the Dockerfile they come from. */
json_t *attest_steps_locations(const struct attest_steps *s);
/* "step3:0" */
char *attest_steps_name(const struct attest_steps *s, struct edge e);

/* The name and pin of an image source, as said in a document that leaves this machine. Heap. */
char *attest_source_identifier(const struct op_source *source);

#endif
