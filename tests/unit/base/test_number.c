/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/number.h"

static void the_whole_text_is_a_number(void **state)
{
	static const char *const bad[] = {"",	" 1",  "1 ", "+1",  "-1",
					  "1x", "0x1", "x",  "1.5", "99999999999999999999x"};
	uint64_t n = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(number_parse(bad[i], 10, UINT64_MAX, &n), -EINVAL);
	assert_int_equal(n, 7);
	assert_int_equal(number_parse("007", 10, UINT64_MAX, &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(number_parse("18446744073709551615", 10, UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(number_parse("18446744073709551616", 10, UINT64_MAX, &n), -ERANGE);
	assert_int_equal(number_parse("65536", 10, UINT16_MAX, &n), -ERANGE);
}

static void bases_take_their_own_digits(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(number_parse("755", 8, 07777, &n), 0);
	assert_int_equal(n, 0755);
	assert_int_equal(number_parse("758", 8, 07777, &n), -EINVAL);
	assert_int_equal(number_parse("fF", 16, UINT64_MAX, &n), 0);
	assert_int_equal(n, 0xff);
	assert_int_equal(number_parse("0x1f", 0, UINT64_MAX, &n), 0);
	assert_int_equal(n, 0x1f);
	assert_int_equal(number_parse("017", 0, UINT64_MAX, &n), 0);
	assert_int_equal(n, 017);
	assert_int_equal(number_parse("0", 0, UINT64_MAX, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(number_parse("0x", 0, UINT64_MAX, &n), -EINVAL);
	assert_int_equal(number_parse("09", 0, UINT64_MAX, &n), -EINVAL);
}

static void a_sign_stands_right_before_its_number(void **state)
{
	static const char *const bad[] = {"", "-", "+", "--1", "- 1", " 1", "-1x", "+-1"};
	int64_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(number_parse_signed(bad[i], INT64_MIN, INT64_MAX, &n), -EINVAL);
	assert_int_equal(number_parse_signed("-9223372036854775808", INT64_MIN, INT64_MAX, &n), 0);
	assert_true(n == INT64_MIN);
	assert_int_equal(number_parse_signed("+9223372036854775807", INT64_MIN, INT64_MAX, &n), 0);
	assert_true(n == INT64_MAX);
	assert_int_equal(number_parse_signed("9223372036854775808", INT64_MIN, INT64_MAX, &n),
			 -ERANGE);
	assert_int_equal(number_parse_signed("-9223372036854775809", INT64_MIN, INT64_MAX, &n),
			 -ERANGE);
	assert_int_equal(number_parse_signed("-2", -1, 5, &n), -ERANGE);
	assert_int_equal(number_parse_signed("6", -1, 5, &n), -ERANGE);
}

static void a_number_is_taken_off_the_front(void **state)
{
	const char *text = "12:-3", *at = text;
	uint64_t n;
	int64_t s;

	(void)state;
	assert_int_equal(number_take(&at, 10, UINT64_MAX, &n), 0);
	assert_int_equal(n, 12);
	assert_ptr_equal(at, text + 2);
	assert_int_equal(number_take(&at, 10, UINT64_MAX, &n), -EINVAL);
	assert_ptr_equal(at, text + 2);
	at++;
	assert_int_equal(number_take_signed(&at, -5, 5, &s), 0);
	assert_int_equal(s, -3);
	assert_int_equal(*at, '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_text_is_a_number),
		cmocka_unit_test(bases_take_their_own_digits),
		cmocka_unit_test(a_sign_stands_right_before_its_number),
		cmocka_unit_test(a_number_is_taken_off_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
