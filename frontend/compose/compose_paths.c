/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of a file's own, and what of a project nobody uses. */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "frontend/compose/compose.h"
#include "frontend/frontend.h"

typedef const struct bake_value *value;

const struct bake_value *compose_absolute_path(struct arena *a, const char *dir, const char *path)
{
	_cleanup_free_ char *whole = NULL;
	const char *home = getenv("HOME");

	if (*path == '~' && (path[1] == '/' || !path[1]) && home)
		whole = path_resolve(home, path + 1 + (path[1] == '/'));
	else
		whole = path_resolve(dir, path);
	return bake_string(a, whole);
}

bool compose_is_path(const char *context)
{
	return !frontend_context_is_remote(context) && !strstr(context, "://") &&
	       strncmp(context, "service:", 8) != 0 && strncmp(context, "target:", 7) != 0 &&
	       strncmp(context, "docker-image:", 13) != 0;
}

/* --- what is used --- */

static void mark(struct strv *used, value v)
{
	const char *text = v ? bake_text(v) : NULL;

	if (text && !strv_contains(used, text))
		strv_push(used, text);
}

static void mark_sources(struct strv *used, value list, const char *type)
{
	for (size_t i = 0; list && bake_is_sequence(list) && i < list->n; i++) {
		value t = compose_get(list->v[i], "type");

		if (!type || (t && bake_text(t) && strcmp(bake_text(t), type) == 0))
			mark(used, compose_get(list->v[i], "source"));
	}
}

static void mark_used(value service, const char *kind, struct strv *used)
{
	value networks = compose_get(service, "networks");

	if (strcmp(kind, "networks") == 0)
		for (size_t i = 0; networks && bake_is_mapping(networks) && i < networks->n; i++)
			strv_push(used, networks->names[i]);
	else if (strcmp(kind, "volumes") == 0)
		mark_sources(used, compose_get(service, "volumes"), "volume");
	else
		mark_sources(used, compose_get(service, kind), NULL);
	if (strcmp(kind, "secrets") == 0)
		mark_sources(used, compose_get(compose_get(service, "build"), "secrets"), NULL);
}

const struct bake_value *compose_only_used(struct arena *a, const struct bake_value *model)
{
	static const char *const kinds[] = {"networks", "volumes", "secrets", "configs"};
	value services = compose_get(model, "services");

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		value list = compose_get(model, kinds[k]);
		_cleanup_strv_ struct strv used = {0};
		struct bake_builder b = {.arena = a};

		for (size_t i = 0; services && i < services->n; i++)
			mark_used(services->v[i], kinds[k], &used);
		for (size_t i = 0; list && i < list->n; i++)
			if (strv_contains(&used, list->names[i]))
				bake_put(&b, list->names[i], list->v[i]);
		if (list && b.n > 0)
			model = compose_with(a, model, kinds[k], bake_mapping(&b, BAKE_MAP));
		else if (list)
			model = compose_without(a, model, kinds[k]);
	}
	return model;
}

/* --- paths of one file --- */

static value absolute_member(struct arena *a, value map, const char *name, const char *dir)
{
	value v = compose_get(map, name);

	return v && bake_text(v) && compose_is_path(bake_text(v))
		       ? compose_with(a, map, name, compose_absolute_path(a, dir, bake_text(v)))
		       : map;
}

static value absolute_build(struct arena *a, value build, const char *dir)
{
	value contexts;

	if (build->kind == BAKE_STRING)
		build = compose_with(a, NULL, "context", build);
	if (!bake_is_mapping(build))
		return build;
	build = absolute_member(a, build, "context", dir);
	contexts = compose_get(build, "additional_contexts");
	if (contexts && bake_is_sequence(contexts)) {
		struct bake_builder b = {.arena = a};

		for (size_t i = 0; i < contexts->n; i++) {
			const char *text = bake_text(contexts->v[i]) ? bake_text(contexts->v[i])
								     : "",
				   *equals = strchr(text, '=');

			if (equals)
				bake_put(&b, arena_strndup(a, text, (size_t)(equals - text)),
					 bake_string(a, equals + 1));
		}
		contexts = bake_mapping(&b, BAKE_MAP);
	}
	for (size_t i = 0; contexts && bake_is_mapping(contexts) && i < contexts->n; i++)
		contexts = absolute_member(a, contexts, contexts->names[i], dir);
	return contexts ? compose_with(a, build, "additional_contexts", contexts) : build;
}

static value absolute_env_files(struct arena *a, value v, const char *dir)
{
	struct bake_builder b = {.arena = a};

	if (v->kind == BAKE_STRING) {
		bake_push(&b, compose_absolute_path(a, dir, v->s));
		return bake_sequence(&b, BAKE_LIST);
	}
	for (size_t i = 0; bake_is_sequence(v) && i < v->n; i++)
		bake_push(&b, v->v[i]->kind == BAKE_STRING
				      ? compose_absolute_path(a, dir, v->v[i]->s)
				      : absolute_member(a, v->v[i], "path", dir));
	return bake_sequence(&b, BAKE_LIST);
}

const struct bake_value *compose_absolute(struct arena *a, const struct bake_value *model,
					  const char *dir)
{
	static const char *const kinds[] = {"secrets", "configs"};
	value services = compose_get(model, "services");

	for (size_t i = 0; services && i < services->n; i++) {
		value s = services->v[i], build = compose_get(s, "build"),
		      env = compose_get(s, "env_file");

		if (build)
			s = compose_with(a, s, "build", absolute_build(a, build, dir));
		if (env)
			s = compose_with(a, s, "env_file", absolute_env_files(a, env, dir));
		services = compose_with(a, services, services->names[i], s);
	}
	if (services)
		model = compose_with(a, model, "services", services);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		value list = compose_get(model, kinds[k]);

		for (size_t i = 0; list && i < list->n; i++)
			if (bake_is_mapping(list->v[i]))
				list = compose_with(a, list, list->names[i],
						    absolute_member(a, list->v[i], "file", dir));
		if (list)
			model = compose_with(a, model, kinds[k], list);
	}
	return model;
}
