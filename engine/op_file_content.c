#include "engine/copy_select.h"
#include "engine/file_owner.h"
#include "engine/op_file.h"
#include "engine/tree_rootfs.h"
#include "solver/op_key.h"

/* Whom the names stand for, not where the files say so. */
static int owner_digest(struct store *s, const struct result *result, const struct op_owner *owner,
			struct digest *ret, struct error **err)
{
	_cleanup_hasher_ struct hasher h;
	struct file_owner who;
	int r;

	hasher_init(&h);
	r = file_owner_in_result(s, result, owner, &who, err);
	if (r < 0)
		return r;
	hasher_add_u64(&h, who.uid);
	hasher_add_u64(&h, who.gid);
	hasher_final(&h, ret);
	return 0;
}

/* Everything that is in a result. */
static int whole_digest(struct store *s, const struct result *result, struct tree *tree,
			struct digest *ret, struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	int r;

	if (result && result->tree)
		return tree_path_digest(tree, "", ret, err);
	r = rootfs_open(s, result ? result->layers : NULL, result ? result->n_layers : 0, &rootfs,
			err);
	return r < 0 ? r : rootfs_digest(rootfs, ret, err);
}

int file_op_content(struct store *s, const struct op_file *op, size_t n_inputs, size_t input,
		    const struct result *result, struct digest *ret, struct error **err)
{
	const struct op whole = {.kind = OP_FILE, .file = *op};
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	_cleanup_hasher_ struct hasher h;
	struct op_use use;
	int r;

	hasher_init(&h);
	r = tree_of_result(s, result, &tree, err);
	if (r < 0)
		return r;
	if (input >= n_inputs)
		return error_new(err, ERR_INVALID, 0, "file op: it has no input %zu", input);
	for (size_t i = 0; op_use_next(&whole, input, &i, &use);) {
		struct digest d = {0};

		if (use.kind == OP_USE_COPY)
			r = copy_select_digest(tree, &use.copy, 1, &d, err);
		else if (use.kind == OP_USE_OWNER)
			r = owner_digest(s, result, use.owner, &d, err);
		else
			r = whole_digest(s, result, tree, &d, err);
		if (r < 0)
			return r;
		hasher_add_u64(&h, use.kind);
		hasher_add(&h, d.b, sizeof(d.b));
	}
	hasher_final(&h, ret);
	return 0;
}
