/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fields.h"
#include "base/fs.h"
#include "base/number.h"
#include "base/path.h"
#include "base/vec.h"

/* Where kilns cannot see each other's processes their names may meet, or a group be swept as it is
 * made. Both are rare, and twice in a row rarer still. */
enum { MAKE_TRIES = 100 };

/* One group in every hierarchy that a limit needed. */
struct cgroup {
	const struct cgroup_site *site;
	struct strv dirs;  /* one a hierarchy */
	struct strv files; /* cgroup.procs of each */
	VEC(int) locks;	   /* descriptors of them: while they are held nobody sweeps the groups */
	bool unified;
	const char *parent; /* from the root of the hierarchy; while it is made; NULL: kiln's own */
	char *name;
};

static int make_dir(const char *path)
{
	return mkdir(path, 0755) < 0 ? -errno : 0;
}

const struct cgroup_site cgroup_machine = {"/sys/fs/cgroup", "/proc/self/cgroup", make_dir};

const struct strv *cgroup_files(const struct cgroup *c)
{
	return &c->files;
}

static int refused(const struct cgroup *c, const char *what, int errnum, struct error **err)
{
	int r = error_new(err, ERR_DENIED, errnum, "limit a step: %s", what);

	return error_hint(
		err, r, "%s",
		c->unified ? "root can limit steps, and a user who runs kiln in a group of "
			     "its own: systemd-run --scope -p Delegate=yes kiln ... "
			     "(with --user without root)"
			   : "groups can be limited by root, or by a user below a group that "
			     "was delegated to him: --cgroup-parent names one");
}

static int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fs_write_full(fd, text, strlen(text));
}

/* --- kiln's own group --- */

/* The leaf into which kiln moves itself. */
static char *leaf_name(void)
{
	return xasprintf("kiln-self-%d", getpid());
}

static void strip_leaf(char *path)
{
	_cleanup_free_ char *leaf = leaf_name();
	char *slash = strrchr(path, '/');

	if (slash && strcmp(slash + 1, leaf) == 0)
		*slash = '\0';
}

/* In the hierarchy of a controller ("" for cgroup2). */
static char *own_group(const struct cgroup *c, const char *controller)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 16);
	char *save = NULL;

	if (fs_read_file(AT_FDCWD, c->site->own, &text) < 0)
		return NULL;
	for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
		char *each = NULL;

		if (!path)
			continue;
		*path++ = '\0';
		names++;
		strip_leaf(path);
		if (!*names && !*controller)
			return xstrdup(path);
		for (char *n = strtok_r(names, ",", &each); n; n = strtok_r(NULL, ",", &each))
			if (strcmp(n, controller) == 0)
				return xstrdup(path);
	}
	return NULL;
}

/* Is this process kiln, or one that kiln started, or gone? */
static bool is_ours(long pid)
{
	for (int depth = 0; depth < 8; depth++) {
		_cleanup_free_ char *path = xasprintf("/proc/%ld/stat", pid);
		_cleanup_buf_ struct buf text = BUF_INIT_MAX(4096);
		char *name_end, *fields[3];
		uint64_t parent;

		if (pid == getpid() || fs_read_file(AT_FDCWD, path, &text) < 0)
			return true;
		name_end = strrchr(text.p, ')');
		/* ") STATE PARENT" */
		if (!name_end || fields_split(name_end, fields, 3) < 3 ||
		    number_parse(fields[2], 10, INT_MAX, &parent) < 0 || parent <= 1)
			return false;
		pid = (long)parent;
	}
	return false;
}

/* Moves a process into a group, which a kiln that sees no such process may have swept meanwhile. */
static int move_process(const struct cgroup *c, const char *dir, const char *pid)
{
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", dir);
	int r = write_file(procs, pid);

	if (r == -ENOENT && c->site->make_dir(dir) == 0)
		r = write_file(procs, pid);
	return r;
}

