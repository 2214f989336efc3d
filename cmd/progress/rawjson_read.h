/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a stream that rawjson_render has written, for commands that show a build again. */
#ifndef KILN_CMD_PROGRESS_RAWJSON_READ_H
#define KILN_CMD_PROGRESS_RAWJSON_READ_H

#include "base/error.h"
#include "solver/progress.h"

/* Calls `emit` for every event of one line, without its newline; what it is given is borrowed for the
 * call. ERR_INVALID where a line is no event. */
int rawjson_read(const char *line, size_t n, const struct progress *to,
		 struct error **err) _must_check_;

#endif
