/* SPDX-License-Identifier: Apache-2.0 */
/* Finds, reads and merges the files of a project. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/named_file.h"
#include "base/path.h"
#include "frontend/compose/compose.h"

typedef const struct bake_value *value;

struct reader {
	struct compose_project *p;
	const struct compose_options *o;
	struct compose_tree tree;
	unsigned includes;
	struct error **err;
};

/* --- finding --- */

static int read_text(const char *path, struct buf *b, struct error **err)
{
	int r = strcmp(path, "-") == 0 ? named_file_read_fd(STDIN_FILENO, NULL, b)
				       : named_file_read(path, NULL, b);

	return r < 0 ? error_new(err, named_file_error(r), -r, "read %s", path) : 0;
}

static bool exists(const char *dir, const char *name, struct strv *files)
{
	_cleanup_free_ char *path = path_join(dir, name);

	if (access(path, F_OK) != 0)
		return false;
	strv_push(files, path);
	return true;
}

/* Here, or in the next folder above that has one, and what overrides it. */
static void usual_files(const char *cwd, struct strv *files)
{
	static const char *const names[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
					    "docker-compose.yaml"};
	static const char *const overrides[] = {"compose.override.yml", "compose.override.yaml",
						"docker-compose.override.yml",
						"docker-compose.override.yaml"};
	_cleanup_free_ char *dir = xstrdup(cwd);

	for (;;) {
		char *up;

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			if (!exists(dir, names[i], files))
				continue;
			for (size_t k = 0; k < ARRAY_SIZE(overrides); k++)
				if (exists(dir, overrides[k], files))
					return;
			return;
		}
		if (strcmp(dir, "/") == 0)
			return;
		up = path_dir(dir);
		free(dir);
		dir = up;
	}
}

static void split_list(const char *list, const char *separator, struct strv *ret)
{
	while (list && *list) {
		const char *next = strstr(list, separator);

		if (next != list)
			strv_pushn(ret, list, next ? (size_t)(next - list) : strlen(list));
		list = next ? next + strlen(separator) : NULL;
	}
}

static const char *setting(const struct compose_project *p, const char *name)
{
	const char *v = env_get(&p->environment, name);

	return v && *v ? v : NULL;
}

/* --- one file --- */

static value read_model(struct reader *r, const char *path, const char *dir);

static value member_service(value model, const char *name)
{
	return compose_get(compose_get(model, "services"), name);
}

static value resolve_service(struct reader *r, value model, const char *name, const char *file,
			     const char *dir, unsigned depth);

/* The service that one extends: of this file or another. */
static value extended(struct reader *r, value model, value extends, const char *file,
		      const char *dir, unsigned depth)
{
	value service = extends->kind == BAKE_STRING ? extends : compose_get(extends, "service");
	value from = compose_get(extends, "file");
	_cleanup_free_ char *path = NULL, *other_dir = NULL;

	if (!service || !bake_text(service)) {
		(void)error_new(r->err, ERR_INVALID, 0, "%s: extends names a service", file);
		return NULL;
	}
	if (!from)
		return resolve_service(r, model, bake_text(service), file, dir, depth + 1);
	path = path_resolve(dir, bake_text(from));
	other_dir = path_dir(path);
	model = read_model(r, path, other_dir);
	return model ? resolve_service(r, model, bake_text(service), path, other_dir, depth + 1)
		     : NULL;
}

static value resolve_service(struct reader *r, value model, const char *name, const char *file,
			     const char *dir, unsigned depth)
{
	value s = compose_get(model, "services"), extends, base;

	s = s && bake_is_mapping(s) ? bake_member(s, name) : NULL;
	if (!s || depth > 50) {
		(void)error_new(r->err, ERR_INVALID, 0,
				depth > 50 ? "%s: the service \"%s\" extends itself"
					   : "%s: there is no service \"%s\" to extend",
				file, name);
		return NULL;
	}
	extends = compose_get(s, "extends");
	if (!extends)
		return s;
	base = extended(r, model, extends, file, dir, depth);
	if (!base)
		return NULL;
	s = compose_without(r->p->arena, s, "extends");
	return compose_merge(&r->tree, base, s, arena_printf(r->p->arena, "services.%s", name),
			     r->err);
}

static value resolve_extends(struct reader *r, value model, const char *file, const char *dir)
{
	value services = compose_get(model, "services");
	struct bake_builder b = {.arena = r->p->arena};

	for (size_t i = 0; services && bake_is_mapping(services) && i < services->n; i++) {
		value s = resolve_service(r, model, services->names[i], file, dir, 0);

		if (!s)
			return NULL;
		bake_put(&b, services->names[i], s);
	}
	return services ? compose_with(r->p->arena, model, "services", bake_mapping(&b, BAKE_MAP))
			: model;
}

