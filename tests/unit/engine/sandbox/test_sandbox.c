/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox from inside: what a step sees, and what it must not be able to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/file_read.h"
#include "base/fs.h"
#include "engine/exec/op_exec.h"
#include "engine/sandbox/sandbox.h"

#define BUSYBOX "/bin/busybox"

static char base[64], lower[96];
static unsigned runs;

struct run {
	struct sandbox_plan plan;
	struct buf out; /* stdout and stderr */
	char *upper;	/* what the step left */
	int status;
	bool unstarted;
	struct error *err;
};

static void add_output(void *data, int stream, const void *p, size_t n)
{
	struct run *r = data;

	(void)stream;
	buf_add(&r->out, p, n);
}

static void run_init(struct run *r, const char *script)
{
	static const char *const args[] = {"/bin/sh", "-c"};
	struct sandbox_plan *p = &r->plan;
	char *dir = xasprintf("%s/run%u", base, runs++);

	*r = (struct run){.out = BUF_INIT, .status = -1};
	sandbox_plan_init(p);
	r->upper = xasprintf("%s/upper", dir);
	p->upper = xstrdup(r->upper);
	p->scratch = xasprintf("%s/scratch", dir);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, p->upper, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, p->scratch, 0700), 0);
	p->cwd = xstrdup("/");
	p->hostname = xstrdup("testhost");
	p->flags |= WIRE_NET_NEW;
	strv_push(&p->lowers, lower);
	strv_push(&p->env, "PATH=/bin");
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		strv_push(&p->args, args[i]);
	strv_push(&p->args, script);
	exec_plan_defaults(p, SECURITY_SANDBOX, 0);
	free(dir);
}

static void run_release(struct run *r)
{
	sandbox_plan_release(&r->plan);
	buf_release(&r->out);
	error_free(r->err);
	free(r->upper);
}

static int run_go(struct run *r, struct cancel *cancel)
{
	return sandbox_run(&r->plan, add_output, r, cancel, &r->status, &r->unstarted, &r->err);
}

static void expect_script(const char *script, int status, const char *output)
{
	struct run r;

	run_init(&r, script);
	if (run_go(&r, NULL) < 0)
		fail_msg("%s: %s", script, error_text(r.err));
	assert_string_equal(r.out.p, output);
	assert_int_equal(r.status, status);
	run_release(&r);
}

/* A script that must fail and print `why`. */
static void expect_failure(const char *script, const char *why)
{
	struct run r;

	run_init(&r, script);
	assert_int_equal(run_go(&r, NULL), 0);
	if (r.status == 0 || !strstr(r.out.p, why))
		fail_msg("%s: status %d, output: %s", script, r.status, r.out.p);
	run_release(&r);
}

static void a_process_runs_and_its_status_comes_back(void **state)
{
	(void)state;
	expect_script("echo out; echo err >&2; exit 42", 42, "out\nerr\n");
	expect_script("sh -c 'kill -9 $$'; exit $?", 137, "Killed\n");
	expect_script("cat; hostname; pwd; env | sort", 0,
		      "testhost\n/\nPATH=/bin\nPWD=/\nSHLVL=1\n");
}

/* Between steps it is the only child. */
static pid_t server_pid(void)
{
	_cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", getpid());
	_cleanup_buf_ struct buf text = BUF_INIT;

	return fs_read_file(AT_FDCWD, path, &text) == 0 ? (pid_t)strtol(text.p, NULL, 10) : 0;
}

static void a_helper_server_that_is_killed_is_replaced(void **state)
{
	siginfo_t info;
	pid_t pid;

	(void)state;
	expect_script("echo one", 0, "one\n");
	pid = server_pid();
	if (pid <= 0)
		skip(); /* a kernel that does not list children */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	expect_script("echo two", 0, "two\n");
	assert_int_not_equal(server_pid(), pid);
	sandbox_helper_stop();
	assert_int_equal(server_pid(), 0);
	expect_script("echo three", 0, "three\n");
}

