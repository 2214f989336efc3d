/* An emulator for the programs of one step, where the host has none registered.
 *
 * Since Linux 6.7 a user namespace may have a binfmt_misc of its own. The step gets a namespace of
 * the same ids as ours just for that: nothing of the host changes, and what is registered goes with
 * the step. In it devices cannot be made, even by root. (fs/binfmt_misc.c,
 * Documentation/admin-guide/binfmt-misc.rst) */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper.h"

#define BINFMT_DIR "/proc/sys/fs/binfmt_misc"
enum { MAP_MAX = 4096 }; /* the kernel takes a page at most */

/* --- in the helper --- */

void emulator_sockets(const struct plan *p, int ret[2])
{
	int on = 1;

	ret[0] = ret[1] = -1;
	if (!p->binfmt)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ||
	    setsockopt(ret[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		fail(errno, "make a socket for the step");
}

/* Our own map with its inner ids on both sides: they stay what they are. */
static void copy_map(pid_t step, const char *name)
{
	FILE *ours = fopen(format("/proc/self/%s", name), "re");
	unsigned inside, outside, count;
	char text[MAP_MAX];
	size_t n = 0;
	int fd;

	if (!ours)
		fail(errno, "read our id map");
	while (n + 64 < sizeof(text) && fscanf(ours, "%u %u %u", &inside, &outside, &count) == 3)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u %u %u\n", inside, inside,
				      count);
	(void)fclose(ours);
	fd = open(format("/proc/%d/%s", step, name), O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		fail(errno, "map the ids of the step");
	(void)close(fd);
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

void emulator_serve(int socket)
{
	pid_t step;

	if (socket < 0)
		return;
	step = receive_request(socket);
	if (step > 0) {
		copy_map(step, "uid_map");
		copy_map(step, "gid_map");
		(void)send(socket, "", 1, MSG_NOSIGNAL);
	}
	(void)close(socket);
}

/* --- in the step --- */

/* "...:INTERPRETER:FLAGS"; where the interpreter begins and ends. */
static const char *interpreter_of(const char *binfmt, size_t *ret_n)
{
	const char *flags = strrchr(binfmt, ':'), *at = flags;

	while (at && at > binfmt && at[-1] != ':')
		at--;
	*ret_n = flags ? (size_t)(flags - at) : 0;
	return at ? at : binfmt;
}

int emulator_open(const struct plan *p)
{
	const char *at;
	size_t n;

	if (!p->binfmt)
		return -1;
	at = interpreter_of(p->binfmt, &n);
	return open(format("%.*s", (int)n, at), O_PATH | O_CLOEXEC);
}

/* The kernel opens the interpreter at once (flag F), through our descriptor of it. */
static void write_registration(int dir, const char *binfmt, int interpreter)
{
	size_t n;
	const char *at = interpreter_of(binfmt, &n);
	char *line =
		format("%.*s/proc/self/fd/%d%s", (int)(at - binfmt), binfmt, interpreter, at + n);
	int fd = openat(dir, "register", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, line, strlen(line));
	(void)close(fd);
}

/* What is registered lasts as long as the file system is mounted. */
static void register_interpreter(const struct plan *p, int interpreter)
{
	int fs = fsopen("binfmt_misc", FSOPEN_CLOEXEC), dir = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		dir = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (dir >= 0) {
		write_registration(dir, p->binfmt, interpreter);
		(void)move_mount(dir, "", AT_FDCWD, BINFMT_DIR, MOVE_MOUNT_F_EMPTY_PATH);
		(void)close(dir);
	}
	if (fs >= 0)
		(void)close(fs);
}

void emulator_enter(const struct plan *p, int interpreter, int socket)
{
	char c = 0;

	if (!p->binfmt || interpreter < 0 || unshare(CLONE_NEWUSER) < 0)
		return;
	if (send(socket, &c, 1, MSG_NOSIGNAL) != 1 || recv(socket, &c, 1, 0) != 1)
		fail(errno, "have the ids of the step mapped");
	/* Mounts are for those to whose user namespace the mount namespace belongs. */
	if (unshare(CLONE_NEWNS) == 0)
		register_interpreter(p, interpreter);
}
