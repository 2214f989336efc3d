/* SPDX-License-Identifier: Apache-2.0 */
#include "solver/op.h"

#include <string.h>

const struct op_mount *op_exec_root(const struct op_exec *op)
{
	for (size_t i = 0; i < op->n_mounts; i++)
		if (strcmp(op->mounts[i].dest, "/") == 0)
			return &op->mounts[i];
	return NULL;
}

int op_base_input(const struct op *op, unsigned output)
{
	switch (op->kind) {
	case OP_EXEC:
		for (size_t i = 0; i < op->exec.n_mounts; i++)
			if (op->exec.mounts[i].output == (int)output)
				return op->exec.mounts[i].input;
		return -1;
	case OP_FILE:
		return op->file.n && output == 0 ? op->file.actions[0].input : -1;
	case OP_SOURCE:
	case OP_MERGE:
	case OP_DIFF:
	case OP_BUILD:
		break;
	}
	return -1;
}
