/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pattern.h"

static void glob_follows_the_rules_of_filepath_match(void **state)
{
	static const struct {
		const char *pattern, *name;
		int want;
	} cases[] = {
		{"abc", "abc", 1},
		{"*", "abc", 1},
		{"*c", "abc", 1},
		{"a*", "a", 1},
		{"a*", "abc", 1},
		{"a*", "ab/c", 0},
		{"a*/b", "abc/b", 1},
		{"a*/b", "a/c/b", 0},
		{"a*b*c*d*e*/f", "axbxcxdxe/f", 1},
		{"a*b?c*x", "abxbbxdbxebxczzx", 1},
		{"a*b?c*x", "abxbbxdbxebxczzy", 0},
		{"ab[c]", "abc", 1},
		{"ab[b-d]", "abc", 1},
		{"ab[e-g]", "abc", 0},
		{"ab[^c]", "abc", 0},
		{"ab[^e-g]", "abc", 1},
		{"a\\*b", "a*b", 1},
		{"a\\*b", "ab", 0},
		{"a?b",
		 "a\xe2\x98\xba"
		 "b",
		 1},
		{"a[^a]b",
		 "a\xe2\x98\xba"
		 "b",
		 1},
		{"a???b",
		 "a\xe2\x98\xba"
		 "b",
		 0},
		{"[a-\xce\xb6]*", "\xce\xb1", 1},
		{"*[a-\xce\xb6]", "A", 0},
		{"a?b", "a/b", 0},
		{"a*b", "a/b", 0},
		{"[\\]a]", "]", 1},
		{"[\\-]", "-", 1},
		{"[x\\-]", "x", 1},
		{"[x\\-]", "-", 1},
		{"[x\\-]", "z", 0},
		{"*x", "xxx", 1},
		{"", "", 1},
		{"", "a", 0},
		{"**", "a/b", 0},
		{"a*", "", 0},
	};
	static const char *const bad[] = {"[]a]", "[-]",  "[x-]", "[-x]", "[a-b-c]", "[",
					  "[^",	  "[^bc", "a[",	  "a\\",  "[a-",     "[\\"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int got = glob_match(cases[i].pattern, cases[i].name, NULL);

		if (got != cases[i].want)
			fail_msg("'%s' against '%s' gives %d", cases[i].pattern, cases[i].name,
				 got);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(error_freep) struct error *err = NULL;

		if (glob_match(bad[i], "a", &err) != -ERR_INVALID)
			fail_msg("'%s' is accepted", bad[i]);
	}
}

static struct pattern_list *list_of(const char *text)
{
	_cleanup_strv_ struct strv lines = {0};
	struct pattern_list *l = NULL;

	assert_int_equal(ignorefile_parse("test", text, strlen(text), &lines, NULL), 0);
	assert_int_equal(pattern_list_new(&lines, &l, NULL), 0);
	return l;
}

static void assert_match(const char *patterns, const char *path, bool want)
{
	_cleanup_(pattern_list_freep) struct pattern_list *l = list_of(patterns);

	if (pattern_list_matches(l, path) != want)
		fail_msg("'%s' %s '%s'", patterns, want ? "does not match" : "matches", path);
}

static void double_stars_span_components(void **state)
{
	(void)state;
	assert_match("**", "a/b/c", true);
	assert_match("**/", "a", true);
	assert_match("**/a", "a", true);
	assert_match("**/a", "x/y/a", true);
	assert_match("**/a", "xa", false);
	assert_match("**a", "xa", true);
	assert_match("**/*.txt", "a.txt", true);
	assert_match("**/*.txt", "b/a.txt", true);
	assert_match("dir/**", "dir/file", true);
	assert_match("dir/**", "dir", false);
	assert_match("**/dir2/*", "dir/dir2/file", true);
	assert_match("**/dir2/**", "dir/dir2/dir2/file", true);
	assert_match("a/**/b", "a/b", true);
	assert_match("a/**/b", "a/x/y/b", true);
	assert_match("a/**/b", "a/x/yb", false);
	assert_match("a/**/b/**/c", "a/1/b/2/b/3/c", true);
	assert_match("abc.def", "abcdef", false);
	assert_match("abc?def", "abc/def", false);
	assert_match("**/foo/bar", "in/foo/bar", true);
	assert_match("x*y**z", "xyyz", true);
	assert_match("a.|)$(}+{bc", "a.|)$(}+{bc", true);
}

static void a_path_matches_when_a_parent_does(void **state)
{
	(void)state;
	assert_match("docs", "docs/a/b", true);
	assert_match("docs", "xdocs", false);
	assert_match("/docs", "docs", true);
	assert_match("docs/", "docs/x", true);
	assert_match("*", "a/b/c", true);
	assert_match("*/*/x", "a/b/x", true);
}

