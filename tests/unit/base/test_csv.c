/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

static void fields_are_split_as_go_splits_them(void **state)
{
	static const struct {
		const char *text, *fields; /* joined by "|" */
	} cases[] = {
		{"", ""},
		{"a", "a"},
		{"a,b", "a|b"},
		{",a,,b,", "|a||b|"},
		{"\"a,b\",c", "a,b|c"},
		{"\"id=x,src=/a,b\"", "id=x,src=/a,b"},
		{"\"a\"\"b\"", "a\"b"},
		{"\"\"\"\"", "\""},
		{"\"\",x", "|x"},
		{" a , b ", " a | b "},
		{"\"two\nlines\"", "two\nlines"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strv_ struct strv fields = {0};
		_cleanup_free_ char *joined = NULL;

		assert_int_equal(csv_split(cases[i].text, &fields, NULL), 0);
		joined = strv_join(&fields, "|");
		assert_string_equal(joined, cases[i].fields);
	}
}

static void quotes_out_of_place_are_refused(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"a,\"b", "line 1, column 5: extraneous or missing \" in quoted-field"},
		{"\"a\"b", "column 3: extraneous or missing \" in quoted-field"},
		{"\"", "column 2: extraneous or missing \" in quoted-field"},
		{"\"a\"\"", "column 5: extraneous or missing \" in quoted-field"},
		{"a\"b", "column 2: bare \" in non-quoted-field"},
		{"a, \"b\"", "column 4: bare \" in non-quoted-field"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strv_ struct strv fields = {0};
		struct error *err = NULL;

		assert_int_equal(csv_split(cases[i].text, &fields, &err), -ERR_INVALID);
		if (!strstr(error_text(err), cases[i].error))
			fail_msg("case %zu: %s", i, error_text(err));
		assert_int_equal(fields.n, 0);
		error_free(err);
	}
}

static void empty_names_are_left_out(void **state)
{
	_cleanup_strv_ struct strv names = {0};
	_cleanup_free_ char *joined = NULL;

	(void)state;
	csv_names("", &names);
	csv_names(",a,,b,", &names);
	csv_names("\"c\"", &names);
	joined = strv_join(&names, "|");
	assert_string_equal(joined, "a|b|\"c\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_split_as_go_splits_them),
		cmocka_unit_test(quotes_out_of_place_are_refused),
		cmocka_unit_test(empty_names_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
