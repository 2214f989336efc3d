/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on what a step takes: a control group for it, in the older hierarchies or in cgroup2.
 *
 * The group is made below kiln's own, or below a given parent, and removed when the step has ended.
 * A limit that was asked for and cannot be set is an error, never ignored: without root, groups can
 * only be made where they were delegated to the user. One limit comes unasked, where it can be set:
 * CGROUP_PIDS_DEFAULT, against steps that fork without end.
 *
 * In cgroup2 a group with processes has no limited groups below it, so kiln moves itself, if it is
 * alone in its group, into a leaf beside the steps' groups.
 */
#ifndef KILN_ENGINE_SANDBOX_CGROUP_H
#define KILN_ENGINE_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strv.h"

#define CGROUP_PIDS_DEFAULT 8192

struct cgroup_limits {
	int64_t memory, memory_swap; /* bytes; swap: of both together, -1: no limit; 0: unset */
	int64_t cpu_shares, cpu_period, cpu_quota; /* 0: unset */
	int64_t pids;				   /* -1: no limit; 0: unset */
	const char *cpuset_cpus, *cpuset_mems;	   /* "0-2,4"; NULL: unset; borrowed */
};

/* Where control groups are; tests have their own. */
struct cgroup_site {
	const char *root;		   /* "/sys/fs/cgroup" */
	const char *own;		   /* "/proc/self/cgroup" */
	int (*make_dir)(const char *path); /* 0 or -errno */
};
extern const struct cgroup_site cgroup_machine;

struct cgroup;

/* `parent` is a path from the root of the hierarchy; NULL or "": kiln's own group. *ret is NULL
 * where nothing was asked for and no group can be made. */
int cgroup_make(const struct cgroup_site *site, const struct cgroup_limits *l, const char *parent,
		struct cgroup **ret, struct error **err) _must_check_;
/* Files to which a process writes itself to be in the group. Borrowed. */
const struct strv *cgroup_files(const struct cgroup *c);
/* Has the kernel killed a process in it for a limit of memory? Not known of a group without one,
 * which is then not said to. NULL allowed. */
bool cgroup_out_of_memory(const struct cgroup *c);
/* Was a process refused for its limit of processes? NULL allowed. */
bool cgroup_out_of_processes(const struct cgroup *c);
void cgroup_remove(struct cgroup *c); /* nothing may be running in it; NULL allowed */

#endif
