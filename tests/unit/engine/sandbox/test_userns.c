/* SPDX-License-Identifier: Apache-2.0 */
/* Running without root, in a child that has become an ordinary user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file_read.h"
#include "base/fs.h"
#include "engine/exec/op_exec.h"
#include "engine/sandbox/sandbox.h"
#include "engine/sandbox/userns.h"

#define BUSYBOX "/bin/busybox"
#define USER 64321 /* has neither a name nor subordinate ids */

static char base[64];

static void root_stays_root(void **state)
{
	(void)state;
	assert_int_equal(userns_enter(NULL), 0);
	assert_false(userns_single());
}

/* 0 if all is well; what a test prints is the child's stderr. */
static int check(bool ok, const char *what)
{
	if (!ok)
		(void)fprintf(stderr, "not so: %s\n", what);
	return !ok;
}

static void add_output(void *data, int stream, const void *p, size_t n)
{
	(void)stream;
	buf_add(data, p, n);
}

static int run_step(void)
{
	static const char *const args[] = {
		"/bin/busybox", "sh", "-c",
		"busybox id -u; busybox touch /made; busybox mknod /d b 8 0 || busybox echo no"};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct error *err = NULL;
	struct sandbox_plan p;
	bool unstarted = false;
	int status = -1, r;

	sandbox_plan_init(&p);
	p.upper = xasprintf("%s/upper", base);
	p.scratch = xasprintf("%s/scratch", base);
	p.cwd = xstrdup("/");
	p.flags = WIRE_NET_NEW;
	strv_push_take(&p.lowers, xasprintf("%s/lower", base));
	strv_push(&p.env, "PATH=/bin");
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		strv_push(&p.args, args[i]);
	if (mkdir(p.upper, 0755) < 0 || mkdir(p.scratch, 0700) < 0)
		return 1;
	exec_plan_defaults(&p, SECURITY_SANDBOX, 0);
	r = sandbox_run(&p, add_output, &out, NULL, &status, &unstarted, &err);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", error_text(err));
	else
		(void)fprintf(stderr, "%s", out.p);
	error_free(err);
	sandbox_plan_release(&p);
	return check(r == 0 && status == 0, "the step ran") +
	       check(strstr(out.p, "0\n") == out.p, "it was id 0") +
	       check(strstr(out.p, "no\n") != NULL, "it could not make a device");
}

static int child(void)
{
	struct error *err = NULL;

	if (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
	    setresuid(USER, USER, USER) < 0)
		return 1;
	/* As after the exec that starts a user's program: else /proc/self is root's. */
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		return 1;
	if (userns_enter(&err) < 0) {
		(void)fprintf(stderr, "skipped: %s\n", error_text(err));
		error_free(err);
		return 0;
	}
	return check(getuid() == 0 && getgid() == 0, "the ids are 0") +
	       check(userns_inside(), "it is inside a user namespace") +
	       check(userns_single(), "only one id is mapped") + run_step();
}

static void a_user_without_subordinate_ids_can_run_steps(void **state)
{
	int status = -1;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int set_up(void **state)
{
	_cleanup_free_ char *bin = NULL, *busybox = NULL;
	int from, to;

	(void)state;
	(void)snprintf(base, sizeof(base), "/var/tmp/kiln-test-userns.XXXXXX");
	assert_non_null(mkdtemp(base));
	bin = xasprintf("%s/lower/bin", base);
	busybox = xasprintf("%s/busybox", bin);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, bin, 0755), 0);
	from = open(BUSYBOX, O_RDONLY | O_CLOEXEC);
	to = open(busybox, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	assert_int_equal(file_copy(from, to, UINT64_MAX, NULL), 0);
	(void)close(from);
	(void)close(to);
	free(bin);
	bin = xasprintf("%s/lower", base);
	assert_int_equal(chown(bin, USER, USER), 0);
	return chown(base, USER, USER);
}

static int tear_down(void **state)
{
	(void)state;
	return fs_remove_tree(AT_FDCWD, base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_stays_root),
		cmocka_unit_test(a_user_without_subordinate_ids_can_run_steps),
	};

	if (geteuid() != 0) {
		(void)puts("1..0 # SKIP needs root to become somebody else");
		return 0;
	}
	if (access(BUSYBOX, X_OK) < 0) {
		(void)puts("1..0 # SKIP needs " BUSYBOX " (package busybox-static)");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
