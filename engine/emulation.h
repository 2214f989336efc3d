/* Programs for other machines. RUN for a foreign platform works where the kernel has an emulator
 * registered in binfmt_misc (with the flag F, as Debian's qemu-user-static does: then nothing of it
 * has to be in the image); nothing else is needed here, and steps that run nothing need no
 * emulator.
 */
#ifndef KILN_ENGINE_EMULATION_H
#define KILN_ENGINE_EMULATION_H

#include "base/error.h"
#include "base/platform.h"

/* Where a step for `platform` failed with r since this machine cannot run its programs, makes the
 * error say so, and what to install. Else returns r as it is. `err` must not be NULL. */
int emulation_explain(const struct platform *platform, int r, struct error **err);

#endif
