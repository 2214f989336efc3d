/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/passwd.h"
#include "engine/fileops/mode_text.h"
#include "engine/tree/tree.h"

struct made {
	const char *path, *link; /* link NULL: a directory */
};

static const struct made made[] = {
	{"", NULL},	    {"a", NULL},	   {"a/b", NULL},      {"abs", "/a/b"},
	{"a/up", "../a/b"}, {"a/out", "../../a"},  {"chain", "abs"},   {"loop", "pool"},
	{"pool", "/loop"},  {"gone", "nowhere/x"}, {"a/slash", "b//"}, {"self", "."},
};

static bool lookup(const void *data, const char *path, struct entry *ret)
{
	(void)data;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (strcmp(made[i].path, path) != 0)
			continue;
		*ret = (struct entry){.path = made[i].path,
				      .type = made[i].link ? ENTRY_SYMLINK : ENTRY_DIR,
				      .link = made[i].link};
		return true;
	}
	return false;
}

static void assert_resolves(const char *scope, const char *path, bool follow, const char *expect,
			    bool exists)
{
	struct error *err = NULL;
	char *got = NULL;
	bool there;
	int r = tree_resolve_scoped(lookup, NULL, scope, path, follow, &got, &there, NULL, &err);

	if (r < 0)
		fail_msg("%s", error_text(err));
	assert_string_equal(got, expect);
	assert_int_equal(there, exists);
	free(got);
}

static void symlinks_are_resolved_inside_the_root(void **state)
{
	(void)state;
	assert_resolves("", "a/b", true, "a/b", true);
	assert_resolves("", "abs", true, "a/b", true);
	assert_resolves("", "abs", false, "abs", true);
	assert_resolves("", "chain", true, "a/b", true);
	assert_resolves("", "a/up", true, "a/b", true);
	assert_resolves("", "a/out/b", true, "a/b", true);
	assert_resolves("", "a/slash", true, "a/b", true);
	assert_resolves("", "self/self/a", true, "a", true);
	assert_resolves("", "../../a", true, "a", true);
	assert_resolves("", "/", true, "", true);
}

static void what_does_not_exist_keeps_its_name(void **state)
{
	(void)state;
	assert_resolves("", "abs/new/x", true, "a/b/new/x", false);
	assert_resolves("", "gone", true, "nowhere/x", false);
	assert_resolves("", "gone/y/..", true, "nowhere/x", false);
}

static void a_scope_is_never_left(void **state)
{
	(void)state;
	assert_resolves("a", "../../b", true, "a/b", true);
	assert_resolves("a", "up", true, "a/a/b", false);
	assert_resolves("a", "b/../../..", true, "a", true);
}

static void loops_are_errors(void **state)
{
	struct error *err = NULL;
	char *got = NULL;
	bool there;

	(void)state;
	assert_int_equal(
		tree_resolve_scoped(lookup, NULL, "", "loop/x", true, &got, &there, NULL, &err),
		-ERR_INVALID);
	assert_string_equal(error_text(err),
			    "resolve '/loop/x': too many levels of symbolic links");
	error_free(err);
}

static void passwd_and_group_lines_are_found_by_name_and_number(void **state)
{
	static const char passwd[] = "# comment:x:9:9\nbroken\nroot:x:0:0:root:/root:/bin/sh\n"
				     "bad:x:1x:1::/:\napp:x:1000:1001::/home/app\r\n"
				     "big:x:4294967295:0::/:\nhuge:x:4294967296:0::/:";
	static const char group[] = "root:x:0:\nwheel:x:10:root,app\nshort:x:11\n";
	struct passwd_group g;
	struct passwd_user u;

	(void)state;
	assert_true(passwd_user_by_name(passwd, strlen(passwd), "app", &u));
	assert_int_equal(u.uid, 1000);
	assert_int_equal(u.gid, 1001);
	assert_int_equal(u.home.n, strlen("/home/app"));
	assert_true(passwd_user_by_id(passwd, strlen(passwd), UINT32_MAX, &u));
	assert_false(passwd_user_by_name(passwd, strlen(passwd), "bad", &u));
	assert_false(passwd_user_by_name(passwd, strlen(passwd), "huge", &u));
	assert_false(passwd_user_by_name(passwd, strlen(passwd), "ap", &u));
	assert_true(passwd_group_by_name(group, strlen(group), "wheel", &g));
	assert_true(passwd_group_has_member(&g, "app"));
	assert_false(passwd_group_has_member(&g, "ap"));
	assert_true(passwd_group_by_id(group, strlen(group), 11, &g));
	assert_int_equal(g.members.n, 0);
}

static void symbolic_modes_change_what_they_name(void **state)
{
	static const struct {
		const char *text;
		uint32_t mode;
		bool dir;
		uint32_t expect;
	} cases[] = {
		{"+x", 0644, false, 0755},	   {"u=rwX,go=rX", 0600, false, 0644},
		{"u=rwX,go=rX", 0600, true, 0755}, {"g=u", 0640, false, 0660},
		{"a-w", 0666, false, 0444},	   {"u+s", 0755, false, 04755},
		{"g+s", 0755, true, 02755},	   {"+t", 0777, true, 01777},
		{"o=", 0777, false, 0770},	   {"=r", 0777, false, 0444},
		{"u+x-w", 0644, false, 0544},	   {"u=rw", 04755, true, 04655},
	};
	uint32_t got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(mode_text_apply(cases[i].text, cases[i].mode, cases[i].dir, &got));
		if (got != cases[i].expect)
			fail_msg("%s on %o gives %o", cases[i].text, cases[i].mode, got);
	}
	assert_false(mode_text_apply("", 0, false, &got));
	assert_false(mode_text_apply("u", 0, false, &got));
	assert_false(mode_text_apply("u+q", 0, false, &got));
	assert_false(mode_text_apply("u+r,", 0, false, &got));
	assert_false(mode_text_apply("q+r", 0, false, &got));
}

static int count_or_fail(void *data, size_t i, struct error **err)
{
	_Atomic size_t *count = data;

	if (i == 70)
		return error_new(err, ERR_IO, 0, "round %zu", i);
	(*count)++;
	return 0;
}

static void parallel_rounds_all_run_or_the_first_failure_is_returned(void **state)
{
	_Atomic size_t count = 0;
	struct error *err = NULL;

	(void)state;
	assert_int_equal(parallel_for(70, count_or_fail, &count, &err), 0);
	assert_int_equal(count, 70);
	assert_int_equal(parallel_for(1000, count_or_fail, &count, &err), -ERR_IO);
	assert_string_equal(error_text(err), "round 70");
	error_free(err);
	assert_int_equal(parallel_for(0, count_or_fail, &count, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(symlinks_are_resolved_inside_the_root),
		cmocka_unit_test(what_does_not_exist_keeps_its_name),
		cmocka_unit_test(a_scope_is_never_left),
		cmocka_unit_test(loops_are_errors),
		cmocka_unit_test(passwd_and_group_lines_are_found_by_name_and_number),
		cmocka_unit_test(symbolic_modes_change_what_they_name),
		cmocka_unit_test(parallel_rounds_all_run_or_the_first_failure_is_returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
