/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/lower.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/times.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void lower_add_history(struct compiler *c, struct stage *s, bool empty_layer, const char *fmt, ...)
{
	struct history_row *row = ARENA_NEW(c->arena, struct history_row);
	va_list ap;
	size_t n;

	*row = (struct history_row){.below = s->history, .empty_layer = empty_layer};
	va_start(ap, fmt);
	row->created_by = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	/* lower_command looks whether this was too much. */
	n = strlen(row->created_by);
	c->history_left -= n < c->history_left ? n : c->history_left;
	s->history = row;
}

struct df_shell lower_shell(struct compiler *c, struct stage *s)
{
	return (struct df_shell){.escape = c->file->escape,
				 .get = scope_lookup,
				 .data = &s->env,
				 .budget = &c->words_left};
}

void lower_report_undefined(struct compiler *c, struct stage *s, const struct df_instruction *at,
			    const struct df_vars *vars)
{
	for (size_t i = 0; i < vars->n_undefined; i++) {
		const char *name = vars->undefined[i].name, *near;
		bool declared = strcmp(name, "BUILDKIT_SBOM_SCAN_CONTEXT") == 0 ||
				strcmp(name, "BUILDKIT_SBOM_SCAN_STAGE") == 0;

		for (size_t j = 0; j < s->args.n && !declared; j++)
			declared = strcmp(s->args.v[j].key, name) == 0;
		if (declared)
			continue;
		near = scope_nearest(&s->env, name);
		df_lint_warn(c->lint, at, DF_RULE_UNDEFINED_VAR,
			     "Usage of undefined variable '$%s'%s%s%s", name,
			     near ? " (did you mean $" : "", near ? near : "", near ? "?)" : "");
	}
}

int lower_expand(struct compiler *c, struct stage *s, const struct df_instruction *at,
		 const char *word, const char **ret, struct error **err)
{
	struct df_shell shell = lower_shell(c, s);
	struct df_vars vars = DF_VARS_INIT;
	int r;

	if (!word) {
		*ret = NULL;
		return 0;
	}
	r = df_expand(&shell, c->arena, word, &vars, ret, err);
	if (r == 0)
		lower_report_undefined(c, s, at, &vars);
	return r;
}

/* Nearly all ops have the platform of the one before. */
struct op_platform lower_platform(struct compiler *c, const struct platform *p)
{
	const struct platform *last = c->last_platform;
	struct platform *copy;

	if (!last || memcmp(last, p, sizeof(*p)) != 0) {
		copy = ARENA_NEW(c->arena, struct platform);
		*copy = *p;
		c->last_platform = last = copy;
	}
	return (struct op_platform){
		.os = last->os,
		.arch = last->arch,
		.variant = last->variant,
		.os_version = last->os_version,
	};
}

struct vertex_meta lower_meta(const struct compiler *c, const struct stage *s, const char *name,
			      struct source_span span)
{
	return (struct vertex_meta){
		.name = name,
		.file = c->file_name,
		.span = span,
		.stage = s->name,
	};
}

void lower_note_outside(struct compiler *c, const char *source, bool from, const char **ret)
{
	_cleanup_free_ char *clean = path_clean(source), *below = path_rooted(source);

	if (strcmp(clean, "..") != 0 && strncmp(clean, "../", 3) != 0)
		return;
	*ret = arena_printf(
		c->arena,
		from ? "\"%s\" cannot lead out of what --from names, where \"/%s\" was "
		       "looked for"
		     : "\"%s\" cannot lead out of the build context, where \"/%s\" was "
		       "looked for: build a folder further up (kiln build -f DOCKERFILE "
		       "FOLDER), or give --build-context NAME=FOLDER and take it --from=NAME",
		source, below);
}

int64_t lower_timestamp(const struct compiler *c)
{
	return c->has_epoch ? c->epoch * NS_PER_S : OP_TIME_NONE;
}

void lower_set_dir(struct compiler *c, struct stage *s, const char *dir)
{
	_cleanup_free_ char *full = path_resolve(*s->dir ? s->dir : "/", dir);

	s->dir = arena_strdup(c->arena, full);
	free(s->config.working_dir);
	/* An absolute path is recorded as written, as BuildKit does. */
	s->config.working_dir = xstrdup(path_is_absolute(dir) ? dir : full);
}

int lower_count_environment(struct compiler *c, const struct stage *s, unsigned times,
			    struct error **err)
{
	enum { VARIABLE_COST = 64 };
	size_t bytes = (s->env.bytes + s->env.index.n * VARIABLE_COST) * times;

	if (bytes > c->environment_left)
		return error_new(err, ERR_INVALID, 0,
				 "the environments of all steps are larger than %d bytes",
				 LOWER_ENVIRONMENT_MAX);
	c->environment_left -= bytes;
	return 0;
}

static void move_index(struct name_index *to, struct name_index *from)
{
	map_release(&to->at, NULL);
	*to = *from;
	*from = (struct name_index){0};
}

