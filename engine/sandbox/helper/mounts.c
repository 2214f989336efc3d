/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted into the root file system.
 *
 * Everything is opened as a detached mount while the host's tree can still be seen, and put in its
 * place once it cannot: from then on no name can lead out of the new root, whatever symlinks the
 * image holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

static const char *const dev_nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
#define HIERARCHIES_MAX 32
#define LINKS_MAX 40
struct owner_ids {
	uid_t uid;
	gid_t gid;
};
static int dev_fds[sizeof(dev_nodes) / sizeof(dev_nodes[0])];

int open_in_root(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	/* EAGAIN: a rename raced with "..", which the kernel will not judge. */
	do {
		fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd;
}

void set_attributes(int fd, unsigned flags, bool nodev, const char *what)
{
	struct mount_attr attr = {.attr_set = nodev ? MOUNT_ATTR_NODEV : 0};

	if (flags & WIRE_MOUNT_READONLY)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (flags & WIRE_MOUNT_NOSUID)
		attr.attr_set |= MOUNT_ATTR_NOSUID;
	if (flags & WIRE_MOUNT_NOEXEC)
		attr.attr_set |= MOUNT_ATTR_NOEXEC;
	if (attr.attr_set &&
	    mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		fail(errno, "set the mount attributes of %s", what);
}

int clone_tree(int dirfd, const char *path, bool recursive)
{
	return open_tree(dirfd, path,
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
				 (recursive ? AT_RECURSIVE : 0));
}

#define NODEV_NOSUID (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)
#define NO_PROGRAMS (NODEV_NOSUID | MOUNT_ATTR_NOEXEC)

/* A new file system by name with one or two options ("key", "value" pairs up to NULL). */
static int new_filesystem(const char *type, unsigned attributes, const char *const *options)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC), fd;

	if (fs < 0)
		return -1;
	/* What df and mount show in the first column. */
	(void)fsconfig(fs, FSCONFIG_SET_STRING, "source", type, 0);
	for (size_t i = 0; options && options[i]; i += 2) {
		bool flag = options[i + 1] == NULL;

		if (fsconfig(fs, flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, options[i],
			     options[i + 1], 0) < 0)
			return -1;
		if (flag)
			break;
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	(void)close(fs);
	return fd;
}

static int open_tmpfs(const struct mount_item *item)
{
	const char *options[5] = {"mode", format("%o", item->m.mode)};

	if (item->m.size > 0) {
		options[2] = "size";
		options[3] = format("%llu", (unsigned long long)item->m.size);
	}
	return new_filesystem("tmpfs", NODEV_NOSUID, options);
}

/* A file system for what is in memory only and needs no limits of its own; of each such thing only
 * the file or directory is mounted. */
static int memory_open(void)
{
	static const char *const options[] = {"mode", "0700", NULL};
	static int fd = -1;

	if (fd < 0)
		fd = new_filesystem("tmpfs", NODEV_NOSUID, options);
	if (fd < 0)
		fail(errno, "make a file system in memory");
	return fd;
}

int memory_dir(const char *name)
{
	int memory = memory_open();

	if (mkdirat(memory, name, 0755) < 0)
		return -1;
	return clone_tree(memory, name, false);
}

static int open_file(const struct plan *p, const struct mount_item *item, size_t index)
{
	char *name = format("file%zu", index);
	int memory = memory_open(), fd;
	const char *at = item->data;
	size_t left = item->size;

	fd = openat(memory, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	while (left > 0) {
		ssize_t n = write(fd, at, left);

		if (n <= 0)
			return -1;
		at += n;
		left -= (size_t)n;
	}
	if (fchown(fd, plan_id(p, item->m.uid), plan_id(p, item->m.gid)) < 0 ||
	    fchmod(fd, item->m.mode) < 0)
		return -1;
	(void)close(fd);
	return clone_tree(memory, name, false);
}

/* A tree of layers of which `source` is shown. Writes go to a directory that nobody reads. */
static int open_overlay(const struct plan *p, const struct mount_item *item, size_t index)
{
	bool readonly = item->m.flags & WIRE_MOUNT_READONLY;
	char *upper = NULL, *work = NULL;
	int whole, at, tree;

	if (item->n_lowers == 0) {
		const char *options[] = {"mode", "0755", NULL};

		return new_filesystem("tmpfs", NODEV_NOSUID, options);
	}
	if (!readonly && !(p->flags & WIRE_COPIED)) {
		upper = format("%s/upper%zu", p->scratch, index);
		work = format("%s/work%zu", p->scratch, index);
		/* A debugging shell finds what the step wrote. */
		if ((mkdir(upper, 0755) < 0 && errno != EEXIST) || mkdir(work, 0700) < 0)
			fail(errno, "make directories in '%s'", p->scratch);
	}
	if (item->n_lowers == 1 && (readonly || p->flags & WIRE_COPIED))
		whole = clone_tree(AT_FDCWD, item->lowers[0], false);
	else
		whole = overlay_open(p, item->lowers, item->n_lowers, upper, work);
	if (whole < 0)
		return -1;
	at = open_in_root(whole, item->source, O_PATH);
	if (at < 0)
		fail(errno, "mount '%s': find '%s' in its source", item->dest, item->source);
	tree = clone_tree(at, "", false);
	(void)close(at);
	(void)close(whole);
	return tree;
}

/* In a user namespace that does not own the network, sysfs cannot be mounted, only shown. */
static int open_sysfs(void)
{
	int fd = new_filesystem("sysfs", NO_PROGRAMS, NULL);

	return fd >= 0 ? fd : clone_tree(AT_FDCWD, "/sys", true);
}

static int open_dev(void)
{
	const char *options[] = {"mode", "0755", "size", "65536k", NULL};

	for (size_t i = 0; i < sizeof(dev_nodes) / sizeof(dev_nodes[0]); i++) {
		dev_fds[i] = clone_tree(AT_FDCWD, format("/dev/%s", dev_nodes[i]), false);
		if (dev_fds[i] < 0)
			fail(errno, "open the host's /dev/%s", dev_nodes[i]);
		/* They are the host's: their mode and owner are not a step's to change. Devices
		 * can be written to all the same. */
		set_attributes(dev_fds[i], WIRE_MOUNT_READONLY, false, dev_nodes[i]);
	}
	return new_filesystem("tmpfs", NODEV_NOSUID, options);
}

static int open_devpts(const struct plan *p)
{
	const char *with_group[] = {"ptmxmode", "0666", "mode", "0620", "gid", "5", NULL};
	const char *without[] = {"ptmxmode", "0666", "mode", "0620", NULL};
	int fd = new_filesystem("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, with_group);

	/* With a single-id map there is no group 5. */
	if (fd < 0 && p->flags & WIRE_USERNS)
		fd = new_filesystem("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, without);
	return fd;
}

/* The older cgroup hierarchies. A process may look at its own group in each, no more: programs
 * read their limits there. The host's mounts are shown, as each new one would cost a superblock;
 * those that cannot be shown are left out. */
static struct hierarchy {
	char *name; /* "memory", "cpu,cpuacct", "systemd" */
	int fd;
} hierarchies[HIERARCHIES_MAX];
static size_t n_hierarchies;

void groups_open(void)
{
	char line[4096];
	FILE *f = fopen("/proc/self/cgroup", "re");

	/* "7:cpu,cpuacct:/path"; the newer hierarchy has no names. */
	while (f && fgets(line, sizeof(line), f) && n_hierarchies < HIERARCHIES_MAX) {
		struct hierarchy *h = &hierarchies[n_hierarchies];
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

		if (!path || path == names + 1)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		names += strncmp(names + 1, "name=", 5) == 0 ? 6 : 1;
		if (!*names || strchr(names, '/') || strstr(path, ".."))
			continue;
		h->fd = clone_tree(AT_FDCWD, format("/sys/fs/cgroup/%s%s", names, path), false);
		h->name = strdup(names);
		if (h->fd < 0)
			continue;
		set_attributes(h->fd, WIRE_MOUNT_READONLY | WIRE_MOUNT_NOSUID | WIRE_MOUNT_NOEXEC,
			       true, names);
		n_hierarchies++;
	}
	if (f)
		(void)fclose(f);
}

static int mount_open(const struct plan *p, const struct mount_item *item, size_t index)
{
	/* Room for the directories of the hierarchies: a step may write there, as under runc. */
	static const char *const cgroup1_options[] = {"mode",	   "0755", "size", "64k",
						      "nr_inodes", "512",  NULL};

	switch (item->m.kind) {
	case WIRE_BIND:
		return clone_tree(AT_FDCWD, item->source, item->m.flags & WIRE_MOUNT_RECURSIVE);
	case WIRE_OVERLAY:
		return open_overlay(p, item, index);
	case WIRE_TMPFS:
		return open_tmpfs(item);
	case WIRE_FILE:
		return open_file(p, item, index);
	case WIRE_PROC:
		return new_filesystem("proc", NO_PROGRAMS, NULL);
	case WIRE_SYSFS:
		return open_sysfs();
	case WIRE_DEV:
		return open_dev();
	case WIRE_DEVPTS:
		return open_devpts(p);
	case WIRE_MQUEUE:
		return new_filesystem("mqueue", NO_PROGRAMS, NULL);
	case WIRE_CGROUP:
		return new_filesystem("cgroup2", NO_PROGRAMS, NULL);
	case WIRE_CGROUP1:
		return new_filesystem("tmpfs", NO_PROGRAMS, cgroup1_options);
	default:
		errno = EINVAL;
		return -1;
	}
}

/* Nobody may mount a /proc that shows more than the one in sight, and a container's is covered in
 * parts. So a step gets that one, with its covers: it shows the processes of the container, which
 * the step then is kept from by users.c, and settings of those, which it may not write. */
static int open_outer_proc(struct plan *p, struct mount_item *item)
{
	if (p->n_masked == 0)
		fail(0, "mount '/proc': parts of this machine's /proc are covered, so the kernel "
			"allows no new one to be mounted, and a step without protection must not "
			"get this machine's");
	p->outer_proc = true;
	item->m.flags |= WIRE_MOUNT_READONLY;
	send_message(WIRE_OUTER_PROC, 0, "", -1);
	return clone_tree(AT_FDCWD, "/proc", true);
}

void mounts_open(struct plan *p)
{
	masks_open();
	for (size_t i = 0; i < p->n_mounts; i++) {
		struct mount_item *item = &p->mounts[i];
		struct stat st;

		if (item->dest[0] != '/')
			fail(EINVAL, "mount '%s'", item->dest);
		item->fd = mount_open(p, item, i);
		if (item->fd < 0 && errno == EPERM && item->m.kind == WIRE_PROC)
			item->fd = open_outer_proc(p, item);
		if (item->fd < 0)
			fail(errno, "mount '%s'%s%s", item->dest,
			     item->m.kind == WIRE_BIND ? " from " : "",
			     item->m.kind == WIRE_BIND ? item->source : "");
		if (fstat(item->fd, &st) < 0)
			fail(errno, "look at what is mounted on '%s'", item->dest);
		item->is_dir = S_ISDIR(st.st_mode);
		/* Terminals are device nodes; all others are binds below /dev. */
		set_attributes(item->fd, item->m.flags, item->m.kind != WIRE_DEVPTS, item->dest);
	}
}

void mount_attach(int tree, int at, const char *dest)
{
	if (move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		fail(errno, "mount '%s'", dest);
}

static int make_path(int root, const char *path, struct owner_ids owner, unsigned links);

/* The text of a link in `dir`, whose own name from the root is `path`, as a path from the root.
 * NULL: it is not a link. */
static char *link_from_root(int dir, const char *name, const char *path)
{
	char *target = alloc(PATH_MAX);

	if (readlinkat(dir, name, target, PATH_MAX - 1) < 0)
		return NULL;
	if (*target == '/')
		return target;
	return format("%.*s/%s", (int)(strlen(path) - strlen(name)), path, target);
}

/* Makes one directory, or what a link that leads nowhere means, and opens it. Somebody else may be
 * faster. */
static int make_one(int root, int at, const char *name, const char *path, struct owner_ids owner,
		    unsigned links)
{
	char *target = NULL;
	bool made;
	int fd;

	masks_refuse_target(at, path);
	made = mkdirat(at, name, 0755) == 0;
	/* "..", behind a link that the kernel cannot follow, would be asked of `at` and not of the root. */
	if ((!made && errno != EEXIST) || strcmp(name, "..") == 0)
		fail(errno, "make the directory '%s'", path);
	target = made ? NULL : link_from_root(at, name, path);
	if (target && links == 0)
		fail(ELOOP, "make the directory '%s'", path);
	if (target)
		return make_path(root, target, owner, links - 1);
	fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (made && fchownat(fd, "", owner.uid, owner.gid, AT_EMPTY_PATH) < 0))
		fail(errno, "make the directory '%s'", path);
	return fd;
}

/* What follows the ".." of `rest` that leaves the directory before it; NULL: none does. */
static const char *leaves(const char *rest)
{
	size_t depth = 1, n;

	for (; *rest; rest += n) {
		rest += strspn(rest, "/");
		n = strcspn(rest, "/");
		if (n == 2 && strncmp(rest, "..", 2) == 0) {
			if (--depth == 0)
				return rest + n;
		} else if (n > 1 || (n == 1 && *rest != '.')) {
			depth++;
		}
	}
	return NULL;
}

static int make_path(int root, const char *path, struct owner_ids owner, unsigned links)
{
	char *copy = strdup(path), *save = NULL;
	int at = open_in_root(root, "", O_PATH | O_DIRECTORY);

	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		/* Re-walked from the root each time, so that ".." and links stay inside. */
		char *end = name + strlen(name);
		char *so_far = strndup(path, (size_t)(end - copy));
		int next = open_in_root(root, so_far, O_PATH | O_DIRECTORY);

		if (next < 0 && errno == ENOENT) {
			const char *after = leaves(path + (end - copy));

			/* What is only passed through is not made, and would stay in the layer. */
			if (after) {
				(void)close(at);
				return make_path(root,
						 format("%.*s%s", (int)(name - copy), path, after),
						 owner, links);
			}
			next = make_one(root, at, name, so_far, owner, links);
		}
		if (next < 0)
			fail(errno, "make the directory '%s'", so_far);
		(void)close(at);
		at = next;
	}
	return at;
}

int make_parents(int root, const char *path, uid_t uid, gid_t gid)
{
	return make_path(root, path, (struct owner_ids){uid, gid}, LINKS_MAX);
}

static int make_file(int root, const char *path, unsigned links)
{
	struct open_how how = {
		.flags = O_CREAT | O_WRONLY | O_NONBLOCK | O_CLOEXEC,
		.mode = 0644,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	char *parent = strdup(path), *name = strrchr(parent, '/');
	int dir, fd;

	*name++ = '\0';
	dir = make_parents(root, parent, 0, 0);
	masks_refuse_target(dir, path);
	/* By the whole name, as a link that leads nowhere stays in the root. */
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0) {
		int errnum = errno;
		char *target = errnum == ENOENT ? link_from_root(dir, name, path) : NULL;

		if (!target || links == 0)
			fail(errnum, "make the mount point '%s'", path);
		fd = make_file(root, target, links - 1);
	}
	(void)close(dir);
	return fd;
}

/* A mount point inside an earlier mount, a tmpfs or a cache, that does not exist there yet. */
static int make_target(int root, const struct mount_item *item)
{
	return item->is_dir ? make_parents(root, item->dest, 0, 0)
			    : make_file(root, item->dest, LINKS_MAX);
}

static void fill_dev(int dev)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
		{"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
		{"/proc/kcore", "core"},       {"pts/ptmx", "ptmx"},
	};

	for (size_t i = 0; i < sizeof(dev_nodes) / sizeof(dev_nodes[0]); i++) {
		int fd = openat(dev, dev_nodes[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

		if (fd < 0)
			fail(errno, "make /dev/%s", dev_nodes[i]);
		mount_attach(dev_fds[i], fd, dev_nodes[i]);
		(void)close(fd);
		(void)close(dev_fds[i]);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			fail(errno, "make /dev/%s", links[i][1]);
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 01777) < 0 ||
	    mkdirat(dev, "mqueue", 01777) < 0)
		fail(errno, "make the directories of /dev");
}

static void fill_cgroup1(int dir)
{
	for (size_t i = 0; i < n_hierarchies; i++) {
		const struct hierarchy *h = &hierarchies[i];
		int at;

		at = mkdirat(dir, h->name, 0755) < 0
			     ? -1
			     : openat(dir, h->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (at < 0)
			fail(errno, "make /sys/fs/cgroup/%s", h->name);
		mount_attach(h->fd, at, h->name);
		(void)close(at);
		(void)close(h->fd);
		if (!strchr(h->name, ','))
			continue;
		/* Programs know each controller by its own name. */
		for (const char *c = h->name; *c;) {
			size_t n = strcspn(c, ",");
			char one[64];

			if (snprintf(one, sizeof(one), "%.*s", (int)n, c) < (int)sizeof(one))
				(void)!symlinkat(h->name, dir, one);
			c += n + (c[n] == ',');
		}
	}
}

/* A tmpfs looks like the directory that it covers. */
static void take_mode(const struct mount_item *item, int covered)
{
	int dir = openat(item->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (dir < 0 || fstat(covered, &st) < 0 || fchmod(dir, st.st_mode & 07777) < 0)
		fail(errno, "set the mode of '%s'", item->dest);
	(void)close(dir);
}

/* What is the helper's own: it is put on directories only, and on no link of an image. */
static bool is_system(const struct mount_item *item)
{
	return item->m.kind >= WIRE_PROC && item->m.kind <= WIRE_CGROUP1;
}

bool mount_is_masked(const struct mount_item *item)
{
	return item->m.kind == WIRE_PROC || item->m.kind == WIRE_SYSFS;
}

const struct mount_item *mount_of_kind(const struct plan *p, enum wire_mount_kind kind)
{
	for (size_t i = 0; i < p->n_mounts; i++)
		if (p->mounts[i].m.kind == kind)
			return &p->mounts[i];
	return NULL;
}

/* A link, or one on the way, could lead elsewhere by the time that a program asks for the name. */
static int open_system_target(int root, const struct mount_item *item)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};
	struct stat st;
	int at = (int)syscall(SYS_openat2, root, item->dest, &how, sizeof(how));

	if (at < 0 && errno == ELOOP)
		fail(0, "mount '%s': it is a symbolic link in the image and must be a directory",
		     item->dest);
	if (at < 0 && errno == ENOENT)
		return at;
	if (at < 0 || fstat(at, &st) < 0)
		fail(errno, "find the mount point '%s'", item->dest);
	if (!S_ISDIR(st.st_mode))
		fail(0, "mount '%s': it is not a directory in the image and must be one",
		     item->dest);
	return at;
}

static int open_target(int root, struct mount_item *item)
{
	bool system = is_system(item);
	int at = system ? open_system_target(root, item) : open_in_root(root, item->dest, O_PATH);

	if (at >= 0 && !system)
		masks_refuse_target(at, item->dest);
	if (at < 0 && errno == ENOENT) {
		at = make_target(root, item);
		item->is_new = true;
	}
	if (at < 0)
		fail(errno, "find the mount point '%s'", item->dest);
	return at;
}

void mounts_attach(const struct plan *p, int root)
{
	masks_check(p);
	for (size_t i = 0; i < p->n_mounts; i++) {
		struct mount_item *item = &p->mounts[i];
		int at = open_target(root, item);

		if (item->m.flags & WIRE_MOUNT_COVERED_MODE && !item->is_new)
			take_mode(item, at);
		mount_attach(item->fd, at, item->dest);
		if (item->m.kind == WIRE_DEV)
			fill_dev(item->fd);
		else if (item->m.kind == WIRE_CGROUP1)
			fill_cgroup1(item->fd);
		if (mount_is_masked(item))
			masks_apply(p, item);
		(void)close(at);
		/* A terminal is still to come. */
		if (item->m.kind != WIRE_DEV && item->m.kind != WIRE_DEVPTS)
			(void)close(item->fd);
	}
}

void root_enter(const struct plan *p, int root)
{
	int at = open(p->scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		fail(errno, "open '%s'", p->scratch);
	mount_attach(root, at, "/");
	(void)close(at);
	/* The old root lands on top of the new one for a moment and is then dropped whole. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		fail(errno, "make the image's root the root");
}
