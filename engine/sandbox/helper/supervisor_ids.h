/* SPDX-License-Identifier: Apache-2.0 */
/* The ids that a process would have, by the rules of credentials(7), where the kernel knows only
 * one. Plain arithmetic, which the helper and its tests share. */
#ifndef KILN_ENGINE_SANDBOX_HELPER_SUPERVISOR_IDS_H
#define KILN_ENGINE_SANDBOX_HELPER_SUPERVISOR_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "engine/sandbox/wire.h"

struct id_set {
	uint32_t real, effective, saved, fs;
};
struct identity {
	struct id_set user, group; /* all 0: what the kernel says, too */
	bool changed;		   /* by a call, or by running a set-user-id program */
	bool keeps_caps;	   /* may change ids though no longer root, until it executes */
};

/* One of the WIRE_CALL_SET* calls, or KEEPCAPS, with its arguments (UINT32_MAX: -1). Returns 0 or
 * -errno; what the call returns is in *ret_value. */
int identity_set(struct identity *id, enum wire_call_kind kind, const uint32_t args[3],
		 uint32_t *ret_value) _must_check_;
/* What execve of a program with these mode bits does; `uid` and `gid` own the program. */
void identity_exec(struct identity *id, uint32_t mode, uint32_t uid, uint32_t gid);

#endif
