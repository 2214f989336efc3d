/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for the base images of the stages that a build needs, in rounds. */
#include <stdlib.h>
#include <string.h>

#include "base/imageref.h"
#include "base/suggest.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

#define DOCKER_IMAGE "docker-image://"
#define OCI_LAYOUT "oci-layout://"
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The images to ask for in one round, and who waits for them. */
struct waiter {
	struct stage *stage;
	size_t request;
};

struct round {
	VEC(struct image_request) requests;
	VEC(struct waiter) waiters;
	struct image_answer *answers;  /* as many as requests */
	struct image_config **configs; /* parsed answers; owned by the compiler */
};

static void round_release(struct round *r)
{
	for (size_t i = 0; r->answers && i < r->requests.n; i++) {
		free(r->answers[i].config);
		error_free(r->answers[i].error);
	}
	free(r->answers);
	free(r->configs);
	vec_release(&r->requests);
	vec_release(&r->waiters);
}

static void set_empty_config(struct stage *s)
{
	image_config_init(&s->config, &s->platform);
	s->config.working_dir = xstrdup("/");
	if (strcmp(s->platform.os, "windows") != 0)
		strv_push(&s->config.env, DEFAULT_PATH);
	s->config_loaded = true;
}

static const char *metadata_name(struct compiler *c, const struct stage *s, const char *ref)
{
	char text[64];

	if (s->context)
		return arena_printf(c->arena, "[context %s] load metadata for %s", s->context->name,
				    ref);
	if (c->opts->multi_platform)
		return arena_printf(c->arena, "[%s internal] load metadata for %s",
				    platform_format(&s->platform, text), ref);
	return step_internal(c, arena_printf(c->arena, "load metadata for %s", ref));
}

static void add_request(struct compiler *c, struct round *round, struct stage *s, const char *ref,
			bool oci_layout)
{
	for (size_t i = 0; i < round->requests.n; i++) {
		struct image_request *q = &round->requests.v[i];

		if (q->oci_layout != oci_layout || strcmp(q->ref, ref) != 0 ||
		    !platform_equal(&q->platform, &s->platform))
			continue;
		if (s->ast)
			q->digest_only = false;
		vec_push(&round->waiters, (struct waiter){s, i});
		return;
	}
	vec_push(&round->waiters, (struct waiter){s, round->requests.n});
	vec_push(&round->requests, (struct image_request){
					   .oci_layout = oci_layout,
					   .ref = arena_strdup(c->arena, ref),
					   .platform = s->platform,
					   .name = metadata_name(c, s, ref),
					   .digest_only = !s->ast,
				   });
}

/* A name with variables is mostly wrong because one of them is empty. */
static int bad_base_name(const struct stage *s, const char *text, int r, struct error **err)
{
	(void)error_wrap(err, r, "failed to parse stage name \"%s\"", text);
	if (!s->ast || !strchr(s->ast->from->from.base, '$'))
		return r;
	return error_hint(err, r,
			  "it is written as \"%s\": variables in FROM have the values of ARG "
			  "instructions before the first FROM, or of --build-arg",
			  s->ast->from->from.base);
}

static int add_image(struct compiler *c, struct round *round, struct stage *s, const char *text,
		     struct error **err)
{
	struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *full = NULL;
	int r = imageref_parse(text, &ref, err);

	if (r < 0)
		return bad_base_name(s, text, r, err);
	full = imageref_format(&ref);
	imageref_release(&ref);
	add_request(c, round, s, full, false);
	return 0;
}

static void set_image_config(struct stage *s, struct image_config *config)
{
	struct image_config plain = *config;

	/* The base image's history and layers are shared by all stages on it. */
	memset(&plain.history, 0, sizeof(plain.history));
	memset(&plain.diff_ids, 0, sizeof(plain.diff_ids));
	plain.created = NULL;
	image_config_copy(&s->config, &plain);
	s->base_config = config;
	s->config_loaded = true;
}

