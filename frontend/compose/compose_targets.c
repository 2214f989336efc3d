/* SPDX-License-Identifier: Apache-2.0 */
/* Services that are built, as targets of a bake. */
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"
#include "frontend/compose/compose.h"

typedef const struct bake_value *value;

struct maker {
	const struct compose_project *p;
	const struct compose_build_options *o;
	struct arena *a;
	struct bake_config *c;
	struct error **err;
};

static int refuse(struct maker *m, const char *service, const char *key, const char *why)
{
	return error_new(m->err, ERR_UNSUPPORTED, 0, "services.%s.build.%s: %s", service, key, why);
}

/* A target's name has no dots. */
static const char *target_name(struct arena *a, const char *service)
{
	char *name = arena_strdup(a, service);

	for (char *p = name; (p = strchr(p, '.'));)
		*p = '_';
	return name;
}

static int set(struct maker *m, struct bake_target *t, enum bake_field field, value v)
{
	const char *why = NULL;

	if (!v || v->kind == BAKE_NULL)
		return 0;
	v = bake_field_convert(m->a, field, v, &why);
	if (!v)
		return error_new(m->err, ERR_INVALID, 0, "services.%s.build: %s: %s", t->name,
				 bake_fields[field].name, why);
	t->field[field] = v;
	return 0;
}

static void set_text(struct maker *m, struct bake_target *t, enum bake_field field,
		     const char *text)
{
	t->field[field] = bake_string(m->a, text);
}

static value one_of(struct arena *a, value v)
{
	struct bake_builder b = {.arena = a};

	bake_push(&b, v);
	return bake_sequence(&b, BAKE_LIST);
}

/* service:NAME is what that target makes. */
static value contexts_of(struct maker *m, value v)
{
	struct bake_builder b = {.arena = m->a};

	for (size_t i = 0; v && i < v->n; i++) {
		const char *text = bake_text(v->v[i]);

		if (text && strncmp(text, "service:", 8) == 0)
			bake_put(&b, v->names[i],
				 bake_string(m->a, arena_printf(m->a, "target:%s",
								target_name(m->a, text + 8))));
		else
			bake_put(&b, v->names[i], v->v[i]);
	}
	return v ? bake_mapping(&b, BAKE_MAP) : NULL;
}

static int add_secret(struct maker *m, const struct bake_target *t, value use,
		      struct bake_builder *list)
{
	value source = compose_get(use, "source"), target = compose_get(use, "target"), secret,
	      from;
	struct bake_builder b = {.arena = m->a};

	secret =
		source ? compose_get(compose_get(m->p->model, "secrets"), bake_text(source)) : NULL;
	if (!secret)
		return error_new(m->err, ERR_INVALID, 0,
				 "services.%s.build.secrets: there is no secret \"%s\"", t->name,
				 source && bake_text(source) ? bake_text(source) : "");
	bake_put(&b, "id", !m->o || !target ? source : target);
	if ((from = compose_get(secret, "file")))
		bake_put(&b, "src", from);
	else if ((from = compose_get(secret, "environment")))
		bake_put(&b, "env", from);
	else
		return refuse(m, t->name, "secrets",
			      "a secret comes from a file or the environment");
	bake_push(list, bake_mapping(&b, BAKE_MAP));
	return 0;
}

static int set_secrets(struct maker *m, struct bake_target *t, value v)
{
	struct bake_builder list = {.arena = m->a};
	int r = 0;

	for (size_t i = 0; v && i < v->n && r == 0; i++)
		r = add_secret(m, t, v->v[i], &list);
	return r == 0 && v ? set(m, t, BAKE_SECRET, bake_sequence(&list, BAKE_LIST)) : r;
}

static const char *limit_text(value v, value both)
{
	return v ? bake_text(v) : bake_text(both) ? bake_text(both) : "0";
}

