/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/giturl.h"

static void assert_git(const char *text, const char *remote, const char *id)
{
	struct giturl u = {0};
	_cleanup_free_ char *got = NULL;

	assert_int_equal(giturl_parse(text, &u, NULL), 1);
	got = giturl_identifier(&u);
	assert_string_equal(u.remote, remote);
	assert_string_equal(got, id);
	giturl_release(&u);
}

static void urls_and_scp_addresses_are_split(void **state)
{
	(void)state;
	assert_git("https://h.x/a/b.git", "https://h.x/a/b.git", "h.x/a/b.git");
	assert_git("https://me:pw@h.x:8/a.git#v1", "https://me:pw@h.x:8/a.git", "h.x:8/a.git#v1");
	assert_git("git://h.x/a#:sub/../dir/", "git://h.x/a", "h.x/a#:dir");
	assert_git("ssh://git@h.x/a?ref=main", "ssh://git@h.x/a", "h.x/a#main");
	assert_git("file:///srv/a.git#r", "file:///srv/a.git", "/srv/a.git#r");
	assert_git("git@h.x:a/b.git#r:s", "git@h.x:a/b.git", "h.x/a/b.git#r:s");
	assert_git("http://h.x/a.git?tag=v1&subdir=d", "http://h.x/a.git",
		   "h.x/a.git#refs/tags/v1:d");
	assert_git("https://h.x/a.git?branch=b%2Fc", "https://h.x/a.git",
		   "h.x/a.git#refs/heads/b/c");
}

static void options_of_the_query_are_taken(void **state)
{
	struct giturl u = {0};

	(void)state;
	assert_int_equal(giturl_parse("https://h.x/a.git?commit=abc&keep-git-dir&submodules=0&"
				      "mtime=commit&fetch-by-commit=true",
				      &u, NULL),
			 1);
	assert_string_equal(u.checksum, "abc");
	assert_int_equal(u.keep_git_dir, 1);
	assert_int_equal(u.submodules, 0);
	assert_true(u.mtime_commit);
	assert_true(u.fetch_by_commit);
	giturl_release(&u);
	assert_int_equal(giturl_parse("git@h.x:a", &u, NULL), 1);
	assert_true(u.ssh);
	assert_int_equal(u.keep_git_dir, -1);
	giturl_release(&u);
}

static void paths_and_other_urls_are_no_git_urls(void **state)
{
	static const char *const other[] = {
		"",
		".",
		"a/b",
		"https://h.x/a.tar",
		"https://h.x.git",
		"ftp://h.x/a.git",
		"user@host",
		"github.com/a/b",
		"a b@h:c",
		"#x",
		"https://h.x/a?b=.git",
	};
	struct giturl u = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		if (giturl_parse(other[i], &u, NULL) != 0)
			fail_msg("'%s' counts as a git URL", other[i]);
}

static void a_context_may_name_github_without_a_scheme(void **state)
{
	struct giturl u = {0};

	(void)state;
	assert_int_equal(giturl_parse_context("github.com/a/b#main", &u, NULL), 1);
	assert_string_equal(u.remote, "https://github.com/a/b.git");
	assert_string_equal(u.ref, "main");
	giturl_release(&u);
}

static void contradictions_are_refused(void **state)
{
	static const struct {
		const char *query, *says;
	} bad[] = {
		{"?ref=a#b", "ref conflicts: \"b\" vs \"a\""},
		{"?tag=a&branch=b", "branch conflicts with tag"},
		{"#:../b", "leads out of the repository"},
		{"?subdir=a/../../b", "leads out of the repository"},
		{"?subdir=a#:b", "subdir conflicts"},
		{"?nope=1", "unexpected query \"nope\""},
		{"?ref", "query \"ref\" has no value"},
		{"?submodules=maybe", "invalid submodules value"},
		{"?mtime=never", "invalid mtime value"},
		{"?tag=a&tag=b", "tag conflicts"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(error_freep) struct error *err = NULL;
		_cleanup_free_ char *text = xasprintf("https://h.x/a.git%s", bad[i].query);
		struct giturl u = {0};

		assert_int_equal(giturl_parse(text, &u, &err), -ERR_INVALID);
		if (!strstr(error_text(err), bad[i].says))
			fail_msg("'%s' does not say '%s'", error_text(err), bad[i].says);
	}
}

static void what_is_shown_has_no_password(void **state)
{
	static const char *const secret[] = {
		"https://user:word@h.x/a.git",
		"https://user:wo/rd@h.x/a.git",
		"https://user:wo?r#d@h.x/a.git",
		"ssh://user:wo:rd@h.x/a.git",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		_cleanup_free_ char *shown = giturl_display(secret[i]);

		if (strstr(shown, "user") || strstr(shown, "rd@") || !strstr(shown, "h.x/a.git"))
			fail_msg("'%s' is shown as '%s'", secret[i], shown);
	}
	for (int i = 0; i < 2; i++) {
		const char *url = i ? "https://h.x:443/a@b.git" : "https://[::1]:80/a@b.git";
		_cleanup_free_ char *shown = giturl_display(url);

		assert_string_equal(shown, url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_and_scp_addresses_are_split),
		cmocka_unit_test(options_of_the_query_are_taken),
		cmocka_unit_test(paths_and_other_urls_are_no_git_urls),
		cmocka_unit_test(a_context_may_name_github_without_a_scheme),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(what_is_shown_has_no_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
