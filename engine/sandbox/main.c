#define KILN_CLONE_FLAGS \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PIDFD)

#include <errno.h>
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

#include "engine/sandbox/helper.h"

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

void send_message(uint32_t kind, int32_t value, const char *text, int fd)
{
	struct wire_message m = {.kind = kind, .value = value, .size = (uint32_t)strlen(text)};
	struct iovec iov[2] = {{&m, sizeof(m)}, {(void *)(uintptr_t)text, m.size}};
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
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

/* Everything but the descriptors that kiln passed on purpose, in case a library of its leaks one.
 */
static void close_strays(bool keep_netns)
{
	if (syscall(SYS_close_range, keep_netns ? WIRE_FD_NETNS + 1 : WIRE_FD_CONTROL + 1, ~0U, 0) <
	    0)
		fail(errno, "close stray descriptors");
}

static pid_t clone_init(const struct plan *p, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = KILN_CLONE_FLAGS,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};

	if (p->flags & WIRE_NET_JOIN && setns(WIRE_FD_NETNS, CLONE_NEWNET) < 0)
		fail(errno, "enter the network namespace of the step");
	if (p->flags & WIRE_NET_NEW)
		args.flags |= CLONE_NEWNET;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Waits for init and obeys kiln. When kiln closes its end, or dies, everything is killed. */
static void monitor(pid_t init, int pidfd)
{
	bool open = true;

	for (;;) {
		struct pollfd fds[2] = {
			{.fd = pidfd, .events = POLLIN},
			{.fd = open ? WIRE_FD_CONTROL : -1, .events = POLLIN},
		};
		struct wire_order order;
		ssize_t n;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		if (!fds[1].revents)
			continue;
		n = recv(WIRE_FD_CONTROL, &order, sizeof(order), MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(order) && order.kind == WIRE_SIGNAL)
			(void)syscall(SYS_pidfd_send_signal, pidfd, (int)order.value, NULL, 0);
		else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
			(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
			open = false;
		}
	}
	/* The kernel reports the death of a namespace's init only after all else in it is gone. */
	(void)waitpid(init, NULL, 0);
}

static int run_main(void)
{
	struct plan plan = {0};
	int pidfd = -1;
	pid_t init;

	plan_read(WIRE_FD_CONTROL, &plan);
	close_strays(plan.flags & WIRE_NET_JOIN);
	init = clone_init(&plan, &pidfd);
	if (init < 0)
		fail(errno, "make the namespaces of the step");
	if (init == 0) {
		/* A signal from an ancestor namespace, so it works on an init, too. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			fail(errno, "tie the step to its parent");
		process_run(&plan);
	}
	/* Our copies would keep the log pipes open. */
	(void)close(0);
	(void)close(1);
	(void)close(2);
	monitor(init, pidfd);
	return 0;
}

int main(int argc, char **argv)
{
	/* Ctrl-C is for kiln: it decides what happens to a step. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "run") == 0)
		return run_main();
	if (argc >= 2 && strcmp(argv[1], "network") == 0)
		return network_main(argc - 2, argv + 2);
	return 2;
}
