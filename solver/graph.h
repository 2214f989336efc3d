/* SPDX-License-Identifier: Apache-2.0 */
/* The graph that the frontend emits and the solver runs.
 *
 * A vertex is an op, its inputs and metadata that never enters a digest. Vertices are added in an
 * order in which inputs come first, so a graph has no cycles by construction; equal vertices are
 * merged when added (same digest, same ignore_cache). Everything lives in the graph's arena. Build
 * it on one thread; read-only afterwards.
 */
#ifndef KILN_SOLVER_GRAPH_H
#define KILN_SOLVER_GRAPH_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/map.h"
#include "solver/op.h"

struct vertex;

/* One output of a vertex. vertex == NULL is the empty rootfs ("scratch"). */
struct edge {
	struct vertex *vertex;
	unsigned output;
};

/* Never part of a digest or key. */
struct vertex_meta {
	const char *name; /* as shown: "[2/5] WORKDIR /app" */
	const char *file; /* Dockerfile name, NULL if the vertex has no source line */
	struct source_span span;
	bool ignore_cache;	   /* run even if a record exists (--no-cache) */
	const char *ignore_reason; /* why, as shown: "--no-cache"; may be NULL */
	const char *progress_group, *progress_group_name; /* NULL: none */
	bool progress_group_weak;
	const char *if_missing; /* the hint where something is not found; NULL: the error's own */
	const char *stage;	/* stage name, for --no-cache-filter; NULL: none */
};

struct vertex {
	unsigned id; /* position in graph->vertices */
	struct op op;
	const struct edge *inputs;
	size_t n_inputs;
	struct vertex_meta meta;
	struct digest digest; /* of the canonical op and the inputs' digests */
};

struct graph {
	struct arena arena;
	struct vertex **vertices;
	size_t n, cap;
	struct map by_digest;
};

void graph_init(struct graph *g);
void graph_release(struct graph *g);

/* Adds a vertex, or finds the equal one. `op` and `inputs` are copied shallowly: what they point to
 * must live in g->arena (or be static). `meta` strings likewise. Never fails. */
struct vertex *graph_add(struct graph *g, const struct op *op, const struct edge *inputs,
			 size_t n_inputs, const struct vertex_meta *meta);
/* The same for a vertex that lies in g->arena as a whole, filled but for id and digest. Returns v,
 * or the equal one. */
struct vertex *graph_join(struct graph *g, struct vertex *v);

/* The instruction as displayed, without the "[stage 2/5] " before it. */
const char *vertex_instruction(const struct vertex *v);
/* Is `pattern` a line of the vertex's Dockerfile that it stands on, or a glob (fnmatch) of its
 * instruction ("RUN apt-get *")? `*` also matches slashes. */
bool vertex_matches(const struct vertex *v, const char *pattern);

#endif
