/* SPDX-License-Identifier: Apache-2.0 */
/* A step's files as its supervisor sees them: found by name as the step's process would find them,
 * and given an owner that is only written down. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#define MOVED_MAX 64 /* how often a file may move while it is looked for */
#define NAME_MAX_PROC 64

/* --- finding them --- */

/* The supervisor's own directory is always /proc, so that "self/fd/<fd>" reaches a node behind an
 * O_PATH descriptor whatever its root is. */
static void own_name(int fd, char out[NAME_MAX_PROC])
{
	(void)snprintf(out, NAME_MAX_PROC, "self/fd/%d", fd);
}

/* What a descriptor of the process, or AT_FDCWD, is open on. */
static int open_base(const struct step_files *s, pid_t tid, int dirfd)
{
	char name[NAME_MAX_PROC];
	int fd;

	if (dirfd == AT_FDCWD)
		(void)snprintf(name, sizeof(name), "%d/cwd", proc_pid(s->proc, tid));
	else if (dirfd >= 0)
		(void)snprintf(name, sizeof(name), "%d/fd/%d", proc_pid(s->proc, tid), dirfd);
	else
		return -EBADF;
	fd = openat(s->proc, name, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && dirfd >= 0 ? -EBADF : -errno;
	return fd;
}

static int open_root(const struct step_files *s, pid_t tid)
{
	char name[NAME_MAX_PROC];
	int fd;

	(void)snprintf(name, sizeof(name), "%d/root", proc_pid(s->proc, tid));
	fd = openat(s->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int enter_root(const struct step_files *s, int root, int dir)
{
	if (fchdir(root) < 0 || chroot(".") < 0 || fchdir(dir) < 0) {
		int errnum = errno;

		if (fchdir(s->proc) < 0)
			_exit(1);
		return -errnum;
	}
	return 0;
}

/* The kernel walks the name as it would for the process: from its directory, inside its root. What
 * it must not do is to take one of the links of /proc that lead straight to a file, since those it
 * would judge by the supervisor's rights. */
int step_file_open(const struct step_files *s, const struct file_name *name)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (name->follow ? 0 : O_NOFOLLOW),
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	int root, base, r;

	if (!name->path || !*name->path)
		return open_base(s, name->tid, name->dirfd);
	root = open_root(s, name->tid);
	if (root < 0)
		return root;
	base = *name->path == '/' ? root : open_base(s, name->tid, name->dirfd);
	r = base < 0 ? base : enter_root(s, root, base);
	if (r == 0) {
		r = (int)syscall(SYS_openat2, AT_FDCWD, name->path, &how, sizeof(how));
		r = r < 0 ? -errno : r;
		if (fchdir(s->proc) < 0)
			_exit(1);
	}
	if (base >= 0 && base != root)
		(void)close(base);
	(void)close(root);
	return r;
}

/* --- recording owners --- */

/* One inode, seen through overlayfs and in the directory below it? Both show its times. */
static bool same_inode(int a, int b)
{
	struct statx x, y;

	return statx(a, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x) == 0 &&
	       statx(b, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &y) == 0 &&
	       x.stx_mode == y.stx_mode && x.stx_size == y.stx_size &&
	       x.stx_ctime.tv_sec == y.stx_ctime.tv_sec &&
	       x.stx_ctime.tv_nsec == y.stx_ctime.tv_nsec &&
	       x.stx_mtime.tv_sec == y.stx_mtime.tv_sec &&
	       x.stx_mtime.tv_nsec == y.stx_mtime.tv_nsec;
}

/* Opens the inode of the upper directory that stands behind `fd`: overlayfs gives it the same path
 * (directories are never redirected), but shows another inode number. -ENOENT: it was deleted. */
static int open_upper(const struct step_files *s, int fd)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	char name[NAME_MAX_PROC], path[PATH_MAX];

	own_name(fd, name);
	for (int i = 0; i < MOVED_MAX; i++) {
		int r = enter_root(s, s->root, s->proc), upper;
		struct stat st;
		ssize_t n;

		if (r < 0)
			return r;
		n = readlinkat(s->proc, name, path, sizeof(path) - 1);
		if (n < 0 || fstat(fd, &st) < 0)
			return -errno;
		if (st.st_nlink == 0)
			return -ENOENT;
		path[n] = '\0';
		upper = (int)syscall(SYS_openat2, s->upper, path + 1, &how, sizeof(how));
		if (upper >= 0 && same_inode(upper, fd))
			return upper;
		if (upper >= 0)
			(void)close(upper);
	}
	return -EAGAIN;
}

/* The owner of what takes no xattr. */
static int record_inode(const struct step_files *s, int fd, const struct owner *o)
{
	struct owner_record record = {.owner = *o};
	int upper = open_upper(s, fd), r;

	if (upper == -ENOENT)
		return 0;
	if (upper < 0)
		return upper;
	r = owner_inode_of(upper, "", AT_EMPTY_PATH, &record.inode);
	(void)close(upper);
	if (r == 0 && write(s->record, &record, sizeof(record)) != (ssize_t)sizeof(record))
		r = -EIO;
	return r;
}

static int record_mark(int fd, const struct owner *o)
{
	char name[NAME_MAX_PROC];
	struct owner before, after;
	bool known;

	own_name(fd, name);
	before = after = owner_mark_read(name);
	owner_merge(&after, o);
	/* Reading is a fraction of writing, and chown -R often changes little. */
	known = before.uid != OWNER_UNKNOWN || before.gid != OWNER_UNKNOWN;
	if (known && before.uid == after.uid && before.gid == after.gid)
		return 0;
	return owner_mark_write(name, &after);
}

int step_file_chown(int fd, const struct owner *o)
{
	uid_t uid = o->uid == OWNER_UNKNOWN ? (uid_t)-1 : 0;
	gid_t gid = o->gid == OWNER_UNKNOWN ? (gid_t)-1 : 0;

	/* Refuses what is read-only or not ours, copies up, clears set-id bits and capabilities. */
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int step_file_record(const struct step_files *s, int fd, const struct owner *o)
{
	struct statx st;
	bool inside;
	int r;

	if (s->record < 0)
		return 0;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &st) < 0)
		return -errno;
	inside = st.stx_mnt_id == s->mount;
	if (S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode)) {
		r = record_mark(fd, o);
		/* Elsewhere no layer comes of it. */
		return inside ? r : 0;
	}
	return inside ? record_inode(s, fd, o) : 0;
}

void step_files_open(const struct plan *p, int root, struct step_files *ret)
{
	struct statx st;

	ret->root = root;
	ret->record = -1;
	ret->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret->upper = open(p->upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->flags & WIRE_RECORD_OWNERS)
		ret->record = open(format("%s/" OWNER_RECORDS, p->scratch),
				   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (ret->proc < 0 || ret->upper < 0 || fchdir(ret->proc) < 0 ||
	    (p->flags & WIRE_RECORD_OWNERS && ret->record < 0))
		fail(errno, "open what the supervisor of the step needs");
	if (statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		fail(errno, "look at the root of the step");
	ret->mount = st.stx_mnt_id;
}
