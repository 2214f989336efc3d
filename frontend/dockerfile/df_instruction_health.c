/* SPDX-License-Identifier: Apache-2.0 */
/* HEALTHCHECK and its intervals. */
#include <limits.h>
#include <string.h>

#include "base/number.h"
#include "base/times.h"
#include "frontend/dockerfile/df_instruction.h"

/* NULL and "" leave *ret at 0, which means the default. */
static int parse_interval(struct df_request *req, const char *name, const char *value, int64_t *ret,
			  struct error **err)
{
	if (!value || !*value)
		return 0;
	if (times_parse_duration(value, ret) < 0)
		return error_new(err, ERR_INVALID, 0, "time: invalid duration %s",
				 df_quote(req->arena, value));
	if (*ret != 0 && *ret < 1000 * 1000)
		return error_new(err, ERR_INVALID, 0, "Interval \"%s\" cannot be less than 1ms",
				 name);
	return 0;
}

static int parse_retries(struct df_request *req, const char *value, int *ret, struct error **err)
{
	int64_t n;

	if (!value || !*value)
		return 0;
	if (number_parse_signed(value, INT_MIN, INT_MAX, &n) < 0)
		return error_new(err, ERR_INVALID, 0, "invalid value for --retries: %s",
				 df_quote(req->arena, value));
	if (n < 0)
		return error_new(err, ERR_INVALID, 0, "--retries cannot be negative (%d)", (int)n);
	*ret = (int)n;
	return 0;
}

static int parse_command(struct df_request *req, struct df_instruction *ins, const char *type,
			 struct error **err)
{
	if (strcmp(type, "CMD") != 0)
		return error_new(err, ERR_INVALID, 0, "Unknown type %s in HEALTHCHECK (try CMD)",
				 df_quote(req->arena, type));
	if (req->args.n < 2)
		return error_new(err, ERR_INVALID, 0, "Missing command after HEALTHCHECK CMD");
	ins->healthcheck.command = (struct df_command){.args = {req->args.v + 1, req->args.n - 1},
						       .shell_form = !ins->json};
	return 0;
}

int df_healthcheck_parse(struct df_request *req, struct df_instruction *ins, struct error **err)
{
	struct df_healthcheck *h = &ins->healthcheck;
	const char *text[5] = {0}, *type;
	static const char *const names[5] = {"interval", "timeout", "start-period",
					     "start-interval", "retries"};
	int64_t *const intervals[] = {&h->interval, &h->timeout, &h->start_period,
				      &h->start_interval};
	struct df_flag_spec flags[5];
	int r;

	if (req->args.n == 0)
		return error_new(err, ERR_INVALID, 0, "HEALTHCHECK requires at least one argument");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		flags[i] = (struct df_flag_spec){names[i], DF_FLAG_STRING, &text[i]};
	type = df_upper(req->arena, req->args.v[0]);
	h->none = strcmp(type, "NONE") == 0;
	if (h->none && req->args.n > 1)
		return error_new(err, ERR_INVALID, 0, "HEALTHCHECK NONE takes no arguments");
	/* BuildKit does not look at the flags of NONE. */
	if (h->none)
		return 0;
	r = df_flags_parse(req, ins, flags, ARRAY_SIZE(flags), err);
	if (r < 0)
		return r;
	r = parse_command(req, ins, type, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(intervals); i++)
		r = parse_interval(req, names[i], text[i], intervals[i], err);
	return r < 0 ? r : parse_retries(req, text[4], &h->retries, err);
}