static int set_ulimits(struct maker *m, struct bake_target *t, value v)
{
	struct bake_builder list = {.arena = m->a};

	for (size_t i = 0; v && i < v->n; i++) {
		value u = v->v[i], soft = compose_get(u, "soft"), hard = compose_get(u, "hard");

		/* One number is both limits; buildx reads it as none. */
		bake_push(&list,
			  bake_string(m->a, bake_text(u) && m->o
						    ? arena_printf(m->a, "%s=%s", v->names[i],
								   bake_text(u))
						    : arena_printf(m->a, "%s=%s:%s", v->names[i],
								   limit_text(soft, u),
								   limit_text(hard, u))));
	}
	return v ? set(m, t, BAKE_ULIMITS, bake_sequence(&list, BAKE_LIST)) : 0;
}

static int set_hosts(struct maker *m, struct bake_target *t, value v)
{
	struct bake_builder b = {.arena = m->a};

	for (size_t i = 0; v && i < v->n; i++) {
		const char *text = bake_text(v->v[i]), *equals = strchr(text, '=');
		const char *name = arena_strndup(m->a, text, (size_t)(equals - text));
		value old = NULL;

		for (size_t k = 0; k < b.n; k++)
			if (strcmp(b.names[k], name) == 0)
				old = b.v[k];
		bake_put(&b, name,
			 old ? bake_string(m->a, arena_printf(m->a, "%s,%s", old->s, equals + 1))
			     : bake_string(m->a, equals + 1));
	}
	return v ? set(m, t, BAKE_EXTRA_HOSTS, bake_mapping(&b, BAKE_MAP)) : 0;
}

/* --build-arg NAME[=VALUE] over what the file says */
static int set_args(struct maker *m, struct bake_target *t, value v)
{
	struct bake_builder b = {.arena = m->a};

	for (size_t i = 0; v && i < v->n; i++)
		bake_put(&b, v->names[i], v->v[i]);
	for (size_t i = 0; m->o && i < m->o->build_args.n; i++) {
		const char *text = m->o->build_args.v[i], *equals = strchr(text, '=');
		const char *name = arena_strndup(m->a, text, strcspn(text, "="));
		const char *given = equals ? equals + 1 : env_get(&m->p->environment, name);

		if (given)
			bake_put(&b, name, bake_string(m->a, given));
	}
	return b.n > 0 ? set(m, t, BAKE_ARGS, bake_mapping(&b, BAKE_MAP)) : 0;
}

static value join_lists(struct arena *a, value x, value y)
{
	struct bake_builder b = {.arena = a};

	for (size_t i = 0; x && i < x->n; i++)
		bake_push(&b, x->v[i]);
	for (size_t i = 0; y && i < y->n; i++)
		bake_push(&b, y->v[i]);
	return bake_sequence(&b, BAKE_LIST);
}

/* What compose finds its images by. */
static value with_project_labels(struct maker *m, const char *service, value labels)
{
	labels = compose_with(m->a, labels, "com.docker.compose.project",
			      bake_string(m->a, m->p->name));
	return compose_with(m->a, labels, "com.docker.compose.service", bake_string(m->a, service));
}

static bool is_true(value v)
{
	return v && v->kind == BAKE_BOOL && v->b;
}

static int set_attest(struct maker *m, struct bake_target *t, const char *type, value v,
		      const char *given)
{
	const char *text = given ? given : v ? bake_text(v) : NULL;
	bool on = true, simple;

	if (!text || !*text)
		return 0;
	simple = attrs_bool(type, text, &on, NULL) == 0;
	text = simple ? arena_printf(m->a, "type=%s%s", type, on ? "" : ",disabled=true")
		      : arena_printf(m->a, "type=%s,%s", type, text);
	return set(m, t, BAKE_ATTEST,
		   join_lists(m->a, t->field[BAKE_ATTEST], one_of(m->a, bake_string(m->a, text))));
}

