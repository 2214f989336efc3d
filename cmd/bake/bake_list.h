/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln bake --list targets|variables[,format=json]` */
#ifndef KILN_CMD_BAKE_BAKE_LIST_H
#define KILN_CMD_BAKE_BAKE_LIST_H

#include "frontend/bake/bake_config.h"

int bake_list_print(const struct bake_config *c, const char *spec, struct error **err) _must_check_;

#endif
