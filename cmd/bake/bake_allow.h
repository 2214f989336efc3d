/* SPDX-License-Identifier: Apache-2.0 */
/* What a bake file may reach beyond this folder. A bake file may come from strangers, while the one who
 * runs it looks at the names of targets alone: so what it reads and writes elsewhere, and what its steps
 * may do to this machine, is asked for (--allow). */
#ifndef KILN_CMD_BAKE_BAKE_ALLOW_H
#define KILN_CMD_BAKE_BAKE_ALLOW_H

#include "frontend/bake/bake_plan.h"

/* `given`: the values of --allow. Names what is missing, or asks on a terminal: ERR_DENIED. What is granted of
 * network.host and security.insecure is set in the plan. */
int bake_allow_check(struct bake_plan *p, const struct strv *given,
		     struct error **err) _must_check_;

#endif
