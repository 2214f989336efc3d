/* SPDX-License-Identifier: Apache-2.0 */
/* The process that the step is about. It is the first of its pid namespace, as under runc: when it
 * ends, the kernel kills whatever else it has left there. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#define EXIT_NOT_FOUND 127
#define EXIT_NOT_EXECUTABLE 126

/* --- the pseudo terminal --- */

/* From the container's own devpts, so that ttyname works in it. Its master goes to kiln. What a
 * step has mounted on /dev or below does not come into it. */
static int open_terminal(const struct plan *p)
{
	const struct mount_item *dev = mount_of_kind(p, WIRE_DEV);
	const struct mount_item *pts = mount_of_kind(p, WIRE_DEVPTS);
	struct winsize size = {.ws_row = p->window.rows, .ws_col = p->window.columns};
	int master, unlock = 0, slave, console, tree;

	if (!dev || !pts)
		fail(EINVAL, "open a pseudo terminal without /dev");
	master = openat(pts->fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		fail(errno, "open a pseudo terminal");
	/* Now, for the process may look before kiln has the master. */
	(void)ioctl(master, TIOCSWINSZ, &size);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		fail(errno, "open a pseudo terminal");
	console = openat(dev->fd, "console", O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	tree = clone_tree(slave, "", false);
	if (console < 0 || tree < 0)
		fail(errno, "mount /dev/console");
	mount_attach(tree, console, "/dev/console");
	(void)close(tree);
	(void)close(console);
	send_message(WIRE_PTY, 0, "", master);
	(void)close(master);
	return slave;
}

/* --- privileges --- */

static void drop_bounding_set(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		int have = prctl(PR_CAPBSET_READ, cap);

		if (have < 0) /* beyond this kernel's last */
			return;
		if (have == 0 || keep & (1ULL << cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			fail(errno, "drop capability %d from the bounding set", cap);
	}
}

void set_capabilities(uint64_t caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		fail(errno, "read our capabilities");
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(caps >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		fail(errno, "set the capabilities");
}

/* Without no_new_privs (setuid programs work in a build, as in Docker), so it needs CAP_SYS_ADMIN
 * and comes before capabilities are dropped. The profile lets through what follows. */
static void install_seccomp(const struct plan *p)
{
	struct sock_fprog program = {
		.len = (unsigned short)p->n_seccomp,
		.filter = (struct sock_filter *)(uintptr_t)p->seccomp,
	};

	if (p->n_seccomp == 0)
		return;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &program) < 0)
		fail(errno, "install the seccomp filter");
}

void drop_privileges(const struct plan *p)
{
	drop_bounding_set(p->caps);
	install_seccomp(p);
	set_capabilities(p->caps);
}

static void set_limits(const struct plan *p)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		struct rlimit limit = {p->rlimits[i].soft, p->rlimits[i].hard};

		if (setrlimit((__rlimit_resource_t)p->rlimits[i].resource, &limit) < 0)
			fail(errno, "set resource limit %u to %llu:%llu", p->rlimits[i].resource,
			     (unsigned long long)limit.rlim_cur,
			     (unsigned long long)limit.rlim_max);
	}
}

/* --- the process --- */

