/* SPDX-License-Identifier: Apache-2.0 */
/* RUN, its flags, and its forms: shell, exec, heredoc. */
#include <string.h>

#include "base/suggest.h"
#include "frontend/dockerfile/df_instruction.h"
#include "frontend/dockerfile/df_mount.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_split.h"

static int parse_network(struct df_request *req, const char *value, enum df_network *ret,
			 struct error **err)
{
	if (!value || strcmp(value, "default") == 0)
		*ret = DF_NETWORK_DEFAULT;
	else if (strcmp(value, "none") == 0)
		*ret = DF_NETWORK_NONE;
	else if (strcmp(value, "host") == 0)
		*ret = DF_NETWORK_HOST;
	else
		return error_new(err, ERR_INVALID, 0, "invalid network mode %s",
				 df_quote(req->arena, value));
	return 0;
}

static int parse_security(struct df_request *req, const char *value, enum df_security *ret,
			  struct error **err)
{
	if (!value || strcmp(value, "sandbox") == 0)
		*ret = DF_SECURITY_SANDBOX;
	else if (strcmp(value, "insecure") == 0)
		*ret = DF_SECURITY_INSECURE;
	else
		return error_new(err, ERR_INVALID, 0, "security %s is not valid",
				 df_quote(req->arena, value));
	return 0;
}

/* One field of --device: a name, name=, required, required=. */
static int parse_device_field(struct arena *a, const char *field, struct df_device *d,
			      struct error **err)
{
	static const char *const keys[] = {"name", "required"};
	const char *equal = strchr(field, '='), *key, *match;

	key = df_lower(a, equal ? arena_strndup(a, field, (size_t)(equal - field)) : field);
	if (strcmp(key, "required") == 0) {
		d->required = true;
		if (equal && df_mount_parse_bool(equal + 1, &d->required) < 0)
			return error_new(err, ERR_INVALID, 0, "invalid value for %s: %s", key,
					 equal + 1);
		return 0;
	}
	if (equal && strcmp(key, "name") == 0) {
		if (d->name)
			return error_new(err, ERR_INVALID, 0, "device name already set to %s",
					 d->name);
		d->name = equal + 1;
		return 0;
	}
	if (!d->name) {
		d->name = field;
		return 0;
	}
	if (!equal)
		return error_new(err, ERR_INVALID, 0, "invalid field '%s' must be a key=value pair",
				 field);
	match = suggest(key, keys, ARRAY_SIZE(keys), true);
	return error_new(err, ERR_INVALID, 0, "unexpected key '%s' in '%s'%s%s%s", key, field,
			 match ? " (did you mean " : "", match ? match : "", match ? "?)" : "");
}

static int parse_devices(struct df_request *req, const struct df_strings *values,
			 struct df_run *run, struct error **err)
{
	struct df_strings fields;
	int r;

	run->devices = arena_alloc(req->arena, values->n * sizeof(*run->devices));
	for (size_t i = 0; i < values->n; i++) {
		r = df_split_csv(req->arena, values->v[i], &fields, err);
		if (r < 0)
			return error_wrap(err, r, "failed to parse csv devices");
		for (size_t f = 0; f < fields.n; f++) {
			r = parse_device_field(req->arena, fields.v[f], &run->devices[i], err);
			if (r < 0)
				return r;
		}
		run->n_devices++;
	}
	return 0;
}

/* What does not depend on variables is checked here, so that a file is refused as a whole. */
static int check_mounts(struct df_request *req, const struct df_run *run, struct error **err)
{
	struct df_mount mount;
	int r = 0;

	for (size_t i = 0; r == 0 && i < run->mounts.n; i++)
		r = df_mount_parse(req->arena, run->mounts.v[i], NULL, NULL, &mount, err);
	return r;
}

int df_run_parse(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	const char *network = NULL, *security = NULL;
	struct df_run *run = &ins->run;
	struct df_strings devices = {0};
	const struct df_flag_spec flags[] = {
		{"mount", DF_FLAG_STRINGS, &run->mounts},
		{"network", DF_FLAG_STRING, &network},
		{"security", DF_FLAG_STRING, &security},
		{"device", DF_FLAG_STRINGS, &devices},
	};
	int r;

	r = df_flags_parse(req, ins, flags, ARRAY_SIZE(flags), err);
	if (r < 0)
		return r;
	run->command = df_command_parse(req, ins);
	r = parse_network(req, network, &run->network, err);
	if (r < 0)
		return r;
	r = parse_security(req, security, &run->security, err);
	if (r < 0)
		return r;
	r = parse_devices(req, &devices, run, err);
	return r < 0 ? r : check_mounts(req, run, err);
}
