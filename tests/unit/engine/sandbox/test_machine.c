/* SPDX-License-Identifier: Apache-2.0 */
/* Machines as they are found, by the files that tell: settings that this kernel has not, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/sandbox/machine.h"

static char root[64];

static void put(const char *file, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s%s", root, file), *dir = path_dir(path);

	assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0755), 0);
	assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, text, strlen(text), 0755), 0);
}

/* What every Linux of today has. */
static void put_usual(void)
{
	put("/proc/sys/user/max_user_namespaces", "96365\n");
	put("/proc/sys/user/max_mnt_namespaces", "96365\n");
	put("/proc/self/status", "Name:\tkiln\nNoNewPrivs:\t0\nSeccomp:\t0\n");
}

static void ubuntu_24(void)
{
	put_usual();
	put("/proc/sys/kernel/unprivileged_userns_clone", "1\n");
	put("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
	put("/proc/self/attr/current", "unconfined\n");
}

static void debian_10(void)
{
	put_usual();
	put("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
}

static void rhel_7(void)
{
	put_usual();
	put("/proc/sys/user/max_user_namespaces", "0\n");
}

static void docker_container(void)
{
	put_usual();
	put("/.dockerenv", "");
	put("/proc/self/status", "Name:\tkiln\nNoNewPrivs:\t0\nSeccomp:\t2\n");
}

static int tear_down(void **state)
{
	(void)state;
	return fs_remove_tree(AT_FDCWD, root);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/kiln-test-machine.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static void expect(bool privileged, const char *what, const char *mend)
{
	struct findings f = {0};

	machine_namespaces(root, privileged, &f);
	if (!what) {
		assert_int_equal(f.list.n, 0);
		return;
	}
	assert_int_equal(f.list.n, 1);
	assert_non_null(strstr(f.list.v[0].what, what));
	assert_non_null(strstr(f.list.v[0].mend, mend));
	findings_release(&f);
}

static void nothing_is_in_the_way(void **state)
{
	(void)state;
	expect(false, NULL, NULL); /* a system that has none of the settings */
	put_usual();
	expect(false, NULL, NULL);
	expect(true, NULL, NULL);
}

static void apparmor_restricts_users_and_not_root(void **state)
{
	(void)state;
	ubuntu_24();
	expect(false, "kernel.apparmor_restrict_unprivileged_userns is 1", "apparmor_parser -r");
	expect(true, NULL, NULL);
	put("/proc/self/attr/current", "kiln (unconfined)\n");
	expect(false, NULL, NULL);
	put("/proc/self/attr/current", "unconfined\n");
	put("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n");
	expect(false, NULL, NULL);
}

static void debian_s_setting_is_named(void **state)
{
	(void)state;
	debian_10();
	expect(false,
	       "kernel.unprivileged_userns_clone is 0 "
	       "(/proc/sys/kernel/unprivileged_userns_clone)",
	       "sudo sysctl -w kernel.unprivileged_userns_clone=1");
	expect(true, NULL, NULL);
}

static void no_namespaces_are_no_namespaces_for_root_either(void **state)
{
	(void)state;
	rhel_7();
	expect(false, "user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=");
	expect(true, "user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=");
	put_usual();
	put("/proc/sys/user/max_mnt_namespaces", "0\n");
	expect(true, "user.max_mnt_namespaces is 0", "user.max_mnt_namespaces=");
}

static void a_container_s_filter_is_told(void **state)
{
	(void)state;
	docker_container();
	expect(false, "seccomp filter", "docker run --security-opt seccomp=unconfined");
	expect(true, NULL, NULL);
}

static void a_hint_has_all_of_it(void **state)
{
	_cleanup_free_ char *hint = NULL;

	(void)state;
	assert_null(machine_namespaces_hint(root, false));
	ubuntu_24();
	debian_10();
	hint = machine_namespaces_hint(root, false);
	assert_non_null(strstr(hint, "kernel.unprivileged_userns_clone=1\n"));
	assert_non_null(strstr(hint, "/etc/apparmor.d/kiln"));
	assert_non_null(strstr(hint, "docs/where-kiln-runs.md"));
}

static void garbage_is_no_number(void **state)
{
	int64_t value = 7;

	(void)state;
	put("/n", "");
	assert_false(machine_number(root, "/n", &value));
	put("/n", "many\n");
	assert_false(machine_number(root, "/n", &value));
	assert_int_equal(value, 7);
	put("/n", "-1\n");
	assert_true(machine_number(root, "/n", &value));
	assert_int_equal(value, -1);
}

/* --- ids --- */

static const struct machine_user ada = {"ada", 1000, "/nowhere:/usr/bin"};

static void expect_ids(const struct machine_user *user, size_t n, const char *what,
		       const char *mend)
{
	struct findings f = {0};
	bool found = false;

	machine_ids(root, user, &f);
	assert_int_equal(f.list.n, n);
	for (size_t i = 0; i < n && !found; i++)
		found = strstr(f.list.v[i].what, what) && f.list.v[i].mend &&
			strstr(f.list.v[i].mend, mend);
	assert_true(n == 0 || found);
	findings_release(&f);
}

static void put_tools(void)
{
	put("/usr/bin/newuidmap", "#!");
	put("/usr/bin/newgidmap", "#!");
}

static void ranges_are_found_by_name_and_number(void **state)
{
	struct id_range range;

	(void)state;
	assert_false(machine_range(root, "/etc/subuid", &ada, &range));
	put("/etc/subuid", "# no line\nada\nada:x:y\nada:5:1\nbob:100000:65536\n1000:165536:65536\n"
			   "ada:900000:10\n");
	assert_true(machine_range(root, "/etc/subuid", &ada, &range));
	assert_int_equal(range.start, 165536);
	assert_int_equal(range.count, 65536);
}

static void missing_tools_and_ranges_are_named(void **state)
{
	(void)state;
	expect_ids(&ada, 3, "newuidmap is not installed", "apt install uidmap");
	put_tools();
	expect_ids(&ada, 2, "/etc/subuid grants no ids to ada",
		   "sudo usermod --add-subuids 100000-165535 ada");
	put("/etc/subuid", "ada:100000:65536\n");
	put("/etc/subgid", "bob:100000:65536\n");
	expect_ids(&ada, 1, "/etc/subgid grants no ids to ada",
		   "sudo usermod --add-subgids 165536-231071 ada");
	put("/etc/subgid", "bob:100000:65536\nada:165536:65536\n");
	expect_ids(&ada, 0, NULL, NULL);
}

static void poor_ranges_are_told(void **state)
{
	(void)state;
	put_tools();
	put("/etc/subuid", "ada:100000:1000\n");
	put("/etc/subgid", "ada:100000:65536\nbob:150000:65536\n");
	expect_ids(&ada, 2, "grants ada only 1000 ids",
		   "--del-subuids 100000-100999 --add-subuids 101000-166535 ada");
	expect_ids(&ada, 2, "grants ids of ada to bob, too", "--add-subgids 215536-281071 ada");
}

static void who_has_no_name_gets_no_ids(void **state)
{
	const struct machine_user nobody = {NULL, 64322, "/usr/bin"};

	(void)state;
	put_tools();
	put("/etc/subuid", "64322:100000:65536\n");
	expect_ids(&nobody, 1, "the user 64322 has no name", "useradd --uid 64322");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_in_the_way),
		TEST(apparmor_restricts_users_and_not_root),
		TEST(debian_s_setting_is_named),
		TEST(no_namespaces_are_no_namespaces_for_root_either),
		TEST(a_container_s_filter_is_told),
		TEST(a_hint_has_all_of_it),
		TEST(garbage_is_no_number),
		TEST(ranges_are_found_by_name_and_number),
		TEST(missing_tools_and_ranges_are_named),
		TEST(poor_ranges_are_told),
		TEST(who_has_no_name_gets_no_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
