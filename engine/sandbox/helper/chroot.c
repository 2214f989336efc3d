/* SPDX-License-Identifier: Apache-2.0 */
/* Where kiln runs in a chroot: makes its directory the root of a mount namespace.
 *
 * In a chroot the root of this process is not that of its mount namespace. The kernel then makes no
 * user namespace for it, which pasta needs, pivots no root, and knows no mount called "/". So we go
 * to the real root, in a copy of the namespace, and from there take the directory, with what is
 * mounted below it, for the root; all the rest is unmounted from the copy, so that less can be
 * reached than before. Nothing of a step runs in the moment between.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

static struct {
	const char *what; /* what failed; NULL: nothing */
	int errnum;
} failure;

void chroot_check(void)
{
	if (failure.what)
		fail(failure.errnum, "leave the chroot in which kiln runs: %s", failure.what);
}

static void failed(const char *what)
{
	failure.what = what;
	failure.errnum = errno;
}

static bool same_root(const struct statx *a, const struct statx *b)
{
	return a->stx_mnt_id == b->stx_mnt_id && a->stx_ino == b->stx_ino &&
	       a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

static bool look_at_root(struct statx *ret)
{
	memset(ret, 0, sizeof(*ret));
	return statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, ret) == 0;
}

static int open_root(void)
{
	return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Entering the namespace in which one is leads to its root. It needs no name in /proc. */
static bool go_to_real_root(int self)
{
	return setns(self, CLONE_NEWNS) == 0;
}

static void become_root(int self)
{
	int root, tree;

	if (unshare(CLONE_NEWNS) < 0) {
		failed("make a mount namespace");
		return;
	}
	root = open_root();
	if (root < 0 || !go_to_real_root(self) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		failed("find the real root");
		return;
	}
	tree = (int)syscall(SYS_open_tree, root, "",
			    AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || syscall(SYS_move_mount, tree, "", root, "",
				MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
		failed("mount its directory on itself");
		return;
	}
	/* The old root lands on top of the new one for a moment and is then dropped whole. */
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		failed("make its directory the root");
	(void)close(root);
	(void)close(tree);
}

void chroot_leave(void)
{
	int root = open_root(), self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct statx ours, real;

	/* Without the right to do this no step can be run either, which is told then. */
	if (root >= 0 && self >= 0 && look_at_root(&ours) && go_to_real_root(self)) {
		if (!look_at_root(&real) || fchdir(root) < 0 || chroot(".") < 0)
			failed("go back to it");
		else if (!same_root(&ours, &real))
			become_root(self);
	}
	if (root >= 0)
		(void)close(root);
	if (self >= 0)
		(void)close(self);
}
