/* SPDX-License-Identifier: Apache-2.0 */
/* The comma-separated key=value pairs of RUN --mount (df_mount_parse is declared in df_parse.h). */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_MOUNT_H
#define KILN_FRONTEND_DOCKERFILE_DF_MOUNT_H

#include <stdbool.h>

#include "base/alloc.h"

/* Go's strconv.ParseBool: 1, t, T, true, True, TRUE and their opposites; 0 or -EINVAL. */
int df_mount_parse_bool(const char *text, bool *ret) _must_check_;

#endif
