/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fields.h"

static void a_line_is_cut_at_its_blanks(void **state)
{
	char line[] = "  eth0\t00000000 0001\n", few[] = "a b c", empty[] = " \n";
	char *v[4];

	(void)state;
	assert_int_equal(fields_split(line, v, 4), 3);
	assert_string_equal(v[0], "eth0");
	assert_string_equal(v[1], "00000000");
	assert_string_equal(v[2], "0001");
	assert_int_equal(fields_split(few, v, 2), 2);
	assert_string_equal(v[1], "b");
	assert_int_equal(fields_split(empty, v, 4), 0);
}

static void maps_of_ids_are_read_line_by_line(void **state)
{
	const char *at = "         0       1000          1\n         1     100000      65536\n";
	struct id_map m;

	(void)state;
	assert_true(id_map_next(&at, &m));
	assert_int_equal(m.inside, 0);
	assert_int_equal(m.outside, 1000);
	assert_int_equal(m.count, 1);
	assert_true(id_map_next(&at, &m));
	assert_int_equal(m.outside, 100000);
	assert_int_equal(m.count, 65536);
	assert_string_equal(at, "");
	assert_false(id_map_next(&at, &m));
}

static void what_is_not_a_map_is_not_taken_for_one(void **state)
{
	static const char *const texts[] = {"",	    "0 0", "0 0 x", "0 -1 1", "0 0 4294967296",
					    "a 0 1"};
	struct id_map m;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *at = texts[i];

		assert_false(id_map_next(&at, &m));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_cut_at_its_blanks),
		cmocka_unit_test(maps_of_ids_are_read_line_by_line),
		cmocka_unit_test(what_is_not_a_map_is_not_taken_for_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
