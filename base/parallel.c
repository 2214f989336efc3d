/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum { THREADS_MAX = 16 };

struct loop {
	parallel_fn fn;
	void *data;
	size_t n;
	atomic_size_t next;
	atomic_bool failed;
	pthread_mutex_t lock; /* protects r and err */
	int r;
	struct error *err;
};

unsigned parallel_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static void *loop_run(void *data)
{
	struct loop *l = data;

	for (;;) {
		size_t i = atomic_fetch_add(&l->next, 1);
		struct error *err = NULL;
		int r;

		if (i >= l->n || atomic_load(&l->failed))
			return NULL;
		r = l->fn(l->data, i, &err);
		if (r >= 0)
			continue;
		(void)pthread_mutex_lock(&l->lock);
		if (!atomic_exchange(&l->failed, true)) {
			l->r = r;
			l->err = err;
			err = NULL;
		}
		(void)pthread_mutex_unlock(&l->lock);
		error_free(err);
	}
}

int parallel_for(size_t n, parallel_fn fn, void *data, struct error **err)
{
	return parallel_for_threads(parallel_threads(), n, fn, data, err);
}

int parallel_for_threads(unsigned threads, size_t n, parallel_fn fn, void *data, struct error **err)
{
	struct loop l = {.fn = fn, .data = data, .n = n, .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t ids[THREADS_MAX];
	unsigned want = threads < THREADS_MAX ? threads : THREADS_MAX, started = 0;

	if (want > n)
		want = (unsigned)n;
	/* This thread works too; one that cannot be started is not missed. */
	for (unsigned i = 1; i < want; i++) {
		if (pthread_create(&ids[started], NULL, loop_run, &l) == 0)
			started++;
	}
	(void)loop_run(&l);
	for (unsigned i = 0; i < started; i++)
		(void)pthread_join(ids[i], NULL);
	if (err && l.r < 0)
		*err = l.err;
	else
		error_free(l.err);
	return l.r;
}
