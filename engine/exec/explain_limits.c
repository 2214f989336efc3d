/* SPDX-License-Identifier: Apache-2.0 */
/* What a failed step ran out of. */
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/exec/explain_step.h"

#define NEARLY_FULL (1 << 20) /* bytes: what is written in one piece did not fit */

/* As people write limits: 64MiB is --memory 64m. Heap. */
static char *binary_size(uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
	size_t unit = 0;

	for (; bytes % 1024 == 0 && unit + 1 < ARRAY_SIZE(units); unit++)
		bytes /= 1024;
	return xasprintf("%llu%s", (unsigned long long)bytes, units[unit]);
}

static int explain_memory(const struct cgroup_limits *limits, int r, struct error **err)
{
	_cleanup_free_ char *limit = binary_size((uint64_t)limits->memory);

	if (limits->memory <= 0)
		return error_hint(err, r, "the memory of its control group is used up");
	return error_hint(err, r, "the step needs more memory than the %s that --memory gives it",
			  limit);
}

static int explain_processes(const struct cgroup_limits *limits, int r, struct error **err)
{
	return error_hint(err, r,
			  "the step had %lld processes and threads, and was allowed no more: "
			  "--resource pids=N sets another limit",
			  (long long)(limits->pids > 0 ? limits->pids : CGROUP_PIDS_DEFAULT));
}

/* Is the disk of the directory full? What of it is kept for root is there for root. */
static const char *lacking(const char *dir)
{
	struct statvfs v;

	if (statvfs(dir, &v) < 0 || v.f_blocks == 0)
		return NULL;
	if ((geteuid() == 0 ? v.f_bfree : v.f_bavail) * v.f_frsize < NEARLY_FULL)
		return "space";
	return v.f_files > 0 && v.f_ffree == 0 ? "inodes" : NULL;
}

static int explain_signal(int status, int r, struct error **err)
{
	int sig = status - 128;
	const char *name = sig > 0 ? sigabbrev_np(sig) : NULL;
	const char *more = "";

	if (!name)
		return r;
	if (sig == SIGKILL)
		more = ", which the kernel sends when this machine or its container runs out of "
		       "memory (dmesg tells)";
	else if (sig == SIGILL)
		more = ": the program may need a newer processor";
	else if (sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS || sig == SIGFPE)
		more = ": it crashed";
	return error_hint(err, r, "exit code %d stands for a process that was ended by SIG%s%s",
			  status, name, more);
}

static int explain(const struct cgroup *group, const struct cgroup_limits *limits,
		   struct store *store, const char *dir, int status, int r, struct error **err)
{
	const char *lack = lacking(dir);

	if (cgroup_out_of_memory(group))
		return explain_memory(limits, r, err);
	if (cgroup_out_of_processes(group))
		return explain_processes(limits, r, err);
	if (!lack)
		return explain_signal(status, r, err);
	return error_hint(err, r,
			  "the disk of the store, %s, has no %s left: kiln prune frees it, and "
			  "KILN_ROOT names a store elsewhere",
			  store_root(store), lack);
}

void explain_limits(const struct exec_options *o, const struct cgroup *group, const char *dir,
		    int status, struct error **err)
{
	static const struct cgroup_limits none;

	(void)explain(group, o->session ? &o->session->limits : &none, o->store, dir, status,
		      -ERR_PROCESS, err);
}
