/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cancel.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void cancel_init(struct cancel *c)
{
	atomic_init(&c->set, false);
	/* Without one (too few descriptors: what comes next says so) those that ask are
	 * still told. */
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void cancel_release(struct cancel *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

void cancel_set(struct cancel *c)
{
	uint64_t one = 1;

	atomic_store(&c->set, true);
	if (c->fd >= 0)
		(void)!write(c->fd, &one, sizeof(one));
}

bool cancel_is_set(const struct cancel *c)
{
	return c && atomic_load(&c->set);
}
