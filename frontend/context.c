/* SPDX-License-Identifier: Apache-2.0 */
/* Named contexts: what FROM and --from mean by a name. */
#include <stdlib.h>
#include <string.h>

#include "base/giturl.h"
#include "base/imageref.h"
#include "base/json.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

#define IGNORE_FILE ".dockerignore"
#define LOCAL_PREFIX "local://"
#define GIT_CONTEXT_NAME "[internal] load git source %s"

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The form in which contexts and what they replace are compared: familiar, without ":latest". */
static char *canonical(const char *name)
{
	struct imageref ref = IMAGEREF_INIT;
	_cleanup_free_ char *familiar = NULL;
	char digest[DIGEST_TEXT], *ret;
	bool tagged;

	if (imageref_parse(name, &ref, NULL) < 0)
		return NULL;
	familiar = imageref_familiar_name(&ref);
	tagged = ref.tag && strcmp(ref.tag, "latest") != 0;
	ret = xasprintf("%s%s%s%s%s", familiar, tagged ? ":" : "", tagged ? ref.tag : "",
			ref.has_digest ? "@" : "",
			ref.has_digest ? digest_format(&ref.digest, digest) : "");
	imageref_release(&ref);
	return ret;
}

/* "name::linux/amd64" names a context for one platform; returns where "::" is. */
static const char *platform_part(const char *name)
{
	return strstr(name, "::");
}

static bool names_match(const struct named_context *n, const char *wanted,
			const char *platform_text, bool with_platform)
{
	const char *part = platform_part(n->name);
	_cleanup_free_ char *name = NULL, *own = NULL;

	if ((part != NULL) != with_platform)
		return false;
	if (part && strcmp(part + 2, platform_text) != 0)
		return false;
	name = part ? xstrndup(n->name, (size_t)(part - n->name)) : xstrdup(n->name);
	own = canonical(name);
	return strcmp(own ? own : name, wanted) == 0;
}

const struct named_context *context_find(const struct compiler *c, const char *name,
					 const struct platform *platform)
{
	_cleanup_free_ char *wanted = NULL;
	char text[64];

	if (df_equal_fold(name, "scratch") || df_equal_fold(name, "context"))
		return NULL;
	wanted = canonical(name);
	if (!wanted)
		return NULL;
	platform_format(platform, text);
	for (int with_platform = 1; with_platform >= 0; with_platform--)
		for (size_t i = 0; i < c->opts->n_contexts; i++)
			if (names_match(&c->opts->contexts[i], wanted, text, with_platform == 1))
				return &c->opts->contexts[i];
	return NULL;
}

bool frontend_context_is_remote(const char *value)
{
	struct giturl git = {0};
	int r = giturl_parse_context(value, &git, NULL);

	giturl_release(&git);
	return r != 0 || has_prefix(value, "http://") || has_prefix(value, "https://");
}

struct draft *context_image(struct compiler *c, const char *identifier, const char *name,
			    const struct platform *platform, const struct vertex_meta *meta)
{
	static const struct op_pair pull = {"image.resolvemode", "pull"};
	static const struct op_pair local = {"image.resolvemode", "local"};
	struct op op = {
		.kind = OP_SOURCE,
		.platform = lower_platform(c, platform),
		.source.identifier = arena_strdup(c->arena, identifier),
	};
	struct vertex_meta m = meta ? *meta : (struct vertex_meta){0};

	if (c->opts->resolve_mode == RESOLVE_PULL)
		op.source.attrs = (struct op_pairs){&pull, 1};
	else if (c->opts->resolve_mode == RESOLVE_LOCAL)
		op.source.attrs = (struct op_pairs){&local, 1};
	m.name = arena_strdup(c->arena, name);
	return draft_new(&c->drafts, &op, NULL, &m);
}

/* The ignore patterns of a named directory context: always its own root's file. */
static int named_ignore(struct compiler *c, const struct named_context *n, struct strv *ret,
			struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct error *quiet = NULL;
	int r;

	if (!c->opts->reader.read)
		return 0;
	r = c->opts->reader.read(c->opts->reader.data, n->name, IGNORE_FILE, &text, &quiet);
	if (r == -ERR_NOTFOUND) {
		error_free(quiet);
		return 0;
	}
	if (r < 0) {
		if (err)
			*err = quiet;
		else
			error_free(quiet);
		return error_wrap(err, r, "read " IGNORE_FILE " of context %s", n->name);
	}
	return ignorefile_parse(IGNORE_FILE, text.p, text.n, ret, err);
}

static const char *json_list(struct arena *a, const struct strv *list)
{
	_cleanup_json_ json_t *array = json_array();
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < list->n; i++)
		(void)json_array_append_new(array, json_string(list->v[i]));
	js_dump(array, false, &text);
	return arena_strdup(a, text.p);
}

