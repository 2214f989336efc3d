/* SPDX-License-Identifier: Apache-2.0 */
/* Compose files: what of them is built.
 *
 *	compose_load(&options, &project, err)		files, merged, in docker compose's canonical form
 *	compose_targets(&project, &options, &config)	services with `build` as targets of a bake
 *
 * A project is a tree of bake values: mappings sorted by name, numbers as exact text.
 */
#ifndef KILN_FRONTEND_COMPOSE_COMPOSE_H
#define KILN_FRONTEND_COMPOSE_COMPOSE_H

#include "frontend/bake/bake_config.h"

enum { COMPOSE_INCLUDES_MAX = 100, COMPOSE_ALIASES_MAX = 100000 };

struct compose_options {
	struct strv files;     /* -f; none: $COMPOSE_FILE, else the usual names here and above */
	struct strv env_files; /* --env-file; none: .env beside the first file */
	struct strv profiles;  /* --profile and $COMPOSE_PROFILES; "*": all */
	const char *project_name, *project_dir; /* NULL: as compose finds them */
	struct strv variables;			/* go before the environment: NAME=VALUE */
	bool no_interpolate, all_services;
	/* Of a bake: a service's image is no tag by default, paths stay relative. */
	bool for_bake;
};

struct compose_project {
	struct arena *arena;
	const struct bake_value
		*model; /* name, services, networks, volumes, secrets, configs, x-... */
	const char *name, *dir;
	bool for_bake;
	struct strv environment; /* of interpolation: NAME=VALUE */
};

/* Errors name the file and, where it is known, the line. */
int compose_load(const struct compose_options *o, struct compose_project *p,
		 struct error **err) _must_check_;
void compose_release(struct compose_project *p);

struct compose_build_options {
	struct strv services;	/* none: all that have `build` */
	struct strv build_args; /* NAME=VALUE or NAME */
	struct strv ssh;
	const char *memory; /* NULL: none */
	bool pull, no_cache, push, check, with_dependencies;
	const char *provenance, *sbom;
};

/* Adds targets and the group "default" to a config. */
int compose_targets(const struct compose_project *p, const struct compose_build_options *o,
		    struct bake_config *c, struct error **err) _must_check_;
/* A service; NULL if there is none. */
const struct bake_value *compose_service(const struct compose_project *p, const char *name);
/* Its image, or PROJECT-SERVICE. In the arena. */
const char *compose_image(const struct compose_project *p, const char *name);

/* Without networks, volumes, secrets and configs that no service uses. */
const struct bake_value *compose_only_used(struct arena *a, const struct bake_value *model);
/* With $ as $$: the text is to be put in again. */
const struct bake_value *compose_escape(struct arena *a, const struct bake_value *v);

/* The model as YAML. */
void compose_to_yaml(const struct bake_value *v, struct buf *b);

/* --- inside --- */

/* What !reset stands for. */
const struct bake_value *compose_reset(void);

struct compose_tree {
	struct arena *arena;
	VEC(const struct bake_value *) replacing; /* tagged !override */
};
int compose_yaml_parse(struct compose_tree *t, const char *file, const char *text, size_t n,
		       const struct bake_value **ret, struct error **err) _must_check_;

/* NAME=VALUE of an environment file; values are interpolated by `lookup`, then by what stands above. */
int compose_env_parse(const char *file, const char *text, const struct strv *lookup,
		      struct strv *ret, struct error **err) _must_check_;
/* ${NAME:-default} and its kin in one text. In the arena. NULL: it failed. */
const char *compose_substitute(struct arena *a, const char *text, const struct strv *environment,
			       struct error **err);
/* In all values of a tree. NULL: it failed. `path` is where it is, for messages. */
const struct bake_value *compose_interpolate(struct arena *a, const struct bake_value *v,
					     const char *path, const struct strv *environment,
					     struct error **err);

/* The second laid over the first, by the rules of the place "services.web.ports". NULL: it failed. */
const struct bake_value *compose_merge(struct compose_tree *t, const struct bake_value *base,
				       const struct bake_value *over, const char *path,
				       struct error **err);
/* Takes out what !reset marks. */
const struct bake_value *compose_without_reset(struct arena *a, const struct bake_value *v);

/* The canonical form: long for short, absolute paths. NULL: it failed. */
const struct bake_value *compose_normalize(const struct compose_project *p,
					   const struct bake_value *model, struct error **err);
/* Of one file: paths of a service become absolute, by the folder of the file. */
const struct bake_value *compose_absolute(struct arena *a, const struct bake_value *model,
					  const char *dir);

/* A path of the folder `dir`, or of ~; and is a context a path at all? */
const struct bake_value *compose_absolute_path(struct arena *a, const char *dir, const char *path);
bool compose_is_path(const char *context);

/* Mappings with one member more, or less. */
const struct bake_value *compose_with(struct arena *a, const struct bake_value *map,
				      const char *name, const struct bake_value *v);
const struct bake_value *compose_without(struct arena *a, const struct bake_value *map,
					 const char *name);
/* A member of a mapping; NULL if v is none, or has none, or it is null. */
const struct bake_value *compose_get(const struct bake_value *v, const char *name);
/* The words of a command line, as a shell splits them. */
const struct bake_value *compose_words(struct arena *a, const char *text);

#endif
