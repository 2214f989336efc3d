/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/tree/result.h"

#include <stdlib.h>
#include <string.h>

#include "engine/tree/tree.h"

static struct result *result_new(size_t room)
{
	struct result *r = xcalloc(1, sizeof(*r) + room * sizeof(r->layers[0]));

	r->refs = 1;
	return r;
}

struct result *result_new_rootfs(const int64_t *layers, size_t n)
{
	struct result *r = result_new(n);

	if (n > 0)
		memcpy(r->layers, layers, n * sizeof(*layers));
	r->n_layers = n;
	return r;
}

struct result *result_new_tree(struct tree *tree)
{
	struct result *r = result_new(0);

	r->tree = tree_ref(tree);
	return r;
}

struct result *result_extend(const struct result *parent, int64_t layer)
{
	size_t n = parent ? parent->n_layers : 0;
	struct result *r = result_new(n + 1);

	if (n > 0)
		memcpy(r->layers, parent->layers, n * sizeof(*r->layers));
	r->n_layers = n;
	if (layer != 0)
		r->layers[r->n_layers++] = layer;
	return r;
}

struct result *result_ref(struct result *r)
{
	if (r)
		r->refs++;
	return r;
}

void result_unref(struct result *r)
{
	if (!r || --r->refs > 0)
		return;
	tree_unref(r->tree);
	free(r);
}

const struct result *result_base_of(const struct vertex *v, size_t output,
				    struct result *const *inputs)
{
	int input = op_base_input(&v->op, (unsigned)output);

	return input >= 0 && (size_t)input < v->n_inputs ? inputs[input] : NULL;
}