static void bytes_of_logs_are_kept_as_they_are(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "printf 'a\\000b\\377\\n'");
	assert_int_equal(run_go(&r, NULL), 0);
	assert_int_equal(r.out.n, 5);
	assert_memory_equal(r.out.p, "a\0b\377\n", 5);
	run_release(&r);
}

static void changes_are_left_in_the_upper_directory_and_mount_points_are_not(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *file = NULL, *cmd = NULL;
	struct run r;

	(void)state;
	run_init(&r, "cat /etc/resolv.conf /deep/er/secret; echo new > /file; rm /etc/motd");
	sandbox_plan_file(&r.plan, "/etc/resolv.conf", "x\n", 2, 0644, 0, 0, WIRE_MOUNT_READONLY);
	sandbox_plan_file(&r.plan, "/deep/er/secret", "y\n", 2, 0400, 0, 0, 0);
	assert_int_equal(run_go(&r, NULL), 0);
	assert_string_equal(r.out.p, "x\ny\n");
	cmd = xasprintf("cd %s && find . | LC_ALL=C sort | tr '\\n' ' '", r.upper);
	{
		FILE *f = popen(cmd, "re");
		char line[256] = "";

		assert_non_null(f);
		assert_non_null(fgets(line, sizeof(line), f));
		(void)pclose(f);
		assert_string_equal(line, ". ./etc ./etc/motd ./file ");
	}
	file = xasprintf("%s/file", r.upper);
	assert_int_equal(fs_read_file(AT_FDCWD, file, &b), 0);
	assert_string_equal(b.p, "new\n");
	run_release(&r);
}

static void mount_points_follow_the_images_links_and_stay_inside(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "cat /run/link/file; ls /out 2>&1; cat /tmp/escape");
	/* /dangling -> /run/link (absent), /up -> ../../../tmp */
	sandbox_plan_file(&r.plan, "/dangling/file", "1\n", 2, 0644, 0, 0, 0);
	sandbox_plan_file(&r.plan, "/up/escape", "2\n", 2, 0644, 0, 0, 0);
	assert_int_equal(run_go(&r, NULL), 0);
	assert_string_equal(r.out.p, "1\nls: /out: No such file or directory\n2\n");
	assert_int_not_equal(access("/tmp/escape", F_OK), 0);
	run_release(&r);
}

/* A layer on top of the image's removes /etc/motd and empties /opt, and has a file over /srv. */
static void make_hiding_layer(const char *dir)
{
	_cleanup_free_ char *etc = xasprintf("%s/etc", dir), *opt = xasprintf("%s/opt", dir);
	_cleanup_free_ char *motd = xasprintf("%s/motd", etc), *srv = xasprintf("%s/srv", dir);
	_cleanup_free_ char *old_opt = xasprintf("%s/opt/old", lower);
	_cleanup_free_ char *old_srv = xasprintf("%s/srv/old", lower);

	assert_int_equal(fs_mkdir_p(AT_FDCWD, etc, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, opt, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, old_opt, 0755), 0);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, old_srv, 0755), 0);
	assert_int_equal(mknod(motd, S_IFCHR | 0600, 0), 0);
	assert_int_equal(setxattr(opt, "trusted.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(symlink("/opt", srv), 0);
}

static void mount_points_are_where_layers_hide_what_is_below(void **state)
{
	_cleanup_free_ char *top = xasprintf("%s/hiding", base);
	struct run r;

	(void)state;
	make_hiding_layer(top);
	run_init(&r, "cat /etc/motd /opt/old/file /srv/old/link; ls /opt /opt/old");
	strv_release(&r.plan.lowers);
	strv_push(&r.plan.lowers, top);
	strv_push(&r.plan.lowers, lower);
	sandbox_plan_file(&r.plan, "/etc/motd", "1\n", 2, 0644, 0, 0, 0);
	sandbox_plan_file(&r.plan, "/opt/old/file", "2\n", 2, 0644, 0, 0, 0);
	sandbox_plan_file(&r.plan, "/srv/old/link", "3\n", 2, 0644, 0, 0, 0);
	if (run_go(&r, NULL) < 0)
		fail_msg("%s", error_text(r.err));
	assert_string_equal(r.out.p, "1\n2\n3\n/opt:\nold\n\n/opt/old:\nfile\nlink\n");
	run_release(&r);
}

static void a_root_without_layers_works(void **state)
{
	struct run r;
	_cleanup_free_ char *file = NULL;

	(void)state;
	run_init(&r, "echo hello; echo x > /made");
	strv_release(&r.plan.lowers);
	sandbox_plan_mount(&r.plan, WIRE_BIND, lower, "/rootfs", WIRE_MOUNT_READONLY);
	strv_release(&r.plan.args);
	strv_push(&r.plan.args, "/rootfs/bin/busybox");
	strv_push(&r.plan.args, "touch");
	strv_push(&r.plan.args, "/made");
	assert_int_equal(run_go(&r, NULL), 0);
	assert_int_equal(r.status, 0);
	file = xasprintf("%s/made", r.upper);
	assert_int_equal(access(file, F_OK), 0);
	run_release(&r);
}

static void kernels_without_the_new_overlay_options_work_too(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "cat /etc/motd; echo x > /etc/motd; cat /etc/motd");
	r.plan.flags |= WIRE_CLASSIC_MOUNT;
	assert_int_equal(run_go(&r, NULL), 0);
	assert_string_equal(r.out.p, "welcome\nx\n");
	run_release(&r);
}

