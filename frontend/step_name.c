/* SPDX-License-Identifier: Apache-2.0 */
/* How steps are called in the progress stream. */
#include <string.h>

#include "frontend/dockerfile/df_parse.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

/* What the stage is built for if TARGET* variables in its scope say other than what it runs on:
 * "->arm64", else "". */
static const char *cross_target(struct compiler *c, const struct stage *s)
{
	const char *text = scope_get(&s->env, "TARGETPLATFORM");
	const char *os = scope_get(&s->env, "TARGETOS"), *arch = scope_get(&s->env, "TARGETARCH");
	const char *variant = scope_get(&s->env, "TARGETVARIANT");
	struct platform p;
	char buf[64];

	if (!text) {
		if (!os && !arch && !variant)
			return "";
		text = arena_printf(c->arena, "%s/%s%s%s", os && *os ? os : s->platform.os,
				    arch && *arch ? arch : s->platform.arch,
				    variant && *variant ? "/" : "", variant ? variant : "");
	}
	if (platform_parse(text, &p, NULL) < 0)
		return "";
	if (strcmp(p.os, s->platform.os) != 0)
		return arena_printf(c->arena, "->%s", platform_format(&p, buf));
	if (strcmp(p.arch, s->platform.arch) != 0)
		return arena_printf(c->arena, "->%s%s%s", p.arch, *p.variant ? "/" : "", p.variant);
	return "";
}

const char *step_internal(struct compiler *c, const char *text)
{
	const char *target = c->opts->shown_target;

	return arena_printf(c->arena, "[%s%sinternal] %s", target ? target : "", target ? " " : "",
			    text);
}

static const char *prefix(struct compiler *c, struct stage *s, bool on_build, bool cross,
			  const char *text)
{
	int width = 0;
	char platform[64];
	const char *shown = "", *target = "", *of = c->opts->shown_target;

	if (s->n_steps == 0)
		return text;
	for (unsigned n = s->n_steps; n > 0; n /= 10)
		width++;
	if (c->opts->multi_platform) {
		shown = platform_format(&s->platform, platform);
		target = cross ? cross_target(c, s) : "";
	}
	return arena_printf(c->arena, "[%s%s%s%s%s%s%s%*u/%u] %s%s", of ? of : "", of ? " " : "",
			    shown, target, *shown ? " " : "", s->shown, *s->shown ? " " : "", width,
			    s->step, s->n_steps, on_build ? "ONBUILD " : "", text);
}

const char *step_name(struct compiler *c, struct stage *s, const struct command *cmd,
		      const char *text, bool again)
{
	if (!again)
		s->step++;
	return prefix(c, s, cmd->on_build, true, text);
}

const char *step_from(struct compiler *c, struct stage *s, const char *ref)
{
	s->step++;
	return prefix(c, s, false, false, arena_printf(c->arena, "FROM %s", ref));
}

/* Values that come from secrets show as "****". */
struct masked {
	const struct stage *stage;
	struct df_strings names;
};

static const char *masked_get(void *data, const char *name)
{
	const struct masked *m = data;

	for (size_t i = 0; i < m->names.n; i++)
		if (strcmp(m->names.v[i], name) == 0)
			return "****";
	return scope_get(&m->stage->env, name);
}

static const char *upper_first_word(struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text);

	for (char *p = copy; *p && *p != ' '; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return copy;
}

const char *step_text(struct compiler *c, struct stage *s, const struct df_instruction *in,
		      const char *text)
{
	struct masked m = {.stage = s};
	struct df_shell shell = {
		.escape = c->file->escape, .get = masked_get, .data = &m, .budget = &c->words_left};
	const char *expanded;

	if (in->kind == DF_RUN) {
		struct df_shell own = lower_shell(c, s);

		shell.raw_quotes = true;
		shell.skip_unset = true;
		for (size_t i = 0; i < in->run.mounts.n; i++) {
			struct df_mount mount;

			if (df_mount_parse(c->arena, in->run.mounts.v[i], &own, NULL, &mount,
					   NULL) == 0 &&
			    mount.type == DF_MOUNT_SECRET && mount.env)
				df_strings_push(c->arena, &m.names,
						*mount.env ? mount.env : mount.id);
		}
	}
	if (df_expand(&shell, c->arena, text, NULL, &expanded, NULL) < 0)
		expanded = text;
	return upper_first_word(c->arena, expanded);
}
