/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/base64.h"

static void every_length_comes_back(void **state)
{
	char bytes[100];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		_cleanup_free_ char *text = base64_encode(bytes, n);
		_cleanup_buf_ struct buf back = BUF_INIT;

		assert_int_equal(strlen(text), (n + 2) / 3 * 4);
		assert_int_equal(base64_decode(text, &back), 0);
		assert_int_equal(back.n, n);
		assert_memory_equal(back.p, bytes, n);
	}
}

static void what_is_not_base64_is_refused(void **state)
{
	static const char *const bad[] = {"a",	   "ab",   "abc", "ab=c",      "a*bc",
					  "abcde", "====", "-",	  "YWJj-ZGVm", "YWJj\n-"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_buf_ struct buf back = BUF_INIT;

		assert_int_equal(base64_decode(bad[i], &back), -EINVAL);
		assert_int_equal(back.n, 0);
	}
}

static void what_is_too_long_is_refused(void **state)
{
	_cleanup_buf_ struct buf back = BUF_INIT_MAX(4);

	(void)state;
	assert_int_equal(base64_decode("YWJjZGVmZ2g=", &back), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_comes_back),
		cmocka_unit_test(what_is_not_base64_is_refused),
		cmocka_unit_test(what_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
