/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "base/times.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

#define HISTORY_COMMENT "buildkit.dockerfile.v0"

/* The Dockerfile frontend images that this compiler stands for. */
static bool is_own_syntax(const char *ref)
{
	static const char *const own[] = {"docker/dockerfile", "docker/dockerfile-upstream"};
	struct imageref r = IMAGEREF_INIT;
	_cleanup_free_ char *name = NULL;

	if (strcmp(ref, "dockerfile.v0") == 0)
		return true;
	if (imageref_parse(ref, &r, NULL) < 0)
		return false;
	name = imageref_familiar_name(&r);
	imageref_release(&r);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strcmp(name, own[i]) == 0)
			return true;
	return false;
}

static int check_syntax(const struct frontend_opts *opts, struct arena *a, struct error **err)
{
	const char *asked = scope_option(&opts->build_args, "BUILDKIT_SYNTAX"), *ref = NULL;
	struct source_span span = {0};
	int r;

	if (asked)
		ref = arena_strndup(a, asked, strcspn(asked, " \t"));
	else
		df_detect_syntax(a, opts->data, opts->size, &ref, &span);
	if (!ref || !*ref || is_own_syntax(ref))
		return 0;
	r = error_new(
		err, ERR_UNSUPPORTED, 0,
		"frontend image \"%s\" cannot be run: only the Dockerfile language is built in",
		ref);
	r = error_hint(err, r, "use \"# syntax=docker/dockerfile:1\" or leave the line out");
	return span.line > 0 ? error_at(err, r, opts->name ? opts->name : "Dockerfile", span) : r;
}

static int configure_lint(struct compiler *c, struct error **err)
{
	const char *text = scope_option(&c->opts->build_args, "BUILDKIT_DOCKERFILE_CHECK");
	bool given = text != NULL;
	int r;

	if (!given)
		text = df_detect_check(&c->result->arena, c->opts->data, c->opts->size);
	if (!text)
		return 0;
	r = df_lint_config_parse(text, &c->lint->config, err);
	if (r < 0)
		error_wrap(err, r, "failed to parse %s",
			   given ? "build-arg:BUILDKIT_DOCKERFILE_CHECK" : "check options");
	return r < 0 && !given && c->file->check.value
		       ? error_at(err, r, c->file->name, c->file->check.span)
		       : r;
}

/* Adds the ARGs before the first FROM to `to`. */
static int add_global_args(struct compiler *c, struct scope *to, const struct strv *build_args,
			   bool keep, struct error **err)
{
	struct df_shell shell = {.escape = c->file->escape,
				 .get = scope_lookup,
				 .data = to,
				 .budget = &c->words_left};

	for (size_t i = 0; i < c->file->n_meta_args; i++) {
		const struct df_instruction *in = c->file->meta_args[i];

		for (size_t j = 0; j < in->pairs.n; j++) {
			const struct df_pair *pair = &in->pairs.v[j];
			const char *value = scope_option(build_args, pair->key);
			struct df_vars uses = DF_VARS_INIT;

			if (!value && pair->value) {
				int r = df_expand(&shell, c->arena, pair->value, &uses, &value,
						  err);

				if (r < 0)
					return error_at(err, r, c->file->name, in->span);
			}
			if (value)
				scope_set(to, pair->key, value);
			if (keep)
				vec_push(&c->global_args,
					 (struct global_arg){pair->key,
							     arena_strdup(c->arena, value), pair,
							     in->span, uses});
		}
	}
	return 0;
}

/* InvalidDefaultArgInFrom: would the base names do if no --build-arg were given? */
static void lint_defaults(struct compiler *c, const struct scope *platform_args)
{
	const struct strv none = {0};
	struct scope defaults = {0};
	struct df_shell shell = {.escape = c->file->escape, .get = scope_lookup, .data = &defaults};

	scope_copy(&defaults, platform_args);
	if (add_global_args(c, &defaults, &none, false, NULL) == 0) {
		for (size_t i = 0; i < c->file->n_stages; i++) {
			const struct df_instruction *from = c->file->stages[i].from;
			struct imageref ref = IMAGEREF_INIT;
			const char *name;

			if (df_expand(&shell, c->arena, from->from.base, NULL, &name, NULL) < 0)
				break;
			if (imageref_parse(name, &ref, NULL) < 0)
				df_lint_warn_span(
					c->lint, NULL, from->span,
					DF_RULE_INVALID_DEFAULT_ARG_IN_FROM,
					"Default value for ARG %s results in empty or invalid "
					"base image name",
					from->from.base);
			imageref_release(&ref);
		}
	}
	scope_release(&defaults);
}

