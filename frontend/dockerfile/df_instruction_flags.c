/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of instructions (--name=value) by a table for each instruction. */
#include <string.h>

#include "base/suggest.h"
#include "frontend/dockerfile/df_instruction.h"

static int unknown_flag(struct arena *a, const char *flag, const char *name,
			const struct df_flag_spec *specs, size_t n, struct error **err)
{
	const char **names = arena_alloc(a, n * sizeof(*names)), *match;

	for (size_t i = 0; i < n; i++)
		names[i] = specs[i].name;
	match = suggest(name, names, n, true);
	if (!match)
		return error_new(err, ERR_INVALID, 0, "unknown flag: %s", flag);
	return error_new(err, ERR_INVALID, 0, "unknown flag: %s (did you mean %s?)", flag, match);
}

static int missing_value(const char *flag, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, "missing a value on flag: %s", flag);
}

static int set_bool(const char *flag, const char *value, enum df_tristate *ret, struct error **err)
{
	if (value && !*value)
		return missing_value(flag, err);
	if (!value || df_equal_fold(value, "true"))
		*ret = DF_TRUE;
	else if (df_equal_fold(value, "false"))
		*ret = DF_FALSE;
	else
		return error_new(err, ERR_INVALID, 0,
				 "expecting boolean value for flag %s, not: %s", flag, value);
	return 0;
}

static int set_flag(struct arena *a, const struct df_flag_spec *spec, const char *flag,
		    const char *value, bool seen, struct error **err)
{
	const char **text = spec->ret;

	if (seen && spec->type != DF_FLAG_STRINGS)
		return error_new(err, ERR_INVALID, 0, "duplicate flag specified: %s", flag);
	if (spec->type == DF_FLAG_BOOL)
		return set_bool(flag, value, spec->ret, err);
	if (!value)
		return missing_value(flag, err);
	if (spec->type == DF_FLAG_STRINGS)
		df_strings_push(a, spec->ret, value);
	else
		*text = value;
	return 0;
}

int df_flags_parse(struct df_request *req, const struct df_instruction *ins,
		   const struct df_flag_spec *specs, size_t n, struct error **err)
{
	const char *flag, *equal, *value;
	uint32_t seen = 0;
	size_t at;
	int r;

	for (size_t i = 0; i < ins->flags.n; i++) {
		flag = ins->flags.v[i];
		equal = strchr(flag, '=');
		value = equal ? equal + 1 : NULL;
		if (equal)
			flag = arena_strndup(req->arena, flag, (size_t)(equal - flag));
		for (at = 0; at < n; at++)
			if (strcmp(specs[at].name, flag + 2) == 0)
				break;
		if (at == n)
			return unknown_flag(req->arena, flag, flag + 2, specs, n, err);
		r = set_flag(req->arena, &specs[at], flag, value, seen & 1u << at, err);
		if (r < 0)
			return r;
		seen |= 1u << at;
	}
	return 0;
}
