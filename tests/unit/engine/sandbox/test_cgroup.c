/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups, in a directory that looks like a mount of them: the machine that runs the tests
 * has one kind only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/sandbox/cgroup.h"

static char base[64], own[96];
static struct cgroup_site site;
static const char *const *new_files; /* what the kernel would put into a new group */

static void write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_full(fd, text, strlen(text)), 0);
}

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", base, name);

	write_text(path, text);
}

static int make_group_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		return -errno;
	for (size_t i = 0; new_files[i]; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", path, new_files[i]);

		write_text(file, "");
	}
	return 0;
}

static void set_up(bool unified, const char *group, const char *const *files)
{
	_cleanup_free_ char *text = xasprintf(
		unified ? "0::%s\n" : "3:memory:%s\n2:pids:/\n1:cpu,cpuacct:/\n0::/\n", group);

	snprintf(base, sizeof(base), "/tmp/kiln-cgroup.XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(own, sizeof(own), "%s/own", base);
	write_text(own, text);
	if (unified)
		put("cgroup.controllers", "cpu memory pids\n");
	site = (struct cgroup_site){base, own, make_group_dir};
	new_files = files;
}

static void tear_down(void)
{
	assert_int_equal(fs_remove_tree(AT_FDCWD, base), 0);
}

static void expect_file(const char *dir, const char *name, const char *want)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_buf_ struct buf text = BUF_INIT;

	assert_int_equal(fs_read_file(AT_FDCWD, path, &text), 0);
	assert_string_equal(text.p, want);
}

/* The directory of the only group. */
static char *only_dir(const struct cgroup *c)
{
	const struct strv *files = cgroup_files(c);

	assert_int_equal(files->n, 1);
	return xstrndup(files->v[0], strlen(files->v[0]) - strlen("/cgroup.procs"));
}

/* rmdir of a control group takes its files along; ours have to go first. */
static void remove_files(const char *dir)
{
	for (size_t i = 0; new_files[i]; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dir, new_files[i]);

		assert_int_equal(unlink(file), 0);
	}
}

static const char *const unified_files[] = {"cgroup.procs", "memory.max", "memory.swap.max",
					    "cpu.weight",   "cpu.max",	  "pids.max",
					    "cpuset.cpus",  NULL};

static void cgroup2_has_its_own_words_for_limits(void **state)
{
	const struct cgroup_limits limits = {
		.memory = 1000,
		.memory_swap = 1500,
		.cpu_shares = 1024,
		.cpu_quota = 50000,
		.pids = 7,
		.cpuset_cpus = "0-1",
	};
	struct cgroup *c = NULL;
	_cleanup_free_ char *dir = NULL;

	(void)state;
	set_up(true, "/", unified_files);
	put("cgroup.subtree_control", "");
	assert_int_equal(cgroup_make(&site, &limits, NULL, &c, NULL), 0);
	dir = only_dir(c);
	expect_file(dir, "memory.max", "1000");
	expect_file(dir, "memory.swap.max", "500");
	expect_file(dir, "cpu.weight", "39");
	expect_file(dir, "cpu.max", "50000 100000");
	expect_file(dir, "pids.max", "7");
	expect_file(dir, "cpuset.cpus", "0-1");
	remove_files(dir);
	cgroup_remove(c);
	assert_int_not_equal(access(dir, F_OK), 0);
	tear_down();
}

static void a_group_is_made_below_kilns_own_or_a_given_one(void **state)
{
	const struct cgroup_limits limits = {.memory_swap = -1, .pids = -1};
	_cleanup_free_ char *delegated = NULL, *dir = NULL, *other = NULL, *given = NULL;
	struct cgroup *c = NULL;

	(void)state;
	set_up(true, "/user/scope", unified_files);
	delegated = xasprintf("%s/user/scope/kiln-", base);
	other = xasprintf("%s/user/scope", base);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, other, 0755), 0);
	assert_int_equal(cgroup_make(&site, &limits, NULL, &c, NULL), 0);
	dir = only_dir(c);
	assert_memory_equal(dir, delegated, strlen(delegated));
	expect_file(dir, "memory.swap.max", "max");
	expect_file(dir, "pids.max", "max");
	cgroup_remove(c);
	assert_int_equal(cgroup_make(&site, &limits, "my/slice", &c, NULL), 0);
	given = only_dir(c);
	free(delegated);
	delegated = xasprintf("%s/my/slice/kiln-", base);
	assert_memory_equal(given, delegated, strlen(delegated));
	cgroup_remove(c);
	tear_down();
}

