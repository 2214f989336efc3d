/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "engine/stream/ordered.h"

enum { WORKERS = 4, PIECES = 200 };

struct work {
	struct ordered ordered;
	unsigned next; /* see ordered_begin */
};

struct worker {
	struct work *work;
	unsigned piece;
};

static bool take(void *data)
{
	struct worker *w = data;

	w->piece = w->work->next;
	if (w->piece == PIECES)
		return false;
	w->work->next++;
	return true;
}

/* Every seventh piece is empty, every tenth larger than what is handed on at once. */
static size_t size_of(unsigned piece)
{
	if (piece % 7 == 0)
		return 0;
	return piece % 10 == 0 ? 3 * (size_t)ORDERED_CHUNK + piece : piece * 3;
}

static void *run(void *data)
{
	struct worker w = {.work = data};
	struct ordered_writer out;

	while (ordered_begin(&w.work->ordered, &out, take, &w)) {
		for (size_t i = 0; i < size_of(w.piece); i++) {
			const unsigned char b = (unsigned char)(w.piece + i);

			if (!ordered_put(&out, &b, 1))
				break;
		}
		ordered_end(&out);
	}
	ordered_leave(&w.work->ordered);
	return NULL;
}

static void start(struct work *work, unsigned readers, pthread_t threads[WORKERS])
{
	work->next = 0;
	ordered_init(&work->ordered, WORKERS, readers);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, work), 0);
}

static void finish(struct work *work, pthread_t threads[WORKERS])
{
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	ordered_release(&work->ordered);
}

struct reader {
	struct work *work;
	unsigned number;
	bool slow;
	unsigned wrong; /* bytes */
	unsigned piece;
	size_t at; /* in the piece */
};

static void *read_all(void *data)
{
	struct reader *r = data;
	const unsigned char *p;
	size_t n;

	while (ordered_read(&r->work->ordered, r->number, &p, &n)) {
		if (r->slow)
			sched_yield();
		for (size_t i = 0; i < n; i++) {
			while (r->at == size_of(r->piece)) {
				r->piece++;
				r->at = 0;
			}
			r->wrong += p[i] != (unsigned char)(r->piece + r->at);
			r->at++;
		}
	}
	return NULL;
}

static void assert_read_all(const struct reader *r)
{
	assert_int_equal(r->wrong, 0);
	assert_int_equal(r->piece, PIECES - 1);
	assert_int_equal(r->at, size_of(r->piece));
}

static void pieces_come_whole_and_in_order(void **state)
{
	pthread_t threads[WORKERS];
	struct work work;
	struct reader reader = {.work = &work};

	(void)state;
	start(&work, 1, threads);
	read_all(&reader);
	assert_read_all(&reader);
	finish(&work, threads);
}

static void both_readers_get_everything(void **state)
{
	pthread_t threads[WORKERS], other;
	struct work work;
	struct reader fast = {.work = &work}, slow = {.work = &work, .number = 1, .slow = true};

	(void)state;
	start(&work, 2, threads);
	assert_int_equal(pthread_create(&other, NULL, read_all, &slow), 0);
	read_all(&fast);
	assert_int_equal(pthread_join(other, NULL), 0);
	assert_read_all(&fast);
	assert_read_all(&slow);
	finish(&work, threads);
}

static void whoever_stops_stops_all(void **state)
{
	pthread_t threads[WORKERS];
	const unsigned char *p;
	struct work work;
	size_t n;

	(void)state;
	start(&work, 2, threads);
	assert_true(ordered_read(&work.ordered, 0, &p, &n));
	ordered_stop(&work.ordered);
	assert_false(ordered_read(&work.ordered, 0, &p, &n));
	assert_false(ordered_read(&work.ordered, 1, &p, &n));
	finish(&work, threads);
	assert_true(work.next < PIECES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_come_whole_and_in_order),
		cmocka_unit_test(both_readers_get_everything),
		cmocka_unit_test(whoever_stops_stops_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
