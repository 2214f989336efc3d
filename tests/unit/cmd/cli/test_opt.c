/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cmd/cli/opt.h"

struct values {
	bool flag, other;
	const char *text, *maybe;
	struct strv list, csv, args;
	struct strv argv; /* what `text` and `maybe` point into */
	int64_t number;
	uint64_t size;
	struct platform platform;
};

static int parse(struct values *v, unsigned flags, struct error **err, const char *const *argv)
{
	const struct opt table[] = {
		{"flag", 'f', OPT_BOOL, &v->flag, NULL, "A flag"},
		{"other", 'o', OPT_BOOL, &v->other, NULL, "Another"},
		{"text", 't', OPT_STRING, &v->text, "TEXT", "A text"},
		{"maybe", 0, OPT_OPTIONAL, &v->maybe, "TEXT", "Perhaps a text"},
		{"list", 'l', OPT_LIST, &v->list, "ITEM", "A list"},
		{"csv", 0, OPT_CSV, &v->csv, "A,B", "A list with commas"},
		{"number", 0, OPT_INT, &v->number, "N", "A number"},
		{"size", 0, OPT_SIZE, &v->size, "SIZE", "A size"},
		{"platform", 0, OPT_PLATFORM, &v->platform, "PLATFORM", "A platform"},
		{"old", 0, OPT_IGNORED, NULL, "X", NULL},
		{0},
	};
	bool help;
	int r;

	while (*argv)
		strv_push(&v->argv, *argv++);
	r = opt_parse(table, (int)v->argv.n, v->argv.v, flags, &v->args, &help, err);
	return help ? 1 : r;
}

#define PARSE(v, flags, err, ...) \
	parse(v, flags, err, (const char *const[]){"kiln", __VA_ARGS__, NULL})

static void release(struct values *v)
{
	strv_release(&v->list);
	strv_release(&v->csv);
	strv_release(&v->args);
	strv_release(&v->argv);
}

static void every_form_of_an_option_is_understood(void **state)
{
	struct values v = {.other = true};

	(void)state;
	assert_int_equal(PARSE(&v, 0, NULL, "-f", "--other=false", "--text", "a", "--list=x", "-l",
			       "y", "-lz", "--csv", "1,2", "--csv=3", "--number", "-7", "--size",
			       "2k", "--maybe=m", "--old", "gone", "arg", "--", "-x"),
			 0);
	assert_true(v.flag);
	assert_false(v.other);
	assert_string_equal(v.text, "a");
	assert_string_equal(v.maybe, "m");
	assert_int_equal(v.list.n, 3);
	assert_string_equal(v.list.v[2], "z");
	assert_int_equal(v.csv.n, 3);
	assert_int_equal(v.number, -7);
	assert_int_equal(v.size, 2048);
	assert_int_equal(v.args.n, 2);
	assert_string_equal(v.args.v[0], "arg");
	assert_string_equal(v.args.v[1], "-x");
	release(&v);
}

static void grouped_letters_end_with_one_that_takes_a_value(void **state)
{
	struct values v = {0};

	(void)state;
	assert_int_equal(PARSE(&v, 0, NULL, "-fot", "text"), 0);
	assert_true(v.flag && v.other);
	assert_string_equal(v.text, "text");
	release(&v);
}

static void a_lone_dash_is_an_argument(void **state)
{
	struct values v = {0};

	(void)state;
	assert_int_equal(PARSE(&v, 0, NULL, "-f", "-"), 0);
	assert_int_equal(v.args.n, 1);
	assert_string_equal(v.args.v[0], "-");
	release(&v);
}

static void options_after_the_first_argument_can_be_left_to_it(void **state)
{
	struct values v = {0};

	(void)state;
	assert_int_equal(PARSE(&v, OPT_STOP_AT_ARGUMENT, NULL, "-f", "image", "-o", "--text"), 0);
	assert_true(v.flag);
	assert_false(v.other);
	assert_int_equal(v.args.n, 3);
	release(&v);
}

static void help_wins_over_what_is_missing(void **state)
{
	struct values v = {0};

	(void)state;
	assert_int_equal(PARSE(&v, 0, NULL, "--help"), 1);
	release(&v);
	assert_int_equal(PARSE(&v, 0, NULL, "-h"), 1);
	release(&v);
}

static void errors_name_the_option_and_the_near_miss(void **state)
{
	static const struct {
		const char *arg, *text, *hint;
	} cases[] = {
		{"--flg", "unknown flag: --flg", "did you mean --flag?"},
		{"--text", "flag needs an argument: --text", NULL},
		{"-x", "unknown shorthand flag: 'x' in -x", NULL},
		{"--number=1x", "invalid argument \"1x\" for --number: must be a whole number",
		 NULL},
		{"--flag=maybe", "invalid argument \"maybe\" for --flag: must be true or false",
		 NULL},
		{"--size=big",
		 "invalid argument \"big\" for --size: must be a size such as 64m or 10GB", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		struct values v = {0};

		assert_int_equal(PARSE(&v, 0, &err, cases[i].arg), -ERR_INVALID);
		assert_string_equal(error_text(err), cases[i].text);
		if (cases[i].hint)
			assert_string_equal(error_hint_text(err), cases[i].hint);
		release(&v);
	}
}

static void a_platform_is_normalised_or_refused(void **state)
{
	struct error *err = NULL;
	struct values v = {0};
	char text[64];

	(void)state;
	assert_null(opt_platform(&v.platform));
	assert_int_equal(
		PARSE(&v, 0, NULL, "--platform", "linux/amd64", "--platform=linux/aarch64"), 0);
	assert_non_null(opt_platform(&v.platform));
	assert_string_equal(platform_format(&v.platform, text), "linux/arm64");
	release(&v);
	v = (struct values){0};
	assert_int_equal(PARSE(&v, 0, &err, "--platform", "no/such/thing/at/all"), -ERR_INVALID);
	error_free(err);
	release(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_an_option_is_understood),
		cmocka_unit_test(grouped_letters_end_with_one_that_takes_a_value),
		cmocka_unit_test(a_lone_dash_is_an_argument),
		cmocka_unit_test(options_after_the_first_argument_can_be_left_to_it),
		cmocka_unit_test(help_wins_over_what_is_missing),
		cmocka_unit_test(errors_name_the_option_and_the_near_miss),
		cmocka_unit_test(a_platform_is_normalised_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