/* As it stands in the file, with variables put in and absolute paths. */
static value read_model(struct reader *r, const char *path, const char *dir)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(BAKE_FILE_MAX);
	value model = NULL;

	if (++r->includes > COMPOSE_INCLUDES_MAX) {
		(void)error_new(r->err, ERR_INVALID, 0,
				"more than %d compose files include each other",
				COMPOSE_INCLUDES_MAX);
		return NULL;
	}
	if (read_text(path, &b, r->err) < 0 ||
	    compose_yaml_parse(&r->tree, path, b.p, b.n, &model, r->err) < 0)
		return NULL;
	if (!bake_is_mapping(model)) {
		(void)error_new(r->err, ERR_INVALID, 0, "%s: a compose file is a map", path);
		return NULL;
	}
	if (!r->o->no_interpolate)
		model = compose_interpolate(r->p->arena, model, "", &r->p->environment, r->err);
	if (!model) {
		(void)error_wrap(r->err, -ERR_INVALID, "%s", path);
		return NULL;
	}
	return r->o->for_bake ? model : compose_absolute(r->p->arena, model, dir);
}

static value read_file(struct reader *r, const char *path, const char *dir);

/* include: what it has and this file does not. */
static value add_include(struct reader *r, value model, value include, const char *dir)
{
	value paths = include->kind == BAKE_STRING ? include : compose_get(include, "path");
	value base = compose_get(include, "project_directory"), all = NULL;
	size_t n = paths && bake_is_sequence(paths) ? paths->n : paths != NULL;

	for (size_t i = 0; i < n; i++) {
		const char *text = bake_text(bake_is_sequence(paths) ? paths->v[i] : paths);
		_cleanup_free_ char *path = path_resolve(dir, text ? text : ""), *own = NULL;
		value one;

		own = base && bake_text(base) ? path_resolve(dir, bake_text(base)) : path_dir(path);
		one = read_file(r, path, own);
		if (one)
			one = compose_without(r->p->arena, one, "name");
		all = one && all ? compose_merge(&r->tree, all, one, "", r->err) : one;
		if (!all)
			return NULL;
	}
	if (!all) {
		(void)error_new(r->err, ERR_INVALID, 0, "include names a path");
		return NULL;
	}
	return compose_merge(&r->tree, all, model, "", r->err);
}

static value read_file(struct reader *r, const char *path, const char *dir)
{
	value model = read_model(r, path, dir),
	      includes = model ? compose_get(model, "include") : NULL;

	if (model)
		model = resolve_extends(r, model, path, dir);
	if (!model || !includes)
		return model;
	model = compose_without(r->p->arena, model, "include");
	for (size_t i = 0; bake_is_sequence(includes) && i < includes->n && model; i++)
		model = add_include(r, model, includes->v[i], dir);
	return model;
}

/* --- the project --- */

static void add_environment(struct compose_project *p)
{
	for (char **e = environ; *e; e++)
		strv_push(&p->environment, *e);
}

static int add_env_file(struct compose_project *p, const char *path, bool required,
			struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT_MAX(BAKE_FILE_MAX);
	_cleanup_strv_ struct strv found = {0};
	int r = read_text(path, &b, err);

	if (r == -ERR_NOTFOUND && !required) {
		if (err) {
			error_free(*err);
			*err = NULL;
		}
		return 0;
	}
	if (r == 0)
		r = compose_env_parse(path, b.p, &p->environment, &found, err);
	for (size_t i = 0; i < found.n && r == 0; i++) {
		_cleanup_free_ char *name = xstrndup(found.v[i], strcspn(found.v[i], "="));

		if (!env_get(&p->environment, name))
			strv_push(&p->environment, found.v[i]);
	}
	return r;
}

/* Lower case, digits, - and _, which do not come first. */
static const char *normal_name(struct arena *a, const char *name)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (; *name; name++) {
		int c = tolower((unsigned char)*name);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    (b.n > 0 && (c == '-' || c == '_')))
			buf_addc(&b, (char)c);
	}
	return arena_strndup(a, b.p, b.n);
}

