/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/suggest.h"

static const char *const words[] = {"build", "run", "final", "Mixed"};

static void the_closest_word_within_two_edits_is_suggested(void **state)
{
	(void)state;
	assert_string_equal(suggest("bulid", words, ARRAY_SIZE(words), true), "build");
	assert_string_equal(suggest("fina", words, ARRAY_SIZE(words), true), "final");
	assert_string_equal(suggest("rnu", words, ARRAY_SIZE(words), true), "run");
	assert_null(suggest("something", words, ARRAY_SIZE(words), true));
}

static void a_word_that_is_a_candidate_needs_no_suggestion(void **state)
{
	(void)state;
	assert_null(suggest("run", words, ARRAY_SIZE(words), true));
	assert_null(suggest("mixed", words, ARRAY_SIZE(words), false));
	assert_string_equal(suggest("mixed", words, ARRAY_SIZE(words), true), "Mixed");
}

static void an_endless_word_is_no_near_miss(void **state)
{
	char word[1000];

	(void)state;
	memset(word, 'a', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	assert_null(suggest(word, words, ARRAY_SIZE(words), true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_closest_word_within_two_edits_is_suggested),
		cmocka_unit_test(a_word_that_is_a_candidate_needs_no_suggestion),
		cmocka_unit_test(an_endless_word_is_no_near_miss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
