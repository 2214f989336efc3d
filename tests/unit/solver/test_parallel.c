/* SPDX-License-Identifier: Apache-2.0 */
/* How many steps run at once. */
#include <unistd.h>

#include "fake.h"

static int setup(void **state)
{
	struct fake *f = NEW(struct fake);

	fake_init(f);
	fake_source_set(f, "image://base", "base");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fake_release(*state);
	free(*state);
	return 0;
}

static void independent_steps_run_at_once(void **state)
{
	struct fake *f = *state;
	struct vertex *base = fake_source(f, "image://base");

	f->gate = 3;
	assert_int_equal(
		fake_solve(
			f,
			fake_exec(f, &(struct fake_step){.text = "join",
							 .inputs = {fake_exec1(f, "gate1", base),
								    fake_exec1(f, "gate2", base),
								    fake_exec1(f, "gate3", base)},
							 .n = 3}),
			NULL, NULL),
		0);
	assert_true(f->most_running >= 3);
}

static void max_parallelism_bounds_execs(void **state)
{
	struct fake *f = *state;
	struct vertex *base = fake_source(f, "image://base");
	struct vertex *top = base;

	f->max_parallelism = 2;
	f->gate = 2;
	for (int i = 0; i < 4; i++) {
		_cleanup_free_ char *a = xasprintf("gate a%d", i), *b = xasprintf("gate b%d", i);
		_cleanup_free_ char *c = xasprintf("top%d", i);

		top = fake_exec(f, &(struct fake_step){.text = c,
						       .inputs = {top, fake_exec1(f, a, base),
								  fake_exec1(f, b, base)},
						       .n = 3});
	}
	assert_int_equal(fake_solve(f, top, NULL, NULL), 0);
	assert_int_equal(f->most_running, 2);
}

/* More than may begin at once by default: they wait for each other. */
static void steps_that_wait_make_room_for_others(void **state)
{
	struct fake *f = *state;
	struct vertex *base = fake_source(f, "image://base"), *top = base;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = cores > 4 ? 4 * (unsigned)cores + 3 : 19;

	f->max_parallelism = 0;
	f->gate = n;
	for (unsigned i = 0; i < n; i++) {
		_cleanup_free_ char *gate = xasprintf("gate %u", i), *text = xasprintf("top %u", i);

		top = fake_exec2(f, text, top, fake_exec1(f, gate, base), NULL);
	}
	assert_int_equal(fake_solve(f, top, NULL, NULL), 0);
	assert_int_equal(f->most_running, n);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(independent_steps_run_at_once),
		T(max_parallelism_bounds_execs),
		T(steps_that_wait_make_room_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
