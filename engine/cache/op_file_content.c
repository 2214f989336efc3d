#include "engine/fileops/op_file.h"
#include "engine/tree/copy_select.h"
#include "engine/tree/tree_rootfs.h"
#include "solver/op_key.h"

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