/* The image's own and `n` more, each with a directory. */
static void add_layers(struct run *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char *dir = xasprintf("%s/deep/%u/d%u", base, i, i);

		assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0755), 0);
		*strrchr(dir, '/') = '\0';
		strv_push_take(&r->plan.lowers, dir);
	}
}

static void five_hundred_layers_can_be_stacked(void **state)
{
	struct run r;

	(void)state;
	for (int classic = 0; classic < 2; classic++) {
		run_init(&r, "ls / | grep -c '^d[0-9]'; cat /etc/motd /new/file");
		/* Room is needed for this one's mount point, too. */
		sandbox_plan_file(&r.plan, "/new/file", "x\n", 2, 0644, 0, 0, 0);
		if (classic)
			r.plan.flags |= WIRE_CLASSIC_MOUNT;
		add_layers(&r, 499);
		if (run_go(&r, NULL) < 0)
			fail_msg("%s", error_text(r.err));
		assert_string_equal(r.out.p, "499\nwelcome\nx\n");
		run_release(&r);
	}
}

static void more_layers_are_an_error_that_says_so(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "true");
	add_layers(&r, 500);
	assert_int_equal(run_go(&r, NULL), -ERR_UNSUPPORTED);
	assert_non_null(
		strstr(error_text(r.err), "has 501 layers, and overlayfs takes at most 500"));
	run_release(&r);
}

static void the_rights_are_dockers_default(void **state)
{
	(void)state;
	expect_script("grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status", 0,
		      "CapInh:\t0000000000000000\n"
		      "CapPrm:\t00000000a80425fb\n"
		      "CapEff:\t00000000a80425fb\n"
		      "CapBnd:\t00000000a80425fb\n"
		      "CapAmb:\t0000000000000000\n"
		      "NoNewPrivs:\t0\n"
		      "Seccomp:\t2\n");
}

static void another_user_has_no_capability(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "id -u; id -g; id -G; grep CapEff /proc/self/status");
	r.plan.uid = 1000;
	r.plan.gid = 1001;
	vec_push(&r.plan.groups, 1001);
	vec_push(&r.plan.groups, 44);
	assert_int_equal(run_go(&r, NULL), 0);
	assert_string_equal(r.out.p, "1000\n1001\n1001 44\nCapEff:\t0000000000000000\n");
	run_release(&r);
}

