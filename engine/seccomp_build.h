/* What our seccomp filters have in common: native and 32-bit architecture, ENOSYS for others, one
 * BPF program. Both functions of libseccomp that take a name leave the 32-bit one to it. */
#ifndef KILN_ENGINE_SECCOMP_BUILD_H
#define KILN_ENGINE_SECCOMP_BUILD_H

#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* The second architecture that this machine's kernel runs, 0 if there is none. */
uint32_t seccomp_compat_arch(void);
/* Has the architecture older calls whose ids have 16 bits? */
bool seccomp_arch_is_narrow(uint32_t arch);
/* Appends the program (struct sock_filter[]) with the rules that `add` adds, and `otherwise` for
 * calls without a rule. Returns 0 or -errno. */
int seccomp_build(uint32_t otherwise, int (*add)(scmp_filter_ctx ctx), struct buf *ret);

#endif