static void a_limit_that_is_missing_is_an_error(void **state)
{
	static const char *const files[] = {NULL};
	const struct cgroup_limits limits = {.memory = 1000}, none = {0};
	_cleanup_free_ char *own_dir = NULL;
	struct error *err = NULL;
	struct cgroup *c = NULL;

	(void)state;
	set_up(true, "/", files);
	assert_int_equal(cgroup_make(&site, &limits, NULL, &c, &err), -ERR_DENIED);
	assert_null(c);
	assert_non_null(strstr(error_text(err), "has no limit memory.max"));
	assert_non_null(strstr(error_hint_text(err), "Delegate=yes"));
	error_free(err);
	tear_down();
	/* What nobody asked for may fail, and leaves no group behind. */
	set_up(true, "/mine", files);
	own_dir = xasprintf("%s/mine", base);
	assert_int_equal(cgroup_make(&site, &none, NULL, &c, NULL), 0);
	assert_null(c);
	assert_int_equal(rmdir(own_dir), 0);
	tear_down();
	set_up(true, "/gone", files);
	(void)snprintf(own, sizeof(own), "%s/nothing", base);
	assert_int_equal(cgroup_make(&site, &none, NULL, &c, NULL), 0);
	assert_null(c);
	tear_down();
}

static void steps_cannot_fork_without_end(void **state)
{
	static const char *const files[] = {"cgroup.procs", "pids.max", NULL};
	const struct cgroup_limits none = {0};
	_cleanup_free_ char *dir = NULL, *pids = NULL;
	struct cgroup *c = NULL;

	(void)state;
	for (int unified = 0; unified < 2; unified++) {
		set_up(unified, "/", files);
		pids = xasprintf("%s/pids", base);
		assert_int_equal(fs_mkdir_p(AT_FDCWD, pids, 0755), 0);
		assert_int_equal(cgroup_make(&site, &none, NULL, &c, NULL), 0);
		dir = only_dir(c);
		expect_file(dir, "pids.max", "8192");
		cgroup_remove(c);
		tear_down();
		free(TAKE_PTR(dir));
		free(TAKE_PTR(pids));
	}
}

static void groups_of_killed_builds_are_swept(void **state)
{
	static const char *const files[] = {"pids.max", NULL};
	static const char *const gone[] = {"kiln-999999999-0", "kiln-999999999-12",
					   "kiln-self-999999999"};
	const struct cgroup_limits none = {0};
	struct cgroup *c = NULL;
	char live[96];

	(void)state;
	set_up(true, "/", files);
	snprintf(live, sizeof(live), "%s/kiln-%d-9", base, getpid());
	assert_int_equal(mkdir(live, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", base, gone[i]);

		assert_int_equal(mkdir(dir, 0755), 0);
	}
	put("kiln-1-2x", "");
	assert_int_equal(cgroup_make(&site, &none, NULL, &c, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", base, gone[i]);

		assert_int_not_equal(access(dir, F_OK), 0);
	}
	assert_int_equal(access(live, F_OK), 0);
	cgroup_remove(c);
	tear_down();
}

/* Kilns in other pid namespaces know nothing of each other's processes. */
static void groups_of_kilns_elsewhere_stay(void **state)
{
	static const char *const files[] = {"pids.max", NULL};
	const struct cgroup_limits none = {0};
	struct cgroup *c = NULL, *again = NULL;
	char held[96], taken[96];
	unsigned number;
	int fd;

	(void)state;
	set_up(true, "/", files);
	snprintf(held, sizeof(held), "%s/kiln-999999999-0", base);
	assert_int_equal(mkdir(held, 0755), 0);
	fd = open(held, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_int_equal(cgroup_make(&site, &none, NULL, &c, NULL), 0);
	assert_int_equal(access(held, F_OK), 0);
	/* One of them may have this process's id, and the next name. */
	assert_int_equal(sscanf(cgroup_files(c)->v[0] + strlen(base), "/kiln-%*d-%u", &number), 1);
	snprintf(taken, sizeof(taken), "%s/kiln-%d-%u", base, getpid(), number + 1);
	assert_int_equal(mkdir(taken, 0755), 0);
	assert_int_equal(cgroup_make(&site, &none, NULL, &again, NULL), 0);
	assert_non_null(again);
	assert_null(strstr(cgroup_files(again)->v[0], strrchr(taken, '/')));
	cgroup_remove(again);
	cgroup_remove(c);
	assert_int_equal(close(fd), 0);
	tear_down();
}

static void the_older_hierarchies_are_told_apart(void **state)
{
	static const char *const files[] = {"cgroup.procs", "memory.limit_in_bytes", "pids.max",
					    NULL};
	const struct cgroup_limits limits = {.memory = 5000};
	_cleanup_free_ char *memory = NULL, *pids = NULL, *start = NULL;
	struct cgroup *c = NULL;

	(void)state;
	set_up(false, "/mine", files);
	memory = xasprintf("%s/memory/mine", base);
	pids = xasprintf("%s/pids", base);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, memory, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, pids, 0755), 0);
	assert_int_equal(cgroup_make(&site, &limits, NULL, &c, NULL), 0);
	assert_int_equal(cgroup_files(c)->n, 2);
	start = xasprintf("%s/kiln-", memory);
	assert_memory_equal(cgroup_files(c)->v[0], start, strlen(start));
	cgroup_remove(c);
	tear_down();
}

/* The first directory of the group tells of kills in the file `name`. */
static void expect_kills(struct cgroup *c, const char *name)
{
	static const char *const counts[] = {"oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
					     "low 0\noom 3\noom_kill 12\n"};
	const char *procs = cgroup_files(c)->v[0];
	_cleanup_free_ char *path =
		xasprintf("%.*s/%s", (int)(strlen(procs) - strlen("/cgroup.procs")), procs, name);

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		write_text(path, counts[i]);
		assert_int_equal(cgroup_out_of_memory(c), i == 1);
	}
	assert_int_equal(unlink(path), 0);
	assert_false(cgroup_out_of_memory(c));
}