static void ways_out_are_closed(void **state)
{
	(void)state;
	expect_failure("mount -t tmpfs x /tmp", "permission denied");
	expect_failure("mount -o remount,rw /sys", "permission denied");
	expect_failure("umount /proc", "ermi");
	expect_failure("unshare -U true", "not permitted");
	expect_failure("unshare -m true", "not permitted");
	expect_failure("cat /proc/1/fd/3", "o such file");
	expect_failure("echo 1 > /proc/sys/kernel/core_pattern", "ead-only");
	expect_failure("mkdir /sys/kernel/x", "ead-only");
	expect_failure("mknod /disk b 254 0 && head -c 1 /disk", "denied");
	expect_failure("mknod /mem c 1 1 && head -c 1 /mem", "denied");
	expect_failure("nsenter -t 1 -m true", "ermi");
	expect_failure("hostname other", "ermi");
	expect_failure("insmod /etc/motd", "ermi");
	/* Masked: nothing is left of it. */
	expect_script("cat /proc/keys /proc/timer_list; ls /sys/firmware", 0, "");
}

static void the_network_is_its_own(void **state)
{
	(void)state;
	expect_script("ip -o link | cut -d: -f2", 0, " lo\n");
}

static void no_descriptor_of_ours_is_passed_on(void **state)
{
	int stray = open("/", O_RDONLY); /* on purpose without O_CLOEXEC */

	(void)state;
	/* 3 is the directory that ls reads. */
	expect_script("ls /proc/self/fd", 0, "0\n1\n2\n3\n");
	(void)close(stray);
}

static void the_process_is_the_first_of_its_namespace(void **state)
{
	(void)state;
	expect_script("echo $$; test /proc/1/root/etc -ef /etc && echo own", 0, "1\nown\n");
}

static void a_tmpfs_looks_like_what_it_covers(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "stat -c '%a %u' /tmp /new; grep -c ' tmpfs ' /proc/mounts");
	(void)sandbox_plan_mount(&r.plan, WIRE_TMPFS, NULL, "/tmp", WIRE_MOUNT_COVERED_MODE);
	(void)sandbox_plan_mount(&r.plan, WIRE_TMPFS, NULL, "/new", WIRE_MOUNT_COVERED_MODE);
	assert_int_equal(run_go(&r, NULL), 0);
	assert_memory_equal(r.out.p, "1750 0\n755 0\n", 13);
	run_release(&r);
}

static void *interrupt_later(void *data)
{
	(void)usleep(300000);
	sandbox_signal(data, SIGTERM);
	return NULL;
}

/* Though the kernel spares a namespace's first process. */
static void a_signal_ends_a_process_that_does_not_mind_it(void **state)
{
	static const struct {
		const char *script;
		int status;
	} cases[] = {{"sleep 20; :", 143}, {"trap 'exit 9' TERM; sleep 2 & wait", 9}};
	struct sandbox_io io = SANDBOX_IO_LOGS;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sandbox *s;
		pthread_t thread;
		struct run r;

		run_init(&r, cases[i].script);
		assert_int_equal(sandbox_start(&r.plan, &io, &s, NULL), 0);
		assert_int_equal(pthread_create(&thread, NULL, interrupt_later, s), 0);
		(void)pthread_join(thread, NULL);
		assert_int_equal(sandbox_wait(s, NULL, NULL, NULL, &r.status, NULL), 0);
		assert_int_equal(r.status, cases[i].status);
		run_release(&r);
	}
}

static void what_a_step_leaves_running_ends_with_it(void **state)
{
	struct run r;
	struct timespec before, after;

	(void)state;
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	run_init(&r, "sleep 300 & setsid sleep 300 & (trap '' TERM HUP; sleep 300) & echo done");
	assert_int_equal(run_go(&r, NULL), 0);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_string_equal(r.out.p, "done\n");
	assert_true(after.tv_sec - before.tv_sec < 20);
	run_release(&r);
}

static void a_step_may_close_its_output(void **state)
{
	(void)state;
	expect_script("exec >&- 2>&-; sleep 0.1; exit 5", 5, "");
}

