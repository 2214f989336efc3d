/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/times.h"

static int64_t parsed(const char *text)
{
	int64_t ns = -1;

	assert_int_equal(times_parse_rfc3339(text, &ns), 0);
	return ns;
}

static void times_are_written_as_they_are_read(void **state)
{
	static const char *const texts[] = {"1970-01-01T00:00:00Z", "2026-01-02T15:04:05.12Z",
					    "1969-12-31T23:59:59.5Z"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *text = times_rfc3339(parsed(texts[i]));

		assert_string_equal(text, texts[i]);
	}
	assert_int_equal(parsed("1970-01-01T02:00:01+02:00"), 1000000000);
}

static void times_out_of_reach_are_the_nearest_that_are_not(void **state)
{
	(void)state;
	assert_true(parsed("3970-01-01T00:00:01Z") == INT64_MAX);
	assert_true(parsed("0001-01-01T00:00:00Z") == INT64_MIN);
}

static void what_is_no_time_is_refused(void **state)
{
	int64_t ns;

	(void)state;
	assert_true(times_parse_rfc3339("", &ns) < 0);
	assert_true(times_parse_rfc3339("2026-01-02", &ns) < 0);
	assert_true(times_parse_rfc3339("2026-01-02T15:04:05", &ns) < 0);
	assert_true(times_parse_rfc3339("2026-01-02T15:04:05Zx", &ns) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_as_they_are_read),
		cmocka_unit_test(times_out_of_reach_are_the_nearest_that_are_not),
		cmocka_unit_test(what_is_no_time_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
