/* SPDX-License-Identifier: Apache-2.0 */
/* What the values of options and the arguments of commands may be, for completion. */
#ifndef KILN_CMD_CLI_COMPLETE_VALUES_H
#define KILN_CMD_CLI_COMPLETE_VALUES_H

#include "base/vec.h"
#include "cmd/cli/complete.h"

/* What was read of the words before the one that is completed. */
struct complete_state {
	const char *command;
	VEC(const char *) args; /* borrowed */
	const char *file;	/* the value of --file; NULL: not given */
};

/* `kept` is what stands before the value in the same word: "--progress=". */
void complete_value(struct completion *c, const struct complete_state *state, const struct opt *o,
		    const char *kept);
void complete_argument(struct completion *c, const struct complete_state *state);

#endif
