/* Limits on what a step takes: a control group for it, in the older hierarchies or in cgroup2.
 *
 * The group is made below kiln's own, or below a given parent, and removed when the step has ended.
 * A limit that cannot be set is an error, never ignored: without root, groups can only be made
 * where they were delegated to the user.
 */
#ifndef KILN_ENGINE_CGROUP_H
#define KILN_ENGINE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strv.h"

struct cgroup_limits {
	int64_t memory, memory_swap; /* bytes; swap: of both together, -1: no limit; 0: unset */
	int64_t cpu_shares, cpu_period, cpu_quota, pids; /* 0: unset */
	const char *cpuset_cpus, *cpuset_mems;		 /* "0-2,4"; NULL: unset; borrowed */
};

struct cgroup;

bool cgroup_limits_set(const struct cgroup_limits *l);
/* `parent` is a path from the root of the hierarchy; NULL or "": kiln's own group. */
int cgroup_make(const struct cgroup_limits *l, const char *parent, struct cgroup **ret,
		struct error **err);
/* Files to which a process writes itself to be in the group. Borrowed. */
const struct strv *cgroup_files(const struct cgroup *c);
void cgroup_remove(struct cgroup *c); /* nothing may be running in it */

#endif
