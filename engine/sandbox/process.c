/* The process that the step is about. It is the first of its pid namespace, as under runc: when it
 * ends, the kernel kills whatever else it has left there. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
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

#include "engine/sandbox/helper.h"

#define EXIT_NOT_FOUND 127
#define EXIT_NOT_EXECUTABLE 126

/* --- the pseudo terminal --- */

/* From the container's own devpts, so that ttyname works in it. Its master goes to kiln. */
static int open_terminal(int root)
{
	int master = open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY), unlock = 0, slave;
	int console, tree;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		fail(errno, "open a pseudo terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		fail(errno, "open a pseudo terminal");
	console = openat(root, "dev/console", O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	tree = open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (console < 0 || tree < 0 ||
	    move_mount(tree, "", console, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
		    0)
		fail(errno, "mount /dev/console");
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

static const char *get_path(const struct plan *p)
{
	for (size_t i = 0; i < p->n_env; i++)
		if (strncmp(p->env[i], "PATH=", 5) == 0)
			return p->env[i] + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static void __attribute__((noreturn)) execute(const struct plan *p)
{
	const char *name = p->args[0], *path;
	int best = ENOENT;

	if (strchr(name, '/')) {
		(void)execve(name, p->args, p->env);
		if (errno == ENOENT || errno == ENOTDIR)
			exec_failed(errno,
				    format("exec: \"%s\": stat %s: no such file or directory", name,
					   name));
		exec_failed(errno, format("exec %s: %s", name, strerror(errno)));
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
	exec_failed(best, format("exec: \"%s\": %s", name, strerror(best)));
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

static void __attribute__((noreturn))
become_process(const struct plan *p, int terminal, int supervisor, int interpreter, int emulator)
{
	bool entered;

	if (setsid() < 0)
		fail(errno, "start a session");
	if (terminal >= 0) {
		if (ioctl(terminal, TIOCSCTTY, 0) < 0 || dup2(terminal, 0) < 0 ||
		    dup2(terminal, 1) < 0 || dup2(terminal, 2) < 0)
			fail(errno, "use the pseudo terminal");
	}
	/* A keyring of its own; where the kernel has none there is nothing to separate. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		fail(errno, "start a session keyring");
	set_limits(p);
	emulator_enter(p, interpreter, emulator);
	(void)umask(p->ids.umask);
	drop_bounding_set(p->caps);
	install_seccomp(p);
	/* First with our rights: the user may not be allowed into a directory that he works in. */
	entered = chdir(p->cwd) == 0;
	if (supervisor >= 0)
		supervisor_give_listener(supervisor, p);
	else
		become_user(p);
	if (!entered && chdir(p->cwd) < 0)
		fail(errno, "change to the directory '%s'", p->cwd);
	set_capabilities(p->caps);
	/* The kernel forgets it when a process changes its user. */
	tie_to_parent();
	(void)syscall(SYS_close_range, WIRE_FD_CONTROL, ~0U, CLOSE_RANGE_CLOEXEC);
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

static void set_up(struct plan *p, int *ret_root, int *ret_interpreter)
{
	int root;

	if (p->hostname && sethostname(p->hostname, strlen(p->hostname)) < 0)
		fail(errno, "set the host name");
	if (p->flags & WIRE_NET_NEW)
		loopback_up();
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail(errno, "make mounts private");
	join_groups(p);
	mounts_open(p);
	root = rootfs_open(p);
	*ret_interpreter = emulator_open(p);
	root_enter(p, root);
	mounts_attach(p, root);
	for (size_t i = 0; i < p->n_dirs; i++)
		make_parents(root, p->dirs[i], 0, 0);
	make_parents(root, p->cwd, plan_id(p, p->ids.uid), plan_id(p, p->ids.gid));
	*ret_root = root;
}

int process_run(const struct plan *plan, int supervisor, int emulator)
{
	struct plan p = *plan;
	struct rlimit files;
	int root, interpreter, terminal = -1;

	(void)umask(0);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		fail(errno, "read resource limits");
	set_up(&p, &root, &interpreter);
	if (p.flags & WIRE_TTY)
		terminal = open_terminal(root);
	if (supervisor >= 0)
		supervisor_give_root(supervisor, root);
	(void)close(root);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		fail(errno, "restore resource limits");
	if (p.flags & WIRE_INIT)
		init_fork(&p);
	become_process(&p, terminal, supervisor, interpreter, emulator);
}
