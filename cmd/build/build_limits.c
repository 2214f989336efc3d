/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_limits.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

/* "512m" in bytes; -1 means no limit. */
static int parse_number(const char *text, bool is_size, int64_t *ret)
{
	static const char units[] = "bkmgt";
	const char *unit, *end = text;

	if (number_take_signed(&end, -1, INT64_MAX, ret) < 0)
		return -EINVAL;
	if (!*end)
		return 0;
	unit = is_size && *ret >= 0 ? strchr(units, *end | 0x20) : NULL;
	if (!unit || (end[1] && strcasecmp(end + 1, "b") != 0 && strcasecmp(end + 1, "ib") != 0) ||
	    *ret > INT64_MAX >> (10 * (unit - units)))
		return -EINVAL;
	*ret <<= 10 * (unit - units);
	return 0;
}

static int set(struct cgroup_limits *l, const char *key, const char *value, struct error **err)
{
	const struct {
		const char *key;
		int64_t *number;
		const char **text;
		bool is_size;
	} fields[] = {
		{"memory", &l->memory, NULL, true},
		{"memory-swap", &l->memory_swap, NULL, true},
		{"cpu-shares", &l->cpu_shares, NULL, false},
		{"cpu-period", &l->cpu_period, NULL, false},
		{"cpu-quota", &l->cpu_quota, NULL, false},
		{"pids", &l->pids, NULL, false},
		{"cpuset-cpus", NULL, &l->cpuset_cpus, false},
		{"cpuset-mems", NULL, &l->cpuset_mems, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(fields[i].key, key) != 0)
			continue;
		if (fields[i].text)
			*fields[i].text = value;
		else if (parse_number(value, fields[i].is_size, fields[i].number) < 0)
			return error_new(err, ERR_INVALID, 0, "%s: \"%s\" is not a %s", key, value,
					 fields[i].is_size ? "size" : "number");
		return 0;
	}
	return error_new(err, ERR_INVALID, 0,
			 "--resource: unknown key \"%s\": use memory, memory-swap, cpu-shares, "
			 "cpu-period, cpu-quota, cpuset-cpus, cpuset-mems or pids",
			 key);
}

int build_limits_parse(struct build_limits *l, struct cgroup_limits *ret, struct error **err)
{
	const struct {
		const char *key, *value;
	} single[] = {
		{"memory", l->memory},		 {"memory-swap", l->memory_swap},
		{"cpu-shares", l->cpu_shares},	 {"cpu-period", l->cpu_period},
		{"cpu-quota", l->cpu_quota},	 {"cpuset-cpus", l->cpuset_cpus},
		{"cpuset-mems", l->cpuset_mems},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(single) && r == 0; i++)
		if (single[i].value)
			r = set(ret, single[i].key, single[i].value, err);
	for (size_t i = 0; i < l->resources.n && r == 0; i++) {
		char *text = l->resources.v[i], *equals = strchr(text, '=');

		if (!equals)
			return error_new(err, ERR_INVALID, 0, "--resource: \"%s\" is not KEY=VALUE",
					 text);
		*equals = '\0';
		r = set(ret, text, equals + 1, err);
	}
	return r;
}
