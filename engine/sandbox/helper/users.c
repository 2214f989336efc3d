/* SPDX-License-Identifier: Apache-2.0 */
/* A user namespace of the step's own, of the same ids as ours.
 *
 * Nothing changes for its files. But its rights end at what was made in it: it may have an emulator
 * registered there (emulator.c), and where it sees processes that are not its own, since /proc is
 * the one outside (mounts.c), it can read no more of them than their names: not their memory, files
 * or environment. The step makes it itself, and the helper, which stays outside, maps its ids.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fields.h"
#include "base/number.h"
#include "engine/sandbox/helper/helper.h"

#ifndef PIDFD_THREAD /* Linux 6.9 */
#define PIDFD_THREAD O_EXCL
#endif

enum { MAP_MAX = 4096 }; /* the kernel takes a page at most */

/* --- in the helper --- */

void users_sockets(const struct plan *p, int ret[2])
{
	int on = 1;

	ret[0] = ret[1] = -1;
	/* That /proc cannot be mounted happens in user namespaces only. */
	if (!p->binfmt && !(p->flags & WIRE_USERNS))
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ||
	    setsockopt(ret[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		fail(errno, "make a socket for the step");
}

/* A process, or one thread of it, as a descriptor. */
static int open_pid(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? (int)syscall(SYS_pidfd_open, pid, PIDFD_THREAD) : fd;
}

bool proc_is_ours(int proc)
{
	char text[16] = "";
	uint64_t pid;

	return readlinkat(proc, "self", text, sizeof(text) - 1) > 0 &&
	       number_parse(text, 10, INT_MAX, &pid) == 0 && (pid_t)pid == getpid();
}

pid_t status_pid(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	uint64_t pid;

	if (!at)
		return -1;
	at += strlen(name);
	at += strspn(at, " \t");
	return number_take(&at, 10, INT_MAX, &pid) < 0 ? -1 : (pid_t)pid;
}

pid_t proc_pid(int proc, pid_t pid)
{
	char text[1024] = "", name[64];
	int pidfd, fd;

	if (proc_is_ours(proc))
		return pid;
	/* What it says of a descriptor of a process has the process's number in it. */
	pidfd = open_pid(pid);
	(void)snprintf(name, sizeof(name), "self/fdinfo/%d", pidfd);
	fd = pidfd < 0 ? -1 : openat(proc, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		*text = '\0';
	if (fd >= 0)
		(void)close(fd);
	if (pidfd >= 0)
		(void)close(pidfd);
	return status_pid(text, "\nPid:");
}

/* Our own map with its inner ids on both sides: they stay what they are. */
static void copy_map(pid_t step, const char *name)
{
	char ours[MAP_MAX], text[MAP_MAX];
	const char *at = ours;
	struct id_map ids;
	ssize_t got;
	size_t n = 0;
	int proc, fd;

	fd = open(format("/proc/self/%s", name), O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, ours, sizeof(ours) - 1);
	if (got < 0)
		fail(errno, "read our id map");
	ours[got] = '\0';
	(void)close(fd);
	while (n + 64 < sizeof(text) && id_map_next(&at, &ids))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u %u %u\n", ids.inside,
				      ids.inside, ids.count);
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(proc, format("%d/%s", proc_pid(proc, step), name), O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		fail(errno, "map the ids of the step");
	(void)close(fd);
	(void)close(proc);
}

/* Who asks, by its pid as we see it; -1: nobody, since the step failed or got no namespace. */
static pid_t receive_request(int socket)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control = {0};
	char c;
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const struct cmsghdr *head;
	struct ucred who;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	head = CMSG_FIRSTHDR(&msg);
	if (!head || head->cmsg_type != SCM_CREDENTIALS)
		return -1;
	memcpy(&who, CMSG_DATA(head), sizeof(who));
	return who.pid;
}

void users_serve(int socket)
{
	pid_t step = receive_request(socket);

	if (step > 0) {
		copy_map(step, "uid_map");
		copy_map(step, "gid_map");
		(void)send(socket, "", 1, MSG_NOSIGNAL);
	}
	(void)close(socket);
}

/* --- in the step --- */

bool users_enter(int socket)
{
	static bool entered;
	char c = 0;

	if (entered)
		return true;
	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	if (send(socket, &c, 1, MSG_NOSIGNAL) != 1 || recv(socket, &c, 1, 0) != 1)
		fail(errno, "have the ids of the step mapped");
	entered = true;
	return true;
}
