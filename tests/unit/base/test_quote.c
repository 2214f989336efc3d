/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/quote.h"

static void text_is_quoted_as_go_does(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", "\"\""},
		{"a b", "\"a b\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\a\b\t\n\v\f\r", "\"\\a\\b\\t\\n\\v\\f\\r\""},
		{"\x01\x1b\x7f", "\"\\x01\\x1b\\x7f\""},
		{"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
		{"\xc2\xa0\xe2\x80\x8b\xef\xbb\xbf", "\"\\u00a0\\u200b\\ufeff\""},
		{"\xf3\xa0\x80\x81", "\"\\U000e0001\""},
		{"\xff\xc3", "\"\\xff\\xc3\""},		 /* not UTF-8 */
		{"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""}, /* a surrogate */
		{"\xe0\x80\x80", "\"\\xe0\\x80\\x80\""}, /* overlong */
		{"\xf5\x80\x80\x80", "\"\\xf5\\x80\\x80\\x80\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		quote_add(&b, rows[i].text, strlen(rows[i].text));
		assert_string_equal(b.p, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_quoted_as_go_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
