/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/pool.h"

static atomic_uint running, most_running, done;
static pthread_barrier_t barrier;

struct work {
	struct pool_item item;
	unsigned number;
	bool meet;
	bool int_blocked;
};

static void work(struct pool_item *item)
{
	struct work *w = (struct work *)(void *)item;
	unsigned now = atomic_fetch_add(&running, 1) + 1;
	unsigned most = atomic_load(&most_running);
	sigset_t set;

	while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
		;
	if (w->meet)
		pthread_barrier_wait(&barrier);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	w->int_blocked = sigismember(&set, SIGINT) == 1;
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&done, 1);
}

static struct pool_item *collect_one(struct pool *p)
{
	struct pool_item *item;

	while (!(item = pool_collect(p))) {
		struct pollfd pfd = {.fd = pool_fd(p), .events = POLLIN};

		assert_int_equal(poll(&pfd, 1, 20000), 1);
	}
	return item;
}

static void every_item_is_processed_and_collected_once(void **state)
{
	enum { N = 2000 };
	struct work *items = xcalloc(N, sizeof(*items));
	unsigned *seen = xcalloc(N, sizeof(*seen));
	struct pool *p = NULL;

	(void)state;
	assert_int_equal(pool_open(3, &p), 0);
	for (unsigned i = 0; i < N; i++) {
		items[i] = (struct work){.item.process = work, .number = i};
		pool_submit(p, &items[i].item);
	}
	for (unsigned i = 0; i < N; i++) {
		struct work *w = (struct work *)(void *)collect_one(p);

		assert_true(w->int_blocked);
		assert_int_equal(seen[w->number]++, 0);
	}
	assert_null(pool_collect(p));
	pool_free(p);
	assert_true(atomic_load(&most_running) <= 3);
	free(items);
	free(seen);
}

static void waiting_items_get_threads_of_their_own(void **state)
{
	enum { N = 4 };
	struct work items[N];
	struct pool *p = NULL;

	(void)state;
	pthread_barrier_init(&barrier, NULL, N);
	assert_int_equal(pool_open(N, &p), 0);
	for (unsigned i = 0; i < N; i++) {
		items[i] = (struct work){.item.process = work, .number = i, .meet = true};
		pool_submit(p, &items[i].item);
	}
	for (unsigned i = 0; i < N; i++)
		collect_one(p);
	pool_free(p);
	pthread_barrier_destroy(&barrier);
}

static void freeing_waits_for_what_was_submitted(void **state)
{
	enum { N = 50 };
	struct work items[N];
	struct pool *p = NULL;

	(void)state;
	assert_int_equal(pool_open(2, &p), 0);
	atomic_store(&done, 0);
	for (unsigned i = 0; i < N; i++) {
		items[i] = (struct work){.item.process = work, .number = i};
		pool_submit(p, &items[i].item);
	}
	pool_free(p);
	assert_int_equal(atomic_load(&done), N);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_is_processed_and_collected_once),
		cmocka_unit_test(waiting_items_get_threads_of_their_own),
		cmocka_unit_test(freeing_waits_for_what_was_submitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