static void *cancel_later(void *data)
{
	(void)usleep(200000);
	cancel_set(data);
	return NULL;
}

static void cancelling_kills_the_tree(void **state)
{
	struct cancel cancel;
	pthread_t thread;
	struct run r;

	(void)state;
	cancel_init(&cancel);
	run_init(&r, "trap '' INT TERM; sleep 300 & sleep 300");
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, &cancel), 0);
	assert_int_equal(run_go(&r, &cancel), -ERR_CANCELED);
	(void)pthread_join(thread, NULL);
	cancel_release(&cancel);
	run_release(&r);
}

static void programs_that_cannot_be_started_are_told_apart(void **state)
{
	static const struct {
		const char *program;
		int status;
		const char *text;
	} cases[] = {
		{"nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH\n"},
		{"/nosuch", 127, "exec: \"/nosuch\": stat /nosuch: no such file or directory\n"},
		{"/etc/motd", 126, "exec /etc/motd: Permission denied\n"},
	};
	struct run r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		run_init(&r, "");
		strv_release(&r.plan.args);
		strv_push(&r.plan.args, cases[i].program);
		assert_int_equal(run_go(&r, NULL), 0);
		assert_int_equal(r.status, cases[i].status);
		assert_true(r.unstarted);
		assert_string_equal(r.out.p, cases[i].text);
		run_release(&r);
	}
}

static void a_failing_set_up_says_what_failed(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, "true");
	sandbox_plan_mount(&r.plan, WIRE_BIND, "/no/such/dir", "/x", 0);
	assert_int_equal(run_go(&r, NULL), -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(r.err), "/no/such/dir"));
	run_release(&r);
}

static void writes_to_an_overlay_mount_are_dropped(void **state)
{
	struct sandbox_mount *m;
	struct run r;

	(void)state;
	run_init(&r, "cat /m/motd; echo changed > /m/motd; cat /m/motd; echo x > /ro/motd");
	m = sandbox_plan_mount(&r.plan, WIRE_OVERLAY, "etc", "/m", 0);
	strv_push(&m->lowers, lower);
	m = sandbox_plan_mount(&r.plan, WIRE_OVERLAY, "etc", "/ro", WIRE_MOUNT_READONLY);
	strv_push(&m->lowers, lower);
	assert_int_equal(run_go(&r, NULL), 0);
	assert_non_null(strstr(r.out.p, "welcome\nchanged\n"));
	assert_non_null(strstr(r.out.p, "Read-only"));
	run_release(&r);
	expect_script("cat /etc/motd", 0, "welcome\n");
}

