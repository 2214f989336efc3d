/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp filters of steps: BPF programs that engine/sandbox/seccomp/ makes when kiln is
 * built, since compiling them takes as long as a few steps do.
 *
 * The profile is Docker's default: the allow-list of moby's profiles/seccomp/default.json (v27),
 * for the capabilities that a container has by default. What the list leaves out gets EPERM; calls
 * newer than the libseccomp of the build get ENOSYS, so that libc falls back to older ones. Native
 * and 32-bit architectures.
 *
 * Beside it, where there is only one id, a filter notifies the step's supervisor (engine/sandbox/
 * supervisor.c) of the calls that it answers, and a table has their numbers. io_uring, which would
 * pass by, is denied.
 */
#ifndef KILN_ENGINE_SANDBOX_SECCOMP_H
#define KILN_ENGINE_SANDBOX_SECCOMP_H

#include <linux/filter.h>
#include <stddef.h>

#include "engine/sandbox/wire.h"

struct seccomp_program {
	const struct sock_filter *p;
	size_t n;
};

struct seccomp_calls {
	const struct wire_call *p;
	size_t n;
};

extern const struct seccomp_program seccomp_profile, seccomp_owners;
extern const struct seccomp_calls seccomp_owner_calls;

#endif
