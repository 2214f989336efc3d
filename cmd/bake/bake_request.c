/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/bake_request.h"

#include <string.h>

#include "base/path.h"
#include "base/times.h"

static void add_pairs(const struct bake_target *t, enum bake_field field, struct strv *ret)
{
	const struct bake_value *v = t->field[field];

	for (size_t i = 0; v && i < v->n; i++)
		strv_pushf(ret, "%s=%s", v->names[i], v->v[i]->s);
}

static void add_entries(const struct bake_target *t, enum bake_field field, struct strv *ret)
{
	const struct bake_value *v = t->field[field];

	for (size_t i = 0; v && i < v->n; i++)
		strv_push_take(ret, bake_entry_text(field, v->v[i]));
}

/* cwd:// is this folder, which paths begin in anyway. */
static const char *without_cwd(const char *path)
{
	return strncmp(path, "cwd://", 6) == 0 ? (path[6] ? path + 6 : ".") : path;
}

static void add_contexts(const struct bake_target *t, struct strv *ret)
{
	const struct bake_value *v = t->field[BAKE_CONTEXTS];

	for (size_t i = 0; v && i < v->n; i++)
		if (strncmp(v->v[i]->s, "target:", 7) != 0)
			strv_pushf(ret, "%s=%s", v->names[i], without_cwd(v->v[i]->s));
}

/* Of docker's outputs type=docker without a file is docker's own store: ours. */
static void add_outputs(const struct bake_target *t, struct strv *ret)
{
	const struct bake_value *v = t->field[BAKE_OUTPUT];

	for (size_t i = 0; v && i < v->n; i++) {
		const struct bake_value *type = bake_member(v->v[i], "type");

		if (type && strcmp(type->s, "docker") == 0 && !bake_member(v->v[i], "dest"))
			strv_push(ret, "type=image");
		else
			strv_push_take(ret, bake_entry_text(BAKE_OUTPUT, v->v[i]));
	}
}

/* Names are those of the context, but for cwd://. */
static void set_dockerfile(struct arena *a, const struct bake_target *t, struct build_options *o)
{
	const char *file = bake_target_text(t, BAKE_DOCKERFILE);
	_cleanup_free_ char *whole = NULL;

	o->dockerfile_inline = bake_target_text(t, BAKE_DOCKERFILE_INLINE);
	if (o->dockerfile_inline || strcmp(file, "Dockerfile") == 0)
		return;
	if (strncmp(file, "cwd://", 6) == 0) {
		o->dockerfile = without_cwd(file);
	} else if (frontend_context_is_remote(o->context) || frontend_context_is_remote(file)) {
		o->dockerfile = file;
	} else {
		whole = path_resolve(o->context, file);
		o->dockerfile = arena_strdup(a, whole);
	}
}

static int set_sizes(const struct bake_target *t, struct build_options *o, struct error **err)
{
	const char *shm = bake_target_text(t, BAKE_SHM_SIZE);
	const struct bake_value *v = t->field[BAKE_RESOURCES];

	if (shm && times_parse_size(shm, &o->shm_size) < 0)
		return error_new(err, ERR_INVALID, 0, "shm-size: \"%s\" is not a size", shm);
	for (size_t i = 0; v && i < v->n; i++)
		strv_pushf(&o->limit_texts.resources, "%s=%s", v->names[i], bake_text(v->v[i]));
	return 0;
}

/* What kiln's steps may be given; devices are not among it. */
static int set_rights(const struct bake_target *t, struct build_options *o, struct error **err)
{
	bake_target_list(t, BAKE_ENTITLEMENTS, &o->allow);
	for (size_t i = 0; i < o->allow.n; i++)
		if (strncmp(o->allow.v[i], "device", 6) == 0)
			return error_new(err, ERR_UNSUPPORTED, 0,
					 "entitlements: devices are not supported");
	return 0;
}

int bake_request_options(struct arena *a, const struct bake_target *t, struct build_options *o,
			 struct error **err)
{
	int r;

	o->context = bake_target_text(t, BAKE_CONTEXT);
	o->target = bake_target_text(t, BAKE_TARGET);
	o->network = bake_target_text(t, BAKE_NETWORK);
	o->no_cache = bake_target_truth(t, BAKE_NO_CACHE);
	o->pull = bake_target_truth(t, BAKE_PULL);
	set_dockerfile(a, t, o);
	bake_target_list(t, BAKE_TAGS, &o->tags);
	bake_target_list(t, BAKE_PLATFORMS, &o->platforms);
	bake_target_list(t, BAKE_ANNOTATIONS, &o->annotations);
	bake_target_list(t, BAKE_ULIMITS, &o->ulimit_texts);
	bake_target_list(t, BAKE_NO_CACHE_FILTER, &o->no_cache_filter);
	add_pairs(t, BAKE_ARGS, &o->build_args);
	add_pairs(t, BAKE_LABELS, &o->labels);
	add_pairs(t, BAKE_EXTRA_HOSTS, &o->add_hosts);
	add_contexts(t, &o->build_contexts);
	add_outputs(t, &o->outputs);
	add_entries(t, BAKE_CACHE_FROM, &o->cache_from);
	add_entries(t, BAKE_CACHE_TO, &o->cache_to);
	add_entries(t, BAKE_SECRET, &o->secret_texts);
	add_entries(t, BAKE_SSH, &o->ssh_texts);
	add_entries(t, BAKE_ATTEST, &o->attest);
	r = set_sizes(t, o, err);
	if (r == 0)
		r = set_rights(t, o, err);
	return r == 0 ? build_options_finish(o, err) : r;
}