/* What another target of the same graph made: its config is inherited like a base image's. */
static void use_built(struct compiler *c, struct stage *s, const struct frontend_result *built)
{
	struct image_config *kept = NEW(struct image_config);

	image_config_copy(kept, &built->config);
	vec_push(&c->base_configs, kept);
	set_image_config(s, kept);
	s->state = draft_of_edge(&c->drafts, built->target);
}

static int use_context(struct compiler *c, struct round *round, struct stage *s, struct error **err)
{
	const char *value = s->context->value;

	if (s->context->built) {
		use_built(c, s, s->context->built);
		return 0;
	}
	if (strcmp(value, DOCKER_IMAGE "scratch") == 0) {
		set_empty_config(s);
		return 0;
	}
	if (strncmp(value, DOCKER_IMAGE, strlen(DOCKER_IMAGE)) == 0)
		return add_image(c, round, s, value + strlen(DOCKER_IMAGE), err);
	if (strncmp(value, OCI_LAYOUT, strlen(OCI_LAYOUT)) == 0) {
		add_request(c, round, s, value + strlen(OCI_LAYOUT), true);
		return 0;
	}
	set_empty_config(s);
	return context_source(c, s->context, &s->state, &s->use, err);
}

/* Finds out what stands below the stage; images are only noted. */
static int prepare(struct compiler *c, struct round *round, struct stage *s, struct error **err)
{
	s->resolved = true;
	s->dispatched = s->replaced || !s->ast;
	if (!s->context)
		s->context = context_find(c, s->base_name, &s->platform);
	if (s->context)
		return use_context(c, round, s, err);
	if (strcmp(s->base_name, "scratch") == 0) {
		s->platform = c->opts->target_platform;
		set_empty_config(s);
		return 0;
	}
	return add_image(c, round, s, s->base_name, err);
}

/* "busyboxx: ... not found", and the stage or well-known image that may have been meant. */
static int image_failed(struct compiler *c, const struct stage *s, struct error *cause,
			struct error **err)
{
	static const char *const common[] = {
		"alpine",	  "busybox",	   "centos",	    "debian",
		"golang",	  "ubuntu",	   "fedora",	    "alpine:latest",
		"busybox:latest", "centos:latest", "debian:latest", "golang:latest",
		"ubuntu:latest",  "fedora:latest",
	};
	struct df_strings names = stages_names(c);
	int r = -(int)error_code(cause);
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		df_strings_push(c->arena, &names, common[i]);
	near = suggest(s->base_name, names.v, names.n, true);
	if (err)
		*err = error_copy(cause);
	(void)error_wrap(err, r, "%s", s->base_name);
	return near ? error_hint(err, r, "did you mean %s?", near) : r;
}

static bool has_no_layers(const struct image_config *config)
{
	if (config->diff_ids.n > 0)
		return false;
	for (size_t i = 0; i < config->history.n; i++)
		if (!config->history.v[i].empty_layer)
			return false;
	return true;
}

/* "docker-image://docker.io/library/x:tag@sha256:..." and how the step names it. */
static struct draft *image_draft(struct compiler *c, struct stage *s, const struct image_request *q,
				 const struct digest *digest)
{
	struct vertex_meta meta = lower_meta(c, s, NULL, s->span);
	char text[DIGEST_TEXT];
	const char *full = q->ref, *identifier, *name;
	size_t stem = strcspn(full, "@");

	if (!digest_is_zero(digest)) {
		const char *slash = strrchr(full, '/');
		const char *colon = strchr(slash ? slash : full, ':');

		if (q->oci_layout && colon && colon < full + stem)
			stem = (size_t)(colon - full);
		full = arena_printf(c->arena, "%.*s@%s", (int)stem, full,
				    digest_format(digest, text));
	}
	identifier =
		arena_printf(c->arena, "%s%s", q->oci_layout ? OCI_LAYOUT : DOCKER_IMAGE, full);
	if (!s->context)
		name = s->ast ? step_from(c, s, full) : arena_printf(c->arena, "FROM %s", full);
	else if (q->oci_layout)
		name = arena_printf(c->arena, "[context %s] OCI load from client",
				    s->context->name);
	else
		name = arena_printf(c->arena, "[context %s] %s", s->context->name,
				    s->context->value + strlen(DOCKER_IMAGE));
	return context_image(c, identifier, name, &s->platform, &meta);
}

