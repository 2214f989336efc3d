/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/git/gitref.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define D "dddddddddddddddddddddddddddddddddddddddd"
#define E "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

static struct gitref_list some_refs(void)
{
	struct gitref_list l = {.heads = {.v = NULL}};

	gitref_list_add(&l, "HEAD", A, "refs/heads/main");
	gitref_list_add(&l, "refs/heads/feature", B, NULL);
	gitref_list_add(&l, "refs/heads/main", A, NULL);
	gitref_list_add(&l, "refs/heads/v1", B, NULL);
	gitref_list_add(&l, "refs/pull/7/head", C, NULL);
	gitref_list_add(&l, "refs/tags/v1", D, NULL);
	gitref_list_add(&l, "refs/tags/v2", D, NULL);
	gitref_list_add(&l, "refs/tags/v2^{}", E, NULL);
	return l;
}

static void assert_ref(const char *ref, const char *checksum, const char *name, const char *commit)
{
	struct gitref_list l = some_refs();
	struct gitref got = {.name = NULL};

	assert_int_equal(gitref_resolve(&l, ref, checksum, &got, NULL), 0);
	assert_string_equal(got.name, name);
	assert_string_equal(got.commit, commit);
	gitref_release(&got);
	gitref_list_release(&l);
}

static void assert_refused(const char *ref, const char *checksum, const char *text)
{
	struct gitref_list l = some_refs();
	struct gitref got = {.name = NULL};
	struct error *e = NULL;

	assert_true(gitref_resolve(&l, ref, checksum, &got, &e) < 0);
	if (!strstr(error_text(e), text))
		fail_msg("'%s' is not in '%s'", text, error_text(e));
	error_free(e);
	gitref_list_release(&l);
}

static void names_are_found_in_the_order_of_git_checkout(void **state)
{
	(void)state;
	assert_ref("", NULL, "refs/heads/main", A);
	assert_ref("HEAD", NULL, "refs/heads/main", A);
	assert_ref("feature", NULL, "refs/heads/feature", B);
	assert_ref("v1", NULL, "refs/heads/v1", B);
	assert_ref("tags/v1", NULL, "refs/tags/v1", D);
	assert_ref("refs/tags/v1", NULL, "refs/tags/v1", D);
	assert_ref("pull/7/head", NULL, "refs/pull/7/head", C);
	assert_ref("refs/pull/7/head", NULL, "refs/pull/7/head", C);
}

static void an_annotated_tag_leads_to_its_commit(void **state)
{
	(void)state;
	assert_ref("v2", NULL, "refs/tags/v2", E);
	assert_ref("v2", "eeee", "refs/tags/v2", E);
	assert_ref("v2", "DDDD", "refs/tags/v2", E);
	assert_refused("v2", "aaaa", "expected checksum to match aaaa, got " D " or " E);
}

static void what_is_not_there_is_told(void **state)
{
	(void)state;
	assert_refused("nosuch", NULL, "repository does not contain ref nosuch, output: \"\"");
	assert_refused("refs/heads/v2", NULL, "does not contain ref refs/heads/v2");
	assert_refused("bbbbbbb", NULL, "does not contain ref bbbbbbb");
	assert_refused("main", "b", "expected checksum to match b, got " A);
}

static void a_default_branch_is_guessed_where_the_server_is_silent(void **state)
{
	struct gitref_list l = {.heads = {.v = NULL}};
	struct gitref got = {.name = NULL};

	(void)state;
	assert_int_equal(gitref_resolve(&l, "", NULL, &got, NULL), -ERR_NOTFOUND);
	gitref_list_add(&l, "HEAD", B, NULL);
	gitref_list_add(&l, "refs/heads/main", A, NULL);
	gitref_list_add(&l, "refs/heads/other", B, NULL);
	assert_int_equal(gitref_resolve(&l, "", NULL, &got, NULL), 0);
	assert_string_equal(got.name, "refs/heads/other");
	gitref_release(&got);
	gitref_list_release(&l);
}

static void a_commit_needs_no_list(void **state)
{
	struct gitref got = {.name = NULL};

	(void)state;
	assert_true(gitref_is_commit(A));
	assert_false(gitref_is_commit("aaaa"));
	assert_false(gitref_is_commit("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	assert_int_equal(gitref_from_commit(A, "aaaaaa", &got, NULL), 0);
	assert_null(got.name);
	assert_string_equal(got.commit, A);
	assert_int_equal(gitref_from_commit(A, "b", &got, NULL), -ERR_CORRUPT);
}

static void refs_that_no_server_should_see_are_refused(void **state)
{
	(void)state;
	assert_int_equal(gitref_check("main", NULL), 0);
	assert_int_equal(gitref_check("", NULL), 0);
	assert_int_equal(gitref_check("--upload-pack=x", NULL), -ERR_INVALID);
	assert_int_equal(gitref_check("a b", NULL), -ERR_INVALID);
	assert_int_equal(gitref_check("a\nb", NULL), -ERR_INVALID);
	assert_int_equal(gitref_check(A "aaaaaaaaaaaaaaaaaaaaaaaa", NULL), -ERR_UNSUPPORTED);
	assert_int_equal(gitref_check_checksum("12aF", NULL), 0);
	assert_int_equal(gitref_check_checksum("", NULL), -ERR_INVALID);
	assert_int_equal(gitref_check_checksum("sha256:12", NULL), -ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_in_the_order_of_git_checkout),
		cmocka_unit_test(an_annotated_tag_leads_to_its_commit),
		cmocka_unit_test(what_is_not_there_is_told),
		cmocka_unit_test(a_default_branch_is_guessed_where_the_server_is_silent),
		cmocka_unit_test(a_commit_needs_no_list),
		cmocka_unit_test(refs_that_no_server_should_see_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
