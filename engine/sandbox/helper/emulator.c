/* SPDX-License-Identifier: Apache-2.0 */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#define BINFMT_DIR "/proc/sys/fs/binfmt_misc"

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

void emulator_enter(const struct plan *p, int interpreter, int users)
{
	if (!p->binfmt || interpreter < 0 || !users_enter(users))
		return;
	/* Mounts are for those to whose user namespace the mount namespace belongs. */
	if (unshare(CLONE_NEWNS) == 0)
		register_interpreter(p, interpreter);
}
