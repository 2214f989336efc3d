/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "cmd/cli/table.h"

static void columns_stand_below_each_other_whatever_the_bytes(void **state)
{
	struct table t = {.columns = 2};
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	table_cell(&t, "CREATED BY");
	table_cell(&t, "SIZE");
	table_cell(&t, "cut short\xe2\x80\xa6");
	table_cell(&t, "0B");
	table_cell(&t, "plain");
	table_cell(&t, "1B");
	table_print(&t, out);
	fclose(out);
	assert_string_equal(text, "CREATED BY   SIZE\n"
				  "cut short\xe2\x80\xa6   0B\n"
				  "plain        1B\n");
	free(text);
	table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_stand_below_each_other_whatever_the_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
