/* SPDX-License-Identifier: Apache-2.0 */
/* Stages: their names, what they are based on and copy from, which of them are needed. */
#include <string.h>

#include "base/number.h"
#include "base/suggest.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

static bool is_declared(const struct compiler *c, const char *name)
{
	if (scope_get(&c->globals, name))
		return true;
	for (size_t i = 0; i < c->global_args.n; i++)
		if (strcmp(c->global_args.v[i].key, name) == 0)
			return true;
	return false;
}

/* What FROM refers to with "$": globals, and global ARGs without a value are not mistakes either. */
static void report_undeclared(struct compiler *c, const struct df_instruction *from,
			      const struct df_vars *vars)
{
	for (size_t i = 0; i < vars->n_undefined; i++) {
		const char *name = vars->undefined[i].name, *near;

		if (is_declared(c, name))
			continue;
		near = scope_nearest(&c->globals, name);
		df_lint_warn(c->lint, from, DF_RULE_UNDEFINED_ARG_IN_FROM,
			     "FROM argument '%s' is not declared%s%s%s", name,
			     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
}

/* "did you mean TARGETARCH?" for the first undeclared variable that is close to a declared one. */
static int hint_variable(struct compiler *c, const struct df_vars *vars, int r, struct error **err)
{
	for (size_t i = 0; i < vars->n_undefined; i++) {
		const char *near = scope_nearest(&c->globals, vars->undefined[i].name);

		if (near)
			return error_hint(err, r, "did you mean %s?", near);
	}
	return r;
}

static struct df_shell global_shell(struct compiler *c)
{
	return (struct df_shell){
		.escape = c->file->escape,
		.get = scope_lookup,
		.data = &c->globals,
		.budget = &c->words_left,
	};
}

static void add_from_vars(struct stage *s, const struct df_vars *vars)
{
	for (size_t i = 0; i < vars->n_used; i++)
		vec_push(&s->from_vars, vars->used[i].name);
}

static int expand_platform(struct compiler *c, struct stage *s, struct error **err)
{
	const struct df_instruction *from = s->ast->from;
	struct df_shell shell = global_shell(c);
	struct df_vars vars = DF_VARS_INIT;
	const char *text;
	int r;

	if (!from->from.platform)
		return 0;
	r = df_expand(&shell, c->arena, from->from.platform, &vars, &text, err);
	if (r < 0)
		return error_wrap(err, r, "failed to process arguments for platform %s",
				  from->from.platform);
	report_undeclared(c, from, &vars);
	add_from_vars(s, &vars);
	df_lint_platform(c->lint, from, text, &vars, scope_get(&c->globals, "TARGETPLATFORM"));
	if (!*text) {
		r = error_new(err, ERR_INVALID, 0, "empty platform value from expression %s",
			      from->from.platform);
		return hint_variable(c, &vars, r, err);
	}
	r = platform_parse(text, &s->platform, err);
	if (r < 0) {
		r = error_wrap(err, r, "failed to parse platform %s", from->from.platform);
		return hint_variable(c, &vars, r, err);
	}
	s->platform_set = true;
	return 0;
}

static int expand_base(struct compiler *c, struct stage *s, struct error **err)
{
	const struct df_instruction *from = s->ast->from;
	struct df_shell shell = global_shell(c);
	struct df_vars vars = DF_VARS_INIT;
	int r = df_expand(&shell, c->arena, from->from.base, &vars, &s->base_name, err);

	if (r < 0)
		return r;
	report_undeclared(c, from, &vars);
	add_from_vars(s, &vars);
	if (*s->base_name)
		return 0;
	r = error_new(err, ERR_INVALID, 0, "base name (%s) should not be blank", from->from.base);
	return error_hint(err, r,
			  "variables in FROM have the values of ARG instructions before the first "
			  "FROM, or of --build-arg");
}

static bool is_no_cache(const struct compiler *c, const struct stage *s)
{
	if (c->opts->no_cache)
		return true;
	for (size_t i = 0; s->name && i < c->opts->no_cache_filter.n; i++)
		if (df_equal_fold(c->opts->no_cache_filter.v[i], s->name))
			return true;
	return false;
}

static unsigned count_steps(const struct stage *s)
{
	unsigned n = strcmp(s->base_name, "scratch") != 0 && !s->base ? 1 : 0;

	for (size_t i = 0; i < s->ast->n; i++) {
		enum df_kind kind = s->ast->commands[i]->kind;

		if (kind == DF_ADD || kind == DF_COPY || kind == DF_RUN || kind == DF_WORKDIR)
			n++;
	}
	return n;
}

static struct stage *new_stage(struct compiler *c)
{
	struct stage *s = ARENA_NEW(&c->result->arena, struct stage);

	s->dir = "";
	s->platform = c->opts->target_platform;
	vec_push(&c->stages, s);
	return s;
}

static int build_stage(struct compiler *c, const struct df_stage *ast, struct error **err)
{
	struct stage *s = new_stage(c);
	int r;

	s->ast = ast;
	s->span = ast->from->span;
	s->name = arena_strdup(c->arena, ast->from->from.name);
	s->shown = s->name ? s->name : arena_printf(c->arena, "stage-%zu", c->stages.n - 1);
	r = expand_base(c, s, err);
	if (r == 0)
		r = expand_platform(c, s, err);
	if (r < 0)
		return error_at(err, r, c->file->name, s->span);
	if (s->name)
		s->context = context_find(c, s->name, &s->platform);
	s->replaced = s->context != NULL;
	if (!s->replaced)
		s->base = map_gets(&c->by_name, s->base_name);
	if (s->name)
		*map_puts(&c->by_name, s->name) = s;
	s->n_steps = s->replaced ? 0 : count_steps(s);
	s->ignore_cache = is_no_cache(c, s);
	return 0;
}

int stages_build(struct compiler *c, struct error **err)
{
	for (size_t i = 0; i < c->file->n_stages; i++) {
		int r = build_stage(c, &c->file->stages[i], err);

		if (r < 0)
			return r;
	}
	c->n_file_stages = c->stages.n;
	return 0;
}

struct df_strings stages_names(struct compiler *c)
{
	struct df_strings names = {0};

	for (size_t i = 0; i < c->n_file_stages; i++)
		if (*c->stages.v[i]->shown)
			df_strings_push(c->arena, &names, c->stages.v[i]->shown);
	return names;
}

/* A whole number in decimal, as --from takes it. */
static bool parse_index(const char *text, int64_t *ret)
{
	return number_parse_signed(text, INT64_MIN, INT64_MAX, ret) == 0;
}

static struct stage *find_by_name(const struct compiler *c, const char *name)
{
	return map_gets(&c->by_name, df_lower(c->arena, name));
}

static int not_found(struct compiler *c, const char *what, const char *name, struct error **err)
{
	struct df_strings names = stages_names(c);
	const char *near = suggest(name, names.v, names.n, true);

	return error_new(err, ERR_INVALID, 0, "%s stage \"%s\" could not be found%s%s%s", what,
			 name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* Only what lies under the target can stay as it is when the rest becomes one layer. */
static int find_squash_stage(struct compiler *c, struct error **err)
{
	const char *name = c->opts->squash_on;
	const struct stage *s = c->target;

	if (!name)
		return 0;
	c->squash_on = find_by_name(c, name);
	if (!c->squash_on)
		return not_found(c, "squash", name, err);
	while (s && s != c->squash_on)
		s = s->base;
	return s ? 0
		 : error_new(err, ERR_INVALID, 0,
			     "squash stage \"%s\" is not one that the target is built FROM", name);
}

int stages_find_target(struct compiler *c, struct error **err)
{
	const char *name = c->opts->target;

	c->target = name && *name ? find_by_name(c, name) : c->stages.v[c->n_file_stages - 1];
	return c->target ? find_squash_stage(c, err) : not_found(c, "target", name, err);
}

/* The image or context that only a COPY --from or a mount names; one stage for all its uses. */
static struct stage *outside_source(struct compiler *c, const char *name, struct source_span span)
{
	const char *key = arena_printf(c->arena, "\1%s", name); /* no stage is named so */
	void **slot = map_puts(&c->by_name, key);
	struct stage *s = *slot;

	if (s)
		return s;
	s = new_stage(c);
	s->base_name = name;
	s->shown = "";
	s->span = span;
	*slot = s;
	return s;
}

static int link_copy(struct compiler *c, struct command *cmd, struct error **err)
{
	const char *from = cmd->instruction->copy.from, *plain;
	struct df_shell shell = {.escape = c->file->escape};
	int64_t index;
	int r;

	if (!from || !*from)
		return 0;
	r = df_expand(&shell, c->arena, from, NULL, &plain, err);
	if (r < 0)
		return r;
	if (strcmp(plain, from) != 0)
		return error_new(err, ERR_INVALID, 0,
				 "variable expansion is not supported for --from, define a new "
				 "stage with FROM using ARG from global scope as a workaround");
	cmd->sources = ARENA_NEW(c->arena, struct stage *);
	cmd->n_sources = 1;
	if (parse_index(from, &index)) {
		if (index < 0 || (size_t)index >= c->n_file_stages)
			return error_new(err, ERR_INVALID, 0, "invalid stage index %lld",
					 (long long)index);
		cmd->sources[0] = c->stages.v[index];
		return 0;
	}
	cmd->sources[0] = find_by_name(c, from);
	if (!cmd->sources[0])
		cmd->sources[0] = outside_source(c, from, cmd->instruction->span);
	return 0;
}

static int link_run(struct compiler *c, struct command *cmd, struct error **err)
{
	const struct df_strings *mounts = &cmd->instruction->run.mounts;

	cmd->n_sources = mounts->n;
	cmd->sources = arena_alloc(c->arena, (mounts->n + 1) * sizeof(*cmd->sources));
	for (size_t i = 0; i < mounts->n; i++) {
		struct df_mount m;
		int r = df_mount_parse(c->arena, mounts->v[i], NULL, NULL, &m, err);

		if (r < 0)
			return r;
		if (!m.from || !*m.from)
			continue;
		cmd->sources[i] = find_by_name(c, m.from);
		if (!cmd->sources[i])
			cmd->sources[i] = outside_source(c, m.from, cmd->instruction->span);
	}
	return 0;
}

static int link_command(struct compiler *c, struct stage *s, struct command *cmd,
			struct error **err)
{
	int r = 0;

	if (cmd->instruction->kind == DF_COPY)
		r = link_copy(c, cmd, err);
	else if (cmd->instruction->kind == DF_RUN)
		r = link_run(c, cmd, err);
	if (r < 0)
		return error_at(err, r, c->file->name, cmd->instruction->span);
	for (size_t i = 0; i < cmd->n_sources; i++)
		if (cmd->sources[i])
			vec_push(&s->deps,
				 (struct stage_dep){cmd->sources[i], cmd->instruction->span});
	return 0;
}

/* The only stage of a file goes unnamed in steps. As in BuildKit, what a COPY or a mount names
 * besides counts as a stage, and so does a mount that names nothing. */
static void hide_only_stage(struct compiler *c)
{
	struct stage *s = c->stages.v[0];

	if (c->stages.n > 1)
		return;
	for (size_t i = 0; i < s->commands.n; i++)
		for (size_t j = 0; j < s->commands.v[i].n_sources; j++)
			if (!s->commands.v[i].sources[j])
				return;
	s->shown = "";
}

int stages_link(struct compiler *c, struct error **err)
{
	int r;

	for (size_t i = 0; i < c->n_file_stages; i++) {
		struct stage *s = c->stages.v[i];

		if (s->replaced)
			continue;
		for (size_t j = 0; j < s->ast->n; j++) {
			struct command cmd = {.instruction = s->ast->commands[j]};

			r = link_command(c, s, &cmd, err);
			if (r < 0)
				return r;
			vec_push(&s->commands, cmd);
		}
	}
	r = stages_check_cycles(c, err);
	if (r == 0)
		hide_only_stage(c);
	return r;
}

int stages_add_trigger(struct compiler *c, struct stage *s, const char *expression,
		       struct command *ret, struct error **err)
{
	struct df_instruction *in = NULL;
	int r = df_parse_trigger(&c->result->arena, c->file->name, expression, s->span, &in, err);

	if (r < 0)
		return r;
	*ret = (struct command){.instruction = in, .on_build = true};
	return link_command(c, s, ret, err);
}

struct visit {
	struct stage *stage;
	size_t next; /* dependency to look at */
};

enum { MARK_NEW, MARK_OPEN, MARK_DONE };

static int visit_stage(struct compiler *c, struct stage *root, struct error **err)
{
	VEC(struct visit) stack = {0};
	int r = 0;

	root->mark = MARK_OPEN;
	vec_push(&stack, (struct visit){root, 0});
	while (stack.n > 0 && r == 0) {
		struct visit *top = &vec_last(&stack);
		const struct stage_dep *dep;

		if (top->next == top->stage->deps.n) {
			top->stage->mark = MARK_DONE;
			(void)vec_pop(&stack);
			continue;
		}
		dep = &top->stage->deps.v[top->next++];
		if (dep->stage->mark == MARK_OPEN) {
			r = error_new(err, ERR_INVALID, 0,
				      "circular dependency detected on stage: %s",
				      root->name     ? root->name
				      : *root->shown ? root->shown
						     : "stage-0");
			r = error_at(err, r, c->file->name, dep->span);
		} else if (dep->stage->mark == MARK_NEW) {
			dep->stage->mark = MARK_OPEN;
			vec_push(&stack, (struct visit){dep->stage, 0});
		}
	}
	vec_release(&stack);
	return r;
}

int stages_check_cycles(struct compiler *c, struct error **err)
{
	for (size_t i = 0; i < c->stages.n; i++)
		c->stages.v[i]->mark = MARK_NEW;
	for (size_t i = 0; i < c->stages.n; i++) {
		int r = 0;

		if (c->stages.v[i]->mark == MARK_NEW)
			r = visit_stage(c, c->stages.v[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

void stages_mark_reachable(struct compiler *c)
{
	VEC(struct stage *) todo = {0};

	vec_push(&todo, c->target);
	for (size_t i = 0; c->opts->all_stages && i < c->stages.n; i++)
		vec_push(&todo, c->stages.v[i]);
	for (size_t i = 0; i < c->stages.n; i++)
		c->stages.v[i]->reachable = false;
	while (todo.n > 0) {
		struct stage *s = vec_pop(&todo);

		if (s->reachable)
			continue;
		s->reachable = true;
		if (s->base)
			vec_push(&todo, s->base);
		for (size_t i = 0; i < s->deps.n; i++)
			vec_push(&todo, s->deps.v[i].stage);
	}
	vec_release(&todo);
}

void stages_release(struct compiler *c)
{
	for (size_t i = 0; i < c->stages.n; i++) {
		struct stage *s = c->stages.v[i];

		vec_release(&s->commands);
		vec_release(&s->deps);
		vec_release(&s->args);
		vec_release(&s->from_vars);
		vec_release(&s->outline_args);
		vec_release(&s->secrets);
		vec_release(&s->ssh);
		map_release(&s->env_index.at, NULL);
		map_release(&s->label_index.at, NULL);
		map_release(&s->volume_index.at, NULL);
		map_release(&s->arg_index.at, NULL);
		scope_release(&s->env);
		image_config_release(&s->config);
	}
	vec_release(&c->stages);
	map_release(&c->by_name, NULL);
}
