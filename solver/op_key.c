/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/op_key.h"

#include "base/buf.h"
#include "solver/op_encode.h"

struct digest op_key(const struct op *op, size_t n_inputs)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	op_encode(op, n_inputs, OP_FORM_KEY, &b);
	return digest_of(b.p, b.n);
}

static bool exec_use(const struct op_exec *e, size_t input, size_t *i, struct op_use *ret)
{
	while (*i < e->n_mounts) {
		const struct op_mount *m = &e->mounts[(*i)++];

		if (m->input < 0 || (size_t)m->input != input)
			continue;
		if (op_mount_selects(m))
			*ret = (struct op_use){.kind = OP_USE_PATH, .path = m->selector};
		else
			*ret = (struct op_use){.kind = OP_USE_WHOLE};
		return true;
	}
	return false;
}

/* Two steps an action: first its input, then what a copy takes from its secondary input. */
static bool file_use(const struct op_file *f, size_t input, size_t *i, struct op_use *ret)
{
	while (*i < 2 * f->n) {
		const struct op_file_action *a = &f->actions[*i / 2];
		bool secondary = (*i)++ % 2 == 1;

		if (!secondary && a->input >= 0 && (size_t)a->input == input) {
			*ret = (struct op_use){.kind = OP_USE_WHOLE};
			return true;
		}
		if (secondary && a->kind == FILE_COPY && a->secondary_input >= 0 &&
		    (size_t)a->secondary_input == input) {
			*ret = (struct op_use){.kind = OP_USE_COPY, .copy = &a->copy};
			return true;
		}
	}
	return false;
}

bool op_use_next(const struct op *op, size_t input, size_t *i, struct op_use *ret)
{
	if (op->kind == OP_EXEC)
		return exec_use(&op->exec, input, i, ret);
	if (op->kind == OP_FILE)
		return file_use(&op->file, input, i, ret);
	if ((*i)++ > 0)
		return false;
	*ret = (struct op_use){.kind = OP_USE_WHOLE};
	return true;
}

struct digest op_selection(const struct op *op, size_t input)
{
	_cleanup_hasher_ struct hasher h = {0};
	struct digest ret;
	struct op_use use;

	hasher_init(&h);
	for (size_t i = 0; op_use_next(op, input, &i, &use);)
		hasher_add_string(&h, use.kind == OP_USE_COPY	? use.copy->src
				      : use.kind == OP_USE_PATH ? use.path
								: NULL);
	hasher_final(&h, &ret);
	return ret;
}

static size_t more(size_t n, int output)
{
	return output >= 0 && (size_t)output >= n ? (size_t)output + 1 : n;
}

size_t op_n_outputs(const struct op *op)
{
	size_t n = 1;

	if (op->kind == OP_EXEC)
		for (size_t i = 0; i < op->exec.n_mounts; i++)
			n = more(n, op->exec.mounts[i].output);
	else if (op->kind == OP_FILE)
		for (size_t i = 0; i < op->file.n; i++)
			n = more(n, op->file.actions[i].output);
	return n;
}