static void check_platform(struct compiler *c, const struct stage *s)
{
	const struct platform *have = &s->base_config->platform;
	struct platform normal;
	char want[64], got[64];

	platform_format(have, got);
	if (!s->ast || !*have->os || platform_parse(got, &normal, NULL) < 0)
		return;
	if (strcmp(normal.os, s->platform.os) == 0 && strcmp(normal.arch, s->platform.arch) == 0)
		return;
	df_lint_warn_span(
		c->lint, NULL, s->ast->from->span, DF_RULE_INVALID_BASE_IMAGE_PLATFORM,
		"Base image %s was pulled with platform \"%s\", expected \"%s\" for current "
		"build",
		s->base_name, platform_format(&normal, got), platform_format(&s->platform, want));
}

static void set_platform(struct compiler *c, struct stage *s)
{
	const struct platform *have = &s->base_config->platform, *build = &c->opts->build_platform;

	if (s->platform_set || !c->opts->implicit_platform)
		return;
	if (strcmp(have->os, build->os) == 0 && strcmp(have->arch, build->arch) == 0 &&
	    strcmp(have->arch, s->platform.arch) != 0)
		s->platform = *build;
}

/* How the base image was made, and on what machine, is nothing that a child is, too. */
static void forget_making(struct image_config *config)
{
	static const char *const facts[] = {"id", "parent", "container", "container_config",
					    "docker_version"};
	static const char *const config_facts[] = {"Hostname", "Domainname", "Image"};

	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		(void)json_object_del(config->unknown, facts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(config_facts); i++)
		(void)json_object_del(config->unknown_config, config_facts[i]);
}

/* Layers of the base image that have no row get one each, so that the rows of what is built on top
 * stay beside their own layers. */
static void name_layers(struct image_config *config, const char *ref)
{
	_cleanup_free_ char *text = xasprintf("pulled from %s", ref);
	size_t rows = 0;

	for (size_t i = 0; i < config->history.n; i++)
		rows += !config->history.v[i].empty_layer;
	for (; rows < config->diff_ids.n; rows++)
		image_config_add_history(config, config->created, text,
					 "buildkit.exporter.image.v0", false);
}

static int parse_answer(struct compiler *c, struct round *round, size_t i, struct error **err)
{
	struct image_config config, *kept;
	int r;

	if (round->configs[i] || !round->answers[i].config)
		return 0;
	r = image_config_parse(round->answers[i].config, round->answers[i].config_size, &config,
			       err);
	if (r < 0)
		return r;
	forget_making(&config);
	name_layers(&config, round->requests.v[i].ref);
	kept = NEW(struct image_config);
	*kept = config;
	vec_push(&c->base_configs, kept);
	round->configs[i] = kept;
	return 0;
}

static int take_answer(struct compiler *c, struct round *round, const struct waiter *w,
		       struct error **err)
{
	const struct image_request *q = &round->requests.v[w->request];
	const struct image_answer *answer = &round->answers[w->request];
	struct stage *s = w->stage;
	int r;

	if (answer->error)
		return image_failed(c, s, answer->error, err);
	r = parse_answer(c, round, w->request, err);
	if (r < 0)
		return error_wrap(err, r, "%s", s->base_name);
	if (!round->configs[w->request]) {
		if (s->ast)
			return error_new(err, ERR_INTERNAL, 0, "%s: no image config was found",
					 s->base_name);
		set_empty_config(s);
		s->state = image_draft(c, s, q, &answer->digest);
		return 0;
	}
	set_image_config(s, round->configs[w->request]);
	set_platform(c, s);
	if (has_no_layers(s->base_config))
		return 0;
	s->state = image_draft(c, s, q, &answer->digest);
	check_platform(c, s);
	return 0;
}