static struct draft *local_source(struct compiler *c, struct context_source *source,
				  const struct strv *ignore)
{
	const struct named_context *n = source->named;
	const char *own = n ? n->source : c->opts->context_source;
	const char *name = n ? n->name : "context";
	struct op op = {
		.kind = OP_SOURCE,
		.source.identifier = arena_printf(c->arena, LOCAL_PREFIX "%s", own ? own : name),
	};
	struct vertex_meta meta = {0};
	struct draft *d;

	if (n)
		meta.name = arena_printf(c->arena, "[context %s] load from client", name);
	else
		meta.name = step_internal(c, "load build context");
	if (ignore->n > 0) {
		struct op_pair *pair = ARENA_NEW(c->arena, struct op_pair);

		*pair = (struct op_pair){"local.excludepatterns", json_list(c->arena, ignore)};
		op.source.attrs = (struct op_pairs){pair, 1};
	}
	d = draft_new(&c->drafts, &op, NULL, &meta);
	d->use = &source->use;
	return d;
}

static bool keeps_git_dir(const struct giturl *git, const struct strv *build_args)
{
	const char *keep = scope_option(build_args, "BUILDKIT_CONTEXT_KEEP_GIT_DIR");

	if (git->keep_git_dir >= 0)
		return git->keep_git_dir == 1;
	return keep && (strcmp(keep, "1") == 0 || df_equal_fold(keep, "true"));
}

int frontend_git_context(const char *url, const struct strv *build_args, struct graph *g,
			 struct edge *ret, struct error **err)
{
	struct giturl git = {0};
	int r = giturl_parse_context(url, &git, err);

	if (r > 0) {
		struct op op = lower_git_op(&g->arena, &git, keeps_git_dir(&git, build_args),
					    git.checksum);
		_cleanup_free_ char *shown = giturl_display(url);
		struct vertex_meta meta = {
			.name = arena_printf(&g->arena, GIT_CONTEXT_NAME, shown)};

		*ret = (struct edge){graph_add(g, &op, NULL, 0, &meta), 0};
	}
	giturl_release(&git);
	return r;
}

static int git_source(struct compiler *c, const char *url, const struct vertex_meta *meta,
		      struct draft **ret, struct error **err)
{
	struct giturl git = {0};
	int r = giturl_parse_context(url, &git, err);

	if (r > 0)
		*ret = lower_git(c, &git, keeps_git_dir(&git, &c->build_args), git.checksum, meta);
	giturl_release(&git);
	return r;
}

static int make_source(struct compiler *c, struct context_source *source, struct error **err)
{
	const struct named_context *n = source->named;
	const char *value = n ? n->value : c->opts->context;
	struct vertex_meta meta = {0};
	_cleanup_strv_ struct strv own = {0};
	int r;

	if (value && frontend_context_is_remote(value)) {
		_cleanup_free_ char *shown = giturl_display(value);

		if (n)
			meta.name = arena_printf(c->arena, "[context %s] %s", n->name, shown);
		else
			meta.name = arena_printf(c->arena, GIT_CONTEXT_NAME, shown);
		r = git_source(c, value, &meta, &source->draft, err);
		if (r != 0)
			return r < 0 ? r : 0;
		if (!n)
			meta.name = "[internal] load remote build context";
		source->draft = lower_http(c, value, "context", NULL, &meta);
		return 0;
	}
	if (n) {
		r = named_ignore(c, n, &own, err);
		if (r < 0)
			return r;
	}
	source->draft = local_source(c, source, n ? &own : &c->opts->ignore);
	return 0;
}

/* A main context by http is an archive (anything else never gets here as a context): its content. */
static struct draft *unpack_context(struct compiler *c, struct draft *archive)
{
	struct op_file_action *action = ARENA_NEW(c->arena, struct op_file_action);
	struct op op = {.kind = OP_FILE, .file = {.actions = action, .n = 1}};
	struct vertex_meta meta = {.name = "[internal] unpack remote build context"};
	struct draft_inputs inputs = {0};

	*action = (struct op_file_action){
		.kind = FILE_COPY,
		.input = OP_INPUT_NONE,
		.secondary_input = draft_input(&inputs, archive),
		.output = 0,
		.copy = {.src = "/context",
			 .dest = "/",
			 .mode = -1,
			 .mode_text = "",
			 .attempt_unpack = true,
			 .create_dest_path = true,
			 .timestamp = OP_TIME_NONE},
	};
	return draft_new(&c->drafts, &op, &inputs, &meta);
}

int context_source(struct compiler *c, const struct named_context *named, struct draft **ret,
		   struct path_use **use, struct error **err)
{
	struct context_source *source = NULL;
	int r;

	for (size_t i = 0; i < c->contexts.n && !source; i++)
		if (c->contexts.v[i]->named == named)
			source = c->contexts.v[i];
	if (!source) {
		source = ARENA_NEW(&c->result->arena, struct context_source);
		source->named = named;
		vec_push(&c->contexts, source);
		r = make_source(c, source, err);
		if (r < 0)
			return r;
		if (!named && has_prefix(source->draft->v.op.source.identifier, "http"))
			source->draft = unpack_context(c, source->draft);
	}
	*ret = source->draft;
	if (use)
		*use = &source->use;
	return 0;
}