static int build_globals(struct compiler *c, struct error **err)
{
	const struct df_stage *last = &c->file->stages[c->file->n_stages - 1];
	const char *target = c->opts->target;

	if (!target || !*target)
		target = last->from->from.name ? last->from->from.name : "default";
	scope_set_platform_args(&c->globals, &c->opts->build_platform, &c->opts->target_platform,
				target, &c->build_args);
	lint_defaults(c, &c->globals);
	return add_global_args(c, &c->globals, &c->build_args, true, err);
}

static void set_proxy(struct compiler *c)
{
	struct op_proxy *p = &c->proxy;
	const struct {
		const char *key, **value;
	} names[] = {{"http_proxy", &p->http},
		     {"https_proxy", &p->https},
		     {"ftp_proxy", &p->ftp},
		     {"no_proxy", &p->no},
		     {"all_proxy", &p->all}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		*names[i].value = "";
		for (size_t j = 0; j < c->build_args.n; j++) {
			const char *kv = c->build_args.v[j], *eq = strchr(kv, '=');
			size_t n = eq ? (size_t)(eq - kv) : 0;

			if (eq && df_equal_fold(arena_strndup(c->arena, kv, n), names[i].key))
				*names[i].value = arena_strdup(c->arena, eq + 1);
		}
	}
}

static int compare_pairs(const void *a, const void *b)
{
	return strcmp(((const struct op_pair *)a)->key, ((const struct op_pair *)b)->key);
}

/* What all RUN steps share, copied to where ops live. */
static void set_run_options(struct compiler *c)
{
	const struct frontend_opts *o = c->opts;
	struct op_pair *hosts = arena_alloc(c->arena, (o->n_extra_hosts + 1) * sizeof(*hosts));
	struct op_ulimit *limits = arena_alloc(c->arena, (o->n_ulimits + 1) * sizeof(*limits));
	const char *space = scope_option(&c->build_args, "BUILDKIT_CACHE_MOUNT_NS");
	const char *hostname = scope_option(&c->build_args, "BUILDKIT_SANDBOX_HOSTNAME");

	for (size_t i = 0; i < o->n_extra_hosts; i++)
		hosts[i] = (struct op_pair){arena_strdup(c->arena, o->extra_hosts[i].key),
					    arena_strdup(c->arena, o->extra_hosts[i].value)};
	if (o->n_extra_hosts > 1)
		qsort(hosts, o->n_extra_hosts, sizeof(*hosts), compare_pairs);
	c->extra_hosts = (struct op_pairs){hosts, o->n_extra_hosts};
	for (size_t i = 0; i < o->n_ulimits; i++) {
		limits[i] = o->ulimits[i];
		limits[i].name = arena_strdup(c->arena, o->ulimits[i].name);
	}
	c->ulimits = limits;
	c->cache_namespace = space ? arena_strdup(c->arena, space) : "";
	if (!hostname)
		hostname = o->hostname;
	c->hostname = hostname ? arena_strdup(c->arena, hostname) : "";
	set_proxy(c);
}

static void finish_platform(struct compiler *c, struct image_config *config)
{
	const struct platform *target = &c->opts->target_platform;
	struct platform *have = &config->platform, normal;
	char text[64];

	if (!c->opts->implicit_platform || !*have->arch) {
		bool same =
			strcmp(have->os, target->os) == 0 && strcmp(have->arch, target->arch) == 0;

		memcpy(have->os, target->os, sizeof(have->os));
		memcpy(have->arch, target->arch, sizeof(have->arch));
		if (*target->variant || !same)
			memcpy(have->variant, target->variant, sizeof(have->variant));
		if (*target->os_version || !same)
			memcpy(have->os_version, target->os_version, sizeof(have->os_version));
	}
	if (platform_parse(platform_format(have, text), &normal, NULL) == 0) {
		memcpy(normal.os_version, have->os_version, sizeof(normal.os_version));
		*have = normal;
	}
}

/* The base image's rows, then this build's, oldest first. */
static void finish_history(struct compiler *c, struct image_config *config)
{
	const struct image_config *base = c->target->base_config;
	_cleanup_free_ char *created = c->has_epoch ? times_rfc3339(c->epoch * NS_PER_S) : NULL;
	VEC(const struct history_row *) rows = {0};

	for (size_t i = 0; base && i < base->history.n; i++) {
		const struct image_history *h = &base->history.v[i];

		image_config_add_history(config, h->created, h->created_by, h->comment,
					 h->empty_layer);
		vec_last(&config->history).author = xstrdup(h->author);
	}
	for (size_t i = 0; base && i < base->diff_ids.n; i++)
		vec_push(&config->diff_ids, base->diff_ids.v[i]);
	for (const struct history_row *row = c->target->history; row; row = row->below)
		vec_push(&rows, row);
	while (rows.n > 0) {
		const struct history_row *row = vec_pop(&rows);

		image_config_add_history(config, created, row->created_by, HISTORY_COMMENT,
					 row->empty_layer);
	}
	vec_release(&rows);
}