static int ask(struct compiler *c, struct round *round, struct error **err)
{
	const struct image_resolver *resolver = &c->opts->resolver;
	int r;

	if (round->requests.n == 0)
		return 0;
	if (!resolver->resolve)
		return error_new(err, ERR_UNSUPPORTED, 0, "no images can be resolved here");
	round->answers = xcalloc(round->requests.n, sizeof(*round->answers));
	round->configs = xcalloc(round->requests.n, sizeof(struct image_config *));
	r = resolver->resolve(resolver->data, round->requests.v, round->requests.n, round->answers,
			      err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < round->waiters.n; i++) {
		const struct waiter *w = &round->waiters.v[i];

		r = take_answer(c, round, w, err);
		if (r < 0)
			return error_at(err, r, c->file->name, w->stage->span);
	}
	return 0;
}

/* The ONBUILD texts that the stage's base leaves to it. */
static void collect_triggers(const struct stage *s, struct strv *ret)
{
	const struct stage *base = s->base;

	if (!base) {
		strv_copy(ret, &s->config.on_build);
		return;
	}
	for (size_t i = 0; i < base->commands.n; i++)
		if (base->commands.v[i].instruction->kind == DF_ONBUILD)
			strv_push(ret, base->commands.v[i].instruction->onbuild.expression);
}

/* Puts the triggers before the stage's own commands. *added is set if they name other stages. */
static int add_triggers(struct compiler *c, struct stage *s, bool *added, struct error **err)
{
	_cleanup_strv_ struct strv triggers = {0};
	VEC(struct command) all = {0};
	int r = 0;

	s->triggers_done = true;
	collect_triggers(s, &triggers);
	strv_release(&s->config.on_build);
	if (triggers.n == 0)
		return 0;
	for (size_t i = 0; i < triggers.n && r == 0; i++) {
		struct command cmd;

		r = stages_add_trigger(c, s, triggers.v[i], &cmd, err);
		if (r < 0)
			break;
		*added |= cmd.n_sources > 0;
		vec_push(&all, cmd);
	}
	if (r < 0) {
		vec_release(&all);
		return error_at(err, r, c->file->name, s->span);
	}
	s->n_steps += (unsigned)triggers.n;
	for (size_t i = 0; i < s->commands.n; i++)
		vec_push(&all, s->commands.v[i]);
	vec_release(&s->commands);
	s->commands.v = all.v;
	s->commands.n = all.n;
	s->commands.cap = all.cap;
	return 0;
}

/* The base of a stage that is not needed is not looked up, but must have a valid name. */
static int check_base_name(struct compiler *c, const struct stage *s, struct error **err)
{
	struct imageref ref = IMAGEREF_INIT;
	int r;

	if (s->base || strcmp(s->base_name, "scratch") == 0)
		return 0;
	r = imageref_parse(s->base_name, &ref, err);
	imageref_release(&ref);
	if (r < 0)
		(void)bad_base_name(s, s->base_name, r, err);
	return r < 0 ? error_at(err, r, c->file->name, s->span) : 0;
}

static int resolve_round(struct compiler *c, bool *again, struct error **err)
{
	struct round round = {0};
	int r = 0;

	stages_mark_reachable(c);
	for (size_t i = 0; i < c->stages.n && r == 0; i++) {
		struct stage *s = c->stages.v[i];

		if (!s->reachable)
			r = check_base_name(c, s, err);
		if (!s->reachable || s->base || s->resolved)
			continue;
		r = prepare(c, &round, s, err);
		if (r < 0)
			r = error_at(err, r, c->file->name, s->span);
	}
	if (r == 0)
		r = ask(c, &round, err);
	round_release(&round);
	for (size_t i = 0; i < c->n_file_stages && r == 0; i++) {
		struct stage *s = c->stages.v[i];

		if (s->reachable && !s->triggers_done && !s->replaced)
			r = add_triggers(c, s, again, err);
	}
	return r;
}

int resolve_stages(struct compiler *c, struct error **err)
{
	bool again;

	do {
		int r;

		again = false;
		r = resolve_round(c, &again, err);
		if (r == 0 && again)
			r = stages_check_cycles(c, err);
		if (r < 0)
			return r;
	} while (again);
	return 0;
}
