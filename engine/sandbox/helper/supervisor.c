/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor of a step whose user namespace has one id (docs/security.md).
 *
 * The kernel would refuse chown to any other id there, and the set*id calls. A seccomp filter of
 * the step turns them into notifications, and this process answers: it writes down what chown asks
 * for (owner_mark.h), and remembers what ids a process asked for and would have.
 *
 * It is not in the step's namespaces, and the step has no descriptor of it left when its program
 * starts. It does nothing for a step that the step could not do itself: change a file's owner to
 * the one id there is, set a user.* xattr; and only with files that the step's process reaches by
 * its own root, working directory and descriptors. When it ends, the step is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#define PAGE 4096

/* To look into a step's processes and reach, as they can, what is closed to its owner. */
#define SUPERVISOR_CAPS                                                           \
	(1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_SYS_CHROOT | \
	 1ULL << CAP_SYS_PTRACE)

struct supervisor {
	const struct plan *p;
	struct step_files files;
	struct processes processes;
	struct notify calls;
};

/* --- handing over descriptors --- */

static void give(int socket, int fd)
{
	char byte = 0;
	struct iovec iov = {&byte, 1};
	union fd_control control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	attach_fd(&msg, &control, fd);
	if (sendmsg(socket, &msg, MSG_NOSIGNAL) != 1)
		fail(errno, "reach the supervisor of the step");
}

/* -1: the step ended before it came to that. */
static int take(int socket)
{
	char byte;
	struct iovec iov = {&byte, 1};
	union fd_control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

void supervisor_give_root(int socket, int root)
{
	give(socket, root);
}

void supervisor_give_listener(int socket, const struct plan *p)
{
	int fd = notify_install(p->notify, p->n_notify);

	if (fd < 0)
		fail(errno, "install the filter of the supervisor");
	give(socket, fd);
	/* A second one, which the supervisor never takes: it stays in the socket, of which the
	 * helper holds the other end. Without it calls would fail, and the step go on, between the
	 * supervisor's death and its own; so they wait. */
	give(socket, fd);
	(void)close(fd);
	(void)close(socket);
}

/* --- the calls --- */

/* A text of the process, page by page: the one behind its end need not be there. */
static int read_text(pid_t tid, uint64_t at, char to[PATH_MAX])
{
	for (size_t n = 0; n < PATH_MAX;) {
		size_t want = PAGE - (at + n) % PAGE;
		struct iovec local = {to + n, want < PATH_MAX - n ? want : PATH_MAX - n};
		struct iovec remote = {(void *)(uintptr_t)(at + n), local.iov_len};
		ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);

		if (got <= 0)
			return got < 0 ? -errno : -EFAULT;
		if (memchr(to + n, '\0', (size_t)got))
			return 0;
		n += (size_t)got;
	}
	return -ENAMETOOLONG;
}

static uint32_t id_of(const struct wire_call *call, uint64_t argument)
{
	/* All ones leave an id as it is, in the width of the call. */
	if (call->id_bits == 16)
		return (argument & 0xffff) == 0xffff ? OWNER_UNKNOWN : argument & 0xffff;
	return (uint32_t)argument;
}

/* What of a chown is written down? */
enum note {
	NOTE_NOTHING,
	NOTE_OWNER,
	/* Programs that write a file anew (useradd, sed -i, perl -i, cp) give it the owner that
	 * stat showed them of the old one, which is 0 here whoever it belongs to. They do so by
	 * descriptor; those that mean root (chown, install) name the file. */
	NOTE_OWNER_SEEN,
};

static bool is_group_of_step(const struct plan *p, uint32_t gid)
{
	for (size_t i = 0; i < p->n_groups; i++)
		if (p->groups[i] == gid)
			return true;
	return gid == p->ids.gid;
}

/* May the process do that? Not root, it may give a file to itself and to its groups. It has made
 * most of its files, so that they are its own without a note. */
