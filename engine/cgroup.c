#include "engine/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/path.h"

#define ROOT "/sys/fs/cgroup"

struct cgroup {
	struct strv dirs;  /* one a hierarchy */
	struct strv files; /* cgroup.procs of each */
	bool unified;
	const char *parent;
	char *name;
};

bool cgroup_limits_set(const struct cgroup_limits *l)
{
	return l->memory || l->memory_swap || l->cpu_shares || l->cpu_period || l->cpu_quota ||
	       l->pids || l->cpuset_cpus || l->cpuset_mems;
}

const struct strv *cgroup_files(const struct cgroup *c)
{
	return &c->files;
}

static int refused(const char *what, int errnum, struct error **err)
{
	int r = error_new(err, ERR_DENIED, errnum, "limit a step: %s", what);

	return error_hint(err, r,
			  "groups can be limited by root, or by a user below a group that was "
			  "delegated to him with its controllers: --cgroup-parent names one");
}

static int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fs_write_full(fd, text, strlen(text));
}

/* kiln's own group in the hierarchy of a controller ("" for cgroup2), from /proc/self/cgroup. */
static char *own_group(const char *controller)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 16);
	char *save = NULL;

	if (fs_read_file(AT_FDCWD, "/proc/self/cgroup", &text) < 0)
		return NULL;
	for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
		char *each = NULL;

		if (!path)
			continue;
		*path++ = '\0';
		names++;
		if (!*names && !*controller)
			return xstrdup(path);
		for (char *n = strtok_r(names, ",", &each); n; n = strtok_r(NULL, ",", &each))
			if (strcmp(n, controller) == 0)
				return xstrdup(path);
	}
	return NULL;
}

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

/* The group's directory in a hierarchy; made at first use. */
static int get_dir(struct cgroup *c, const char *controller, const char **ret, struct error **err)
{
	_cleanup_free_ char *mount = c->unified ? xstrdup(ROOT) : xasprintf(ROOT "/%s", controller);
	_cleanup_free_ char *own = NULL, *parent = NULL, *dir = NULL, *clean = NULL;
	int r;

	for (size_t i = 0; i < c->dirs.n; i++) {
		if (!c->unified && strncmp(c->dirs.v[i], mount, strlen(mount)) != 0)
			continue;
		*ret = c->dirs.v[i];
		return 0;
	}
	if (c->parent && *c->parent) {
		clean = path_rooted(c->parent);
		own = xasprintf("/%s", clean);
	} else {
		own = own_group(c->unified ? "" : controller);
	}
	if (!own || access(mount, F_OK) < 0)
		return refused(controller, ENOTSUP, err);
	parent = xasprintf("%s%s", mount, strcmp(own, "/") == 0 ? "" : own);
	r = fs_mkdir_p(AT_FDCWD, parent, 0755);
	if (r < 0)
		return refused(parent, -r, err);
	dir = xasprintf("%s/%s", parent, c->name);
	if (mkdir(dir, 0755) < 0)
		return refused(dir, errno, err);
	if (c->unified) {
		_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", parent);

		/* One by one; what was not enabled is missed when its limit is set. */
		(void)write_file(control, "+memory");
		(void)write_file(control, "+cpu");
		(void)write_file(control, "+cpuset");
		(void)write_file(control, "+pids");
	} else if (strcmp(controller, "cpuset") == 0) {
		inherit_cpuset(parent, dir);
	}
	strv_pushf(&c->files, "%s/cgroup.procs", dir);
	strv_push_take(&c->dirs, TAKE_PTR(dir));
	*ret = c->dirs.v[c->dirs.n - 1];
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
	if (r < 0) {
		_cleanup_free_ char *what = xasprintf("write '%s' to '%s'", value, path);

		return refused(what, -r, err);
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

int cgroup_make(const struct cgroup_limits *l, const char *parent, struct cgroup **ret,
		struct error **err)
{
	static atomic_uint count;
	struct cgroup *c = NEW(struct cgroup);
	const char *dir;
	int r;

	c->unified = access(ROOT "/cgroup.controllers", F_OK) == 0;
	c->parent = parent;
	c->name = xasprintf("kiln-%d-%u", getpid(), atomic_fetch_add(&count, 1));
	r = c->unified ? set_unified(c, l, err) : set_old(c, l, err);
	if (r == 0)
		r = set_number(c, "pids.max", l->pids, err);
	if (r == 0 && l->cpuset_cpus)
		r = set(c, "cpuset.cpus", l->cpuset_cpus, err);
	if (r == 0 && l->cpuset_mems)
		r = set(c, "cpuset.mems", l->cpuset_mems, err);
	/* A parent alone counts for what the group takes. */
	if (r == 0 && parent && *parent)
		r = get_dir(c, "memory", &dir, err);
	if (r == 0 && parent && *parent)
		r = get_dir(c, "cpu", &dir, err);
	if (r == 0 && parent && *parent)
		r = get_dir(c, "pids", &dir, err);
	c->parent = NULL;
	if (r < 0) {
		cgroup_remove(c);
		return r;
	}
	*ret = c;
	return 0;
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
	}
	strv_release(&c->dirs);
	strv_release(&c->files);
	free(c->name);
	free(c);
}