/* Moves kiln and what it has started out of the group, if nobody else is in it. */
static int step_aside(const struct cgroup *c, const char *group)
{
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", group), *leaf = leaf_name();
	_cleanup_free_ char *dir = xasprintf("%s/%s", group, leaf);
	_cleanup_buf_ struct buf list = BUF_INIT_MAX(1 << 16);
	_cleanup_strv_ struct strv pids = {0};
	char *save = NULL;
	uint64_t pid;
	int r = fs_read_file(AT_FDCWD, procs, &list);

	if (r < 0)
		return r;
	for (char *p = strtok_r(list.p, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
		strv_push(&pids, p);
	for (size_t i = 0; i < pids.n; i++)
		if (number_parse(pids.v[i], 10, INT_MAX, &pid) < 0 || !is_ours((long)pid))
			return -EBUSY;
	r = c->site->make_dir(dir);
	if (r < 0 && r != -EEXIST)
		return r;
	for (size_t i = 0; i < pids.n; i++) {
		r = move_process(c, dir, pids.v[i]);
		if (r < 0 && r != -ESRCH)
			return r;
	}
	return 0;
}

/* --- the group --- */

/* An older cpuset is empty until it is told what it has, and takes no process before. */
static void inherit_cpuset(const char *parent, const char *dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *from = xasprintf("%s/%s", parent, files[i]);
		_cleanup_free_ char *to = xasprintf("%s/%s", dir, files[i]);
		_cleanup_buf_ struct buf value = BUF_INIT_MAX(4096);

		if (fs_read_file(AT_FDCWD, from, &value) == 0)
			(void)write_file(to, value.p);
	}
}

/* Lets the groups below `parent` use a controller of cgroup2; all groups above have to, too. Where
 * it is enabled already we need not be allowed to, and what is not is missed when a limit is set.
 */
static void enable(const struct cgroup *c, const char *parent, const char *controller)
{
	_cleanup_free_ char *what = xasprintf("+%s", controller);
	size_t n = strlen(c->site->root);

	for (;;) {
		_cleanup_free_ char *group = xstrndup(parent, n);
		_cleanup_free_ char *file = xasprintf("%s/cgroup.subtree_control", group);

		if (write_file(file, what) == -EBUSY && step_aside(c, group) == 0)
			(void)write_file(file, what);
		if (!parent[n])
			return;
		n += 1 + strcspn(parent + n + 1, "/");
	}
}

/* Where the group is, or is to be, in the hierarchy that is mounted on `mount`. */
static char *find_parent(const struct cgroup *c, const char *mount, const char *controller)
{
	_cleanup_free_ char *own = NULL;

	if (c->parent && *c->parent) {
		_cleanup_free_ char *clean = path_rooted(c->parent);

		own = xasprintf("/%s", clean);
	} else {
		own = own_group(c, c->unified ? "" : controller);
	}
	if (!own || access(mount, F_OK) < 0)
		return NULL;
	return xasprintf("%s%s", mount, strcmp(own, "/") == 0 ? "" : own);
}

/* Is it the group of a kiln that has ended? "kiln-PID-N", or "kiln-self-PID". */
static bool is_orphan(const char *name)
{
	const bool self = strncmp(name, "kiln-self-", strlen("kiln-self-")) == 0;
	const char *at = name + strlen(self ? "kiln-self-" : "kiln-");
	uint64_t pid, n;

	if (strncmp(name, "kiln-", strlen("kiln-")) != 0 || number_take(&at, 10, INT_MAX, &pid) < 0)
		return false;
	if (!self && (*at++ != '-' || number_take(&at, 10, UINT32_MAX, &n) < 0))
		return false;
	return !*at && pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* What is locked has a kiln that lives, if in another pid namespace; see make_locked. */
static void remove_orphan(int parent, const char *name)
{
	_cleanup_close_ int fd =
		openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* A kiln that was killed could not remove its groups. One in which something runs stays: the kernel
 * sees to that. */
static void remove_orphans(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *e;

	while (dir && fs_next_entry(dir, &e) > 0)
		if (is_orphan(e->d_name))
			remove_orphan(dirfd(dir), e->d_name);
	if (dir)
		(void)closedir(dir);
}

static bool is_at(const char *path, int fd)
{
	struct stat a, b;

	return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Makes a group, and locks it for as long as the descriptor is open: a process id does not tell
 * other kilns whether it is in use, for containers that share the hierarchies have ids of their
 * own. Swept before it was locked, it is made again. -EEXIST: another kiln has it. */
static int make_locked(const struct cgroup_site *site, const char *dir)
{
	for (int tries = 0; tries < MAKE_TRIES; tries++) {
		_cleanup_close_ int fd = -1;
		int r = site->make_dir(dir);

		if (r < 0)
			return r;
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			return -errno;
		if (fd >= 0 && flock(fd, LOCK_SH) == 0 && is_at(dir, fd))
			return TAKE_FD(fd);
	}
	return -EBUSY;
}

static char *new_name(void)
{
	static atomic_uint count;

	return xasprintf("kiln-%d-%u", getpid(), atomic_fetch_add(&count, 1));
}

/* Below `parent`; under another name where this one is taken. */
static int make_group(struct cgroup *c, const char *parent, struct error **err)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", parent, c->name);
	int fd = make_locked(c->site, dir);

	for (int tries = 0; fd == -EEXIST && tries < MAKE_TRIES; tries++) {
		free(c->name);
		c->name = new_name();
		free(dir);
		dir = xasprintf("%s/%s", parent, c->name);
		fd = make_locked(c->site, dir);
	}
	if (fd < 0)
		return refused(c, dir, -fd, err);
	vec_push(&c->locks, fd);
	strv_pushf(&c->files, "%s/cgroup.procs", dir);
	strv_push_take(&c->dirs, TAKE_PTR(dir));
	return 0;
}

/* The group's directory in a hierarchy; made at first use. */
static int get_dir(struct cgroup *c, const char *controller, const char **ret, struct error **err)
{
	const char *root = c->site->root;
	_cleanup_free_ char *mount =
		c->unified ? xstrdup(root) : xasprintf("%s/%s", root, controller);
	_cleanup_free_ char *parent = NULL;
	size_t have = 0;
	int r;

	while (have < c->dirs.n && strncmp(c->dirs.v[have], mount, strlen(mount)) != 0)
		have++;
	parent = find_parent(c, mount, controller);
	if (!parent)
		return refused(c, controller, ENOTSUP, err);
	r = have < c->dirs.n ? 0 : fs_mkdir_p(AT_FDCWD, parent, 0755);
	if (r < 0)
		return refused(c, parent, -r, err);
	if (c->unified)
		enable(c, parent, controller);
	if (have < c->dirs.n) {
		*ret = c->dirs.v[have];
		return 0;
	}
	remove_orphans(parent);
	r = make_group(c, parent, err);
	if (r < 0)
		return r;
	*ret = c->dirs.v[c->dirs.n - 1];
	if (!c->unified && strcmp(controller, "cpuset") == 0)
		inherit_cpuset(parent, *ret);
	return 0;
}

static int set(struct cgroup *c, const char *file, const char *value, struct error **err)
{
	_cleanup_free_ char *controller = xstrndup(file, strcspn(file, ".")), *path = NULL;
	const char *dir;
	int r = get_dir(c, controller, &dir, err);

	if (r < 0)
		return r;
	path = xasprintf("%s/%s", dir, file);
	r = write_file(path, value);
	if (r == -ENOENT) {
		_cleanup_free_ char *what = xasprintf("the group '%s' has no limit %s", dir, file);

		return refused(c, what, 0, err);
	}
	if (r < 0) {
		_cleanup_free_ char *what = xasprintf("write '%s' to '%s'", value, path);

		return refused(c, what, -r, err);
	}
	return 0;
}

static int set_number(struct cgroup *c, const char *file, int64_t value, struct error **err)
{
	_cleanup_free_ char *text =
		value < 0 && c->unified ? xstrdup("max") : xasprintf("%" PRId64, value);

	return value == 0 ? 0 : set(c, file, text, err);
}

static int set_old(struct cgroup *c, const struct cgroup_limits *l, struct error **err)
{
	int r = set_number(c, "memory.limit_in_bytes", l->memory, err);

	if (r == 0)
		r = set_number(c, "memory.memsw.limit_in_bytes", l->memory_swap, err);
	if (r == 0)
		r = set_number(c, "cpu.shares", l->cpu_shares, err);
	if (r == 0)
		r = set_number(c, "cpu.cfs_period_us", l->cpu_period, err);
	if (r == 0)
		r = set_number(c, "cpu.cfs_quota_us", l->cpu_quota, err);
	return r;
}

/* cgroup2 counts swap by itself, and weighs from 1 to 10000 what was shared from 2 to 262144. */
static int set_unified(struct cgroup *c, const struct cgroup_limits *l, struct error **err)
{
	int64_t swap = l->memory_swap > 0 ? l->memory_swap - l->memory : l->memory_swap;
	int64_t weight = l->cpu_shares > 0 ? 1 + (l->cpu_shares - 2) * 9999 / 262142 : 0;
	int r = set_number(c, "memory.max", l->memory, err);

	if (r == 0 && l->memory_swap != 0)
		r = swap == 0 ? set(c, "memory.swap.max", "0", err)
			      : set_number(c, "memory.swap.max", swap, err);
	if (r == 0)
		r = set_number(c, "cpu.weight", weight, err);
	if (r == 0 && (l->cpu_period || l->cpu_quota)) {
		_cleanup_free_ char *quota =
			l->cpu_quota > 0 ? xasprintf("%" PRId64, l->cpu_quota) : xstrdup("max");
		_cleanup_free_ char *text =
			xasprintf("%s %" PRId64, quota, l->cpu_period ? l->cpu_period : 100000);

		r = set(c, "cpu.max", text, err);
	}
	return r;
}

static int set_pids(struct cgroup *c, const struct cgroup_limits *l, struct error **err)
{
	/* Where no group can be made nothing is limited either. */
	if (l->pids < 0) {
		(void)set(c, "pids.max", "max", NULL);
		return 0;
	}
	return set_number(c, "pids.max", l->pids, err);
}

/* A parent counts for what its groups take, limited or not. */
static int join_parent(struct cgroup *c, struct error **err)
{
	static const char *const controllers[] = {"memory", "cpu", "pids"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(controllers) && r == 0; i++) {
		const char *dir;

		r = get_dir(c, controllers[i], &dir, err);
	}
	return r;
}

int cgroup_make(const struct cgroup_site *site, const struct cgroup_limits *l, const char *parent,
		struct cgroup **ret, struct error **err)
{
	_cleanup_free_ char *controllers = xasprintf("%s/cgroup.controllers", site->root);
	struct cgroup *c = NEW(struct cgroup);
	bool asked, limited;
	int r;

	c->site = site;
	c->unified = access(controllers, F_OK) == 0;
	c->parent = parent;
	c->name = new_name();
	r = c->unified ? set_unified(c, l, err) : set_old(c, l, err);
	if (r == 0)
		r = set_pids(c, l, err);
	if (r == 0 && l->cpuset_cpus)
		r = set(c, "cpuset.cpus", l->cpuset_cpus, err);
	if (r == 0 && l->cpuset_mems)
		r = set(c, "cpuset.mems", l->cpuset_mems, err);
	if (r == 0 && parent && *parent)
		r = join_parent(c, err);
	asked = c->dirs.n > 0;
	limited =
		r == 0 && l->pids == 0 && set_number(c, "pids.max", CGROUP_PIDS_DEFAULT, NULL) == 0;
	c->parent = NULL;
	*ret = c;
	if (r == 0 && (asked || limited))
		return 0;
	/* A group that nobody asked for and that limits nothing does not count. */
	cgroup_remove(c);
	*ret = NULL;
	return r;
}

/* Has the line `name N` of one of the group's files an N that is not 0? */
static bool has_counted(const struct cgroup *c, const char *file, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; c && i < c->dirs.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", c->dirs.v[i], file);
		_cleanup_buf_ struct buf text = BUF_INIT;

		if (fs_read_file(AT_FDCWD, path, &text) < 0)
			continue;
		for (const char *line = text.p; *line;
		     line += strcspn(line, "\n"), line += *line == '\n')
			if (strncmp(line, name, n) == 0 && line[n] == ' ' && line[n + 1] != '0')
				return true;
	}
	return false;
}

bool cgroup_out_of_memory(const struct cgroup *c)
{
	return has_counted(c, c && c->unified ? "memory.events" : "memory.oom_control", "oom_kill");
}

bool cgroup_out_of_processes(const struct cgroup *c)
{
	return has_counted(c, "pids.events", "max");
}

void cgroup_remove(struct cgroup *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->dirs.n; i++) {
		/* The kernel may still be taking leave of the last process. */
		for (int tries = 0; tries < 100 && rmdir(c->dirs.v[i]) < 0 && errno == EBUSY;
		     tries++)
			(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		(void)close(c->locks.v[i]);
	}
	vec_release(&c->locks);
	strv_release(&c->dirs);
	strv_release(&c->files);
	free(c->name);
	free(c);
}
