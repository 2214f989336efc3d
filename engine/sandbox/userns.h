/* SPDX-License-Identifier: Apache-2.0 */
/* Running without root: kiln itself enters a user namespace in which it is id 0.
 *
 * From then on everything is the same code in both modes. The ids of files come from the ranges
 * that /etc/subuid and /etc/subgid grant the user, through newuidmap and newgidmap (package
 * uidmap); without them only the user's own id exists.
 */
#ifndef KILN_ENGINE_SANDBOX_USERNS_H
#define KILN_ENGINE_SANDBOX_USERNS_H

#include <stdbool.h>

#include "base/error.h"

/* Does nothing for root that may mount; root of a container that may not enters a namespace of the
 * same ids, as far as it may map them. Must be called while the process has one thread. Enters a
 * mount namespace, too, since mounting is what it is for. */
int userns_enter(struct error **err) _must_check_;
/* Has userns_enter found that only one id is mapped, for want of subordinate ids? Worth a notice:
 * a step then sees every file as root's (docs/security.md). */
bool userns_single(void);
const char *userns_single_notice(void); /* says what is missing */
/* Is this process in a user namespace other than the first? */
bool userns_inside(void);

#endif
