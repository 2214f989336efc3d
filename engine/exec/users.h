/* SPDX-License-Identifier: Apache-2.0 */
/* Who a process runs as: a USER string looked up in a rootfs, as Docker does it.
 *
 * "user", "uid", "user:group", "uid:gid" and mixtures; "" is root. A number needs no line in
 * /etc/passwd (its group is then 0); a name does. Supplementary groups come from /etc/group, unless
 * a group was given.
 */
#ifndef KILN_ENGINE_EXEC_USERS_H
#define KILN_ENGINE_EXEC_USERS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "store/store.h"

struct user_ids {
	uint32_t uid, gid;
	VEC(uint32_t) groups; /* supplementary, the primary one first */
	char *home;	      /* of the first line with that uid, as runc; "/" if there is none */
};
void user_ids_release(struct user_ids *u);

/* The texts of /etc/passwd and /etc/group; ERR_NOTFOUND for a name that is not there. */
int users_find(const char *spec, const struct buf *passwd, const struct buf *group,
	       struct user_ids *ret, struct error **err) _must_check_;
/* The same, reading both files from a stack of layers. */
int users_find_in_layers(struct store *s, const int64_t *layers, size_t n, const char *spec,
			 struct user_ids *ret, struct error **err) _must_check_;

#endif
