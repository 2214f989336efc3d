/* SPDX-License-Identifier: Apache-2.0 */
/* What of /proc and /sys a step may not read, or not change.
 *
 * Names are looked up below the file system that the helper has just mounted, by its descriptor:
 * whatever else is mounted before or after, no link of an image and no mount of a step comes
 * between. What stands in for a hidden path is the host's, opened before anything of the image or
 * the step was looked at. A path that is there and cannot be covered ends the step.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fields.h"
#include "base/number.h"
#include "engine/sandbox/helper/helper.h"

/* Something that covers others. A mount that is nowhere cannot be copied (before Linux 6.15), so
 * that its first use takes it itself, and later ones a copy of what is in its place then. */
struct cover {
	int fd;
	bool used;
};
static struct cover null_device = {-1, false}, empty_dir = {-1, false};

/* What covers files of /proc, by the ids of the mounts: it is in /proc, but not of its file
 * system. */
#define PROC_COVERS_MAX 64
static uint64_t proc_covers[PROC_COVERS_MAX];
static size_t n_proc_covers;

void masks_open(void)
{
	struct stat st;

	null_device.fd = clone_tree(AT_FDCWD, "/dev/null", false);
	if (null_device.fd < 0 || fstat(null_device.fd, &st) < 0)
		fail(errno, "open the host's /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		fail(0,
		     "the host's /dev/null is not the null device: what a step must not see would "
		     "hide behind a file; put it back: rm /dev/null; mknod -m 666 /dev/null c 1 3");
	set_attributes(null_device.fd, WIRE_MOUNT_READONLY | WIRE_MOUNT_NOSUID | WIRE_MOUNT_NOEXEC,
		       false, "/dev/null");
	empty_dir.fd = memory_dir("empty");
	if (empty_dir.fd < 0)
		fail(errno, "make an empty directory in memory");
	set_attributes(empty_dir.fd, WIRE_MOUNT_READONLY | WIRE_MOUNT_NOSUID | WIRE_MOUNT_NOEXEC,
		       true, "an empty directory");
}

static int cover_take(struct cover *c)
{
	if (c->used)
		return clone_tree(c->fd, "", false);
	c->used = true;
	return dup(c->fd);
}

/* Opens what `path` names in the mounted file system; -1: it has no such thing. */
static int find(int fs, const char *name, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int at = (int)syscall(SYS_openat2, fs, name, &how, sizeof(how));

	if (at < 0 && errno != ENOENT)
		fail(errno, "find '%s', which must be hidden from steps or made read-only", path);
	return at;
}

static uint64_t mount_id(int fd, const char *path)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		fail(errno, "look at the mount of '%s'", path);
	return st.stx_mnt_id;
}

static bool is_in_proc(int at, const char *dest)
{
	uint64_t id = mount_id(at, dest);
	struct statfs fs;

	if (fstatfs(at, &fs) < 0)
		fail(errno, "look at '%s'", dest);
	for (size_t i = 0; i < n_proc_covers; i++)
		if (proc_covers[i] == id)
			return true;
	return fs.f_type == PROC_SUPER_MAGIC;
}

static void note_cover(uint64_t id, const char *path)
{
	if (n_proc_covers == PROC_COVERS_MAX)
		fail(0, "hide '%s': there is too much to hide", path);
	proc_covers[n_proc_covers++] = id;
}

/* Files disappear behind /dev/null, directories behind an empty one. */
static void hide(int at, const char *path)
{
	bool in_proc = is_in_proc(at, path);
	struct stat st;
	int tree;

	if (fstat(at, &st) < 0)
		fail(errno, "hide '%s'", path);
	tree = cover_take(S_ISDIR(st.st_mode) ? &empty_dir : &null_device);
	if (tree < 0)
		fail(errno, "hide '%s'", path);
	mount_attach(tree, at, path);
	if (in_proc)
		note_cover(mount_id(tree, path), path);
	(void)close(tree);
}

static void make_readonly(int at, const char *path)
{
	int tree = clone_tree(at, "", true);

	if (tree < 0)
		fail(errno, "make '%s' read-only", path);
	set_attributes(tree, WIRE_MOUNT_READONLY, false, path);
	mount_attach(tree, at, path);
	(void)close(tree);
}

/* The part of `path` below `dir`, NULL: it is not. */
static const char *below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static void each_below(const struct mount_item *fs, const char *const *paths, size_t n,
		       void (*cover)(int at, const char *path))
{
	for (size_t i = 0; i < n; i++) {
		const char *name = below(paths[i], fs->dest);
		int at = name ? find(fs->fd, name, paths[i]) : -1;

		if (at < 0)
			continue;
		cover(at, paths[i]);
		(void)close(at);
	}
}

/* A /proc from outside has brought others' covers beside ours. "ID PARENT DEVICE ROOT MOUNT-POINT
 * ..." */
static void note_outer_covers(const struct mount_item *proc)
{
	int fd = openat(proc->fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL, *fields[5];
	size_t room = 0;
	uint64_t id;

	if (!f)
		fail(errno, "read what covers '%s'", proc->dest);
	n_proc_covers = 0;
	while (getline(&line, &room, f) > 0)
		if (fields_split(line, fields, 5) == 5 &&
		    number_parse(fields[0], 10, UINT64_MAX, &id) == 0 &&
		    below(fields[4], proc->dest))
			note_cover(id, fields[4]);
	(void)fclose(f);
}

void masks_apply(const struct plan *p, const struct mount_item *fs)
{
	each_below(fs, p->masked, p->n_masked, hide);
	each_below(fs, p->readonly, p->n_readonly, make_readonly);
	if (p->outer_proc && fs->m.kind == WIRE_PROC)
		note_outer_covers(fs);
}

static void check_all(const struct plan *p, const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t k = 0; k < p->n_mounts && !found; k++)
			found = mount_is_masked(&p->mounts[k]) &&
				below(paths[i], p->mounts[k].dest);
		if (!found)
			fail(EINVAL, "hide '%s': it is not in a file system that kiln mounted",
			     paths[i]);
	}
}

void masks_check(const struct plan *p)
{
	check_all(p, p->masked, p->n_masked);
	check_all(p, p->readonly, p->n_readonly);
}

/* What lxcfs has for containers, the only targets below /proc that runc knows. */
static bool is_lxcfs_target(const char *dest)
{
	static const char *const names[] = {
		"cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo",
		"stat",	   "swaps",	"uptime",  "net/dev",
	};

	if (strncmp(dest, "/proc/", 6) != 0)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(dest + 6, names[i]) == 0)
			return true;
	return false;
}

/* Programs believe what /proc says, and write to it: nothing of a step's stands in its place, by
 * whatever links the target leads there. */
void masks_refuse_target(int at, const char *dest)
{
	if (is_in_proc(at, dest) && !is_lxcfs_target(dest))
		fail(0,
		     "mount or make '%s': it is in /proc, where everything belongs to the kernel; "
		     "choose another path",
		     dest);
}
