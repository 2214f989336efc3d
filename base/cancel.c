#include "base/cancel.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void cancel_init(struct cancel *c)
{
	atomic_init(&c->set, false);
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0)
		abort();
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
	(void)!write(c->fd, &one, sizeof(one));
}

bool cancel_is_set(const struct cancel *c)
{
	return c && atomic_load(&c->set);
}
