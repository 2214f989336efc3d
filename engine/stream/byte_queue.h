/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded stream of bytes from one thread to another: a pipe within the process. */
#ifndef KILN_ENGINE_STREAM_BYTE_QUEUE_H
#define KILN_ENGINE_STREAM_BYTE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_queue {
	pthread_mutex_t lock; /* protects all below */
	pthread_cond_t changed;
	uint8_t *ring;
	size_t start, n; /* where the content starts, how much it is */
	bool ended;	 /* the writer has no more */
	bool broken;	 /* ... because it failed */
	bool unread;	 /* the reader has gone: what is written is dropped */
};

void byte_queue_init(struct byte_queue *q);
void byte_queue_release(struct byte_queue *q);
/* Waits for room. Never fails: without a reader the bytes are dropped. */
void byte_queue_put(struct byte_queue *q, const void *p, size_t n);
/* Ends the stream; `ok` = false: what came is not all of it. */
void byte_queue_end(struct byte_queue *q, bool ok);
/* Waits for bytes: how many were stored in p, 0 at the end; -1 if the writer failed. */
ptrdiff_t byte_queue_get(struct byte_queue *q, void *p, size_t n);
void byte_queue_leave(struct byte_queue *q); /* the reader goes */

#endif
