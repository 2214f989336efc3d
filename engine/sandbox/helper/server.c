/* SPDX-License-Identifier: Apache-2.0 */
/* Copies itself for every step and network that kiln asks for.
 *
 *	kiln-sandbox serve
 *
 * A copy has this program's memory from before its first request and the descriptors that came with
 * its own. It is kiln's child, not ours.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#define ARGS_MAX 64

struct request {
	char text[WIRE_START_MAX + 1];
	size_t size;
	int fds[WIRE_FDS_MAX];
	size_t n_fds;
};

/* False at the end: kiln has closed its end, or has died. */
static bool receive(struct request *r)
{
	union {
		char space[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {r->text, WIRE_START_MAX};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(WIRE_FD_CONTROL, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return false;
	r->size = (size_t)n;
	r->text[n] = '\0';
	r->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(r->fds, CMSG_DATA(c), r->n_fds * sizeof(int));
	return r->n_fds > WIRE_FD_CONTROL;
}

/* The numbers are all higher than what they become, so that none is overwritten before its turn. */
static void take_descriptors(const struct request *r)
{
	for (size_t i = 0; i < r->n_fds; i++)
		if (dup2(r->fds[i], (int)i) < 0)
			_exit(125);
	(void)syscall(SYS_close_range, r->n_fds, ~0U, 0);
}

static int become_helper(struct request *r)
{
	char *argv[ARGS_MAX + 1];
	int argc = 0;

	take_descriptors(r);
	(void)setpgid(0, 0);
	send_message(WIRE_STARTED, getpid(), "", -1);
	for (char *at = r->text; at < r->text + r->size && argc < ARGS_MAX; at += strlen(at) + 1)
		argv[argc++] = at;
	argv[argc] = NULL;
	return helper_main(argc, argv);
}

static pid_t copy_process(void)
{
	/* The signal of its end is that of ours. */
	return clone_self(CLONE_PARENT, 0, NULL);
}

int server_main(void)
{
	static struct request request;

	while (receive(&request)) {
		struct wire_message failed = {.kind = WIRE_FAILED};
		pid_t pid = copy_process();

		if (pid == 0)
			return become_helper(&request);
		failed.value = errno;
		if (pid < 0)
			(void)send(request.fds[WIRE_FD_CONTROL], &failed, sizeof(failed),
				   MSG_NOSIGNAL);
		for (size_t i = 0; i < request.n_fds; i++)
			(void)close(request.fds[i]);
	}
	return 0;
}
