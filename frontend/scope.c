/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/scope.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"

#define NEAREST_OF 1000

static size_t position(const struct scope *s, const char *key)
{
	return (size_t)(uintptr_t)map_gets(&s->index, key);
}

static void supersede(struct scope *s, size_t at)
{
	if (s->vars.v[at].key)
		s->bytes -= strlen(s->vars.v[at].key) + strlen(s->vars.v[at].value);
	free(s->vars.v[at].key);
	free(s->vars.v[at].value);
	s->vars.v[at] = (struct scope_var){0};
}

/* Drops the holes that superseded variables left. */
static void compact(struct scope *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->vars.n; i++) {
		if (!s->vars.v[i].key)
			continue;
		s->vars.v[n] = s->vars.v[i];
		*map_puts(&s->index, s->vars.v[n].key) = (void *)(uintptr_t)(n + 1);
		n++;
	}
	s->vars.n = n;
}

void scope_set(struct scope *s, const char *key, const char *value)
{
	char *copy = xstrdup(value);
	size_t at = position(s, key);

	if (at > 0)
		supersede(s, at - 1);
	if (s->vars.n > 2 * s->index.n + 16)
		compact(s);
	s->bytes += strlen(key) + strlen(copy);
	vec_push(&s->vars, (struct scope_var){.key = xstrdup(key), .value = copy});
	*map_puts(&s->index, key) = (void *)(uintptr_t)s->vars.n;
}

void scope_unset(struct scope *s, const char *key)
{
	size_t at = position(s, key);

	if (at == 0)
		return;
	supersede(s, at - 1);
	*map_puts(&s->index, key) = NULL;
}

const char *scope_get(const struct scope *s, const char *key)
{
	size_t at = position(s, key);

	return at > 0 ? s->vars.v[at - 1].value : NULL;
}

void scope_copy(struct scope *to, const struct scope *from)
{
	scope_release(to);
	for (size_t i = 0; i < from->vars.n; i++)
		if (from->vars.v[i].key)
			scope_set(to, from->vars.v[i].key, from->vars.v[i].value);
}

void scope_release(struct scope *s)
{
	for (size_t i = 0; i < s->vars.n; i++)
		supersede(s, i);
	vec_release(&s->vars);
	map_release(&s->index, NULL);
	*s = (struct scope){0};
}

struct df_strings scope_environment(struct scope *s, struct arena *a, const char *last)
{
	const char **v = arena_alloc(a, (s->index.n + 1) * sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < s->vars.n; i++) {
		struct scope_var *var = &s->vars.v[i];

		if (!var->key)
			continue;
		if (!var->pair)
			var->pair = arena_printf(a, "%s=%s", var->key, var->value);
		v[n++] = var->pair;
	}
	if (last)
		v[n++] = last;
	return (struct df_strings){n > 0 ? v : NULL, n};
}

const char *scope_nearest(const struct scope *s, const char *name)
{
	const char *names[NEAREST_OF];
	size_t n = 0;

	for (size_t i = 0; i < s->vars.n && n < NEAREST_OF; i++)
		if (s->vars.v[i].key)
			names[n++] = s->vars.v[i].key;
	return suggest(name, names, n, true);
}

const char *scope_option(const struct strv *options, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = options->n; i-- > 0;)
		if (strncmp(options->v[i], key, n) == 0 && options->v[i][n] == '=')
			return options->v[i] + n + 1;
	return NULL;
}

void scope_set_platform_args(struct scope *s, const struct platform *build,
			     const struct platform *target, const char *target_stage,
			     const struct strv *build_args)
{
	char build_text[64], target_text[64];
	const struct {
		const char *key, *value;
	} args[] = {
		{"BUILDPLATFORM", platform_format(build, build_text)},
		{"BUILDOS", build->os},
		{"BUILDOSVERSION", build->os_version},
		{"BUILDARCH", build->arch},
		{"BUILDVARIANT", build->variant},
		{"TARGETPLATFORM", platform_format(target, target_text)},
		{"TARGETOS", target->os},
		{"TARGETOSVERSION", target->os_version},
		{"TARGETARCH", target->arch},
		{"TARGETVARIANT", target->variant},
		{"TARGETSTAGE", target_stage},
	};

	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		const char *given = scope_option(build_args, args[i].key);

		scope_set(s, args[i].key, given ? given : args[i].value);
	}
}

const char *scope_lookup(void *data, const char *name)
{
	return scope_get(data, name);
}
