/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln compose`: what of compose files is building. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/json.h"
#include "cmd/bake/bake_build.h"
#include "cmd/bake/compose_options.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "engine/stream/out_file.h"
#include "frontend/compose/compose.h"

struct compose {
	struct compose_args args;
	struct arena arena;
	struct compose_project project;
	struct bake_config config;
	struct bake_plan plan;
};

/* --- config --- */

static void print_names(const struct bake_value *map)
{
	for (size_t i = 0; map && i < map->n; i++)
		show(stdout, "%s\n", map->names[i]);
}

/* Services that were named, and what they depend on. */
static void select_services(struct compose *c, const char *name, struct strv *ret)
{
	const struct bake_value *needs =
		compose_get(compose_service(&c->project, name), "depends_on");

	if (strv_contains(ret, name))
		return;
	strv_push(ret, name);
	for (size_t i = 0; needs && i < needs->n; i++)
		select_services(c, needs->names[i], ret);
}

static int narrow(struct compose *c, struct error **err)
{
	const struct bake_value *services = compose_get(c->project.model, "services");
	_cleanup_strv_ struct strv wanted = {0};
	struct bake_builder b = {.arena = &c->arena};

	if (c->args.services.n == 0)
		return 0;
	for (size_t i = 0; i < c->args.services.n; i++) {
		if (!compose_service(&c->project, c->args.services.v[i]))
			return error_new(err, ERR_NOTFOUND, 0, "there is no service \"%s\"",
					 c->args.services.v[i]);
		select_services(c, c->args.services.v[i], &wanted);
	}
	for (size_t i = 0; i < services->n; i++)
		if (strv_contains(&wanted, services->names[i]))
			bake_put(&b, services->names[i], services->v[i]);
	c->project.model =
		compose_with(&c->arena, c->project.model, "services", bake_mapping(&b, BAKE_MAP));
	return 0;
}

static int print_images(struct compose *c)
{
	const struct bake_value *services = compose_get(c->project.model, "services");

	for (size_t i = 0; services && i < services->n; i++)
		show(stdout, "%s\n", compose_image(&c->project, services->names[i]));
	return 0;
}

static void print_hashes(struct compose *c, const char *which)
{
	const struct bake_value *services = compose_get(c->project.model, "services");

	for (size_t i = 0; services && i < services->n; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct digest d;
		char hex[DIGEST_HEX + 1];

		if (strcmp(which, "*") != 0 && strcmp(which, services->names[i]) != 0)
			continue;
		bake_to_json(services->v[i], &b);
		d = digest_of(b.p, b.n);
		show(stdout, "%s %s\n", services->names[i], digest_hex(&d, hex));
	}
}

static void print_profiles(struct compose *c)
{
	const struct bake_value *services = compose_get(c->project.model, "services");
	_cleanup_strv_ struct strv all = {0};

	for (size_t i = 0; services && i < services->n; i++) {
		const struct bake_value *own = compose_get(services->v[i], "profiles");

		for (size_t k = 0; own && k < own->n; k++)
			if (!strv_contains(&all, bake_text(own->v[k])))
				strv_push(&all, bake_text(own->v[k]));
	}
	strv_sort(&all);
	for (size_t i = 0; i < all.n; i++)
		show(stdout, "%s\n", all.v[i]);
}

/* JSON has these members always. */
static const struct bake_value *with_nulls(struct compose *c)
{
	const struct bake_value *services = compose_get(c->project.model, "services");

	for (size_t i = 0; services && i < services->n; i++) {
		const struct bake_value *s = services->v[i];

		if (!bake_member(s, "command"))
			s = compose_with(&c->arena, s, "command", bake_null());
		if (!bake_member(s, "entrypoint"))
			s = compose_with(&c->arena, s, "entrypoint", bake_null());
		services = compose_with(&c->arena, services, services->names[i], s);
	}
	return services ? compose_with(&c->arena, c->project.model, "services", services)
			: c->project.model;
}

/* YAML leaves out the addresses that a network has not. */
static const struct bake_value *without_ipam(struct compose *c)
{
	const struct bake_value *networks = compose_get(c->project.model, "networks");

	for (size_t i = 0; networks && i < networks->n; i++) {
		const struct bake_value *ipam = compose_get(networks->v[i], "ipam");

		if (ipam && ipam->n == 0)
			networks = compose_with(&c->arena, networks, networks->names[i],
						compose_without(&c->arena, networks->v[i], "ipam"));
	}
	return networks ? compose_with(&c->arena, c->project.model, "networks", networks)
			: c->project.model;
}

static int print_model(struct compose *c, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (c->args.json) {
		_cleanup_buf_ struct buf compact = BUF_INIT;
		_cleanup_json_ json_t *doc = NULL;
		int r;

		bake_to_json(with_nulls(c), &compact);
		r = js_parse("the model", compact.p, compact.n, &doc, err);
		if (r < 0)
			return r;
		js_dump_go(doc, 2, false, &b);
		buf_addc(&b, '\n');
	} else {
		compose_to_yaml(without_ipam(c), &b);
	}
	if (c->args.output)
		return out_file_write_all(c->args.output, b.p, b.n, session_cancel(), err);
	(void)fwrite(b.p, 1, b.n, stdout);
	return 0;
}

static int config(struct compose *c, struct error **err)
{
	int r = narrow(c, err);

	if (r < 0 || c->args.quiet)
		return r;
	c->project.model = compose_only_used(&c->arena, c->project.model);
	if (!c->args.load.no_interpolate)
		c->project.model = compose_escape(&c->arena, c->project.model);
	if (c->args.list_services)
		print_names(compose_get(c->project.model, "services"));
	else if (c->args.list_volumes)
		print_names(compose_get(c->project.model, "volumes"));
	else if (c->args.list_networks)
		print_names(compose_get(c->project.model, "networks"));
	else if (c->args.list_profiles)
		print_profiles(c);
	else if (c->args.list_images)
		return print_images(c);
	else if (c->args.hash)
		print_hashes(c, c->args.hash);
	else
		return print_model(c, err);
	return 0;
}

/* --- build and push --- */

/* All names of the group "default"; none: there is nothing to build. */
static int make_plan(struct compose *c, struct error **err)
{
	const struct bake_group *g = bake_config_group(&c->config, "default");
	_cleanup_strv_ struct strv none = {0};

	if (!g || g->targets.n == 0)
		return 0;
	return bake_plan_make(&c->config, &g->targets, &none, &c->plan, err);
}

static int print_plan(struct compose *c)
{
	_cleanup_json_ json_t *doc = bake_plan_json(&c->plan);
	_cleanup_buf_ struct buf b = BUF_INIT;

	js_dump_go(doc, 2, false, &b);
	buf_addc(&b, '\n');
	(void)fwrite(b.p, 1, b.n, stdout);
	return 0;
}

static int build(const struct command *self, struct compose *c, struct error **err)
{
	int r;

	c->args.build.services = c->args.services;
	r = compose_targets(&c->project, &c->args.build, &c->config, err);
	if (r == 0)
		r = make_plan(c, err);
	if (r < 0)
		return r;
	if (c->args.print)
		return print_plan(c);
	if (c->plan.targets.n == 0) {
		(void)fputs("No service is built here.\n", stderr);
		return 0;
	}
	return bake_build(
		&(struct bake_run){.self = self,
				   .plan = &c->plan,
				   .progress = c->args.quiet ? "quiet" : c->args.progress});
}

/* Each image that is built here, by the command that pushes one. */
static int push(struct compose *c, struct error **err)
{
	static const struct command command = {.name = "push"};
	const struct bake_value *services = compose_get(c->project.model, "services");
	int status = 0;

	for (size_t i = 0; i < c->args.services.n; i++)
		if (!compose_service(&c->project, c->args.services.v[i]))
			return error_new(err, ERR_NOTFOUND, 0, "there is no service \"%s\"",
					 c->args.services.v[i]);
	for (size_t i = 0; services && i < services->n && (status == 0 || c->args.ignore_failures);
	     i++) {
		const char *name = services->names[i];
		char *argv[4] = {0};
		int argc = 0;

		if (!compose_get(services->v[i], "build") ||
		    !compose_get(services->v[i], "image") ||
		    (c->args.services.n > 0 && !strv_contains(&c->args.services, name)))
			continue;
		argv[argc++] = arena_strdup(&c->arena, "push");
		if (c->args.quiet)
			argv[argc++] = arena_strdup(&c->arena, "--quiet");
		argv[argc++] = arena_strdup(&c->arena, compose_image(&c->project, name));
		status = cmd_push(&command, argc, argv);
	}
	return c->args.ignore_failures ? 0 : status;
}

static int run(const struct command *self, struct compose *c, struct error **err)
{
	int r;

	c->project.arena = &c->config.arena;
	r = compose_load(&c->args.load, &c->project, err);
	if (r < 0)
		return r;
	switch (c->args.verb) {
	case COMPOSE_CONFIG:
		return config(c, err);
	case COMPOSE_PUSH:
		return push(c, err);
	default:
		return build(self, c, err);
	}
}

int cmd_compose(const struct command *self, int argc, char **argv)
{
	struct compose c = {0};
	struct error *err = NULL;
	int r, status;

	if (opt_first_is_help(self, argc, argv))
		return 0;
	r = compose_args_parse(&c.args, self, argc, argv, &err);
	if (r < 0) {
		status = session_usage(self, &err);
	} else if (r > 0) {
		status = 0;
	} else {
		r = run(self, &c, &err);
		status = r < 0 ? session_fail(r, &err) : r;
	}
	bake_plan_release(&c.plan);
	compose_release(&c.project);
	bake_config_release(&c.config);
	arena_release(&c.arena);
	compose_args_release(&c.args);
	return status;
}