static void a_terminal_is_a_terminal(void **state)
{
	struct sandbox_io io = SANDBOX_IO_LOGS;
	struct sandbox *s;
	struct run r;
	char text[128] = "";
	int fd, status = -1;

	(void)state;
	run_init(&r, "test -t 0 && test -t 1 && tty && echo x > /dev/console; exit 3");
	r.plan.flags |= WIRE_TTY;
	assert_int_equal(sandbox_start(&r.plan, &io, &s, NULL), 0);
	fd = sandbox_terminal(s, &r.err);
	if (fd < 0)
		fail_msg("%s", error_text(r.err));
	for (size_t n = 0; n < sizeof(text) - 1;) {
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	assert_string_equal(text, "/dev/pts/0\r\nx\r\n");
	assert_int_equal(sandbox_wait(s, NULL, NULL, NULL, &status, NULL), 0);
	assert_int_equal(status, 3);
	run_release(&r);
}

/* Mounts of ours in the host's table; all were made in namespaces that are gone. */
static void no_mount_is_left(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(fs_read_file(AT_FDCWD, "/proc/self/mountinfo", &b), 0);
	assert_null(strstr(b.p, base));
}

static void make_file(const char *name, const char *text, mode_t mode)
{
	char *path = xasprintf("%s/%s", lower, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
	free(path);
}

static int set_up(void **state)
{
	static const char *const applets[] = {
		"sh",	    "cat",   "ls",   "echo",  "mount",	"umount", "unshare", "mknod",
		"head",	    "id",    "env",  "grep",  "sleep",	"ip",	  "cut",     "setsid",
		"hostname", "rm",    "tty",  "mkdir", "chroot", "true",	  "date",    "nsenter",
		"insmod",   "touch", "test", "stat",  "cmp",	"tr",
	};
	_cleanup_free_ char *dir = NULL, *busybox = NULL;
	int from, to;

	(void)state;
	(void)snprintf(base, sizeof(base), "/var/tmp/kiln-test-sandbox.XXXXXX");
	assert_non_null(mkdtemp(base));
	(void)snprintf(lower, sizeof(lower), "%s/lower", base);
	dir = xasprintf("%s/bin", lower);
	assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0755), 0);
	busybox = xasprintf("%s/busybox", dir);
	from = open(BUSYBOX, O_RDONLY | O_CLOEXEC);
	to = open(busybox, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	assert_int_equal(file_copy(from, to, UINT64_MAX, NULL), 0);
	(void)close(from);
	(void)close(to);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
		_cleanup_free_ char *link = xasprintf("%s/%s", dir, applets[i]);

		assert_int_equal(symlink("busybox", link), 0);
	}
	free(dir);
	dir = xasprintf("%s/etc", lower);
	assert_int_equal(mkdir(dir, 0755), 0);
	free(dir);
	dir = xasprintf("%s/tmp", lower);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(chmod(dir, 01750), 0);
	make_file("etc/motd", "welcome\n", 0644);
	free(dir);
	dir = xasprintf("%s/dangling", lower);
	assert_int_equal(symlink("/run/link", dir), 0);
	free(dir);
	dir = xasprintf("%s/up", lower);
	assert_int_equal(symlink("../../../tmp", dir), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return fs_remove_tree(AT_FDCWD, base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_runs_and_its_status_comes_back),
		cmocka_unit_test(a_helper_server_that_is_killed_is_replaced),
		cmocka_unit_test(bytes_of_logs_are_kept_as_they_are),
		cmocka_unit_test(changes_are_left_in_the_upper_directory_and_mount_points_are_not),
		cmocka_unit_test(mount_points_follow_the_images_links_and_stay_inside),
		cmocka_unit_test(mount_points_are_where_layers_hide_what_is_below),
		cmocka_unit_test(a_root_without_layers_works),
		cmocka_unit_test(kernels_without_the_new_overlay_options_work_too),
		cmocka_unit_test(five_hundred_layers_can_be_stacked),
		cmocka_unit_test(more_layers_are_an_error_that_says_so),
		cmocka_unit_test(the_rights_are_dockers_default),
		cmocka_unit_test(another_user_has_no_capability),
		cmocka_unit_test(ways_out_are_closed),
		cmocka_unit_test(the_network_is_its_own),
		cmocka_unit_test(no_descriptor_of_ours_is_passed_on),
		cmocka_unit_test(the_process_is_the_first_of_its_namespace),
		cmocka_unit_test(a_tmpfs_looks_like_what_it_covers),
		cmocka_unit_test(a_signal_ends_a_process_that_does_not_mind_it),
		cmocka_unit_test(what_a_step_leaves_running_ends_with_it),
		cmocka_unit_test(a_step_may_close_its_output),
		cmocka_unit_test(cancelling_kills_the_tree),
		cmocka_unit_test(programs_that_cannot_be_started_are_told_apart),
		cmocka_unit_test(a_failing_set_up_says_what_failed),
		cmocka_unit_test(writes_to_an_overlay_mount_are_dropped),
		cmocka_unit_test(a_terminal_is_a_terminal),
		cmocka_unit_test(no_mount_is_left),
	};

	if (geteuid() != 0) {
		(void)puts("1..0 # SKIP needs root to make namespaces");
		return 0;
	}
	if (access(BUSYBOX, X_OK) < 0) {
		(void)puts("1..0 # SKIP needs " BUSYBOX " (package busybox-static)");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
