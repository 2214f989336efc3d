/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_call.h"

#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "cmd/cli/show.h"

static const struct {
	const char *name;
	enum call_method method;
	const char *about;
} methods[] = {
	{"build", CALL_BUILD, NULL},
	{"check", CALL_CHECK, "Lint the Dockerfile"},
	{"lint", CALL_CHECK, NULL},
	{"outline", CALL_OUTLINE, "List the arguments, secrets and mounts of a target"},
	{"targets", CALL_TARGETS, "List the stages that can be built"},
	{"subrequests.describe", CALL_DESCRIBE, "List the methods of --call"},
};

static int find_method(const char *text, enum call_method *ret, struct error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, text) == 0) {
			*ret = methods[i].method;
			return 0;
		}
	return error_new(err, ERR_INVALID, 0,
			 "--call: \"%s\" is not build, check, outline, targets or "
			 "subrequests.describe",
			 text);
}

int build_call_parse(const char *text, struct call *ret, struct error **err)
{
	_cleanup_strv_ struct strv fields = {0};
	struct call call = {.method = CALL_BUILD};
	int r = text ? csv_split(text, &fields, err) : 0;

	if (r < 0)
		return error_wrap(err, r, "--call \"%s\"", text);
	r = text ? find_method(fields.v[0], &call.method, err) : 0;
	for (size_t i = 1; r == 0 && i < fields.n; i++) {
		const char *field = fields.v[i];

		if (strcmp(field, "format=json") == 0)
			call.json = true;
		else if (strcmp(field, "format=text") != 0 &&
			 strncmp(field, "ignorestatus=", 13) != 0)
			r = error_new(err, ERR_INVALID, 0, "--call: unknown attribute \"%s\"",
				      field);
	}
	if (r == 0)
		*ret = call;
	return r;
}

static void describe(struct buf *b)
{
	buf_addf(b, "%-24s %s\n", "NAME", "DESCRIPTION");
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (methods[i].about)
			buf_addf(b, "%-24s %s\n", methods[i].name, methods[i].about);
}

/* What keeps the file from being built is left in `err`: it is shown after the warnings. */
static int check(const struct call *call, const struct frontend_result *c, int r,
		 struct error **err, struct buf *b)
{
	int status = df_check_status(&c->lint, *err);

	/* Without a file there is nothing to check. */
	if (r < 0 && !c->file)
		return r;
	if (call->json)
		df_check_json(c->file, &c->lint, *err, b);
	else
		df_check_text(c->file, &c->lint, *err, b);
	return r < 0 ? r : status;
}

int build_call_answer(const struct call *call, const struct frontend_result *c, int r,
		      struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	switch (call->method) {
	case CALL_CHECK:
		r = check(call, c, r, err, &b);
		break;
	case CALL_OUTLINE:
		if (r == 0 && call->json)
			df_outline_json(c->file, &c->outline, &b);
		else if (r == 0)
			df_outline_text(&c->outline, &b);
		break;
	case CALL_TARGETS:
		if (r == 0 && call->json)
			df_targets_json(c->file, &b);
		else if (r == 0)
			df_targets_text(c->file, &b);
		break;
	case CALL_DESCRIBE:
		if (r == 0)
			describe(&b);
		break;
	case CALL_BUILD:
	case CALL_GRAPH:
		break;
	}
	show_text(stdout, b.p, b.n);
	if (call->json && b.n > 0)
		putchar('\n');
	(void)fflush(stdout);
	return r;
}
