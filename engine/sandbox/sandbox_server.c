/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/sandbox_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/spawn.h"

extern const char sandbox_image[], sandbox_image_end[];

/* --- the program --- */

static pthread_once_t image_once = PTHREAD_ONCE_INIT;
static int image_fd = -1, image_errno;

const char *sandbox_helper_program(size_t *ret_size)
{
	*ret_size = (size_t)(sandbox_image_end - sandbox_image);
	return sandbox_image;
}

/* A sealed copy in memory: nothing in a container can write to it through /proc/PID/exe. */
static void image_make(void)
{
	size_t n = (size_t)(sandbox_image_end - sandbox_image);
	int fd = memfd_create("kiln-sandbox", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0) {
		image_errno = errno;
		return;
	}
	r = fs_write_full(fd, sandbox_image, n);
	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		r = -errno;
	/* Above the numbers that the helper's own descriptors get. */
	if (r == 0)
		image_fd = fcntl(fd, F_DUPFD_CLOEXEC, 64);
	image_errno = r < 0 ? -r : errno;
	if (image_errno == EINVAL) /* so high a number is not allowed */
		image_errno = EMFILE;
	(void)close(fd);
}

/* --- the server --- */

static struct server {
	pthread_mutex_t lock; /* protects what follows */
	pid_t pid;	      /* 0: none */
	int pidfd, fd;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .pidfd = -1, .fd = -1};

/* With the lock held. */
static int server_start(struct error **err)
{
	static const char *const argv[] = {"kiln-sandbox", "serve", NULL};
	char *const envp[] = {NULL};
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC), theirs = -1, ours = -1;
	struct spawn_fd fds[] = {{null, 0}, {null, 1}, {null, 2}, {-1, WIRE_FD_CONTROL}};
	char path[64];
	struct spawn s = {.path = path,
			  .argv = (char *const *)(uintptr_t)argv,
			  .envp = envp,
			  .fds = fds,
			  .n_fds = ARRAY_SIZE(fds),
			  .own_group = true};
	int pair[2], r;

	(void)pthread_once(&image_once, image_make);
	if (image_fd < 0)
		return error_new(err, ERR_IO, image_errno, "unpack the sandbox helper");
	if (null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_new(err, ERR_IO, errno, "make a socket for the sandbox helper");
	ours = pair[0];
	theirs = pair[1];
	fds[3].fd = theirs;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	r = spawn_start(&s, &server.pid, &server.pidfd, err);
	if (r < 0)
		return error_wrap(err, r, "start the sandbox helper");
	server.fd = TAKE_FD(ours);
	return 0;
}

/* With the lock held. */
static void server_stop(void)
{
	int status;

	cleanup_closep(&server.fd);
	if (server.pid > 0)
		(void)!spawn_wait(server.pid, server.pidfd, &status);
	server.pid = 0;
	server.pidfd = -1;
}

void sandbox_helper_dismiss(void)
{
	(void)pthread_mutex_lock(&server.lock);
	cleanup_closep(&server.fd);
	(void)pthread_mutex_unlock(&server.lock);
}

void sandbox_helper_stop(void)
{
	(void)pthread_mutex_lock(&server.lock);
	server_stop();
	(void)pthread_mutex_unlock(&server.lock);
}

/* The arguments, each with its NUL, and the descriptors that are to be 0, 1, ... */
static int server_send(const char *const *args, const int *fds, size_t n_fds)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	union {
		char space[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	for (; *args; args++)
		buf_add(&text, *args, strlen(*args) + 1);
	if (text.n > WIRE_START_MAX)
		return -E2BIG;
	iov = (struct iovec){text.p, text.n};
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	do {
		n = sendmsg(server.fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int server_ask(const char *const *args, const int *fds, size_t n_fds, struct error **err)
{
	int errnum = EPIPE, r = 0;

	(void)pthread_mutex_lock(&server.lock);
	/* One that was dismissed, or killed, is replaced. */
	for (int tries = 0; r == 0 && errnum == EPIPE && tries < 2; tries++) {
		if (tries > 0 || server.fd < 0) {
			server_stop();
			r = server_start(err);
		}
		if (r == 0)
			errnum = -server_send(args, fds, n_fds);
	}
	(void)pthread_mutex_unlock(&server.lock);
	return r == 0 && errnum != 0 ? error_new(err, ERR_IO, errnum, "start a sandbox helper") : r;
}

/* --- one helper --- */

/* It reads while we write, so an input larger than the socket's buffer is no problem. */
static int send_input(int control, const struct buf *input, struct error **err)
{
	size_t at = 0;

	while (input && at < input->n) {
		ssize_t n = send(control, input->p + at, input->n - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		/* The helper has ended early; what it said is read by who waits for it. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0)
			return error_new(err, ERR_IO, errno, "send the plan to the sandbox helper");
		at += (size_t)n;
	}
	return 0;
}

/* Its first message. The pid cannot have been reused: it is our child, and nobody has waited. */
static int receive_pid(int control, struct sandbox_helper *ret, struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct wire_message m;
	int status, r = sandbox_helper_receive(control, &m, &text, &fd);

	if (r <= 0 || m.kind != WIRE_STARTED)
		return error_new(err, ERR_IO, r > 0 ? m.value : -r, "start a sandbox helper");
	ret->pid = m.value;
	ret->pidfd = (int)syscall(SYS_pidfd_open, ret->pid, 0);
	if (ret->pidfd >= 0)
		return 0;
	r = error_new(err, ERR_IO, errno, "watch the sandbox helper");
	(void)shutdown(control, SHUT_RDWR);
	(void)!spawn_wait(ret->pid, -1, &status);
	return r;
}

int sandbox_helper_start(const char *const *args, const struct sandbox_io *io, int netns,
			 const struct buf *input, struct sandbox_helper *ret, struct error **err)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC), theirs = -1, ours = -1;
	int pair[2], r;

	if (null < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_new(err, ERR_IO, errno, "make a socket for the sandbox helper");
	ours = pair[0];
	theirs = pair[1];

	const int fds[WIRE_FDS_MAX] = {
		io->in >= 0 ? io->in : null,   io->out >= 0 ? io->out : null,
		io->err >= 0 ? io->err : null, [WIRE_FD_CONTROL] = theirs,
		[WIRE_FD_NETNS] = netns,
	};

	r = server_ask(args, fds, netns >= 0 ? WIRE_FDS_MAX : WIRE_FD_CONTROL + 1, err);
	cleanup_closep(&theirs);
	if (r == 0)
		r = send_input(ours, input, err);
	if (r == 0)
		r = receive_pid(ours, ret, err);
	if (r == 0)
		ret->control = TAKE_FD(ours);
	return r;
}

int sandbox_helper_receive(int control, struct wire_message *ret, struct buf *ret_text, int *ret_fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c;
	struct iovec iov = {ret, sizeof(*ret)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &c,
		.msg_controllen = sizeof(c),
	};
	ssize_t n;

	*ret_fd = -1;
	do {
		n = recvmsg(control, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	} while (n < 0 && errno == EINTR);
	/* A reset only says that the helper left something of ours unread. */
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return -errno;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h; h = CMSG_NXTHDR(&msg, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
	buf_clear(ret_text);
	if (n != (ssize_t)sizeof(*ret) || ret->size > 65536)
		return -EPROTO;
	if (ret->size > 0) {
		n = fs_read_full(control, buf_reserve(ret_text, ret->size), ret->size);
		if (n != (ssize_t)ret->size)
			return n < 0 ? (int)n : -EPROTO;
		buf_commit(ret_text, ret->size);
	}
	return 1;
}