static int set_name(struct reader *r, value model)
{
	struct compose_project *p = r->p;
	value name = compose_get(model, "name");

	if (r->o->for_bake)
		p->name = "bake";
	else if (r->o->project_name)
		p->name = r->o->project_name;
	else if (setting(p, "COMPOSE_PROJECT_NAME"))
		p->name = arena_strdup(p->arena, setting(p, "COMPOSE_PROJECT_NAME"));
	else if (name && bake_text(name))
		p->name = bake_text(name);
	else
		p->name = normal_name(p->arena, path_base(p->dir));
	if (strcmp(normal_name(p->arena, p->name), p->name) == 0 && *p->name)
		return 0;
	return error_new(r->err, ERR_INVALID, 0,
			 "\"%s\" cannot be the name of a project: it has small letters, digits, - "
			 "and _, and begins "
			 "with a letter or a digit",
			 p->name);
}

static bool is_active(value service, const struct strv *profiles)
{
	value own = compose_get(service, "profiles");

	if (!own || own->n == 0 || strv_contains(profiles, "*"))
		return true;
	for (size_t i = 0; bake_is_sequence(own) && i < own->n; i++)
		if (bake_text(own->v[i]) && strv_contains(profiles, bake_text(own->v[i])))
			return true;
	return false;
}

static value with_profiles(struct reader *r, value model)
{
	_cleanup_strv_ struct strv profiles = {0};
	value services = compose_get(model, "services");
	struct bake_builder b = {.arena = r->p->arena};

	strv_copy(&profiles, &r->o->profiles);
	split_list(setting(r->p, "COMPOSE_PROFILES"), ",", &profiles);
	if (r->o->all_services || r->o->for_bake)
		strv_push(&profiles, "*");
	for (size_t i = 0; services && i < services->n; i++)
		if (is_active(services->v[i], &profiles))
			bake_put(&b, services->names[i], services->v[i]);
	return compose_with(r->p->arena, model, "services", bake_mapping(&b, BAKE_MAP));
}

/* What env_file holds goes below the service's own environment. */
static value with_env_files(struct reader *r, value s)
{
	value files = compose_get(s, "env_file"), own = compose_get(s, "environment");
	_cleanup_strv_ struct strv found = {0};
	struct bake_builder b = {.arena = r->p->arena};

	for (size_t i = 0; files && bake_is_sequence(files) && i < files->n; i++) {
		value f = files->v[i], path = f->kind == BAKE_STRING ? f : compose_get(f, "path"),
		      needed = compose_get(f, "required");
		_cleanup_buf_ struct buf text = BUF_INIT_MAX(BAKE_FILE_MAX);
		const char *name = path && bake_text(path) ? bake_text(path) : "";

		if (needed && needed->kind == BAKE_BOOL && !needed->b && access(name, F_OK) != 0)
			continue;
		if (read_text(name, &text, r->err) < 0 ||
		    compose_env_parse(name, text.p, &r->p->environment, &found, r->err) < 0)
			return NULL;
	}
	for (size_t i = 0; i < found.n; i++)
		bake_push(&b, bake_string(r->p->arena, found.v[i]));
	s = compose_without(r->p->arena, s, "env_file");
	if (found.n == 0)
		return s;
	own = own ? compose_merge(&r->tree, bake_sequence(&b, BAKE_LIST), own,
				  "services.x.environment", r->err)
		  : bake_sequence(&b, BAKE_LIST);
	return compose_with(r->p->arena, s, "environment", own);
}

static int check_service(struct reader *r, value services, const char *name, value s)
{
	value needs = compose_get(s, "depends_on");

	if (!compose_get(s, "image") && !compose_get(s, "build"))
		return error_new(r->err, ERR_INVALID, 0,
				 "the service \"%s\" has neither an image nor a build", name);
	for (size_t i = 0; needs && i < needs->n; i++) {
		const char *other =
			bake_is_mapping(needs) ? needs->names[i] : bake_text(needs->v[i]);
		value required =
			bake_is_mapping(needs) ? compose_get(needs->v[i], "required") : NULL;

		if (other && !bake_member(services, other) &&
		    !(required && required->kind == BAKE_BOOL && !required->b))
			return error_new(
				r->err, ERR_INVALID, 0,
				"the service \"%s\" depends on \"%s\", which is not defined", name,
				other);
	}
	return 0;
}

/* A bake takes what is built, and nothing else. */
static value only_builds(struct reader *r, value model)
{
	struct bake_builder b = {.arena = r->p->arena}, all = {.arena = r->p->arena};
	value services = compose_get(model, "services");

	for (size_t i = 0; services && i < services->n; i++) {
		struct bake_builder s = {.arena = r->p->arena};
		value image = compose_get(services->v[i], "image"),
		      build = compose_get(services->v[i], "build");

		if (image)
			bake_put(&s, "image", image);
		if (build)
			bake_put(&s, "build", build);
		bake_put(&all, services->names[i], bake_mapping(&s, BAKE_MAP));
	}
	bake_put(&b, "services", bake_mapping(&all, BAKE_MAP));
	if (compose_get(model, "secrets"))
		bake_put(&b, "secrets", compose_get(model, "secrets"));
	return bake_mapping(&b, BAKE_MAP);
}

