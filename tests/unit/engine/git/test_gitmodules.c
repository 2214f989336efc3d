/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/git/gitmodules.h"

static void assert_url(const char *text, const char *path, const char *url)
{
	struct gitmodules m = {.list = {.v = NULL}};

	assert_int_equal(gitmodules_parse(text, strlen(text), &m, NULL), 0);
	if (url)
		assert_string_equal(gitmodules_url(&m, path), url);
	else
		assert_null(gitmodules_url(&m, path));
	gitmodules_release(&m);
}

static void assert_bad(const char *text, size_t n, const char *why)
{
	struct gitmodules m = {.list = {.v = NULL}};
	struct error *e = NULL;

	assert_int_equal(gitmodules_parse(text, n, &m, &e), -ERR_INVALID);
	if (!strstr(error_text(e), why))
		fail_msg("'%s' is not in '%s'", why, error_text(e));
	error_free(e);
}

static void a_path_has_the_url_of_its_section(void **state)
{
	static const char text[] = "# comment\n"
				   "[submodule \"one\"]\n"
				   "\tpath = libs/one\n"
				   "\turl = https://h.x/one.git ; a comment\n"
				   "\tbranch = main\n"
				   "[submodule \"two\"] path = two/\n"
				   "URL = \"../two #1\"\n"
				   "[core]\n\turl = nonsense\n\tflag\n";

	(void)state;
	assert_url(text, "libs/one", "https://h.x/one.git");
	assert_url(text, "two", "../two #1");
	assert_url(text, "three", NULL);
	assert_url("", "x", NULL);
	assert_url("\xef\xbb\xbf[submodule \"a\\\"b\"]\r\npath = p\r\nurl = u\\\\v\\\nw\r\n", "p",
		   "u\\vw");
}

static void later_values_win(void **state)
{
	(void)state;
	assert_url("[submodule \"a\"]\npath=a\nurl=1\n[submodule \"b\"]\npath=b\nurl=2\n"
		   "[submodule \"a\"]\nurl=3\n",
		   "a", "3");
}

static void mistakes_are_told_with_their_line(void **state)
{
	(void)state;
	assert_bad("\n[submodule \"a\n", 15, "line 3");
	assert_bad("[submodule", 10, "must end with");
	assert_bad("[a]\nx y", 7, "followed by");
	assert_bad("[a]\nx = \"y", 10, "quote");
	assert_bad("[a]\nx = \\q", 10, "escape");
	assert_bad("[a]\nx = a\0b", 11, "NUL");
	assert_bad("=\n", 2, "neither");
}

static void assert_resolved(const char *remote, const char *url, const char *want)
{
	char *got = NULL;

	assert_int_equal(gitmodules_resolve_url(remote, url, &got, NULL), 0);
	assert_string_equal(got, want);
	free(got);
}

static void relative_urls_start_at_the_repository(void **state)
{
	char *got = NULL;

	(void)state;
	assert_resolved("https://h.x/org/a.git", "https://y/b", "https://y/b");
	assert_resolved("https://h.x/org/a.git", "../b.git", "https://h.x/org/b.git");
	assert_resolved("https://h.x/org/a.git/", "../../o/b", "https://h.x/o/b");
	assert_resolved("https://h.x/org/a.git", "./b", "https://h.x/org/a.git/b");
	assert_resolved("https://u:p@h.x/a.git", "../b", "https://u:p@h.x/b");
	assert_resolved("git@h.x:a.git", "../b.git", "git@h.x:b.git");
	assert_resolved("git@h.x:o/a.git", "../b.git", "git@h.x:o/b.git");
	assert_int_equal(gitmodules_resolve_url("https://h.x/a.git", "../../b", &got, NULL),
			 -ERR_INVALID);
	assert_int_equal(gitmodules_resolve_url("git@h.x:a.git", "../../b", &got, NULL),
			 -ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_has_the_url_of_its_section),
		cmocka_unit_test(later_values_win),
		cmocka_unit_test(mistakes_are_told_with_their_line),
		cmocka_unit_test(relative_urls_start_at_the_repository),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