static int judge_chown(struct supervisor *s, struct owner *o, enum note *note)
{
	struct identity id;
	int r = processes_get(&s->processes, (pid_t)s->calls.request->pid, &id);

	if (r < 0)
		return r;
	if (id.user.effective != 0)
		return (o->uid == OWNER_UNKNOWN || o->uid == id.user.effective) &&
				       (o->gid == OWNER_UNKNOWN || o->gid == id.group.effective)
			       ? 0
			       : -EPERM;
	if (id.changed || s->p->ids.uid == 0)
		return 0;
	/* The step's own user, who sees himself as root and acts like it: what he may not do goes
	 * by without effect. */
	if (o->uid != s->p->ids.uid)
		o->uid = OWNER_UNKNOWN;
	if (o->gid == OWNER_UNKNOWN || !is_group_of_step(s->p, o->gid))
		o->gid = OWNER_UNKNOWN;
	if (o->uid == OWNER_UNKNOWN && o->gid == OWNER_UNKNOWN)
		*note = NOTE_NOTHING;
	return 0;
}

static int change_owner(struct supervisor *s, const struct file_name *name, struct owner o,
			enum note note)
{
	struct owner asked = o;
	int fd, r;

	if (o.uid == OWNER_UNKNOWN && o.gid == OWNER_UNKNOWN)
		note = NOTE_NOTHING;
	r = judge_chown(s, &o, &note);
	if (r < 0)
		return r;
	fd = step_file_open(&s->files, name);
	if (fd < 0)
		return fd;
	/* Still waiting? Then what was looked up by its id was its own. */
	r = ioctl(s->calls.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &s->calls.request->id) < 0
		    ? -ESRCH
		    : 0;
	if (r == 0)
		r = step_file_chown(fd, &asked);
	if (note == NOTE_OWNER_SEEN && o.uid == 0)
		o.uid = OWNER_UNKNOWN;
	if (note == NOTE_OWNER_SEEN && o.gid == 0)
		o.gid = OWNER_UNKNOWN;
	if (r == 0 && note != NOTE_NOTHING)
		r = step_file_record(&s->files, fd, &o);
	(void)close(fd);
	return r;
}

static int answer_path(struct supervisor *s, const struct wire_call *call, int dirfd,
		       const uint64_t *args, int flags)
{
	struct owner o = {id_of(call, args[1]), id_of(call, args[2])};
	struct file_name name = {
		.tid = (pid_t)s->calls.request->pid,
		.dirfd = dirfd,
		.follow = !(flags & AT_SYMLINK_NOFOLLOW),
	};
	char path[PATH_MAX] = "";
	int r;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* Linux 6.11 and up take no path at all for an empty one. */
	r = args[0] == 0 && flags & AT_EMPTY_PATH ? 0 : read_text(name.tid, args[0], path);
	if (r < 0)
		return r;
	if (!*path && !(flags & AT_EMPTY_PATH))
		return -ENOENT;
	name.path = path;
	return change_owner(s, &name, o, *path ? NOTE_OWNER : NOTE_OWNER_SEEN);
}

static int answer_descriptor(struct supervisor *s, const struct wire_call *call,
			     const uint64_t *args)
{
	struct owner o = {id_of(call, args[1]), id_of(call, args[2])};
	struct file_name name = {.tid = (pid_t)s->calls.request->pid, .dirfd = (int)args[0]};

	return name.dirfd < 0 ? -EBADF : change_owner(s, &name, o, NOTE_OWNER_SEEN);
}

static int answer_set(struct supervisor *s, const struct wire_call *call, const uint64_t *args,
		      uint32_t *ret_value)
{
	const uint32_t ids[3] = {id_of(call, args[0]), id_of(call, args[1]), id_of(call, args[2])};

	return processes_set(&s->processes, (pid_t)s->calls.request->pid, call->kind, ids,
			     ret_value);
}

/* getresuid and getresgid, which write to the process's memory. */
static int write_ids(pid_t tid, const struct wire_call *call, const struct id_set *set,
		     const uint64_t *args)
{
	const uint32_t ids[3] = {set->real, set->effective, set->saved};
	size_t size = call->id_bits / 8;

	for (int i = 0; i < 3; i++) {
		/* Little-endian: the low half comes first. */
		struct iovec local = {(void *)(uintptr_t)&ids[i], size};
		struct iovec remote = {(void *)(uintptr_t)args[i], size};

		if (process_vm_writev(tid, &local, 1, &remote, 1, 0) != (ssize_t)size)
			return -EFAULT;
	}
	return 0;
}