/* A stage starts as its base ends; the last stage that needs the base's state takes it. */
static int inherit(struct compiler *c, struct stage *s, struct error **err)
{
	enum { COPY_COST = 8 };
	struct stage *b = s->base;
	bool last;

	s->state = b->state;
	s->platform = b->platform;
	s->base_config = b->base_config;
	s->history = b->history;
	s->workdir_set = b->workdir_set;
	s->use = b->use;
	s->env_in_order = b->env_in_order;
	image_config_release(&s->config);
	last = --b->children == 0;
	if (last) {
		s->config = b->config;
		s->env = b->env;
		memcpy(&s->args, &b->args, sizeof(s->args));
		b->config = (struct image_config){0};
		b->env = (struct scope){0};
		memset(&b->args, 0, sizeof(b->args));
		move_index(&s->env_index, &b->env_index);
		move_index(&s->label_index, &b->label_index);
		move_index(&s->volume_index, &b->volume_index);
		move_index(&s->arg_index, &b->arg_index);
	} else {
		image_config_copy(&s->config, &b->config);
		scope_copy(&s->env, &b->env);
		for (size_t i = 0; i < b->args.n; i++)
			vec_push(&s->args, b->args.v[i]);
	}
	strv_release(&s->config.on_build);
	s->config_loaded = true;
	return last ? 0 : lower_count_environment(c, s, COPY_COST, err);
}

/* The base image's config as the stage's starting point. */
static void start_from_config(struct compiler *c, struct stage *s)
{
	struct image_config *config = &s->config;

	if (!env_get(&config->env, "PATH") && strcmp(s->platform.os, "windows") != 0)
		strv_push(&config->env, "PATH=" DEFAULT_PATH);
	for (size_t i = 0; !s->env_in_order && i < config->env.n; i++) {
		const char *kv = config->env.v[i], *eq = strchr(kv, '=');
		_cleanup_free_ char *key = xstrndup(kv, eq ? (size_t)(eq - kv) : strlen(kv));

		scope_set(&s->env, key, eq ? eq + 1 : "");
	}
	s->env_in_order = true;
	s->dir = "";
	if (config->working_dir)
		lower_set_dir(c, s, arena_strdup(c->arena, config->working_dir));
	s->user = arena_strdup(c->arena, config->user);
	s->lint = (struct df_lint_stage){.shell_set = config->shell.n > 0};
	s->cmd_set = false;
}

static int lower_onbuild(struct stage *s, const struct df_instruction *in)
{
	strv_push(&s->config.on_build, in->onbuild.expression);
	return 0;
}

static int lower_command(struct compiler *c, struct stage *s, const struct command *cmd,
			 struct error **err)
{
	const struct df_instruction *in = cmd->instruction;

	switch (in->kind) {
	case DF_COPY:
	case DF_ADD:
		return lower_copy(c, s, cmd, err);
	case DF_RUN:
		return lower_run(c, s, cmd, err);
	case DF_WORKDIR:
		return lower_workdir(c, s, cmd, err);
	case DF_ARG:
		return lower_arg(c, s, in, err);
	case DF_EXPOSE:
		return lower_expose(c, s, in, err);
	case DF_ONBUILD:
		return lower_onbuild(s, in);
	case DF_FROM:
		return error_new(err, ERR_INTERNAL, 0, "FROM inside a stage");
	case DF_CMD:
	case DF_ENTRYPOINT:
	case DF_ENV:
	case DF_HEALTHCHECK:
	case DF_LABEL:
	case DF_MAINTAINER:
	case DF_SHELL:
	case DF_STOPSIGNAL:
	case DF_USER:
	case DF_VOLUME:
		break;
	}
	return lower_config(c, s, in, err);
}

static int lower_stage(struct compiler *c, struct stage *s, struct error **err)
{
	if (s->base) {
		int r = inherit(c, s, err);

		if (r < 0)
			return error_at(err, r, c->file->name, s->span);
	}
	s->dispatched = true;
	start_from_config(c, s);
	for (size_t i = 0; i < s->commands.n; i++) {
		const struct command *cmd = &s->commands.v[i];
		int r;

		if (cancel_is_set(c->opts->cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		df_lint_command(c->lint, &s->lint, cmd->instruction);
		r = lower_command(c, s, cmd, err);
		if (r == 0 && c->history_left == 0)
			r = error_new(err, ERR_INVALID, 0,
				      "the history of the image is larger than %d bytes",
				      LOWER_HISTORY_MAX);
		if (r < 0)
			return error_at(err, r, c->file->name, cmd->instruction->span);
	}
	return 0;
}

int lower_stages(struct compiler *c, struct error **err)
{
	for (size_t i = 0; i < c->n_file_stages; i++) {
		struct stage *s = c->stages.v[i];

		if (s->reachable && s->base)
			s->base->children++;
	}
	/* The target's state is needed at the end, too. */
	c->target->children++;
	for (size_t i = 0; i < c->n_file_stages; i++) {
		struct stage *s = c->stages.v[i];
		int r;

		if (!s->reachable || s->dispatched)
			continue;
		r = lower_stage(c, s, err);
		if (r < 0)
			return r;
	}
	return 0;
}
