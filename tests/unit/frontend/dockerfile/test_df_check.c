/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "frontend/dockerfile/df_check.h"
#include "frontend/dockerfile/df_parse.h"

static const char file_text[] = "# base the first\nFROM a AS base\nRUN one \\\n  two\n\n"
				"FROM --platform=$P base AS Last\nMAINTAINER me\n";

struct fixture {
	struct df_file *file;
	struct df_lint lint;
	struct buf out;
};

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	f->out = (struct buf)BUF_INIT;
	assert_int_equal(df_parse("Dockerfile", file_text, strlen(file_text), &f->file, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	df_file_free(f->file);
	df_lint_release(&f->lint);
	buf_release(&f->out);
	free(f);
	return 0;
}

static void excerpts_mark_lines_and_show_some_around(void **state)
{
	struct fixture *f = *state;

	df_excerpt(f->file, (struct source_span){2, 2, 1}, &f->out);
	assert_string_equal(f->out.p, "Dockerfile:2\n--------------------\n"
				      "   1 |     # base the first\n"
				      "   2 | >>> FROM a AS base\n"
				      "   3 |     RUN one \\\n"
				      "   4 |       two\n"
				      "--------------------\n");
	buf_clear(&f->out);
	df_excerpt(f->file, f->file->instructions[1]->span, &f->out);
	assert_string_equal(f->out.p, "Dockerfile:3\n--------------------\n"
				      "   2 |     FROM a AS base\n"
				      "   3 | >>> RUN one \\\n"
				      "   4 | >>>   two\n"
				      "   5 |     \n"
				      "--------------------\n");
	buf_clear(&f->out);
	df_excerpt(f->file, (struct source_span){7, 7, 1}, &f->out);
	assert_string_equal(f->out.p, "Dockerfile:7\n--------------------\n"
				      "   5 |     \n"
				      "   6 |     FROM --platform=$P base AS Last\n"
				      "   7 | >>> MAINTAINER me\n"
				      "   8 |     \n"
				      "--------------------\n");
}

static void excerpts_need_a_line_of_the_file(void **state)
{
	struct fixture *f = *state;

	df_excerpt(f->file, (struct source_span){0, 0, 0}, &f->out);
	df_excerpt(f->file, (struct source_span){9, 9, 0}, &f->out);
	assert_int_equal(f->out.n, 0);
	df_excerpt(f->file, (struct source_span){1, 4000000, 0}, &f->out);
	assert_non_null(strstr(f->out.p, "   8 | >>> "));
}

static void check_lists_warnings_by_line(void **state)
{
	struct fixture *f = *state;

	df_check_text(f->file, &f->lint, NULL, &f->out);
	assert_string_equal(f->out.p, "Check complete, no warnings found.\n");
	assert_int_equal(df_check_status(&f->lint, NULL), 0);
	df_lint_file(&f->lint, f->file);
	buf_clear(&f->out);
	df_check_text(f->file, &f->lint, NULL, &f->out);
	assert_memory_equal(f->out.p,
			    "Check complete, 2 warnings have been found!\n\nWARNING: "
			    "StageNameCasing - https://docs.docker.com/go/dockerfile/rule/"
			    "stage-name-casing/\nStage name 'Last' should be lowercase\n"
			    "Dockerfile:6\n",
			    172);
	assert_true(strstr(f->out.p, "MaintainerDeprecated") > strstr(f->out.p, "StageNameCasing"));
	assert_int_equal(df_check_status(&f->lint, NULL), 1);
}

static json_t *parse_output(struct fixture *f)
{
	_cleanup_(error_freep) struct error *err = NULL;
	json_t *root;

	if (js_parse("output", f->out.p, f->out.n, &root, &err) < 0)
		fail_msg("%s\n%s", error_text(err), f->out.p);
	return root;
}

static void check_json_has_warnings_sources_and_the_error(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_json_ json_t *root = NULL;
	struct fixture *f = *state;
	json_t *first, *failure;

	df_lint_file(&f->lint, f->file);
	error_new(&err, ERR_INVALID, 0, "bad \xff <byte>");
	error_at(&err, -ERR_INVALID, "Dockerfile", (struct source_span){3, 4, 1});
	df_check_json(f->file, &f->lint, err, &f->out);
	root = parse_output(f);
	assert_int_equal(json_array_size(json_object_get(root, "warnings")), 2);
	first = json_array_get(json_object_get(root, "warnings"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "ruleName")),
			    df_rules[f->lint.warnings[0].rule].name);
	failure = json_object_get(root, "buildError");
	assert_string_equal(json_string_value(json_object_get(failure, "message")),
			    "bad \xef\xbf\xbd <byte>");
	failure = json_object_get(json_object_get(failure, "location"), "ranges");
	assert_int_equal(json_array_size(failure), 2);
	assert_non_null(strstr(f->out.p, "\"filename\": \"Dockerfile\""));
	assert_non_null(strstr(f->out.p, "\"data\": \"IyBiYXNl"));
}

static void targets_are_listed_with_their_descriptions(void **state)
{
	_cleanup_json_ json_t *root = NULL;
	struct fixture *f = *state;
	json_t *last;

	df_targets_text(f->file, &f->out);
	assert_string_equal(f->out.p, "TARGET         DESCRIPTION\n"
				      "base           the first\n"
				      "last (default) \n");
	buf_clear(&f->out);
	df_targets_json(f->file, &f->out);
	root = parse_output(f);
	last = json_array_get(json_object_get(root, "targets"), 1);
	assert_true(json_is_true(json_object_get(last, "default")));
	assert_string_equal(json_string_value(json_object_get(last, "platform")), "$P");
}

static void outline_shows_arguments_and_mounts(void **state)
{
	static const struct df_outline_arg args[] = {{"A", "1", "letter", {1, 1, 1}},
						     {"LONG_NAME", NULL, NULL, {2, 2, 1}}};
	static const struct df_outline_mount secrets[] = {{"key", true, {3, 3, 1}},
							  {"token", false, {3, 3, 1}}};
	const struct df_outline o = {.name = "",
				     .doc = "the target",
				     .args = args,
				     .n_args = 2,
				     .secrets = secrets,
				     .n_secrets = 2};
	_cleanup_json_ json_t *root = NULL;
	struct fixture *f = *state;

	df_outline_text(&o, &f->out);
	assert_string_equal(f->out.p, "TARGET:      (default)\n"
				      "DESCRIPTION: the target\n"
				      "\n"
				      "BUILD ARG   VALUE   DESCRIPTION\n"
				      "A           1       letter\n"
				      "LONG_NAME           \n"
				      "\n"
				      "SECRET   REQUIRED\n"
				      "key      true\n"
				      "token    \n"
				      "\n");
	buf_clear(&f->out);
	df_outline_json(f->file, &o, &f->out);
	root = parse_output(f);
	assert_int_equal(json_array_size(json_object_get(root, "args")), 2);
	assert_int_equal(json_array_size(json_object_get(root, "secrets")), 2);
	assert_null(json_object_get(root, "ssh"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(excerpts_mark_lines_and_show_some_around),
		TEST(excerpts_need_a_line_of_the_file),
		TEST(check_lists_warnings_by_line),
		TEST(check_json_has_warnings_sources_and_the_error),
		TEST(targets_are_listed_with_their_descriptions),
		TEST(outline_shows_arguments_and_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
