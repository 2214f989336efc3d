/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the filters of engine/sandbox/seccomp.h through libseccomp. */
#ifndef KILN_ENGINE_SANDBOX_SECCOMP_BUILD_H
#define KILN_ENGINE_SANDBOX_SECCOMP_BUILD_H

#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Append a program (struct sock_filter[]). Return 0 or -errno. */
int profile_compile(struct buf *ret) _must_check_;
int owners_compile(struct buf *ret) _must_check_;
/* Appends what the supervisor knows of each call that `owners` notifies of (struct wire_call[]). */
void owners_list_calls(struct buf *ret);

/* Makes a program say the same in fewer instructions. It has rules for these architectures
 * alone. */
void seccomp_shrink(const uint32_t *archs, size_t n_archs, struct buf *program);

/* --- what the filters have in common: native and 32-bit architecture, ENOSYS for others. Both
 * functions of libseccomp that take a name leave the 32-bit one to it. --- */

/* The second architecture that this machine's kernel runs, 0 if there is none. */
uint32_t seccomp_compat_arch(void);
/* Has the architecture older calls whose ids have 16 bits? */
bool seccomp_arch_is_narrow(uint32_t arch);
/* Appends the program with the rules that `add` adds, and `otherwise` for calls without a rule.
 * Returns 0 or -errno. */
int seccomp_build(uint32_t otherwise, int (*add)(scmp_filter_ctx ctx),
		  struct buf *ret) _must_check_;

#endif