static int finish(struct reader *r, value model)
{
	struct compose_project *p = r->p;
	value services;
	int status;

	model = compose_without_reset(p->arena, model);
	status = set_name(r, model);
	if (status < 0)
		return status;
	if (r->o->for_bake)
		model = only_builds(r, model);
	model = with_profiles(r, model);
	services = compose_get(model, "services");
	for (size_t i = 0; i < services->n && status == 0 && !r->o->for_bake; i++) {
		value s = with_env_files(r, services->v[i]);

		status = s ? check_service(r, services, services->names[i], s) : -ERR_INVALID;
		if (s)
			services = compose_with(p->arena, services, services->names[i], s);
	}
	if (status < 0)
		return status;
	model = compose_with(p->arena, model, "services", services);
	p->model = compose_normalize(p, model, r->err);
	return p->model ? 0 : -ERR_INVALID;
}

static int read_all(struct reader *r, const struct strv *files)
{
	value model = NULL;

	for (size_t i = 0; i < files->n; i++) {
		_cleanup_free_ char *path = path_resolve(r->p->dir, files->v[i]);
		value one = read_file(r, strcmp(files->v[i], "-") == 0 ? "-" : path, r->p->dir);

		if (one && model)
			one = compose_merge(&r->tree, model, one, "", r->err);
		if (!one)
			return -ERR_INVALID;
		model = one;
	}
	return finish(r, model);
}

static int find_files(const struct compose_options *o, const char *cwd, struct strv *files,
		      struct error **err)
{
	const char *separator = getenv("COMPOSE_PATH_SEPARATOR");

	for (size_t i = 0; i < o->files.n; i++) {
		_cleanup_free_ char *path = path_resolve(cwd, o->files.v[i]);

		strv_push(files, strcmp(o->files.v[i], "-") == 0 ? "-" : path);
	}
	if (files->n == 0 && getenv("COMPOSE_FILE")) {
		_cleanup_strv_ struct strv names = {0};

		split_list(getenv("COMPOSE_FILE"), separator && *separator ? separator : ":",
			   &names);
		for (size_t i = 0; i < names.n; i++)
			strv_push_take(files, path_resolve(cwd, names.v[i]));
	}
	if (files->n == 0)
		usual_files(cwd, files);
	if (files->n > 0)
		return 0;
	return error_hint(
		err, error_new(err, ERR_NOTFOUND, 0, "there is no compose file in this folder"),
		"it is called compose.yaml; name another with -f");
}

int compose_load(const struct compose_options *o, struct compose_project *p, struct error **err)
{
	struct reader r = {.p = p, .o = o, .err = err};
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *dir = NULL, *env = NULL;
	_cleanup_strv_ struct strv files = {0};
	int status = find_files(o, cwd ? cwd : "/", &files, err);

	if (status < 0)
		return status;
	r.tree.arena = p->arena;
	dir = o->project_dir		     ? path_resolve(cwd, o->project_dir)
	      : strcmp(files.v[0], "-") == 0 ? xstrdup(cwd)
					     : path_dir(files.v[0]);
	p->dir = arena_strdup(p->arena, dir);
	p->for_bake = o->for_bake;
	for (size_t i = 0; i < o->variables.n; i++)
		strv_push(&p->environment, o->variables.v[i]);
	add_environment(p);
	env = path_join(dir, ".env");
	for (size_t i = 0; i < o->env_files.n && status == 0; i++)
		status = add_env_file(p, o->env_files.v[i], true, err);
	if (status == 0 && o->env_files.n == 0)
		status = add_env_file(p, env, false, err);
	if (status == 0)
		status = read_all(&r, &files);
	vec_release(&r.tree.replacing);
	return status;
}

void compose_release(struct compose_project *p)
{
	strv_release(&p->environment);
}

const struct bake_value *compose_service(const struct compose_project *p, const char *name)
{
	return member_service(p->model, name);
}

const char *compose_image(const struct compose_project *p, const char *name)
{
	value image = compose_get(compose_service(p, name), "image");

	return image ? bake_text(image) : arena_printf(p->arena, "%s-%s", p->name, name);
}