static void what_was_refused_a_process_is_known(void **state)
{
	const struct cgroup_limits limits = {.pids = 5};
	_cleanup_free_ char *events = NULL;
	const char *procs;
	struct cgroup *c = NULL;

	(void)state;
	assert_false(cgroup_out_of_processes(NULL));
	set_up(true, "/", unified_files);
	put("cgroup.subtree_control", "");
	assert_int_equal(cgroup_make(&site, &limits, NULL, &c, NULL), 0);
	procs = cgroup_files(c)->v[0];
	events = xasprintf("%.*s/pids.events", (int)(strlen(procs) - strlen("/cgroup.procs")),
			   procs);
	assert_false(cgroup_out_of_processes(c));
	write_text(events, "max 0\n");
	assert_false(cgroup_out_of_processes(c));
	write_text(events, "max 31\n");
	assert_true(cgroup_out_of_processes(c));
	assert_int_equal(unlink(events), 0);
	cgroup_remove(c);
	tear_down();
}

static void what_was_killed_for_memory_is_known(void **state)
{
	static const char *const old_files[] = {"cgroup.procs", "memory.limit_in_bytes", "pids.max",
						NULL};
	const struct cgroup_limits limits = {.memory = 5000};
	_cleanup_free_ char *memory = NULL, *pids = NULL;
	struct cgroup *c = NULL;

	(void)state;
	assert_false(cgroup_out_of_memory(NULL));
	set_up(true, "/", unified_files);
	put("cgroup.subtree_control", "");
	assert_int_equal(cgroup_make(&site, &limits, NULL, &c, NULL), 0);
	expect_kills(c, "memory.events");
	cgroup_remove(c);
	tear_down();
	set_up(false, "/mine", old_files);
	memory = xasprintf("%s/memory/mine", base);
	pids = xasprintf("%s/pids", base);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, memory, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, pids, 0755), 0);
	assert_int_equal(cgroup_make(&site, &limits, NULL, &c, NULL), 0);
	expect_kills(c, "memory.oom_control");
	cgroup_remove(c);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cgroup2_has_its_own_words_for_limits),
		cmocka_unit_test(a_group_is_made_below_kilns_own_or_a_given_one),
		cmocka_unit_test(a_limit_that_is_missing_is_an_error),
		cmocka_unit_test(steps_cannot_fork_without_end),
		cmocka_unit_test(groups_of_killed_builds_are_swept),
		cmocka_unit_test(groups_of_kilns_elsewhere_stay),
		cmocka_unit_test(the_older_hierarchies_are_told_apart),
		cmocka_unit_test(what_was_refused_a_process_is_known),
		cmocka_unit_test(what_was_killed_for_memory_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
