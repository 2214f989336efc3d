/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the helper that answer a step's calls, here without a step: processes of this test
 * stand for one. They are no library, so that their sources are part of this program. */
#include "engine/sandbox/helper/supervisor_files.c"
#include "engine/sandbox/helper/supervisor_ids.c"
#include "engine/sandbox/helper/supervisor_processes.c"
#include "engine/sandbox/helper/users.c"

#include <stdarg.h>

/* What the helper's other files have; before cmocka takes the name of one. */

void fail(int errnum, const char *fmt, ...)
{
	(void)fprintf(stderr, "%s: %s\n", fmt, strerror(errnum));
	_exit(125);
}

char *format(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fs.h"

static char base[64];

/* --- ids --- */

static void expect_ids(const struct id_set *s, uint32_t real, uint32_t effective, uint32_t saved)
{
	assert_int_equal(s->real, real);
	assert_int_equal(s->effective, effective);
	assert_int_equal(s->saved, saved);
	assert_int_equal(s->fs, effective);
}

static int set(struct identity *id, enum wire_call_kind kind, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t args[3] = {a, b, c};
	uint32_t value;

	return identity_set(id, kind, args, &value);
}

static void root_becomes_anybody_and_cannot_come_back(void **state)
{
	struct identity id = {0};

	(void)state;
	assert_int_equal(set(&id, WIRE_CALL_SETGROUPS, 1, 0, 0), 0);
	assert_int_equal(set(&id, WIRE_CALL_SETGID, 7, 0, 0), 0);
	assert_int_equal(set(&id, WIRE_CALL_SETUID, 5, 0, 0), 0);
	expect_ids(&id.user, 5, 5, 5);
	expect_ids(&id.group, 7, 7, 7);
	assert_int_equal(set(&id, WIRE_CALL_SETUID, 0, 0, 0), -EPERM);
	assert_int_equal(set(&id, WIRE_CALL_SETGID, 0, 0, 0), -EPERM);
	assert_int_equal(set(&id, WIRE_CALL_SETRESUID, 5, 0, 5), -EPERM);
	assert_int_equal(set(&id, WIRE_CALL_SETGROUPS, 0, 0, 0), -EPERM);
	assert_int_equal(set(&id, WIRE_CALL_SETUID, 5, 0, 0), 0);
	assert_int_equal(set(&id, WIRE_CALL_SETUID, KEEP, 0, 0), -EINVAL);
	expect_ids(&id.user, 5, 5, 5);
}

static void a_saved_id_can_be_taken_back(void **state)
{
	struct identity id = {0};

	(void)state;
	assert_int_equal(set(&id, WIRE_CALL_SETRESUID, KEEP, 5, KEEP), 0);
	expect_ids(&id.user, 0, 5, 0);
	assert_int_equal(set(&id, WIRE_CALL_SETRESUID, KEEP, 0, KEEP), 0);
	expect_ids(&id.user, 0, 0, 0);
	/* setreuid saves what the real id no longer says */
	assert_int_equal(set(&id, WIRE_CALL_SETREUID, 5, KEEP, 0), 0);
	expect_ids(&id.user, 5, 0, 0);
	assert_int_equal(set(&id, WIRE_CALL_SETREUID, KEEP, 5, 0), 0);
	expect_ids(&id.user, 5, 5, 0);
	assert_int_equal(set(&id, WIRE_CALL_SETREUID, 0, KEEP, 0), -EPERM);
	assert_int_equal(set(&id, WIRE_CALL_SETUID, 0, 0, 0), 0);
	expect_ids(&id.user, 5, 0, 0);
}

static void capabilities_that_are_kept_let_groups_follow_the_user(void **state)
{
	struct identity id = {0};

	(void)state;
	assert_int_equal(set(&id, WIRE_CALL_KEEPCAPS, 8, 1, 0), 0);
	assert_false(id.changed);
	assert_int_equal(set(&id, WIRE_CALL_SETRESUID, 5, 5, 5), 0);
	assert_int_equal(set(&id, WIRE_CALL_SETRESGID, 7, 7, 7), 0);
	expect_ids(&id.user, 5, 5, 5);
	expect_ids(&id.group, 7, 7, 7);
	identity_exec(&id, 0755, 0, 0);
	assert_int_equal(set(&id, WIRE_CALL_SETRESGID, 0, 0, 0), -EPERM);
	assert_int_equal(set(&id, WIRE_CALL_KEEPCAPS, 8, 1, 0), 0);
	assert_int_equal(set(&id, WIRE_CALL_SETUID, 0, 0, 0), -EPERM);
}

static void file_system_ids_tell_the_one_before(void **state)
{
	struct identity id = {0};
	uint32_t value;

	(void)state;
	assert_int_equal(identity_set(&id, WIRE_CALL_SETFSUID, (uint32_t[]){5, 0, 0}, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(identity_set(&id, WIRE_CALL_SETFSUID, (uint32_t[]){KEEP, 0, 0}, &value),
			 0);
	assert_int_equal(value, 5);
	assert_int_equal(id.user.fs, 5);
}

static void set_id_programs_lend_their_owners_ids(void **state)
{
	struct identity id = {.user = {5, 5, 5, 5}, .group = {6, 6, 6, 6}};

	(void)state;
	identity_exec(&id, 0755, 0, 0);
	expect_ids(&id.user, 5, 5, 5);
	assert_false(id.changed);
	identity_exec(&id, 02644, 0, 9); /* not executable by its group: a mark of another kind */
	expect_ids(&id.group, 6, 6, 6);
	identity_exec(&id, 06755, 0, 9);
	expect_ids(&id.user, 5, 0, 0);
	expect_ids(&id.group, 6, 9, 9);
	assert_true(id.changed);
}

/* --- processes --- */

static pid_t start_child(int *ret_wake)
{
	int wake[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(wake, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(wake[1]);
		(void)!read(wake[0], &byte, 1);
		_exit(0);
	}
	assert_true(pid > 0);
	(void)close(wake[0]);
	*ret_wake = wake[1];
	return pid;
}

static struct step_files own_proc(void)
{
	struct step_files s = {.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)};

	assert_true(s.proc >= 0);
	return s;
}

static void children_take_over_their_parents_ids(void **state)
{
	struct step_files files = own_proc();
	struct processes t = {.files = &files};
	struct identity id;
	uint32_t value;
	int wake, status;
	pid_t child;

	(void)state;
	assert_int_equal(processes_get(&t, getpid(), &id), 0);
	assert_false(id.changed);
	assert_int_equal(t.n, 0); /* nobody has asked for other ids */
	assert_int_equal(
		processes_set(&t, getpid(), WIRE_CALL_SETUID, (uint32_t[]){5, 0, 0}, &value), 0);
	child = start_child(&wake);
	assert_int_equal(processes_get(&t, child, &id), 0);
	assert_int_equal(id.user.effective, 5);
	assert_int_equal(processes_set(&t, child, WIRE_CALL_SETUID, (uint32_t[]){0, 0, 0}, &value),
			 -EPERM);
	assert_int_equal(processes_get(&t, 1, &id), 0);
	assert_int_equal(id.user.effective, 0);
	(void)close(wake);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(processes_get(&t, child, &id), -EAGAIN); /* gone */
	free(t.known);
	(void)close(files.proc);
}

static void those_that_are_gone_are_forgotten(void **state)
{
	struct step_files files = own_proc();
	struct processes t = {.files = &files};

	(void)state;
	for (int i = 0; i < 5 * TABLE_MIN; i++) {
		int wake, status;
		pid_t child = start_child(&wake);
		uint32_t value;

		assert_int_equal(
			processes_set(&t, child, WIRE_CALL_SETUID, (uint32_t[]){5, 0, 0}, &value),
			0);
		(void)close(wake);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	assert_int_equal(t.room, TABLE_MIN);
	free(t.known);
	(void)close(files.proc);
}

/* --- files --- */

/* In a child, since whoever looks for a step's files changes its own root. */
static void in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int count_failure(bool ok, const char *what)
{
	if (!ok)
		(void)fprintf(stderr, "not so: %s\n", what);
	return !ok;
}
#define CHECK(x) count_failure(x, #x)

/* A process whose root is `base`/root, in the directory dir of it, with descriptor 3 on /other. */
static pid_t start_rooted(int *ret_wake)
{
	int wake[2], ready[2];
	char byte;
	pid_t pid;

	if (pipe2(wake, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int other;

		(void)close(wake[1]);
		if (chdir(base) < 0 || chroot("root") < 0 || chdir("/dir") < 0)
			_exit(1);
		other = open("/other", O_RDONLY | O_DIRECTORY);
		if (other < 0 || dup2(other, 100) < 0)
			_exit(1);
		(void)!write(ready[1], "", 1);
		(void)!read(wake[0], &byte, 1);
		_exit(0);
	}
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -1;
	*ret_wake = wake[1];
	return pid;
}

/* Is the file found the one that `path` below base is? */
static bool finds(const struct step_files *s, pid_t tid, int dirfd, const char *path, bool follow,
		  const char *want)
{
	const struct file_name name = {tid, dirfd, path, follow};
	struct stat a, b;
	int fd = step_file_open(s, &name);

	if (fd < 0)
		return false;
	if (fstat(fd, &a) < 0)
		return false;
	(void)close(fd);
	return fstatat(s->upper, want, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static int error_of(const struct step_files *s, pid_t tid, int dirfd, const char *path)
{
	const struct file_name name = {tid, dirfd, path, true};

	return step_file_open(s, &name);
}

static int resolve(void)
{
	int wake, bad = 0;
	pid_t tid = start_rooted(&wake);
	struct step_files s = {
		.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.upper = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};

	if (tid < 0 || s.proc < 0 || s.upper < 0)
		return 1;
	bad += CHECK(finds(&s, tid, AT_FDCWD, "/dir/f", true, "root/dir/f"));
	bad += CHECK(finds(&s, tid, AT_FDCWD, "f", true, "root/dir/f"));
	bad += CHECK(finds(&s, tid, AT_FDCWD, "../other/f", true, "root/other/f"));
	bad += CHECK(finds(&s, tid, 100, "f", true, "root/other/f"));
	bad += CHECK(finds(&s, tid, 100, "", true, "root/other"));
	bad += CHECK(finds(&s, tid, AT_FDCWD, "", true, "root/dir"));
	bad += CHECK(finds(&s, tid, 100, "/dir/f", true, "root/dir/f"));
	/* Neither dots nor links lead out of the process's root. */
	bad += CHECK(finds(&s, tid, AT_FDCWD, "../../../../dir/f", true, "root/dir/f"));
	bad += CHECK(finds(&s, tid, AT_FDCWD, "/absolute", true, "root/dir/f"));
	bad += CHECK(finds(&s, tid, AT_FDCWD, "/up", true, "root/dir/f"));
	bad += CHECK(finds(&s, tid, AT_FDCWD, "/absolute", false, "root/absolute"));
	bad += CHECK(error_of(&s, tid, AT_FDCWD, "/out") == -ENOENT);
	bad += CHECK(error_of(&s, tid, AT_FDCWD, "../../secret") == -ENOENT);
	bad += CHECK(error_of(&s, tid, AT_FDCWD, "/loop") == -ELOOP);
	bad += CHECK(error_of(&s, tid, 99, "f") == -EBADF);
	bad += CHECK(error_of(&s, tid, -3, "f") == -EBADF);
	bad += CHECK(error_of(&s, tid, AT_FDCWD, "f/x") == -ENOTDIR);
	(void)close(wake);
	(void)waitpid(tid, NULL, 0);
	bad += CHECK(error_of(&s, tid, AT_FDCWD, "f") == -ENOENT);
	bad += CHECK(error_of(&s, tid, AT_FDCWD, "") == -ENOENT);
	/* A link of /proc that leads straight to a file: with our own root it would be ours. */
	bad += CHECK(error_of(&s, getpid(), AT_FDCWD, "/magic") < 0);
	return bad;
}

static void names_are_resolved_as_the_process_would(void **state)
{
	(void)state;
	in_child(resolve);
}

/* Here one directory is the root and what takes its changes. */
static int record_links(void)
{
	struct owner_record records[3];
	struct step_files s = {
		.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	struct owner_inode inode;
	struct statx st;
	int fd, bad = 0;

	s.upper = s.root;
	s.record = openat(s.root, "record", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (s.proc < 0 || s.root < 0 || s.record < 0 || fchdir(s.proc) < 0 ||
	    statx(s.root, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return 1;
	s.mount = st.stx_mnt_id;
	if (symlinkat("x", s.root, "a-link") < 0)
		return 1;
	fd = openat(s.root, "a-link", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	bad += CHECK(step_file_chown(fd, &(struct owner){0, 0}) == 0);
	bad += CHECK(step_file_record(&s, fd, &(struct owner){5, 6}) == 0);
	bad += CHECK(owner_inode_of(s.root, "a-link", AT_SYMLINK_NOFOLLOW, &inode) == 0);
	/* Its name may change meanwhile. */
	bad += CHECK(renameat(s.root, "a-link", s.root, "b-link") == 0);
	bad += CHECK(step_file_record(&s, fd, &(struct owner){7, OWNER_UNKNOWN}) == 0);
	/* And it may be gone: nobody will ask then. */
	bad += CHECK(unlinkat(s.root, "b-link", 0) == 0);
	bad += CHECK(step_file_record(&s, fd, &(struct owner){8, 8}) == 0);
	bad += CHECK(pread(s.record, records, sizeof(records), 0) == 2 * sizeof(records[0]));
	bad += CHECK(memcmp(&records[0].inode, &inode, sizeof(inode)) == 0);
	bad += CHECK(memcmp(&records[1].inode, &inode, sizeof(inode)) == 0);
	bad += CHECK(records[0].owner.uid == 5 && records[0].owner.gid == 6);
	bad += CHECK(records[1].owner.uid == 7 && records[1].owner.gid == OWNER_UNKNOWN);
	return bad;
}

static void owners_of_links_are_recorded_by_inode(void **state)
{
	(void)state;
	in_child(record_links);
}

static int set_up(void **state)
{
	static const char *const links[][2] = {
		{"/dir/f", "root/absolute"},
		{"dir/../../dir/f", "root/up"},
		{"loop", "root/loop"},
		{"/../../secret", "root/out"},
		{"/proc/self/exe", "root/magic"},
	};
	static const char *const files[] = {"secret", "root/dir/f", "root/other/f"};

	(void)state;
	(void)snprintf(base, sizeof(base), "/var/tmp/kiln-test-supervisor.XXXXXX");
	if (!mkdtemp(base) || chdir(base) < 0 || mkdir("root", 0755) < 0 ||
	    mkdir("root/dir", 0755) < 0 || mkdir("root/other", 0755) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd = open(files[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		if (fd < 0)
			return -1;
		(void)close(fd);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") < 0 ? -1 : fs_remove_tree(AT_FDCWD, base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_becomes_anybody_and_cannot_come_back),
		cmocka_unit_test(a_saved_id_can_be_taken_back),
		cmocka_unit_test(capabilities_that_are_kept_let_groups_follow_the_user),
		cmocka_unit_test(file_system_ids_tell_the_one_before),
		cmocka_unit_test(set_id_programs_lend_their_owners_ids),
		cmocka_unit_test(children_take_over_their_parents_ids),
		cmocka_unit_test(those_that_are_gone_are_forgotten),
		cmocka_unit_test(names_are_resolved_as_the_process_would),
		cmocka_unit_test(owners_of_links_are_recorded_by_inode),
	};

	if (geteuid() != 0) {
		(void)puts("1..0 # SKIP needs root to change its root");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
