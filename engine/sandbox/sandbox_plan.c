/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/sandbox_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"

#define SHM_DEFAULT (64u << 20)

void sandbox_plan_init(struct sandbox_plan *p)
{
	*p = (struct sandbox_plan){
		.seccomp = BUF_INIT,
		.notify = BUF_INIT,
		.umask = 022,
		.caps = SANDBOX_CAPS_DEFAULT,
		.netns = -1,
	};
}

void sandbox_plan_release(struct sandbox_plan *p)
{
	for (size_t i = 0; i < p->mounts.n; i++) {
		struct sandbox_mount *m = &p->mounts.v[i];

		free(m->source);
		free(m->dest);
		strv_release(&m->lowers);
		/* Secrets should not linger in freed memory. */
		explicit_bzero(m->data.p, m->data.n);
		buf_release(&m->data);
	}
	vec_release(&p->mounts);
	strv_release(&p->lowers);
	strv_release(&p->masked);
	strv_release(&p->readonly);
	strv_release(&p->dirs);
	strv_release(&p->joins);
	strv_release(&p->args);
	strv_release(&p->env);
	vec_release(&p->groups);
	vec_release(&p->rlimits);
	buf_release(&p->seccomp);
	buf_release(&p->notify);
	vec_release(&p->calls);
	free(p->upper);
	free(p->scratch);
	free(p->cwd);
	free(p->hostname);
	free(p->binfmt);
	sandbox_plan_init(p);
}

struct sandbox_mount *sandbox_plan_mount(struct sandbox_plan *p, enum wire_mount_kind kind,
					 const char *source, const char *dest, unsigned flags)
{
	struct sandbox_mount m = {
		.kind = kind,
		.flags = flags,
		.mode = 0755,
		.source = xstrdup(source ? source : ""),
		.dest = path_clean(dest),
		.data = BUF_INIT,
	};

	vec_push(&p->mounts, m);
	return &vec_last(&p->mounts);
}

void sandbox_plan_file(struct sandbox_plan *p, const char *dest, const void *data, size_t n,
		       uint32_t mode, uint32_t uid, uint32_t gid, unsigned flags)
{
	struct sandbox_mount *m = sandbox_plan_mount(p, WIRE_FILE, NULL, dest, flags);

	m->mode = mode;
	m->uid = uid;
	m->gid = gid;
	buf_add(&m->data, data, n);
}

void sandbox_plan_default_mounts(struct sandbox_plan *p, uint64_t shm_size)
{
	const unsigned quiet = WIRE_MOUNT_NOSUID | WIRE_MOUNT_NOEXEC;
	struct sandbox_mount *shm;

	sandbox_plan_mount(p, WIRE_PROC, NULL, "/proc", quiet);
	sandbox_plan_mount(p, WIRE_DEV, NULL, "/dev", WIRE_MOUNT_NOSUID);
	sandbox_plan_mount(p, WIRE_DEVPTS, NULL, "/dev/pts", quiet);
	shm = sandbox_plan_mount(p, WIRE_TMPFS, NULL, "/dev/shm", quiet);
	shm->mode = 01777;
	shm->size = shm_size ? shm_size : SHM_DEFAULT;
	sandbox_plan_mount(p, WIRE_MQUEUE, NULL, "/dev/mqueue", quiet);
	sandbox_plan_mount(p, WIRE_SYSFS, NULL, "/sys", quiet | WIRE_MOUNT_READONLY);
	/* runc's rule: with the older hierarchies a tmpfs, which is the process's to write. */
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		sandbox_plan_mount(p, WIRE_CGROUP, NULL, "/sys/fs/cgroup",
				   quiet | WIRE_MOUNT_READONLY);
	else if (access("/sys/fs/cgroup", F_OK) == 0)
		sandbox_plan_mount(p, WIRE_CGROUP1, NULL, "/sys/fs/cgroup", quiet);
}

void sandbox_plan_default_masks(struct sandbox_plan *p)
{
	static const char *const masked[] = {
		"/proc/acpi",
		"/proc/asound",
		"/proc/interrupts",
		"/proc/kcore",
		"/proc/keys",
		"/proc/latency_stats",
		"/proc/sched_debug",
		"/proc/scsi",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/sys/devices/virtual/powercap",
		"/sys/firmware",
	};
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	};
	long n_cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (size_t i = 0; i < ARRAY_SIZE(masked); i++)
		strv_push(&p->masked, masked[i]);
	/* How hot each processor ran tells what others compute. */
	for (long cpu = 0; cpu < n_cpus; cpu++) {
		_cleanup_free_ char *path =
			xasprintf("/sys/devices/system/cpu/cpu%ld/thermal_throttle", cpu);

		if (access(path, F_OK) == 0)
			strv_push(&p->masked, path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(readonly); i++)
		strv_push(&p->readonly, readonly[i]);
}