static int finish(struct compiler *c, struct graph *g, struct error **err)
{
	struct frontend_result *ret = c->result;
	int r = df_lint_error(c->lint, err);

	if (r < 0)
		return r;
	if (c->target->use)
		c->target->use->whole = true;
	image_config_copy(&ret->config, &c->target->config);
	for (size_t i = 0; i < c->opts->labels.n; i++) {
		const char *kv = c->opts->labels.v[i], *eq = strchr(kv, '=');
		_cleanup_free_ char *key = xstrndup(kv, eq ? (size_t)(eq - kv) : strlen(kv));

		env_set(&ret->config.labels, key, eq ? eq + 1 : "");
	}
	finish_platform(c, &ret->config);
	finish_history(c, &ret->config);
	ret->platform = ret->config.platform;
	ret->has_epoch = c->has_epoch;
	ret->epoch = c->epoch;
	ret->target = draft_emit(&c->drafts, g, c->target->state);
	if (c->squash_on)
		ret->squash_on = draft_emit(&c->drafts, g, c->squash_on->state);
	return 0;
}

static int compile(struct compiler *c, struct graph *g, struct error **err)
{
	int r;

	df_lint_file(c->lint, c->file);
	r = build_globals(c, err);
	if (r == 0)
		r = epoch_resolve(c, err);
	if (r == 0 && c->opts->ignore.n > 0)
		r = pattern_list_new(&c->opts->ignore, &c->ignore, err);
	if (r < 0)
		return r;
	set_run_options(c);
	r = stages_build(c, err);
	if (r == 0)
		r = stages_find_target(c, err);
	if (r == 0)
		r = stages_link(c, err);
	if (r == 0)
		r = resolve_stages(c, err);
	if (r == 0)
		r = lower_stages(c, err);
	if (r < 0)
		return r;
	outline_fill(c);
	return finish(c, g, err);
}

static void compiler_release(struct compiler *c)
{
	stages_release(c);
	drafts_release(&c->drafts);
	strv_release(&c->build_args);
	scope_release(&c->globals);
	vec_release(&c->global_args);
	pattern_list_free(c->ignore);
	for (size_t i = 0; i < c->contexts.n; i++)
		path_use_release(&c->contexts.v[i]->use);
	vec_release(&c->contexts);
	for (size_t i = 0; i < c->base_configs.n; i++) {
		image_config_release(c->base_configs.v[i]);
		free(c->base_configs.v[i]);
	}
	vec_release(&c->base_configs);
}

int frontend_compile(const struct frontend_opts *opts, struct graph *g, struct frontend_result *ret,
		     struct error **err)
{
	const char *name = opts->name ? opts->name : "Dockerfile";
	struct compiler c = {.opts = opts,
			     .result = ret,
			     .arena = &g->arena,
			     .words_left = {.bytes = LOWER_VALUES_MAX, .steps = LOWER_STEPS_MAX},
			     .history_left = LOWER_HISTORY_MAX,
			     .ports_left = LOWER_PORTS_MAX,
			     .environment_left = LOWER_ENVIRONMENT_MAX};
	int r, parsed;

	memset(ret, 0, sizeof(*ret));
	r = check_syntax(opts, &ret->arena, err);
	if (r < 0)
		return r;
	parsed = df_parse(name, opts->data, opts->size, &ret->file, err);
	c.file = ret->file;
	c.lint = &ret->lint;
	if (c.file && !opts->parse_only) {
		r = configure_lint(&c, parsed < 0 ? NULL : err);
		/* What was read before a mistake still gets its warnings. */
		if (parsed < 0 && r == 0)
			df_lint_instructions(c.lint, c.file);
	}
	if (parsed < 0 || r < 0)
		return parsed < 0 ? parsed : r;
	if (opts->parse_only)
		return 0;
	c.drafts.arena = &g->arena;
	c.file_name = arena_strdup(&g->arena, c.file->name);
	strv_copy(&c.build_args, &opts->build_args);
	r = compile(&c, g, err);
	compiler_release(&c);
	return r;
}

void frontend_result_release(struct frontend_result *r)
{
	image_config_release(&r->config);
	df_file_free(r->file);
	df_lint_release(&r->lint);
	arena_release(&r->arena);
	*r = (struct frontend_result){0};
}
