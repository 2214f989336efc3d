/* SPDX-License-Identifier: Apache-2.0 */
/* SOURCE_DATE_EPOCH: a number, or the time of a source or of a stage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/times.h"
#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

#define EPOCH_KEY "SOURCE_DATE_EPOCH"

static int ask_clock(struct compiler *c, const struct op_source *source, struct error **err)
{
	const struct source_clock *clock = &c->opts->clock;

	return clock->time ? clock->time(clock->data, source, &c->has_epoch, &c->epoch, err) : 0;
}

static void drop_build_arg(struct strv *args, const char *key)
{
	size_t n = 0, len = strlen(key);

	for (size_t i = 0; i < args->n; i++) {
		if (strncmp(args->v[i], key, len) == 0 && args->v[i][len] == '=')
			free(args->v[i]);
		else
			args->v[n++] = args->v[i];
	}
	if (n < args->n)
		args->v[n] = NULL;
	args->n = n;
}

/* --- a stage that is one file from elsewhere --- */

static const struct df_stage *find_stage(const struct compiler *c, const char *name)
{
	for (size_t i = 0; i < c->file->n_stages; i++) {
		const char *own = c->file->stages[i].from->from.name;

		if (own && df_equal_fold(own, name))
			return &c->file->stages[i];
	}
	return NULL;
}

static int not_source_only(const char *what, struct error **err)
{
	return error_new(err, ERR_INVALID, 0,
			 EPOCH_KEY " stage does not meet source-only requirements: %s", what);
}

static int check_stage(const struct df_stage *stage, struct error **err)
{
	size_t n_adds = 0;

	if (strcmp(stage->from->from.base, "scratch") != 0)
		return error_new(err, ERR_INVALID, 0, EPOCH_KEY " stage must use FROM scratch");
	for (size_t i = 0; i < stage->n; i++) {
		enum df_kind kind = stage->commands[i]->kind;
		_cleanup_free_ char *what = NULL;

		n_adds += kind == DF_ADD;
		if (kind == DF_ARG || kind == DF_ADD)
			continue;
		what = xasprintf("unsupported %s instruction", df_kind_name(kind));
		return not_source_only(what, err);
	}
	return n_adds == 1 ? 0 : not_source_only("exactly one ADD is needed", err);
}

/* The only source of the graph. */
static int only_source(const struct graph *g, const struct op_source **ret, struct error **err)
{
	*ret = NULL;
	for (size_t i = 0; i < g->n; i++) {
		const struct op *op = &g->vertices[i]->op;

		if (op->kind != OP_SOURCE)
			continue;
		if (*ret)
			return not_source_only("ADD has more than one source", err);
		*ret = &op->source;
	}
	if (!*ret || strncmp((*ret)->identifier, "local://", strlen("local://")) == 0)
		return not_source_only("ADD needs a Git or HTTP(S) source", err);
	return 0;
}

/* The stage is compiled by itself, without the variable that it is to give a value. */
static int ask_stage(struct compiler *c, const struct df_stage *stage, struct error **err)
{
	struct frontend_opts opts = *c->opts;
	struct frontend_result result = {0};
	const struct op_source *source;
	_cleanup_strv_ struct strv args = {0};
	struct graph g;
	int r;

	strv_copy(&args, &c->build_args);
	drop_build_arg(&args, EPOCH_KEY);
	strv_push(&args, EPOCH_KEY "=");
	opts.build_args = args;
	opts.target = stage->from->from.name;
	opts.squash_on = NULL;
	opts.has_default_epoch = opts.all_stages = false;
	graph_init(&g);
	r = frontend_compile(&opts, &g, &result, err);
	if (r == 0)
		r = only_source(&g, &source, err);
	if (r == 0)
		r = ask_clock(c, source, err);
	frontend_result_release(&result);
	graph_release(&g);
	return r;
}

static int take_stage(struct compiler *c, const struct df_stage *stage, struct error **err)
{
	int r = check_stage(stage, err);

	if (r == 0)
		r = ask_stage(c, stage, err);
	return r < 0 ? error_at(err, r, c->file->name, stage->from->span) : 0;
}

/* --- the value --- */

/* A named context has the time of what its URL stands for; folders and images have none. */
static int take_context(struct compiler *c, const struct named_context *named, struct error **err)
{
	struct draft *draft;
	int r;

	if (named->built || !frontend_context_is_remote(named->value))
		return 0;
	r = context_source(c, named, &draft, NULL, err);
	return r < 0 ? r : ask_clock(c, &draft->v.op.source, err);
}

static int take_value(struct compiler *c, const char *value, struct error **err)
{
	const struct named_context *named;
	const struct df_stage *stage;
	int64_t seconds;

	if (number_parse_signed(value, INT64_MIN, INT64_MAX, &seconds) == 0) {
		/* Times are kept in nanoseconds. */
		if (seconds > INT64_MAX / NS_PER_S || seconds < INT64_MIN / NS_PER_S)
			return error_new(err, ERR_INVALID, 0, "invalid " EPOCH_KEY ": %s", value);
		c->has_epoch = true;
		c->epoch = seconds;
		return 0;
	}
	if (strcmp(value, "context") == 0)
		return ask_clock(c, NULL, err);
	named = context_find(c, value, &c->opts->target_platform);
	if (named)
		return take_context(c, named, err);
	stage = find_stage(c, value);
	if (stage)
		return take_stage(c, stage, err);
	return error_new(err, ERR_INVALID, 0, "invalid " EPOCH_KEY ": %s", value);
}

/* Without a value the caller's default holds: what the context has, or else a number. */
static int take_default(struct compiler *c, struct error **err)
{
	int r;

	if (c->has_epoch || !c->opts->has_default_epoch)
		return 0;
	r = ask_clock(c, NULL, err);
	if (r == 0 && !c->has_epoch) {
		c->has_epoch = true;
		c->epoch = c->opts->default_epoch;
	}
	return r;
}

int epoch_resolve(struct compiler *c, struct error **err)
{
	const char *given = scope_option(&c->build_args, EPOCH_KEY);
	const char *value = given ? given : scope_get(&c->globals, EPOCH_KEY);
	char text[32];
	int r = 0;

	/* An empty default of a global ARG is nothing; an empty --build-arg takes the time away. */
	if (value && *value)
		r = take_value(c, value, err);
	if (r == 0)
		r = take_default(c, err);
	if (r < 0 || (!c->has_epoch && (!value || (!*value && !given))))
		return r;
	(void)snprintf(text, sizeof(text), "%lld", (long long)c->epoch);
	if (given || c->opts->has_default_epoch) {
		drop_build_arg(&c->build_args, EPOCH_KEY);
		if (c->has_epoch)
			strv_pushf(&c->build_args, EPOCH_KEY "=%s", text);
	}
	if (scope_get(&c->globals, EPOCH_KEY)) {
		if (c->has_epoch)
			scope_set(&c->globals, EPOCH_KEY, text);
		else
			scope_unset(&c->globals, EPOCH_KEY);
	}
	return 0;
}
