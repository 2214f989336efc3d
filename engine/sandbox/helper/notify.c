/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that a seccomp filter holds back until this process has said what becomes of them. */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Linux 5.19 and up leave a process that is being answered alone unless it is killed. Before, a
 * signal makes it start its call again, which does no harm to what is answered here. */
int notify_install(const struct sock_filter *filter, size_t n)
{
	struct sock_fprog program = {(unsigned short)n, (struct sock_filter *)(uintptr_t)filter};
	unsigned flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_NEW_LISTENER;
	int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			      flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);

	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	return fd;
}

int notify_open(int listener, struct notify *ret)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	ret->listener = listener;
	ret->request_size = sizes.seccomp_notif;
	if (ret->request_size < sizeof(*ret->request))
		ret->request_size = sizeof(*ret->request);
	ret->response_size = sizes.seccomp_notif_resp;
	if (ret->response_size < sizeof(*ret->response))
		ret->response_size = sizeof(*ret->response);
	ret->request = alloc(ret->request_size);
	ret->response = alloc(ret->response_size);
	/* Of the process and us only one runs at a time, so one processor's cache does. */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return 0;
}

int notify_receive(struct notify *n)
{
	memset(n->request, 0, n->request_size);
	memset(n->response, 0, n->response_size);
	if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, n->request) == 0) {
		n->response->id = n->request->id;
		return 1;
	}
	/* Killed before we came to it. */
	return errno == ENOENT || errno == EINTR ? 0 : -errno;
}

int notify_answer(struct notify *n)
{
	/* It may have been killed meanwhile. */
	return ioctl(n->listener, SECCOMP_IOCTL_NOTIF_SEND, n->response) < 0 && errno != ENOENT
		       ? -errno
		       : 0;
}

bool notify_read(const struct notify *n, uint64_t at, void *to, size_t size)
{
	struct iovec local = {to, size}, remote = {(void *)(uintptr_t)at, size};

	return process_vm_readv((pid_t)n->request->pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}
