/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache/op_content.h"

#include "engine/tree/copy_select.h"
#include "engine/tree/tree_rootfs.h"
#include "solver/op_key.h"
#include "store/layer.h"
#include "store/rootfs.h"

static int path_digest(struct store *s, const struct result *in, const char *path,
		       struct digest *ret, struct error **err)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	int r = tree_of_result(s, in, &tree, err);

	return r < 0 ? r : tree_path_digest(tree, path, ret, err);
}

/* `whole` is the digest of all of it where that is known, else NULL. */
static int exec_content(struct store *s, const struct op *op, size_t input, const struct result *in,
			const struct digest *whole, struct digest *ret, struct error **err)
{
	_cleanup_hasher_ struct hasher h = {0};
	struct op_use use;

	hasher_init(&h);
	for (size_t i = 0; op_use_next(op, input, &i, &use);) {
		struct digest d;
		int r = 0;

		if (use.kind == OP_USE_PATH)
			r = path_digest(s, in, use.path, &d, err);
		else if (whole)
			d = *whole;
		else
			r = result_whole_digest(s, in, &d, err);
		if (r < 0)
			return r;
		hasher_add(&h, d.b, sizeof(d.b));
	}
	hasher_final(&h, ret);
	return 0;
}

static bool uses_only_whole(const struct op *op, size_t input)
{
	struct op_use use;

	for (size_t i = 0; op_use_next(op, input, &i, &use);)
		if (use.kind != OP_USE_WHOLE)
			return false;
	return true;
}

int op_content_known_tree(struct store *s, struct remote_imports *imports, const int64_t *layers,
			  size_t n, bool *ret_found, struct digest *ret, struct error **err)
{
	int r = rootfs_known_digest(s, layers, n, ret_found, ret, err);

	if (r == 0 && !*ret_found && imports)
		*ret_found = remote_imports_tree(imports, layers, n, ret);
	return r;
}

static int digest_input(struct store *s, const struct vertex *v, size_t input,
			const struct result *in, const struct digest *whole, struct digest *ret,
			struct error **err)
{
	if (v->op.kind == OP_FILE)
		return file_op_content(s, &v->op.file, v->n_inputs, input, in, whole, ret, err);
	return exec_content(s, &v->op, input, in, whole, ret, err);
}

int op_content(struct store *s, struct remote_imports *imports, const struct vertex *v,
	       size_t input, const struct result *in, struct digest *ret, bool *ret_available,
	       struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct digest whole;
	bool indexed, known = false;
	int r;

	*ret_available = v->op.kind == OP_FILE || v->op.kind == OP_EXEC;
	if (!*ret_available)
		return 0;
	r = layers_have(s, LAYER_INDEX, in->layers, in->n_layers, &indexed, err);
	if (r == 0 && !indexed && uses_only_whole(&v->op, input))
		r = op_content_known_tree(s, imports, in->layers, in->n_layers, &known, &whole,
					  err);
	*ret_available = indexed || known;
	if (r < 0 || !*ret_available)
		return r;
	r = digest_input(s, v, input, in, known ? &whole : NULL, ret, &why);
	/* A layer that is found damaged here counts as not unpacked from now on. */
	if (r == -ERR_CORRUPT &&
	    layers_have(s, LAYER_INDEX, in->layers, in->n_layers, ret_available, NULL) == 0 &&
	    !*ret_available)
		return 0;
	if (r < 0 && err)
		*err = TAKE_PTR(why);
	return r;
}

/* Of one stack of layers. */
static int is_own(struct store *s, struct remote_imports *imports, const struct result *in,
		  bool *ret, struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	struct digest said, real;
	bool indexed;
	int r;

	*ret = true;
	if (!remote_imports_tree(imports, in->layers, in->n_layers, &said))
		return 0;
	r = layers_have(s, LAYER_INDEX, in->layers, in->n_layers, &indexed, err);
	if (r == 0 && indexed) {
		r = rootfs_open(s, in->layers, in->n_layers, &rootfs, err);
		if (r == 0)
			r = rootfs_digest(rootfs, &real, err);
	} else if (r == 0) {
		r = rootfs_known_digest(s, in->layers, in->n_layers, &indexed, &real, err);
	}
	if (r < 0)
		return r;
	*ret = indexed && digest_equal(&said, &real);
	if (indexed && !*ret)
		remote_imports_refuse_tree(imports, in->layers, in->n_layers);
	return 0;
}

int op_content_is_own(struct store *s, struct remote_imports *imports, const struct vertex *v,
		      struct result *const *inputs, bool *ret, struct error **err)
{
	int r = 0;

	*ret = true;
	for (size_t i = 0; imports && i < v->n_inputs && r == 0 && *ret; i++)
		if (inputs[i] && !inputs[i]->tree && inputs[i]->n_layers > 0)
			r = is_own(s, imports, inputs[i], ret, err);
	return r;
}

/* What is looked into is opened once, when it is first needed. */
static int copy_digest(struct store *s, const struct result *result, struct tree **tree,
		       const struct op_use *use, struct digest *ret, struct error **err)
{
	int r = *tree ? 0 : tree_of_result(s, result, tree, err);

	return r < 0 ? r : copy_select_digest(*tree, &use->copy, 1, ret, err);
}

int file_op_content(struct store *s, const struct op_file *op, size_t n_inputs, size_t input,
		    const struct result *result, const struct digest *whole, struct digest *ret,
		    struct error **err)
{
	const struct op op_of_it = {.kind = OP_FILE, .file = *op};
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	_cleanup_hasher_ struct hasher h = {0};
	struct op_use use;
	int r = 0;

	if (input >= n_inputs)
		return error_new(err, ERR_INVALID, 0, "file op: it has no input %zu", input);
	hasher_init(&h);
	for (size_t i = 0; op_use_next(&op_of_it, input, &i, &use);) {
		struct digest d = {0};

		if (use.kind == OP_USE_COPY)
			r = copy_digest(s, result, &tree, &use, &d, err);
		else if (whole)
			d = *whole;
		else
			r = result_whole_digest(s, result, &d, err);
		if (r < 0)
			return r;
		hasher_add_u64(&h, use.kind);
		hasher_add(&h, d.b, sizeof(d.b));
	}
	hasher_final(&h, ret);
	return 0;
}