/* x-bake: keys of a target that compose does not have */
static int set_extension(struct maker *m, struct bake_target *t, value x)
{
	struct bake_target own = {.name = t->name};
	int r = 0;

	for (size_t i = 0; x && bake_is_mapping(x) && i < x->n && r == 0; i++) {
		const char *key = strcmp(x->names[i], "no-cache-filter") == 0 ? "no-cache-filter"
									      : x->names[i];
		enum bake_field field = bake_field_find(key);
		value v = x->v[i];

		if (field == BAKE_FIELDS)
			return error_new(m->err, ERR_INVALID, 0,
					 "services.%s.build.x-bake: there is no \"%s\"", t->name,
					 key);
		if (bake_text(v) && (bake_fields[field].form == FORM_LIST ||
				     bake_fields[field].form == FORM_ENTRIES))
			v = one_of(m->a, v);
		r = set(m, &own, field, v);
	}
	/* Lists of it replace what stands in the file, but for these. */
	for (unsigned i = 0; i < BAKE_FIELDS && r == 0; i++)
		if (own.field[i] && !(bake_fields[i].appends && i != BAKE_CACHE_FROM))
			t->field[i] = NULL;
	bake_target_merge(m->a, t, &own);
	return r;
}

/* Where the image goes. */
static void set_output(struct maker *m, struct bake_target *t, value service, value build)
{
	value platforms = compose_get(build, "platforms");
	bool push = m->o->push && compose_get(service, "image");
	const char *text = platforms && platforms->n > 1
				   ? push ? "type=image,push=true" : "type=image,push=false"
			   : push ? "type=registry"
				  : "type=docker";

	if (m->o->check)
		set_text(m, t, BAKE_CALL, "lint");
	else if (!t->field[BAKE_OUTPUT])
		(void)!set(m, t, BAKE_OUTPUT, one_of(m->a, bake_string(m->a, text)));
}

/* "64MiB" */
static const char *binary_size(struct arena *a, const char *bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double size = strtod(bytes, NULL);
	size_t i = 0;

	for (; size >= 1024 && i + 1 < ARRAY_SIZE(units); i++)
		size /= 1024;
	return arena_printf(a, "%.4g%s", size, units[i]);
}

static int set_rest(struct maker *m, struct bake_target *t, value service, value build,
		    const char *name)
{
	value entitlements = compose_get(build, "entitlements"),
	      isolation = compose_get(build, "isolation");
	value tags = compose_get(build, "tags"), shm = compose_get(build, "shm_size"),
	      image = compose_get(service, "image");
	int r = 0;

	if (isolation && strcmp(bake_text(isolation), "default") != 0)
		return refuse(m, name, "isolation", "only \"default\" exists");
	if (m->o && is_true(compose_get(build, "privileged")))
		entitlements = join_lists(m->a, entitlements,
					  one_of(m->a, bake_string(m->a, "security.insecure")));
	if (m->o)
		tags = join_lists(m->a, tags,
				  one_of(m->a, bake_string(m->a, compose_image(m->p, name))));
	else if ((!tags || tags->n == 0) && image)
		tags = one_of(m->a, image);
	r = set(m, t, BAKE_ENTITLEMENTS, entitlements);
	if (r == 0 && m->o)
		r = set(m, t, BAKE_LABELS,
			with_project_labels(m, name, compose_get(build, "labels")));
	if (r == 0)
		r = set(m, t, BAKE_TAGS, tags);
	if (shm)
		set_text(m, t, BAKE_SHM_SIZE,
			 m->o ? bake_text(shm) : binary_size(m->a, bake_text(shm)));
	if (is_true(compose_get(build, "pull")) || (m->o && m->o->pull))
		t->field[BAKE_PULL] = bake_bool(true);
	if (is_true(compose_get(build, "no_cache")) || (m->o && m->o->no_cache))
		t->field[BAKE_NO_CACHE] = bake_bool(true);
	if (m->o && m->o->memory) {
		struct bake_builder b = {.arena = m->a};

		bake_put(&b, "memory", bake_string(m->a, m->o->memory));
		t->field[BAKE_RESOURCES] = bake_mapping(&b, BAKE_OBJECT);
	}
	if (r == 0)
		r = set_attest(m, t, "sbom", compose_get(build, "sbom"), m->o ? m->o->sbom : NULL);
	return r == 0 ? set_attest(m, t, "provenance", compose_get(build, "provenance"),
				   m->o ? m->o->provenance : NULL)
		      : r;
}

