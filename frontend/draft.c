/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/draft.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"

int draft_input(struct draft_inputs *inputs, struct draft *d)
{
	if (!d)
		return OP_INPUT_NONE;
	if (d->input_of == inputs && d->input_number < inputs->list.n &&
	    inputs->list.v[d->input_number] == d)
		return (int)d->input_number;
	d->input_of = inputs;
	d->input_number = inputs->list.n;
	vec_push(&inputs->list, d);
	return (int)d->input_number;
}

struct draft *draft_new(struct drafts *ds, const struct op *op, struct draft_inputs *inputs,
			const struct vertex_meta *meta)
{
	struct draft *d = ARENA_NEW(ds->arena, struct draft);

	d->v.op = *op;
	d->v.meta = *meta;
	if (inputs && inputs->list.n > 0) {
		size_t size = inputs->list.n * sizeof(struct draft *);
		struct draft **copy = arena_alloc(ds->arena, size);

		memcpy(copy, inputs->list.v, size);
		d->inputs = copy;
		d->v.n_inputs = inputs->list.n;
	}
	if (inputs)
		vec_release(&inputs->list);
	vec_push(&ds->list, d);
	return d;
}

struct draft *draft_of_edge(struct drafts *ds, struct edge e)
{
	struct draft *d;

	if (!e.vertex)
		return NULL;
	d = ARENA_NEW(ds->arena, struct draft);
	d->v.op = e.vertex->op;
	d->vertex = e.vertex;
	vec_push(&ds->list, d);
	return d;
}

void drafts_release(struct drafts *ds)
{
	vec_release(&ds->list);
}

void path_use_add(struct path_use *use, struct arena *a, const char *path)
{
	_cleanup_free_ char *clean = path_rooted(path);
	void **slot;

	if (!*clean)
		use->whole = true;
	if (use->whole)
		return;
	slot = map_puts(&use->seen, clean);
	if (*slot)
		return;
	*slot = use;
	vec_push(&use->paths, arena_strdup(a, clean));
}

void path_use_release(struct path_use *use)
{
	vec_release(&use->paths);
	map_release(&use->seen, NULL);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds local.followpaths to the attributes, which stay sorted. */
static void add_follow_paths(struct arena *a, struct op_source *source, const struct path_use *use)
{
	_cleanup_json_ json_t *array = NULL;
	_cleanup_free_ const char **sorted = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct op_pair *attrs;
	size_t n = 0;

	if (use->whole || use->paths.n == 0)
		return;
	sorted = xreallocarray(NULL, use->paths.n, sizeof(*sorted));
	memcpy(sorted, use->paths.v, use->paths.n * sizeof(*sorted));
	qsort(sorted, use->paths.n, sizeof(*sorted), compare_strings);
	array = json_array();
	for (size_t i = 0; i < use->paths.n; i++)
		(void)json_array_append_new(array, json_string(sorted[i]));
	js_dump(array, false, &text);

	attrs = arena_alloc(a, (source->attrs.n + 1) * sizeof(*attrs));
	while (n < source->attrs.n && strcmp(source->attrs.v[n].key, "local.followpaths") < 0) {
		attrs[n] = source->attrs.v[n];
		n++;
	}
	attrs[n] = (struct op_pair){"local.followpaths", arena_strdup(a, text.p)};
	for (size_t i = n; i < source->attrs.n; i++)
		attrs[i + 1] = source->attrs.v[i];
	source->attrs = (struct op_pairs){attrs, source->attrs.n + 1};
}

static void emit(struct drafts *ds, struct graph *g, struct draft *d)
{
	struct edge *inputs = arena_alloc(ds->arena, d->v.n_inputs * sizeof(*inputs));

	for (size_t i = 0; i < d->v.n_inputs; i++)
		inputs[i].vertex = d->inputs[i]->vertex;
	d->v.inputs = inputs;
	if (d->use)
		add_follow_paths(ds->arena, &d->v.op.source, d->use);
	d->vertex = graph_join(g, &d->v);
}

struct edge draft_emit(struct drafts *ds, struct graph *g, struct draft *target)
{
	if (!target)
		return (struct edge){0};
	target->wanted = true;
	for (size_t i = ds->list.n; i-- > 0;) {
		const struct draft *d = ds->list.v[i];

		for (size_t j = 0; d->wanted && j < d->v.n_inputs; j++)
			d->inputs[j]->wanted = true;
	}
	for (size_t i = 0; i < ds->list.n; i++)
		if (ds->list.v[i]->wanted && !ds->list.v[i]->vertex)
			emit(ds, g, ds->list.v[i]);
	return (struct edge){.vertex = target->vertex};
}
