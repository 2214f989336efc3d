/* SPDX-License-Identifier: Apache-2.0 */
/* Programs for other machines. RUN for a foreign platform works where the kernel has an emulator
 * registered in binfmt_misc (with the flag F, as Debian's qemu-user-static does: then nothing of it
 * has to be in the image). Where only the emulator is there, as in a container, it is registered
 * for the step alone. Steps that run nothing need none.
 */
#ifndef KILN_ENGINE_SANDBOX_EMULATION_H
#define KILN_ENGINE_SANDBOX_EMULATION_H

#include <stdbool.h>

#include "base/error.h"
#include "base/platform.h"

/* What has to be registered with binfmt_misc to run programs for `platform`, in the form of
 * binfmt.d(5). Heap; NULL: nothing, or nothing is known that would help. */
char *emulation_binfmt(const struct platform *platform);

/* Can programs for `platform` be run here, by the machine itself or by an emulator? */
bool emulation_available(const struct platform *platform);

/* Where a step for `platform` failed with r since this machine cannot run its programs, makes the
 * error say so, and what to install. Else returns r as it is. `err` must not be NULL. */
int emulation_explain(const struct platform *platform, int r, struct error **err) _must_check_;

#endif
