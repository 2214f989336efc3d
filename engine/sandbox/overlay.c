/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "engine/sandbox/userns.h"

static int set_dir(int fs, const char *key, int dirfd, const char *name, int *ret_fd)
{
	char path[32];

	*ret_fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", *ret_fd);
	return fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0) < 0 ? -errno : 0;
}

/* What a layer deletes is told by such marks. */
static int try_marks(int dirfd, bool user)
{
	_cleanup_close_ int lower = openat(dirfd, "lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *name = user ? "user.overlay.opaque" : "trusted.overlay.opaque";

	return lower < 0 || mknodat(lower, "gone", S_IFCHR | 0600, 0) < 0 ||
			       fsetxattr(lower, name, "y", 1, 0) < 0
		       ? -errno
		       : 0;
}

/* Mounted nowhere, it goes with its descriptor. */
static int try_mount(int dirfd, bool user)
{
	_cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	_cleanup_close_ int mounted = -1;
	_cleanup_close_ int lower = -1, upper = -1, work = -1;
	int r = fs < 0 ? -errno : set_dir(fs, "lowerdir", dirfd, "lower", &lower);

	if (r == 0)
		r = set_dir(fs, "upperdir", dirfd, "upper", &upper);
	if (r == 0)
		r = set_dir(fs, "workdir", dirfd, "work", &work);
	if (r == 0 && ((user && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0) ||
		       fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0 ||
		       fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0))
		r = -errno;
	if (r < 0)
		return r;
	mounted = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return mounted < 0 ? -errno : 0;
}

int overlay_try(const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/overlay.XXXXXX", dir);
	_cleanup_close_ int fd = -1;
	bool user = userns_inside();
	int r;

	if (!mkdtemp(path))
		return -errno;
	fd = fs_open_dir(AT_FDCWD, path);
	r = fd < 0 ? fd : 0;
	if (r == 0 && (mkdirat(fd, "lower", 0700) < 0 || mkdirat(fd, "upper", 0700) < 0 ||
		       mkdirat(fd, "work", 0700) < 0))
		r = -errno;
	if (r == 0)
		r = try_marks(fd, user);
	if (r == 0)
		r = try_mount(fd, user);
	(void)!fs_remove_tree(AT_FDCWD, path);
	return r;
}
