/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and reads the files of a bake. */
#ifndef KILN_CMD_BAKE_BAKE_FILES_H
#define KILN_CMD_BAKE_BAKE_FILES_H

#include "frontend/bake/bake_config.h"

/* Those that were named (-f), else those of $BUILDX_BAKE_FILE, else what of the usual names there is.
 * ERR_NOTFOUND if there are none. The services of compose files (.yaml, .yml) become targets at once;
 * `vars` are variables to them. */
int bake_files_read(struct bake_config *c, const struct strv *named, const struct strv *vars,
		    struct error **err) _must_check_;

#endif
