/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a step's writing.
 *
 * A step can hand a descriptor of its files to another one, through a socket in a cache mount that both
 * share say, and that one lives on when this one is gone. What it wrote would change a layer that is
 * made already. So the file system is made read-only before kiln looks at what the step has left. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

/* The kernel lets go of some things a little later than of the process that had them: descriptors
 * under way in a socket, what an io_uring holds. */
enum { ATTEMPTS = 100, PAUSE_MS = 10 };

int seal_prepare(pid_t process)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	fd = openat(proc, format("%d/ns/mnt", proc_pid(proc, process)), O_RDONLY | O_CLOEXEC);
	(void)close(proc);
	return fd;
}

/* The overlay as such: also where the step saw it through other mounts. */
static int close_overlay(void)
{
	int fs = (int)syscall(SYS_fspick, AT_FDCWD, "/", FSPICK_CLOEXEC), r = -1, errnum;

	if (fs < 0)
		return -1;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0)
		r = (int)syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	errnum = errno;
	(void)close(fs);
	errno = errnum;
	return r;
}

static int close_root(const struct plan *p)
{
	const struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	/* Copied layers are no file system of the step's own, only a mount. */
	if (!(p->flags & WIRE_COPIED) && close_overlay() < 0)
		return -1;
	return (int)syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof(attr));
}

bool seal(const struct plan *p, int mounts)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000 * 1000};

	if (p->flags & WIRE_ROOT_READONLY || !p->upper)
		return true;
	if (setns(mounts, CLONE_NEWNS) < 0)
		return false;
	for (int i = 0; i < ATTEMPTS; i++) {
		if (close_root(p) == 0)
			return true;
		if (errno != EBUSY)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	errno = EBUSY;
	return false;
}
