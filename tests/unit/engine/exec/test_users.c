/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/exec/users.h"

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
				  "app:x:1000:1001:App:/home/app:/bin/sh\n"
				  "twin:x:1000:1002::/home/twin:/bin/sh\n"
				  "homeless:x:1003:1003\n"
				  "1234:x:77:78::/n:/bin/sh\n";
static const char group_text[] = "root:x:0:\n"
				 "wheel:x:10:root,app\n"
				 "app:x:1001:\n"
				 "video:x:44:other,app\n"
				 "own:x:1001:app\n"
				 "7777:x:5:\n";

static int find(const char *spec, struct user_ids *ret, struct error **err)
{
	_cleanup_buf_ struct buf passwd = BUF_INIT, group = BUF_INIT;

	buf_adds(&passwd, passwd_text);
	buf_adds(&group, group_text);
	return users_find(spec, &passwd, &group, ret, err);
}

static void expect(const char *spec, uint32_t uid, uint32_t gid, size_t n_groups, const char *home)
{
	struct user_ids u;

	assert_int_equal(find(spec, &u, NULL), 0);
	assert_int_equal(u.uid, uid);
	assert_int_equal(u.gid, gid);
	assert_int_equal(u.groups.n, n_groups);
	assert_int_equal(u.groups.v[0], gid);
	assert_string_equal(u.home, home);
	user_ids_release(&u);
}

static void no_user_is_root_with_its_groups(void **state)
{
	(void)state;
	expect("", 0, 0, 2, "/root");
}

static void a_name_gets_its_group_and_memberships(void **state)
{
	(void)state;
	expect("app", 1000, 1001, 3, "/home/app");
	expect("1000", 1000, 1001, 3, "/home/app");
	expect("twin", 1000, 1002, 1, "/home/app");
	expect("homeless", 1003, 1003, 1, "");
}

static void a_given_group_replaces_the_memberships(void **state)
{
	(void)state;
	expect("app:video", 1000, 44, 1, "/home/app");
	expect("app:4242", 1000, 4242, 1, "/home/app");
	expect("5:7777", 5, 7777, 1, "/");
	expect(":video", 0, 44, 1, "/root");
}

static void an_unknown_number_is_taken_as_it_is(void **state)
{
	(void)state;
	expect("4000", 4000, 0, 1, "/");
	expect("4000:4001", 4000, 4001, 1, "/");
}

static void a_number_is_an_id_also_where_a_user_has_that_name(void **state)
{
	(void)state;
	expect("1234", 1234, 0, 1, "/");
	expect("77", 77, 78, 1, "/n");
}

static void unknown_names_are_errors_that_name_them(void **state)
{
	struct error *err = NULL;
	struct user_ids u;

	(void)state;
	assert_int_equal(find("nobody", &u, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "unable to find user nobody"));
	error_free(err);
	err = NULL;
	assert_int_equal(find("app:none", &u, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "unable to find group none"));
	error_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_user_is_root_with_its_groups),
		cmocka_unit_test(a_name_gets_its_group_and_memberships),
		cmocka_unit_test(a_given_group_replaces_the_memberships),
		cmocka_unit_test(an_unknown_number_is_taken_as_it_is),
		cmocka_unit_test(a_number_is_an_id_also_where_a_user_has_that_name),
		cmocka_unit_test(unknown_names_are_errors_that_name_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
