/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's processes: the one that kiln talks to, and a monitor for each step. */
#define KILN_CLONE_FLAGS (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD)

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/number.h"
#include "engine/sandbox/helper/helper.h"

void *alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		fail(ENOMEM, "allocate %zu bytes", n);
	return p;
}

char *format(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		fail(ENOMEM, "format a name");
	va_end(ap);
	return s;
}

void attach_fd(struct msghdr *msg, union fd_control *control, int fd)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = sizeof(*control);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

void send_message(uint32_t kind, int32_t value, const char *text, int fd)
{
	struct wire_message m = {.kind = kind, .value = value, .size = (uint32_t)strlen(text)};
	struct iovec iov[2] = {{&m, sizeof(m)}, {(void *)(uintptr_t)text, m.size}};
	union fd_control control;
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (fd >= 0)
		attach_fd(&msg, &control, fd);
	/* kiln may be gone: then nobody waits for this either. */
	(void)sendmsg(WIRE_FD_CONTROL, &msg, MSG_NOSIGNAL);
}

void fail(int errnum, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_message(WIRE_FAILED, errnum, text, -1);
	_exit(125);
}

/* Container managers let clone3 fail, since their filters cannot look at its flags: where it does,
 * clone takes those that we need. */
pid_t clone_self(uint64_t flags, int signal, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = flags,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = (unsigned)signal,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid >= 0 || (errno != ENOSYS && errno != EPERM))
		return (pid_t)pid;
	flags |= (unsigned)signal;
#if defined(__s390x__)
	return (pid_t)syscall(SYS_clone, NULL, flags, ret_pidfd, NULL, NULL);
#else
	return (pid_t)syscall(SYS_clone, flags, NULL, ret_pidfd, NULL, NULL);
#endif
}

static pid_t clone_process(const struct plan *p, int *ret_pidfd)
{
	uint64_t flags = KILN_CLONE_FLAGS;

	if (p->flags & WIRE_NET_JOIN && setns(WIRE_FD_NETNS, CLONE_NEWNET) < 0)
		fail(errno, "enter the network namespace of the step");
	if (p->flags & WIRE_NET_NEW)
		flags |= CLONE_NEWNET;
	return clone_self(flags, SIGCHLD, ret_pidfd);
}

/* A signal set of a process, by its name in /proc/PID/status. */
static uint64_t signal_set(const char *status, const char *name)
{
	const char *at = strstr(status, name);
	uint64_t set = 0;

	if (!at)
		return 0;
	at += strlen(name);
	at += strspn(at, " \t");
	return number_take(&at, 16, UINT64_MAX, &set) < 0 ? 0 : set;
}

/* Would the signal end the process if it were not the first of its namespace? The kernel spares
 * such a process all signals that it neither handles nor ignores. */
