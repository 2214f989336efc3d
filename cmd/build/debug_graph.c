/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/debug_graph.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/cache/step_trace.h"
#include "solver/op_key.h"

static void reach(const struct vertex *v, bool *reached)
{
	if (!v || reached[v->id])
		return;
	reached[v->id] = true;
	for (size_t i = 0; i < v->n_inputs; i++)
		reach(v->inputs[i].vertex, reached);
}

static json_t *edge_json(const struct edge *e)
{
	char text[DIGEST_TEXT];

	if (!e->vertex)
		return json_null();
	return json_pack("{s:s, s:i}", "vertex", digest_format(&e->vertex->digest, text), "output",
			 (int)e->output);
}

static int vertex_json(const struct vertex *v, json_t **ret, struct error **err)
{
	struct digest key = op_key(&v->op, v->n_inputs);
	char digest[DIGEST_TEXT], key_text[DIGEST_TEXT];
	json_t *inputs = json_array(), *op = NULL;
	int r = step_trace_op(&v->op, v->n_inputs, &op, err);

	for (size_t i = 0; i < v->n_inputs; i++)
		json_array_append_new(inputs, edge_json(&v->inputs[i]));
	*ret = json_pack("{s:s, s:s?, s:s?, s:i, s:b, s:s, s:o, s:o*}", "digest",
			 digest_format(&v->digest, digest), "name", v->meta.name, "stage",
			 v->meta.stage, "line", v->meta.file ? (int)v->meta.span.line : 0,
			 "ignore_cache", v->meta.ignore_cache, "op_key",
			 digest_format(&key, key_text), "inputs", inputs, "op", op);
	return r;
}

static int print_json(const struct graph *g, const struct frontend_result *compiled, size_t n,
		      const bool *reached, struct error **err)
{
	_cleanup_json_ json_t *doc = json_pack("{s:[], s:[]}", "targets", "vertices");
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(json_object_get(doc, "targets"),
				      edge_json(&compiled[i].target));
	for (size_t i = 0; i < g->n && r == 0; i++) {
		json_t *v = NULL;

		if (!reached[i])
			continue;
		r = vertex_json(g->vertices[i], &v, err);
		json_array_append_new(json_object_get(doc, "vertices"), v);
	}
	if (r < 0)
		return r;
	js_dump(doc, false, &b);
	printf("%.*s\n", (int)b.n, b.p);
	return 0;
}

static void print_label(const char *name)
{
	for (const char *p = name ? name : ""; *p; p++) {
		if (*p == '"' || *p == '\\')
			putchar('\\');
		putchar((unsigned char)*p < 0x20 ? ' ' : *p);
	}
}

static void print_dot(const struct graph *g, const bool *reached)
{
	static const char *const shapes[] = {
		[OP_SOURCE] = "ellipse",    [OP_EXEC] = "box",	    [OP_FILE] = "note",
		[OP_MERGE] = "invtriangle", [OP_DIFF] = "triangle", [OP_BUILD] = "box3d",
	};

	printf("digraph build {\n");
	for (size_t i = 0; i < g->n; i++) {
		const struct vertex *v = g->vertices[i];

		if (!reached[i])
			continue;
		printf("  v%zu [shape=%s, label=\"", i, shapes[v->op.kind]);
		print_label(v->meta.name);
		printf("\"];\n");
		for (size_t k = 0; k < v->n_inputs; k++)
			if (v->inputs[k].vertex)
				printf("  v%u -> v%zu;\n", v->inputs[k].vertex->id, i);
	}
	printf("}\n");
}

int debug_graph_print(const struct graph *g, const struct frontend_result *compiled, size_t n,
		      bool json, struct error **err)
{
	_cleanup_free_ bool *reached = xcalloc(g->n + 1, sizeof(*reached));

	for (size_t i = 0; i < n; i++)
		reach(compiled[i].target.vertex, reached);
	if (json)
		return print_json(g, compiled, n, reached, err);
	print_dot(g, reached);
	return 0;
}