static void the_last_match_wins(void **state)
{
	(void)state;
	assert_match("*.md\n!README.md", "README.md", false);
	assert_match("*.md\n!README.md", "x.md", true);
	assert_match("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true);
	assert_match("docs\n!docs/keep", "docs/keep/x", false);
	assert_match("docs\n!docs/keep", "docs/drop", true);
	assert_match("*\n!a", "a", false);
	assert_match("!a\n*", "a", true);
	assert_match("**\n!util/docker/web", "util/docker/web/foo", false);
}

static void a_walk_may_skip_what_no_exception_can_reach(void **state)
{
	_cleanup_(pattern_list_freep) struct pattern_list *l = list_of("*\n!keep/a\n!src/*.c");
	_cleanup_(pattern_list_freep) struct pattern_list *any = list_of("*\n!**/x");
	_cleanup_(pattern_list_freep) struct pattern_list *none = list_of("*");

	(void)state;
	assert_true(pattern_list_has_exceptions(l));
	assert_true(pattern_list_may_reinclude(l, "keep"));
	assert_false(pattern_list_may_reinclude(l, "keeper"));
	assert_false(pattern_list_may_reinclude(l, "keep/a"));
	assert_false(pattern_list_may_reinclude(l, "node_modules"));
	assert_true(pattern_list_may_reinclude(l, "src"));
	assert_true(pattern_list_may_reinclude(any, "deep/down"));
	assert_false(pattern_list_has_exceptions(none));
	assert_false(pattern_list_may_reinclude(none, "a"));
}

static void an_ignore_file_is_cleaned_line_by_line(void **state)
{
	static const char text[] = "\xef\xbb\xbf"
				   "a/b\r\n# comment\n\n  # not a comment\n/rooted/\n! spaced \n"
				   "./x//y/../z\n/\n";
	static const char *const want[] = {"a/b", "# not a comment", "rooted", "!spaced", "x/z",
					   "/"};
	_cleanup_strv_ struct strv lines = {0};

	(void)state;
	assert_int_equal(ignorefile_parse("test", text, sizeof(text) - 1, &lines, NULL), 0);
	assert_int_equal(lines.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < lines.n; i++)
		assert_string_equal(lines.v[i], want[i]);
}

static void bad_patterns_and_files_are_refused(void **state)
{
	static const char *const bad[] = {"!", "a[", "x**y**y**y**z"};
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_strv_ struct strv lines = {0};
	static char line[70000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_strv_ struct strv one = {0};
		_cleanup_(error_freep) struct error *e = NULL;
		struct pattern_list *l = NULL;

		strv_push(&one, bad[i]);
		assert_int_equal(pattern_list_new(&one, &l, &e), -ERR_INVALID);
		assert_non_null(strstr(error_text(e), bad[i]));
	}
	assert_int_equal(ignorefile_parse("ig", "# c\n\na\n\nb[\nc[\n", 14, &lines, &err),
			 -ERR_INVALID);
	assert_non_null(strstr(error_text(err), "ig:5: "));
	error_free(TAKE_PTR(err));
	memset(line, 'a', sizeof(line));
	assert_int_equal(ignorefile_parse("f", line, sizeof(line), &lines, &err), -ERR_INVALID);
	assert_int_equal(ignorefile_parse("f", "a\0b", 3, &lines, NULL), -ERR_INVALID);
}

static void a_path_is_left_out_by_a_line(void **state)
{
	static const char text[] = "\xef\xbb\xbf# c\n/a/\n\n*.log\n!kept.log\n./a/b/..\nx";
	_cleanup_strv_ struct strv lines = {0};
	_cleanup_(pattern_list_freep) struct pattern_list *l = NULL;

	(void)state;
	assert_int_equal(ignorefile_parse("f", text, sizeof(text) - 1, &lines, NULL), 0);
	assert_int_equal(pattern_list_new(&lines, &l, NULL), 0);
	assert_string_equal(pattern_list_match(l, "a/b/c"), "a");
	assert_string_equal(pattern_list_match(l, "1.log"), "*.log");
	assert_null(pattern_list_match(l, "kept.log"));
	assert_null(pattern_list_match(l, "b"));
	assert_int_equal(ignorefile_line(text, sizeof(text) - 1, "a"), 6);
	assert_int_equal(ignorefile_line(text, sizeof(text) - 1, "*.log"), 4);
	assert_int_equal(ignorefile_line(text, sizeof(text) - 1, "x"), 7);
	assert_int_equal(ignorefile_line(text, sizeof(text) - 1, "y"), 0);
}

static void many_stars_take_no_exponential_time(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", path, false);
	for (size_t i = 1; i < sizeof(path) - 1; i += 2)
		path[i] = '/';
	assert_match("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b", path, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(glob_follows_the_rules_of_filepath_match),
		cmocka_unit_test(double_stars_span_components),
		cmocka_unit_test(a_path_matches_when_a_parent_does),
		cmocka_unit_test(the_last_match_wins),
		cmocka_unit_test(a_walk_may_skip_what_no_exception_can_reach),
		cmocka_unit_test(an_ignore_file_is_cleaned_line_by_line),
		cmocka_unit_test(bad_patterns_and_files_are_refused),
		cmocka_unit_test(a_path_is_left_out_by_a_line),
		cmocka_unit_test(many_stars_take_no_exponential_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