/* --- the flat form --- */

static void put(struct buf *b, uint32_t tag, const void *p, size_t n)
{
	static const char zeros[8];
	struct wire_record r = {.tag = tag, .size = (uint32_t)n};

	buf_add(b, &r, sizeof(r));
	buf_add(b, p, n);
	buf_add(b, zeros, (8 - n % 8) % 8);
}

static void put_text(struct buf *b, uint32_t tag, const char *s)
{
	put(b, tag, s, strlen(s) + 1);
}

static void put_texts(struct buf *b, uint32_t tag, const struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		put_text(b, tag, s->v[i]);
}

static void put_mount(struct buf *b, const struct sandbox_mount *m)
{
	_cleanup_buf_ struct buf record = BUF_INIT;
	struct wire_mount w = {
		.kind = m->kind,
		.flags = m->flags,
		.mode = m->mode,
		.uid = m->uid,
		.gid = m->gid,
		.size = m->size,
	};

	buf_add(&record, &w, sizeof(w));
	buf_add(&record, m->source, strlen(m->source) + 1);
	buf_add(&record, m->dest, strlen(m->dest) + 1);
	put(b, WIRE_MOUNT, record.p, record.n);
	put_texts(b, WIRE_MOUNT_LOWER, &m->lowers);
	if (m->data.n > 0)
		put(b, WIRE_MOUNT_DATA, m->data.p, m->data.n);
}

static int check(const struct sandbox_plan *p, struct error **err)
{
	if (p->args.n == 0 || p->args.v[0][0] == '\0')
		return error_new(err, ERR_INVALID, 0, "no command to run");
	if (!p->upper || !p->scratch)
		return error_new(err, ERR_INTERNAL, 0, "a sandbox without a directory to write to");
	if (!p->cwd || !path_is_absolute(p->cwd))
		return error_new(err, ERR_INVALID, 0, "the working directory '%s' is not absolute",
				 p->cwd ? p->cwd : "");
	if (p->lowers.n > WIRE_LOWERS_MAX)
		return error_new(
			err, ERR_UNSUPPORTED, 0,
			"the root file system has %zu layers, and overlayfs takes at most %d",
			p->lowers.n, WIRE_LOWERS_MAX);
	for (size_t i = 0; i < p->mounts.n; i++) {
		const char *dest = p->mounts.v[i].dest;

		if (!path_is_absolute(dest) || strcmp(dest, "/") == 0)
			return error_new(err, ERR_INVALID, 0, "cannot mount on '%s'", dest);
	}
	return 0;
}

int sandbox_plan_encode(const struct sandbox_plan *p, struct buf *ret, struct error **err)
{
	struct wire_ids ids = {.uid = p->uid, .gid = p->gid, .umask = p->umask};
	struct wire_header header = {.magic = WIRE_MAGIC};
	size_t start = ret->n;
	int r = check(p, err);

	if (r < 0)
		return r;
	buf_add(ret, &header, sizeof(header));
	put(ret, WIRE_FLAGS, &p->flags, sizeof(p->flags));
	if (p->window.rows || p->window.columns)
		put(ret, WIRE_WINDOW, &p->window, sizeof(p->window));
	put_texts(ret, WIRE_LOWER, &p->lowers);
	put_text(ret, WIRE_UPPER, p->upper);
	put_text(ret, WIRE_SCRATCH, p->scratch);
	for (size_t i = 0; i < p->mounts.n; i++)
		put_mount(ret, &p->mounts.v[i]);
	put_texts(ret, WIRE_MASKED, &p->masked);
	put_texts(ret, WIRE_READONLY, &p->readonly);
	put_texts(ret, WIRE_DIR, &p->dirs);
	put_texts(ret, WIRE_JOIN, &p->joins);
	put_texts(ret, WIRE_ARG, &p->args);
	put_texts(ret, WIRE_ENV, &p->env);
	put_text(ret, WIRE_CWD, p->cwd);
	if (p->binfmt)
		put_text(ret, WIRE_BINFMT, p->binfmt);
	if (p->hostname)
		put_text(ret, WIRE_HOSTNAME, p->hostname);
	put(ret, WIRE_IDS, &ids, sizeof(ids));
	for (size_t i = 0; i < p->groups.n; i++)
		put(ret, WIRE_GROUP, &p->groups.v[i], sizeof(p->groups.v[i]));
	put(ret, WIRE_CAPS, &p->caps, sizeof(p->caps));
	if (p->seccomp.n > 0)
		put(ret, WIRE_SECCOMP, p->seccomp.p, p->seccomp.n);
	if (p->notify.n > 0)
		put(ret, WIRE_NOTIFY, p->notify.p, p->notify.n);
	for (size_t i = 0; i < p->calls.n; i++)
		put(ret, WIRE_CALL, &p->calls.v[i], sizeof(p->calls.v[i]));
	for (size_t i = 0; i < p->rlimits.n; i++)
		put(ret, WIRE_RLIMIT, &p->rlimits.v[i], sizeof(p->rlimits.v[i]));
	if (ret->n - start - sizeof(header) > WIRE_PLAN_MAX)
		return error_new(err, ERR_INVALID, 0,
				 "command, environment and files of the step take more than %u MiB",
				 WIRE_PLAN_MAX >> 20);
	header.size = (uint32_t)(ret->n - start - sizeof(header));
	memcpy(ret->p + start, &header, sizeof(header));
	return 0;
}

