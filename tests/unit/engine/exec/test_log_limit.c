/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "engine/exec/log_limit.h"

#define SECOND INT64_C(1000000000)

struct fixture {
	struct log_limit limit;
	struct buf got;
};

static void collect(void *data, int stream, const void *p, size_t n)
{
	(void)stream;
	buf_add(data, p, n);
}

static void start(struct fixture *f, const char *size, const char *speed)
{
	setenv("BUILDKIT_STEP_LOG_MAX_SIZE", size, 1);
	setenv("BUILDKIT_STEP_LOG_MAX_SPEED", speed, 1);
	f->got = (struct buf)BUF_INIT;
	log_limit_init(&f->limit, collect, &f->got);
}

static void end(struct fixture *f)
{
	log_limit_release(&f->limit);
	buf_release(&f->got);
}

static void put(struct fixture *f, int stream, const char *text, int64_t second)
{
	log_limit_write(&f->limit, stream, text, strlen(text), f->limit.started + second * SECOND);
}

static void what_is_within_the_limits_passes_as_it_is(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "", "");
	put(&f, 1, "one\n", 0);
	put(&f, 2, "two", 0);
	log_limit_flush(&f.limit);
	assert_string_equal(f.got.p, "one\ntwo");
	end(&f);
}

static void beyond_the_size_one_line_stands_for_the_rest(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "4", "-1");
	put(&f, 1, "abcdef\n", 0);
	put(&f, 1, "more\n", 5);
	assert_string_equal(f.got.p, "abcd\n[output clipped, log limit 4B reached]\n");
	put(&f, 2, "err\n", 5);
	assert_string_equal(f.got.p, "abcd\n[output clipped, log limit 4B reached]\nerr\n");
	end(&f);
}

static void beyond_the_speed_it_goes_on_with_a_whole_line_later(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "1048576", "1024");
	for (int i = 0; i < 300; i++)
		put(&f, 1, "0123456\n", 0);
	put(&f, 1, "half a ", 0);
	put(&f, 1, "line\nwhole\n", 2);
	assert_int_equal(f.got.n,
			 1024 + strlen("[output clipped, log limit 1KiB/s reached]\nwhole\n"));
	assert_non_null(strstr(f.got.p, "\n[output clipped, log limit 1KiB/s reached]\nwhole\n"));
	end(&f);
}

static void a_failure_shows_the_end_of_what_was_dropped(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "8", "-1");
	for (int i = 0; i < 200000; i++)
		put(&f, 1, "0123456\n", 0);
	put(&f, 1, "the reason\n", 0);
	log_limit_flush(&f.limit);
	assert_true(f.got.n > 256 << 10);
	assert_true(f.got.n < 257 << 10);
	assert_string_equal(f.got.p + f.got.n - strlen("0123456\nthe reason\n"),
			    "0123456\nthe reason\n");
	end(&f);
}

static void minus_one_is_no_limit(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "-1", "-1");
	for (int i = 0; i < 500000; i++)
		put(&f, 1, "0123456\n", 0);
	assert_int_equal(f.got.n, 4000000);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_within_the_limits_passes_as_it_is),
		cmocka_unit_test(beyond_the_size_one_line_stands_for_the_rest),
		cmocka_unit_test(beyond_the_speed_it_goes_on_with_a_whole_line_later),
		cmocka_unit_test(a_failure_shows_the_end_of_what_was_dropped),
		cmocka_unit_test(minus_one_is_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