static bool would_end(pid_t pid, int sig)
{
	static const int harmless[] = {SIGCHLD, SIGCONT, SIGURG,  SIGWINCH, SIGSTOP,
				       SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL};
	char text[4096];
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = openat(proc, format("%d/status", proc_pid(proc, pid)), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	(void)close(proc);
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (harmless[i] == sig)
			return false;
	if (n <= 0 || sig < 1 || sig > 64)
		return false;
	text[n] = '\0';
	return ((signal_set(text, "\nSigIgn:") | signal_set(text, "\nSigCgt:")) >> (sig - 1) & 1) ==
	       0;
}

struct ending {
	bool stopped; /* kiln asked for it, or died */
	int signal;   /* what a SIGKILL of ours stands for; 0: none */
};

static void obey(pid_t pid, int pidfd, int sig, struct ending *end)
{
	if (would_end(pid, sig)) {
		end->signal = sig;
		sig = SIGKILL;
	}
	(void)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static void kill_step(int pidfd)
{
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* The process that answers some of the step's calls. */
struct helper_process {
	pid_t pid; /* -1: none */
	int fd;
};

/* Without it a step cannot go on. It may also have seen the step's end before us. */
static void supervisor_ended(struct helper_process *s, int pidfd)
{
	int status;

	s->fd = -1;
	if (waitpid(s->pid, &status, 0) > 0)
		s->pid = -1;
	if (s->pid < 0 && status == 0)
		return;
	send_message(WIRE_FAILED, 0, "the supervisor of the step has died", -1);
	kill_step(pidfd);
}

/* Waits for the process, maps its ids if it asks, and obeys kiln from the start. When kiln closes its
 * end, or dies, everything is killed. */
static void monitor(pid_t pid, int pidfd, struct helper_process *supervisor, int users,
		    struct ending *end)
{
	for (;;) {
		struct pollfd fds[4] = {
			{.fd = pidfd, .events = POLLIN},
			{.fd = end->stopped ? -1 : WIRE_FD_CONTROL, .events = POLLIN},
			{.fd = supervisor->fd, .events = POLLIN},
			{.fd = users, .events = POLLIN},
		};
		struct wire_order order;
		ssize_t n;

		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			return;
		if (fds[3].revents) {
			users_serve(users);
			users = -1;
		}
		if (fds[2].revents)
			supervisor_ended(supervisor, pidfd);
		if (!fds[1].revents)
			continue;
		n = recv(WIRE_FD_CONTROL, &order, sizeof(order), MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(order) && order.kind == WIRE_SIGNAL) {
			obey(pid, pidfd, (int)order.value, end);
		} else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
			kill_step(pidfd);
			end->stopped = true;
		}
	}
}

/* The kernel reports the death of a namespace's first process only after all else in it is gone. */
static void report(const struct plan *p, pid_t pid, int mounts, const struct ending *end)
{
	int status;
	bool killed;

	if (waitpid(pid, &status, 0) < 0)
		fail(errno, "wait for the process");
	killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (killed && end->stopped)
		return;
	if (!seal(p, mounts))
		send_message(WIRE_NOT_SEALED, errno, "", -1);
	send_message(WIRE_EXITED, killed && end->signal ? end->signal : status, "", -1);
}

/* A pipe into which nobody writes: it ends with the parent, which alone keeps the other end open.
 * The kernel closes that before it sends the signal, so that one of both always tells. */
void tie_open(int tie[2])
{
	if (pipe2(tie, O_CLOEXEC) < 0)
		fail(errno, "make a pipe");
}

void tie_to_parent(int tie[2])
{
	struct pollfd end = {.fd = tie[0], .events = POLLIN};

	if (tie[1] >= 0)
		(void)close(tie[1]);
	tie[1] = -1;
	/* A signal from an ancestor namespace, so it works on a first process, too. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(errno, "tie the step to its parent");
	if (poll(&end, 1, 0) != 0)
		_exit(125);
}

static int run_main(void)
{
	struct plan plan = {0};
	struct helper_process supervisor;
	struct ending end = {0};
	int pidfd = -1, mounts, socket, users[2], tie[2];
	pid_t pid;

	/* The plan may hold secrets: no core file of ours, and no look into our memory. The program
	 * gets the usual state when it is executed. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	plan_read(WIRE_FD_CONTROL, &plan);
	supervisor.pid = supervisor_start(&plan, &socket, &supervisor.fd);
	users_sockets(&plan, users);
	tie_open(tie);
	pid = clone_process(&plan, &pidfd);
	if (pid < 0)
		fail(errno, "make the namespaces of the step");
	if (pid == 0) {
		(void)signal(SIGINT, SIG_DFL);
		(void)signal(SIGPIPE, SIG_DFL);
		tie_to_parent(tie);
		process_run(&plan, socket, users[1], tie);
	}
	(void)close(tie[0]);
	mounts = seal_prepare(pid);
	send_message(WIRE_PROCESS, 0, "", pidfd);
	if (socket >= 0)
		(void)close(socket);
	if (users[1] >= 0)
		(void)close(users[1]);
	/* Our copies would keep the log pipes open. */
	(void)close(0);
	(void)close(1);
	(void)close(2);
	monitor(pid, pidfd, &supervisor, users[0], &end);
	report(&plan, pid, mounts, &end);
	/* With its last client gone it ends by itself, unless a call has it stuck. */
	if (supervisor.pid > 0) {
		(void)kill(supervisor.pid, SIGKILL);
		(void)waitpid(supervisor.pid, NULL, 0);
	}
	return 0;
}

int helper_main(int argc, char **argv)
{
	chroot_check();
	if (argc == 1 && strcmp(argv[0], "run") == 0)
		return run_main();
	if (argc >= 1 && strcmp(argv[0], "network") == 0)
		return network_main(argc - 1, argv + 1);
	return 2;
}

int main(int argc, char **argv)
{
	/* Ctrl-C is for kiln: it decides what happens to a step. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc != 2 || strcmp(argv[1], "serve") != 0)
		return 2;
	/* In case a library of kiln's leaks one. */
	(void)syscall(SYS_close_range, WIRE_FD_CONTROL + 1, ~0U, 0);
	chroot_leave();
	return server_main();
}
