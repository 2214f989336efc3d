/* SPDX-License-Identifier: Apache-2.0 */
/* Giving files to others, also where a user namespace has one id and owners are only recorded. */
#ifndef KILN_BASE_OWNER_SET_H
#define KILN_BASE_OWNER_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

/* Is there only one id in this process's user namespace? Thread safe. */
bool owner_single_id(void);

/* The owner of what `name` below dirfd is ("": dirfd itself), or of the symlink there; with a
 * single id its mark (base/owner_mark.h), and nothing for what takes none. Returns 0 or -errno. */
int owner_set(int dirfd, const char *name, uint32_t uid, uint32_t gid) _must_check_;

#endif