static int answer_get(struct supervisor *s, const struct wire_call *call, const uint64_t *args,
		      uint32_t *ret_value)
{
	pid_t tid = (pid_t)s->calls.request->pid;
	struct identity id;
	int r = processes_get(&s->processes, tid, &id);

	/* These cannot fail: a process that is gone does not mind. */
	if (r < 0)
		id = (struct identity){0};
	switch (call->kind) {
	case WIRE_CALL_GETUID:
		*ret_value = id.user.real;
		return 0;
	case WIRE_CALL_GETEUID:
		*ret_value = id.user.effective;
		return 0;
	case WIRE_CALL_GETGID:
		*ret_value = id.group.real;
		return 0;
	case WIRE_CALL_GETEGID:
		*ret_value = id.group.effective;
		return 0;
	case WIRE_CALL_GETRESUID:
		return write_ids(tid, call, &id.user, args);
	default:
		return write_ids(tid, call, &id.group, args);
	}
}

static const struct wire_call *find_call(const struct plan *p, const struct seccomp_data *data)
{
	for (size_t i = 0; i < p->n_calls; i++)
		if (p->calls[i].arch == data->arch && p->calls[i].nr == (uint32_t)data->nr)
			return &p->calls[i];
	return NULL;
}

/* 0 or -errno, which the call returns, or what is in *ret_value. */
static int answer(struct supervisor *s, uint32_t *ret_value)
{
	const struct seccomp_data *data = &s->calls.request->data;
	const struct wire_call *call = find_call(s->p, data);
	uint64_t args[6];

	if (!call)
		return -ENOSYS;
	memcpy(args, data->args, sizeof(args));
	switch (call->kind) {
	case WIRE_CALL_CHOWN:
		return answer_path(s, call, AT_FDCWD, args, 0);
	case WIRE_CALL_LCHOWN:
		return answer_path(s, call, AT_FDCWD, args, AT_SYMLINK_NOFOLLOW);
	case WIRE_CALL_FCHOWN:
		return answer_descriptor(s, call, args);
	case WIRE_CALL_FCHOWNAT:
		return answer_path(s, call, (int)args[0], args + 1, (int)args[4]);
	default:
		return call->kind >= WIRE_CALL_GETUID ? answer_get(s, call, args, ret_value)
						      : answer_set(s, call, args, ret_value);
	}
}

/* --- the process --- */

/* Ends when no process has the filter any more. */
static void __attribute__((noreturn)) serve(struct supervisor *s)
{
	for (;;) {
		struct pollfd fd = {.fd = s->calls.listener, .events = POLLIN};
		uint32_t value = 0;
		int r;

		if (poll(&fd, 1, -1) < 0 && errno != EINTR)
			_exit(1);
		if (fd.revents & POLLHUP)
			_exit(0);
		if (!(fd.revents & POLLIN))
			continue;
		r = notify_receive(&s->calls);
		if (r < 0)
			_exit(1);
		if (r == 0)
			continue;
		s->calls.response->error = answer(s, &value);
		s->calls.response->val = value;
		if (notify_answer(&s->calls) < 0)
			_exit(1);
	}
}

static void __attribute__((noreturn)) supervise(const struct plan *p, int socket, int tie[2])
{
	struct supervisor s = {.p = p};
	int root, listener;

	tie_to_parent(tie);
	/* The step's log pipes end with the step. */
	for (int fd = 0; fd < WIRE_FD_CONTROL; fd++)
		(void)close(fd);
	root = take(socket);
	if (root < 0)
		_exit(0);
	step_files_open(p, root, &s.files);
	s.processes.files = &s.files;
	set_capabilities(SUPERVISOR_CAPS);
	listener = take(socket);
	if (listener < 0)
		_exit(0);
	(void)close(socket);
	(void)close(WIRE_FD_CONTROL);
	if (notify_open(listener, &s.calls) < 0)
		_exit(1);
	serve(&s);
}

pid_t supervisor_start(const struct plan *p, int *ret_socket, int *ret_pidfd)
{
	int pair[2], tie[2];
	pid_t pid;

	*ret_socket = *ret_pidfd = -1;
	if (p->n_notify == 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fail(errno, "make a socket for the supervisor of the step");
	tie_open(tie);
	pid = clone_self(CLONE_PIDFD, SIGCHLD, ret_pidfd);
	if (pid < 0)
		fail(errno, "start the supervisor of the step");
	if (pid == 0) {
		(void)close(pair[0]);
		supervise(p, pair[1], tie);
	}
	(void)close(tie[0]);
	/* pair[1] stays open: supervisor_give_listener(). */
	*ret_socket = pair[0];
	return pid;
}
