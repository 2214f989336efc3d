/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows of a build are on the screen when there is no room for all. */
#ifndef KILN_CMD_PROGRESS_TTY_LAYOUT_H
#define KILN_CMD_PROGRESS_TTY_LAYOUT_H

#include "cmd/progress/progress_model.h"

/* What is shown of one step. */
struct tty_share {
	bool shown;
	size_t statuses; /* rows for them: fewer than it has, and the last says how many more */
	size_t logs;	 /* its last lines */
};

/* Divides `room` rows: first a row for each step that runs, then what these transfer, then their
 * logs, line by line in turn and at most log_lines each; what is left goes to the steps that have
 * ended last. `shares` has one entry a step. Returns how many steps that run have no row; one is
 * then left free to say so. */
size_t tty_layout(const struct progress_model *m, size_t room, size_t log_lines,
		  struct tty_share *shares);

#endif
