/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out one copy action (COPY, ADD of local files) on a layer that is being made. */
#ifndef KILN_ENGINE_FILEOPS_COPY_RUN_H
#define KILN_ENGINE_FILEOPS_COPY_RUN_H

#include "engine/layer/layer_edit.h"
#include "engine/tree/tree.h"
#include "solver/op.h"
#include "solver/progress.h"

struct file_owner {
	bool set;
	uint32_t uid, gid;
};

struct copy_run {
	struct layer_edit *edit;
	struct tree *tree; /* what is copied from */
	const struct op_file_copy *copy;
	struct file_owner owner; /* resolved; not set: files keep theirs */
	struct job *job;	 /* may be NULL */
	int64_t now;		 /* seconds */
	int64_t time;		 /* seconds: of everything copied, where time_set */
	bool time_set;
};

/* Resolves the sources and copies each, last wins. An archive is unpacked where the action asks for
 * it. ERR_INVALID where a directory would replace a file or the reverse; an error names the path.
 */
int copy_run(struct copy_run *c, struct error **err) _must_check_;

#endif