/* --- for people --- */

static const char *kind_name(enum wire_mount_kind kind)
{
	static const char *const names[] = {
		[WIRE_BIND] = "bind",	  [WIRE_OVERLAY] = "overlay", [WIRE_TMPFS] = "tmpfs",
		[WIRE_FILE] = "file",	  [WIRE_PROC] = "proc",	      [WIRE_SYSFS] = "sysfs",
		[WIRE_DEV] = "dev",	  [WIRE_DEVPTS] = "devpts",   [WIRE_MQUEUE] = "mqueue",
		[WIRE_CGROUP] = "cgroup", [WIRE_CGROUP1] = "cgroup1",
	};

	return (size_t)kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "?";
}

static void print_mount(const struct sandbox_mount *m, struct buf *b)
{
	buf_addf(b, "mount %s %s", kind_name(m->kind), m->dest);
	if (m->source[0])
		buf_addf(b, " from %s", m->source);
	if (m->flags & WIRE_MOUNT_READONLY)
		buf_adds(b, " ro");
	if (m->flags & WIRE_MOUNT_NOSUID)
		buf_adds(b, " nosuid");
	if (m->flags & WIRE_MOUNT_NOEXEC)
		buf_adds(b, " noexec");
	if (m->size > 0)
		buf_addf(b, " size=%" PRIu64, m->size);
	if (m->kind == WIRE_FILE)
		buf_addf(b, " %zu bytes mode=%o owner=%u:%u", m->data.n, m->mode, m->uid, m->gid);
	buf_addc(b, '\n');
	for (size_t i = 0; i < m->lowers.n; i++)
		buf_addf(b, "  lower %s\n", m->lowers.v[i]);
}

static void print_texts(const char *what, const struct strv *s, struct buf *b)
{
	for (size_t i = 0; i < s->n; i++)
		buf_addf(b, "%s %s\n", what, s->v[i]);
}

void sandbox_plan_print(const struct sandbox_plan *p, struct buf *b)
{
	buf_addf(b, "flags %" PRIx64 "\n", p->flags);
	print_texts("lower", &p->lowers, b);
	buf_addf(b, "upper %s\nscratch %s\n", p->upper ? p->upper : "-",
		 p->scratch ? p->scratch : "-");
	for (size_t i = 0; i < p->mounts.n; i++)
		print_mount(&p->mounts.v[i], b);
	print_texts("masked", &p->masked, b);
	print_texts("readonly", &p->readonly, b);
	print_texts("dir", &p->dirs, b);
	print_texts("join", &p->joins, b);
	print_texts("arg", &p->args, b);
	print_texts("env", &p->env, b);
	if (p->window.rows || p->window.columns)
		buf_addf(b, "window %d %d\n", p->window.rows, p->window.columns);
	if (p->binfmt)
		buf_addf(b, "binfmt %s\n", p->binfmt);
	buf_addf(b, "cwd %s\nhostname %s\nuser %u:%u umask %03o caps %" PRIx64 "\n",
		 p->cwd ? p->cwd : "-", p->hostname ? p->hostname : "-", p->uid, p->gid, p->umask,
		 p->caps);
	for (size_t i = 0; i < p->groups.n; i++)
		buf_addf(b, "group %u\n", p->groups.v[i]);
	for (size_t i = 0; i < p->rlimits.n; i++)
		buf_addf(b, "rlimit %u %" PRIu64 ":%" PRIu64 "\n", p->rlimits.v[i].resource,
			 p->rlimits.v[i].soft, p->rlimits.v[i].hard);
	buf_addf(b, "seccomp %zu bytes\n", p->seccomp.n);
	if (p->notify.n > 0)
		buf_addf(b, "supervised: %zu calls\n", p->calls.n);
}