static int make_target(struct maker *m, const char *service_name, value service)
{
	static const struct {
		enum bake_field field;
		const char *key;
	} plain[] = {
		{BAKE_CONTEXT, "context"},
		{BAKE_DOCKERFILE, "dockerfile"},
		{BAKE_DOCKERFILE_INLINE, "dockerfile_inline"},
		{BAKE_LABELS, "labels"},
		{BAKE_CACHE_FROM, "cache_from"},
		{BAKE_CACHE_TO, "cache_to"},
		{BAKE_NETWORK, "network"},
		{BAKE_PLATFORMS, "platforms"},
		{BAKE_TARGET, "target"},
		{BAKE_NO_CACHE_FILTER, "no_cache_filter"},
	};
	struct bake_target t = {.name = target_name(m->a, service_name)};
	value build = compose_get(service, "build");
	struct bake_builder ssh = {.arena = m->a};
	int r = 0;

	/* buildx does not take the last one from compose files. */
	for (size_t i = 0; i < ARRAY_SIZE(plain) - !m->o && r == 0; i++)
		r = set(m, &t, plain[i].field, compose_get(build, plain[i].key));
	if (r == 0)
		r = set(m, &t, BAKE_CONTEXTS,
			contexts_of(m, compose_get(build, "additional_contexts")));
	if (r == 0)
		r = set_args(m, &t, compose_get(build, "args"));
	if (r == 0)
		r = set_secrets(m, &t, compose_get(build, "secrets"));
	if (r == 0)
		r = set_ulimits(m, &t, compose_get(build, "ulimits"));
	if (r == 0)
		r = set_hosts(m, &t, compose_get(build, "extra_hosts"));
	for (size_t i = 0; m->o && i < m->o->ssh.n; i++)
		bake_push(&ssh, bake_string(m->a, m->o->ssh.v[i]));
	if (r == 0 && (compose_get(build, "ssh") || ssh.n > 0))
		r = set(m, &t, BAKE_SSH,
			join_lists(m->a, compose_get(build, "ssh"),
				   bake_sequence(&ssh, BAKE_LIST)));
	if (r == 0)
		r = set_rest(m, &t, service, build, service_name);
	if (r == 0)
		r = set_extension(m, &t, compose_get(build, "x-bake"));
	if (r == 0 && m->o)
		set_output(m, &t, service, build);
	if (r == 0)
		vec_push(&m->c->targets, t);
	return r;
}

static void add_with_dependencies(struct maker *m, const char *name, struct strv *ret)
{
	value needs = compose_get(compose_service(m->p, name), "depends_on");

	if (strv_contains(ret, name))
		return;
	strv_push(ret, name);
	for (size_t i = 0; needs && i < needs->n && m->o->with_dependencies; i++)
		add_with_dependencies(m, needs->names[i], ret);
}

int compose_targets(const struct compose_project *p, const struct compose_build_options *o,
		    struct bake_config *c, struct error **err)
{
	struct maker m = {.p = p, .o = o, .a = p->arena, .c = c, .err = err};
	value services = compose_get(p->model, "services");
	_cleanup_strv_ struct strv wanted = {0};
	struct bake_group g = {.name = "default"};
	int r = 0;

	for (size_t i = 0; o && i < o->services.n && r == 0; i++) {
		if (!compose_service(p, o->services.v[i]))
			r = error_new(err, ERR_NOTFOUND, 0, "there is no service \"%s\"",
				      o->services.v[i]);
		else
			add_with_dependencies(&m, o->services.v[i], &wanted);
	}
	for (size_t i = 0; services && i < services->n && r == 0; i++) {
		if (!compose_get(services->v[i], "build"))
			continue;
		r = make_target(&m, services->names[i], services->v[i]);
		if (r == 0 &&
		    (!o || o->services.n == 0 || strv_contains(&wanted, services->names[i])))
			strv_push(&g.targets, target_name(p->arena, services->names[i]));
	}
	if (r < 0) {
		strv_release(&g.targets);
		return r;
	}
	vec_push(&c->groups, g);
	return 0;
}
