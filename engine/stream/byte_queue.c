/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/byte_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Enough to keep both sides busy over a pause of either. */
enum { RING_SIZE = 2 << 20 };

void byte_queue_init(struct byte_queue *q)
{
	*q = (struct byte_queue){.ring = xmalloc(RING_SIZE)};
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
}

void byte_queue_release(struct byte_queue *q)
{
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->changed);
	free(q->ring);
}

void byte_queue_put(struct byte_queue *q, const void *p, size_t n)
{
	const uint8_t *from = p;

	pthread_mutex_lock(&q->lock);
	while (n > 0 && !q->unread) {
		size_t at = (q->start + q->n) % RING_SIZE, part = RING_SIZE - q->n;

		if (part == 0) {
			pthread_cond_wait(&q->changed, &q->lock);
			continue;
		}
		part = part < RING_SIZE - at ? part : RING_SIZE - at;
		part = part < n ? part : n;
		memcpy(q->ring + at, from, part);
		q->n += part;
		from += part;
		n -= part;
		pthread_cond_signal(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
}

void byte_queue_end(struct byte_queue *q, bool ok)
{
	pthread_mutex_lock(&q->lock);
	q->ended = true;
	q->broken = !ok;
	pthread_cond_signal(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

ptrdiff_t byte_queue_get(struct byte_queue *q, void *p, size_t n)
{
	ptrdiff_t got;

	pthread_mutex_lock(&q->lock);
	while (q->n == 0 && !q->ended)
		pthread_cond_wait(&q->changed, &q->lock);
	if (q->broken) {
		got = -1;
	} else {
		size_t part = q->n < RING_SIZE - q->start ? q->n : RING_SIZE - q->start;

		part = part < n ? part : n;
		memcpy(p, q->ring + q->start, part);
		q->start = (q->start + part) % RING_SIZE;
		q->n -= part;
		got = (ptrdiff_t)part;
		pthread_cond_signal(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
	return got;
}

void byte_queue_leave(struct byte_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->unread = true;
	pthread_cond_signal(&q->changed);
	pthread_mutex_unlock(&q->lock);
}
