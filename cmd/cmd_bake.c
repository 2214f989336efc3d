/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln bake`: many targets from a file, in one build. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "base/csv.h"
#include "base/times.h"
#include "cmd/bake/bake_allow.h"
#include "cmd/bake/bake_build.h"
#include "cmd/bake/bake_files.h"
#include "cmd/bake/bake_list.h"
#include "cmd/bake/bake_options.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "frontend/bake/bake_plan.h"

/* The lines of the bake file that an error is about, and the error. */
static int fail(const struct bake_config *c, int r, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	bake_config_excerpt(c, *err, &b);
	show_text(stderr, b.p, b.n);
	return session_fail(r, err);
}

static int print_plan(const struct bake_plan *plan)
{
	_cleanup_json_ json_t *doc = bake_plan_json(plan);
	_cleanup_buf_ struct buf b = BUF_INIT;

	js_dump_go(doc, 2, false, &b);
	buf_addc(&b, '\n');
	(void)fwrite(b.p, 1, b.n, stdout);
	return 0;
}

static int read_config(const struct bake_options *o, struct bake_config *c, struct error **err)
{
	_cleanup_strv_ struct strv builtins = {0};
	struct bake_input in = {
		.vars = o->vars, .environment = true, .now = times_now_ns() / NS_PER_S};
	const char *closed = getenv("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP");
	struct platform host = platform_host();
	bool off = false;
	char text[64];
	int r = bake_files_read(c, &o->files, &o->vars, err);

	if (closed && attrs_bool("", closed, &off, NULL) == 0)
		in.environment = !off;
	strv_push(&builtins, "BAKE_CMD_CONTEXT=cwd://");
	strv_pushf(&builtins, "BAKE_LOCAL_PLATFORM=%s", platform_format(&host, text));
	in.builtins = builtins;
	return r == 0 ? bake_config_read(c, &in, err) : r;
}

/* $SOURCE_DATE_EPOCH is an argument of every target that does not set it. */
static void add_epoch(struct bake_plan *plan)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	for (size_t i = 0; epoch && *epoch && i < plan->targets.n; i++) {
		struct bake_target given = {0}, *t = &plan->targets.v[i];
		struct bake_builder b = {.arena = plan->arena};

		if (t->field[BAKE_ARGS] && bake_member(t->field[BAKE_ARGS], "SOURCE_DATE_EPOCH"))
			continue;
		bake_put(&b, "SOURCE_DATE_EPOCH", bake_string(plan->arena, epoch));
		given.field[BAKE_ARGS] = bake_mapping(&b, BAKE_MAP);
		bake_target_merge(plan->arena, t, &given);
	}
}

static int run(const struct command *self, const struct bake_options *o, struct bake_config *c,
	       struct bake_plan *plan, struct error **err)
{
	int r = read_config(o, c, err);

	if (r < 0)
		return r;
	if (o->list)
		return bake_list_print(c, o->list, err);
	r = bake_plan_make(c, &o->targets, &o->sets, plan, err);
	if (r < 0)
		return r;
	add_epoch(plan);
	if (o->print)
		return print_plan(plan);
	r = bake_allow_check(plan, &o->allow, err);
	return r < 0 ? r
		     : bake_build(&(struct bake_run){.self = self,
						     .plan = plan,
						     .progress = o->progress,
						     .metadata_file = o->metadata_file,
						     .call = o->call});
}

int cmd_bake(const struct command *self, int argc, char **argv)
{
	struct bake_options o = {0};
	struct bake_config c = {0};
	struct bake_plan plan = {0};
	struct error *err = NULL;
	int r = bake_options_parse(&o, self, argc, argv, &err), status;

	if (r < 0) {
		status = session_usage(self, &err);
	} else if (r > 0) {
		status = 0;
	} else {
		r = run(self, &o, &c, &plan, &err);
		status = r < 0 ? fail(&c, r, &err) : r;
	}
	bake_plan_release(&plan);
	bake_config_release(&c);
	bake_options_release(&o);
	return status;
}