static void __attribute__((noreturn)) exec_failed(int errnum, const char *text)
{
	send_message(WIRE_EXEC_FAILED, errnum, text, -1);
	_exit(errnum == ENOENT || errnum == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Beyond all that is passed on, the kernel limits each string of it. */
#define STRING_MAX ((size_t)128 << 10)

static const char *longest(char *const *strings, const char *before)
{
	for (size_t i = 0; strings[i]; i++)
		if (!before || strlen(strings[i]) > strlen(before))
			before = strings[i];
	return before;
}

/* Which string it was, and the way out. */
static char *too_long(const struct plan *p)
{
	const char *arg = longest(p->args, NULL), *s = longest(p->env, arg);
	const char *text = strerror(E2BIG);
	size_t n = strlen(s), shown = strcspn(s, "\n");

	if (n < STRING_MAX)
		return format("%s: arguments and environment together are longer than the kernel "
			      "passes on; bring what is large as a file: COPY or RUN --mount",
			      text);
	if (s != arg)
		return format("%s: the environment variable %.*s has %zu bytes, and the kernel "
			      "passes on at most %zu; bring the value as a file: COPY or "
			      "RUN --mount=type=secret",
			      text, (int)strcspn(s, "="), s, n, STRING_MAX - 1);
	return format("%s: an argument of %zu bytes, that begins with \"%.*s\", and the kernel "
		      "passes on at most %zu; bring the script as a file (COPY, or RUN "
		      "--mount=type=bind) and run that, or begin it with #! in a heredoc",
		      text, n, (int)(shown < 30 ? shown : 30), s, STRING_MAX - 1);
}

static const char *get_path(const struct plan *p)
{
	for (size_t i = 0; i < p->n_env; i++)
		if (strncmp(p->env[i], "PATH=", 5) == 0)
			return p->env[i] + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* The kernel says of a script that it is not there where its interpreter is not. */
static char *not_there(const char *file)
{
	char line[256] = "";
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	size_t blanks = n > 2 ? strspn(line + 2, " \t") : 0;

	if (fd >= 0)
		(void)close(fd);
	if (access(file, F_OK) < 0)
		return format("exec: \"%s\": stat %s: no such file or directory", file, file);
	if (n > 2 && strncmp(line, "#!", 2) == 0)
		return format("exec: \"%s\": its interpreter is not there: %.*s", file,
			      (int)strcspn(line + 2 + blanks, " \t\r\n"), line + 2 + blanks);
	return format("exec: \"%s\": the loader that it asks for is not there", file);
}

static void __attribute__((noreturn)) execute(const struct plan *p)
{
	const char *name = p->args[0], *path;
	int best = ENOENT;

	if (strchr(name, '/')) {
		(void)execve(name, p->args, p->env);
		if (errno == ENOENT || errno == ENOTDIR)
			exec_failed(errno, not_there(name));
		exec_failed(errno, format("exec %s: %s", name,
					  errno == E2BIG ? too_long(p) : strerror(errno)));
	}
	for (path = get_path(p); *path || path == get_path(p);) {
		size_t n = strcspn(path, ":");
		char *file = n == 0 ? format("./%s", name) : format("%.*s/%s", (int)n, path, name);

		(void)execve(file, p->args, p->env);
		if (errno != ENOENT && errno != ENOTDIR && best == ENOENT)
			best = errno;
		path += n;
		if (*path == '\0')
			break;
		path++;
	}
	if (best == ENOENT)
		exec_failed(ENOENT,
			    format("exec: \"%s\": executable file not found in $PATH", name));
	exec_failed(best,
		    format("exec: \"%s\": %s", name, best == E2BIG ? too_long(p) : strerror(best)));
}

static void id_failed(const char *what, unsigned id)
{
	if (errno == EINVAL)
		fail(errno, "become %s %u, which /etc/sub%cid does not grant", what, id, what[0]);
	fail(errno, "become %s %u", what, id);
}

static void become_user(const struct plan *p)
{
	if (setgroups(p->n_groups, p->groups) < 0)
		fail(errno, "set the supplementary groups");
	if (setresgid(p->ids.gid, p->ids.gid, p->ids.gid) < 0)
		id_failed("group", p->ids.gid);
	if (setresuid(p->ids.uid, p->ids.uid, p->ids.uid) < 0)
		id_failed("user", p->ids.uid);
}

/* Ignored signals and a blocked set would be inherited, also those two that the C library keeps for
 * itself and does not let anybody set. */
static void reset_signals(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} usual = {.handler = SIG_DFL};
	const uint64_t none = 0;

	for (int sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, &usual, NULL, sizeof(usual.mask));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

/* A directory that is not below our root (any more) cannot be worked in. */
static void check_directory(const struct plan *p)
{
	char path[PATH_MAX];

	if (syscall(SYS_getcwd, path, sizeof(path)) < 0 ? errno == ENOENT : *path != '/')
		fail(0, "change to the directory '%s': it is not in the root file system", p->cwd);
}

/* What of ours the process is made with; -1: there is none. */
struct ends {
	int terminal, supervisor, interpreter, users;
	int cwd; /* opened when its name was checked */
	int *tie;
};

static void __attribute__((noreturn)) become_process(const struct plan *p, const struct ends *e)
{
	bool entered;

	if (setsid() < 0)
		fail(errno, "start a session");
	if (e->terminal >= 0) {
		if (ioctl(e->terminal, TIOCSCTTY, 0) < 0 || dup2(e->terminal, 0) < 0 ||
		    dup2(e->terminal, 1) < 0 || dup2(e->terminal, 2) < 0)
			fail(errno, "use the pseudo terminal");
	}
	/* A keyring of its own; where the kernel has none there is nothing to separate. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		fail(errno, "start a session keyring");
	set_limits(p);
	/* It has its own copies of all mounts then, and of the directory. */
	if (p->binfmt && fchdir(e->cwd) < 0)
		fail(errno, "change to the directory '%s'", p->cwd);
	if (p->outer_proc && !users_enter(e->users))
		fail(errno, "make a user namespace that keeps the step from processes outside");
	emulator_enter(p, e->interpreter, e->users);
	(void)umask(p->ids.umask);
	drop_bounding_set(p->caps);
	install_seccomp(p);
	/* First with our rights: the user may not be allowed into a directory that he works in. */
	entered = p->binfmt || fchdir(e->cwd) == 0;
	if (e->supervisor >= 0)
		supervisor_give_listener(e->supervisor, p);
	else
		become_user(p);
	if (!entered && fchdir(e->cwd) < 0)
		fail(errno, "change to the directory '%s'", p->cwd);
	check_directory(p);
	set_capabilities(p->caps);
	tie_to_parent(e->tie);
	reset_signals();
	/* Closed now and not with the start of the program, whose name is the step's: it could lead
	 * through /proc/self/fd. Of the socket that reports a failure no name opens anything. */
	(void)syscall(SYS_close_range, WIRE_FD_CONTROL + 1, ~0U, 0);
	(void)fcntl(WIRE_FD_CONTROL, F_SETFD, FD_CLOEXEC);
	execute(p);
}

/* --- setting up --- */

/* Before the cgroup namespace, so that the group is the root that the process sees. */
static void join_groups(const struct plan *p)
{
	for (size_t i = 0; i < p->n_joins; i++) {
		int fd = open(p->joins[i], O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			fail(errno, "enter the control group '%s'", p->joins[i]);
		(void)close(fd);
	}
	for (size_t i = 0; i < p->n_mounts; i++)
		if (p->mounts[i].m.kind == WIRE_CGROUP1)
			groups_open();
	if (unshare(CLONE_NEWCGROUP) < 0)
		fail(errno, "make a cgroup namespace");
}

static void set_up(struct plan *p, int *ret_root, struct ends *e)
{
	int root;

	/* The seccomp profile of podman's containers lets all else be done, but not that: the
	 * container's name will do. */
	if (p->hostname && sethostname(p->hostname, strlen(p->hostname)) < 0 && errno != EPERM)
		fail(errno, "set the host name");
	if (p->flags & WIRE_NET_NEW)
		loopback_up();
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail(errno, "make mounts private");
	join_groups(p);
	mounts_open(p);
	root = rootfs_open(p);
	e->interpreter = emulator_open(p);
	root_enter(p, root);
	mounts_attach(p, root);
	for (size_t i = 0; i < p->n_dirs; i++)
		(void)close(make_parents(root, p->dirs[i], 0, 0));
	e->cwd = make_parents(root, p->cwd, plan_id(p, p->ids.uid), plan_id(p, p->ids.gid));
	*ret_root = root;
}

int process_run(const struct plan *plan, int supervisor, int users, int tie[2])
{
	struct ends ends = {.terminal = -1, .supervisor = supervisor, .users = users, .tie = tie};
	struct plan p = *plan;
	struct rlimit files;
	int root;

	(void)umask(0);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		fail(errno, "read resource limits");
	set_up(&p, &root, &ends);
	if (p.flags & WIRE_TTY)
		ends.terminal = open_terminal(&p);
	if (supervisor >= 0)
		supervisor_give_root(supervisor, root);
	(void)close(root);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		fail(errno, "restore resource limits");
	if (p.flags & WIRE_INIT)
		init_fork(&p);
	become_process(&p, &ends);
}
