/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cancel.h"

struct queue {
	struct pool_item *first, **last;
};

struct pool {
	unsigned max;
	int fd;
	struct pool_item *collected; /* the owner's: taken from `done`, not handed out yet */
	pthread_t *threads;	     /* the owner's */
	unsigned n_threads;
	size_t n_pending; /* the owner's: submitted and not collected */

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t work;
	struct queue todo, done;
	unsigned n_todo, n_idle;
	bool closing;
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_push(struct queue *q, struct pool_item *item)
{
	item->next = NULL;
	*q->last = item;
	q->last = &item->next;
}

static struct pool_item *queue_pop(struct queue *q)
{
	struct pool_item *item = q->first;

	q->first = item->next;
	if (!q->first)
		q->last = &q->first;
	return item;
}

static void *worker(void *data)
{
	struct pool *p = data;
	uint64_t one = 1;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_item *item;

		p->n_idle++;
		while (!p->todo.first && !p->closing)
			pthread_cond_wait(&p->work, &p->lock);
		p->n_idle--;
		if (!p->todo.first)
			break;
		item = queue_pop(&p->todo);
		p->n_todo--;
		pthread_mutex_unlock(&p->lock);
		item->process(item);
		pthread_mutex_lock(&p->lock);
		queue_push(&p->done, item);
		/* Cannot block: the owner empties the counter long before it is full. */
		(void)!write(p->fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int start_thread(struct pool *p)
{
	sigset_t all, old;
	int r;

	/* Signals are for the thread that waits for them; a worker in a system call must not see
	 * EINTR. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&p->threads[p->n_threads], NULL, worker, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		p->n_threads++;
	return -r;
}

int pool_open(unsigned max_threads, struct pool **ret)
{
	struct pool *p = NEW(struct pool);
	int r;

	p->max = max_threads > 0 ? max_threads : 1;
	p->threads = xcalloc(p->max, sizeof(*p->threads));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	queue_init(&p->todo);
	queue_init(&p->done);
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = p->fd < 0 ? -errno : start_thread(p);
	if (r < 0) {
		pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	if (p->fd >= 0)
		(void)close(p->fd);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	free(p);
}

void pool_submit(struct pool *p, struct pool_item *item)
{
	bool short_of_threads;

	p->n_pending++;
	pthread_mutex_lock(&p->lock);
	queue_push(&p->todo, item);
	p->n_todo++;
	short_of_threads = p->n_todo > p->n_idle;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	/* Where no further thread can be started, those that exist do the work. */
	if (short_of_threads && p->n_threads < p->max)
		(void)start_thread(p);
}

struct pool_item *pool_collect(struct pool *p)
{
	struct pool_item *item;
	uint64_t count;

	if (!p->collected) {
		(void)!read(p->fd, &count, sizeof(count));
		pthread_mutex_lock(&p->lock);
		p->collected = p->done.first;
		queue_init(&p->done);
		pthread_mutex_unlock(&p->lock);
	}
	item = p->collected;
	if (item) {
		p->collected = item->next;
		p->n_pending--;
	}
	return item;
}

bool pool_wait(struct pool *p, const struct cancel *cancel)
{
	struct pollfd fds[] = {{.fd = p->fd, .events = POLLIN},
			       {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};

	for (;;) {
		while (pool_collect(p))
			;
		if (p->n_pending == 0)
			return true;
		if (cancel_is_set(cancel))
			return false;
		(void)poll(fds, ARRAY_SIZE(fds), -1);
	}
}

int pool_fd(const struct pool *p)
{
	return p->fd;
}
