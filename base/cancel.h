/* SPDX-License-Identifier: Apache-2.0 */
/* A one-way switch that asks running work to stop: Ctrl-C, or the first failure of a build.
 * Thread safe; cancel_set is async-signal-safe. */
#ifndef KILN_BASE_CANCEL_H
#define KILN_BASE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

struct cancel {
	atomic_bool set;
	int fd; /* -1 if it could not be made; eventfd, readable for ever once set; poll it beside
		   your own descriptors */
};

void cancel_init(struct cancel *c);
void cancel_release(struct cancel *c);
void cancel_set(struct cancel *c);
bool cancel_is_set(const struct cancel *c); /* NULL is never set */

#endif
