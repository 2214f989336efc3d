/* SPDX-License-Identifier: Apache-2.0 */
/* Between our terminal and a container's: raw mode, bytes both ways, window size; and the signals
 * that we get, which are meant for the process. One at a time in a process. */
#ifndef KILN_ENGINE_EXEC_CONSOLE_H
#define KILN_ENGINE_EXEC_CONSOLE_H

#include <stdbool.h>

#include "engine/sandbox/sandbox.h"

/* Runs a plan with our stdin (if `input`), `out` and stderr; a plan with WIRE_TTY on a pseudo
 * terminal between our stdin and `out`, and our terminal is as it was afterwards. *ret_status is
 * the process's exit status, 128 + n for signal n. A program that cannot be started is ERR_PROCESS
 * with exit status 126 (not executable) or 127 (not found). */
int console_run(struct sandbox_plan *p, bool input, int out, int *ret_status,
		struct error **err) _must_check_;

#endif
