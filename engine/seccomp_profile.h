/* Docker's default seccomp profile, compiled to a BPF program by libseccomp.
 *
 * The allow-list is that of moby's profiles/seccomp/default.json (v27), for the capabilities that a
 * container has by default. What the list leaves out gets EPERM; calls newer than libseccomp get
 * ENOSYS, so that libc falls back to older ones. Native and 32-bit architectures.
 */
#ifndef KILN_ENGINE_SECCOMP_PROFILE_H
#define KILN_ENGINE_SECCOMP_PROFILE_H

#include "base/buf.h"
#include "base/error.h"

/* struct sock_filter[]; borrowed, compiled once per process. Thread safe. */
int seccomp_profile_default(const struct buf **ret, struct error **err);

#endif
