/* SPDX-License-Identifier: Apache-2.0 */
/* --resource and docker's single options for the same: limits of steps. */
#ifndef KILN_CMD_BUILD_BUILD_LIMITS_H
#define KILN_CMD_BUILD_BUILD_LIMITS_H

#include "base/strv.h"
#include "engine/sandbox/cgroup.h"

/* As they were given; NULL: not. */
struct build_limits {
	struct strv resources; /* "memory=512m,cpu-quota=50000", split at commas */
	const char *memory, *memory_swap, *cpu_shares, *cpu_period, *cpu_quota;
	const char *cpuset_cpus, *cpuset_mems;
};

/* *ret borrows from `l`. */
int build_limits_parse(struct build_limits *l, struct cgroup_limits *ret,
		       struct error **err) _must_check_;

#endif
