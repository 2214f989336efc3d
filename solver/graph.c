/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/graph.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "solver/op_encode.h"

void graph_init(struct graph *g)
{
	*g = (struct graph){0};
}

void graph_release(struct graph *g)
{
	map_release(&g->by_digest, NULL);
	free(g->vertices);
	arena_release(&g->arena);
	graph_init(g);
}

static struct digest vertex_digest(const struct vertex *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_hasher_ struct hasher h = {0};
	struct digest ret;

	op_encode(&v->op, v->n_inputs, OP_FORM_FULL, &b);
	hasher_init(&h);
	hasher_add_string(&h, "kiln vertex 1");
	hasher_add_u64(&h, b.n);
	hasher_add(&h, b.p, b.n);
	hasher_add_u64(&h, v->n_inputs);
	for (size_t i = 0; i < v->n_inputs; i++) {
		const struct edge *in = &v->inputs[i];

		hasher_add_u64(&h, in->vertex ? 1 : 0);
		if (!in->vertex)
			continue;
		hasher_add(&h, in->vertex->digest.b, DIGEST_SIZE);
		hasher_add_u64(&h, in->output);
	}
	hasher_final(&h, &ret);
	return ret;
}

static void append(struct graph *g, struct vertex *v)
{
	if (g->n == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 64;
		g->vertices = xreallocarray(g->vertices, g->cap, sizeof(*g->vertices));
	}
	v->id = (unsigned)g->n;
	g->vertices[g->n++] = v;
}

struct vertex *graph_join(struct graph *g, struct vertex *v)
{
	uint8_t key[DIGEST_SIZE + 1];
	void **slot;

	for (size_t i = 0; i < v->n_inputs; i++)
		assert(!v->inputs[i].vertex ||
		       (v->inputs[i].vertex->id < g->n &&
			g->vertices[v->inputs[i].vertex->id] == v->inputs[i].vertex));
	v->digest = vertex_digest(v);
	memcpy(key, v->digest.b, DIGEST_SIZE);
	key[DIGEST_SIZE] = v->meta.ignore_cache;
	slot = map_put(&g->by_digest, key, sizeof(key));
	if (!*slot) {
		append(g, v);
		*slot = v;
	}
	return *slot;
}

struct vertex *graph_add(struct graph *g, const struct op *op, const struct edge *inputs,
			 size_t n_inputs, const struct vertex_meta *meta)
{
	struct vertex *v = ARENA_NEW(&g->arena, struct vertex);

	*v = (struct vertex){.op = *op, .n_inputs = n_inputs, .meta = *meta};
	if (n_inputs > 0) {
		struct edge *edges = arena_alloc(&g->arena, n_inputs * sizeof(*edges));

		memcpy(edges, inputs, n_inputs * sizeof(*edges));
		v->inputs = edges;
	}
	return graph_join(g, v);
}

const char *vertex_instruction(const struct vertex *v)
{
	const char *name = v->meta.name ? v->meta.name : "";
	const char *end = *name == '[' ? strstr(name, "] ") : NULL;

	return end ? end + 2 : name;
}

bool vertex_matches(const struct vertex *v, const char *pattern)
{
	uint64_t line;

	if (number_parse(pattern, 10, UINT64_MAX, &line) == 0)
		return v->meta.file && line >= v->meta.span.line &&
		       (line == v->meta.span.line || line <= v->meta.span.end_line);
	return fnmatch(pattern, vertex_instruction(v), 0) == 0;
}
