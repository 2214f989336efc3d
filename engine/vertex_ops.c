/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vertex_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "engine/cache/op_content.h"
#include "engine/engine.h"
#include "engine/exec/op_exec.h"
#include "engine/fileops/op_file.h"
#include "engine/fileops/op_merge.h"
#include "engine/require.h"
#include "engine/sandbox/emulation.h"
#include "engine/secrets/secret_salt.h"
#include "engine/source/context_local.h"
#include "solver/op_key.h"

static const char image_scheme[] = "docker-image://";
static const char layout_scheme[] = "oci-layout://";
static const char local_scheme[] = "local://";
static const char git_scheme[] = "git://";

/* Does v read files of its input number i, rather than change what it is or pass it on? */
static bool reads_files(const struct vertex *v, size_t i)
{
	switch (v->op.kind) {
	case OP_FILE:
		for (size_t k = 0; k < v->op.file.n; k++)
			if (v->op.file.actions[k].kind == FILE_COPY &&
			    v->op.file.actions[k].secondary_input == (int)i)
				return true;
		return (int)i != file_op_destination(&v->op.file);
	case OP_MERGE:
		return false;
	default:
		return true;
	}
}

/* From the targets down: steps that run need dirs, and an output may. What changes or passes on a
 * result needs of it what is needed of its own. */
static void find_needed_dirs(struct vertex_ops *o, const struct graph *g,
			     const struct edge *targets, size_t n_targets)
{
	_cleanup_free_ bool *reached = xcalloc(g->n + 1, sizeof(*reached));

	for (size_t i = 0; i < n_targets; i++)
		if (targets[i].vertex) {
			reached[targets[i].vertex->id] = true;
			o->needs_dir[targets[i].vertex->id] = o->engine->output.files;
		}
	for (size_t i = g->n; i-- > 0;) {
		const struct vertex *v = g->vertices[i];

		for (size_t k = 0; reached[i] && k < v->n_inputs; k++) {
			const struct vertex *in = v->inputs[k].vertex;

			if (!in)
				continue;
			reached[in->id] = true;
			if (o->needs_dir[i] || reads_files(v, k))
				o->needs_dir[in->id] = true;
		}
	}
}

void vertex_ops_init(struct vertex_ops *o, struct engine *e, const struct graph *g,
		     const struct edge *targets, size_t n_targets)
{
	*o = (struct vertex_ops){.engine = e,
				 .is_read = xcalloc(g->n + 1, sizeof(bool)),
				 .needs_dir = xcalloc(g->n + 1, sizeof(bool))};
	for (size_t i = 0; i < g->n; i++) {
		const struct vertex *v = g->vertices[i];

		if (v->op.kind == OP_MERGE)
			continue;
		for (size_t k = 0; k < v->n_inputs; k++)
			if (v->inputs[k].vertex)
				o->is_read[v->inputs[k].vertex->id] = true;
	}
	find_needed_dirs(o, g, targets, n_targets);
}

void vertex_ops_release(struct vertex_ops *o)
{
	free(o->is_read);
	free(o->needs_dir);
}

static const char *after_scheme(const char *identifier, const char *scheme)
{
	size_t n = strlen(scheme);

	return strncmp(identifier, scheme, n) == 0 ? identifier + n : NULL;
}

static int unsupported_source(const char *identifier, struct error **err)
{
	return error_new(err, ERR_UNSUPPORTED, 0, "%s: this kind of source is not supported yet",
			 identifier);
}

static void platform_of(const struct op *op, struct platform *ret)
{
	*ret = (struct platform){0};
	snprintf(ret->os, sizeof(ret->os), "%s", op->platform.os);
	snprintf(ret->arch, sizeof(ret->arch), "%s", op->platform.arch);
	snprintf(ret->variant, sizeof(ret->variant), "%s", op->platform.variant);
	snprintf(ret->os_version, sizeof(ret->os_version), "%s", op->platform.os_version);
}

static bool is_image(const char *identifier)
{
	return after_scheme(identifier, image_scheme) || after_scheme(identifier, layout_scheme);
}

static bool is_http(const char *identifier)
{
	return after_scheme(identifier, "http://") || after_scheme(identifier, "https://");
}

/* --- pin --- */

static int find_image(struct vertex_ops *o, struct job *job, const struct vertex *v,
		      const struct image_source **ret, struct error **err)
{
	const char *layout = after_scheme(v->op.source.identifier, layout_scheme);
	struct platform platform;

	platform_of(&v->op, &platform);
	return engine_find_image(o->engine, job,
				 layout ? layout
					: after_scheme(v->op.source.identifier, image_scheme),
				 layout != NULL, &platform, ret, err);
}

/* An image is its layers: two tags or manifests of the same layers share what was built on them.
 * The config arrives through the ops' fields. */
static int pin_image(struct vertex_ops *o, struct job *job, const struct vertex *v, struct pin *ret,
		     struct error **err)
{
	const struct image_source *image;
	struct hasher h;
	int r = find_image(o, job, v, &image, err);

	if (r < 0)
		return r;
	hasher_init(&h);
	hasher_add_string(&h, "image");
	for (size_t i = 0; i < image->n_layers; i++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};

		r = layer_get(o->engine->store, image->layers[i], &info, err);
		if (r < 0) {
			hasher_release(&h);
			return r;
		}
		/* A layer made here and not exported yet has its number, which is never reused. */
		hasher_add_u64(&h, info.has_diff_id ? 0 : (uint64_t)info.id);
		hasher_add(&h, info.diff_id.b, sizeof(info.diff_id.b));
	}
	hasher_final(&h, &ret->key);
	ret->has_key = true;
	return 0;
}

static int pin_http(struct vertex_ops *o, struct job *job, const struct vertex *v, struct pin *ret,
		    struct error **err)
{
	struct http_file file;
	int r = http_file_of_op(&v->op.source, &file, err);

	if (r == 0)
		r = http_files_pin(o->engine->http, &file, job, &ret->key, err);
	ret->has_key = r == 0;
	return r;
}

static int pin_git(struct vertex_ops *o, struct job *job, const struct vertex *v, struct pin *ret,
		   struct error **err)
{
	int r = git_sources_pin(o->engine->git, &v->op.source, job, &ret->key, err);

	ret->has_key = r == 0;
	return r;
}

static int ops_pin(void *data, struct job *job, const struct vertex *v, struct pin *ret,
		   struct error **err)
{
	const char *identifier = v->op.source.identifier;

	*ret = (struct pin){0};
	if (is_image(identifier))
		return pin_image(data, job, v, ret, err);
	if (is_http(identifier))
		return pin_http(data, job, v, ret, err);
	if (after_scheme(identifier, git_scheme))
		return pin_git(data, job, v, ret, err);
	if (after_scheme(identifier, local_scheme))
		return 0;
	return unsupported_source(identifier, err);
}

static int ops_content(void *data, struct job *job, const struct vertex *v, size_t input,
		       struct result *in, struct digest *ret, bool *ret_available,
		       struct error **err)
{
	struct vertex_ops *o = data;

	(void)job;
	return op_content(o->engine->store, o->engine->imports, v, input, in, ret, ret_available,
			  err);
}

/* --- run --- */

static int run_image(struct vertex_ops *o, struct job *job, const struct vertex *v,
		     struct result **ret, struct error **err)
{
	const struct image_source *image;
	int r = find_image(o, job, v, &image, err);

	/* Fetched here, so that it shows under the FROM it belongs to; an image that no step reads
	 * stays where it is. */
	if (r == 0 && o->is_read[v->id])
		r = require_dirs(o->engine, job, image->layers, image->n_layers, err);
	if (r == 0)
		*ret = result_new_rootfs(image->layers, image->n_layers);
	return r;
}

/* An attribute that is a JSON array of strings; *ret_set tells whether it is there. */
static int list_attr(const struct op_source *source, const char *name, struct strv *ret,
		     bool *ret_set, struct error **err)
{
	_cleanup_json_ json_t *doc = NULL, *wrapper = NULL;
	int r;

	*ret_set = false;
	for (size_t i = 0; i < source->attrs.n; i++) {
		const struct op_pair *attr = &source->attrs.v[i];

		if (strcmp(attr->key, name) != 0)
			continue;
		r = js_parse(name, attr->value, strlen(attr->value), &doc, err);
		if (r < 0)
			return r;
		wrapper = json_pack("{s:O}", name, doc);
		*ret_set = true;
		return js_strings(wrapper, name, ret, err);
	}
	return 0;
}

static int run_local(struct vertex_ops *o, struct job *job, const struct vertex *v,
		     struct result **ret, struct error **err)
{
	const char *name = after_scheme(v->op.source.identifier, local_scheme);
	const struct engine_context *context = engine_find_context(o->engine, name);
	_cleanup_strv_ struct strv follow = {0}, excludes = {0};
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	bool has_follow, has_excludes;
	int r;

	if (!context)
		return error_new(err, ERR_NOTFOUND, 0, "no context is named '%s'", name);
	if (!context->dir) {
		*ret = result_new_rootfs(&context->layer, context->layer != 0);
		return 0;
	}
	r = list_attr(&v->op.source, "local.followpaths", &follow, &has_follow, err);
	if (r == 0)
		r = list_attr(&v->op.source, "local.excludepatterns", &excludes, &has_excludes,
			      err);
	if (r == 0)
		r = context_open(o->engine->store, context->dir, has_excludes ? &excludes : NULL,
				 has_follow ? &follow : NULL, job, &tree, err);
	if (r < 0)
		return r;
	if (o->engine->cache_policy.normalize_modes)
		context_normalize_modes(tree);
	context_explain_ignored(tree, &context->ignore);
	*ret = result_new_tree(tree);
	return 0;
}

static int run_http(struct vertex_ops *o, struct job *job, const struct vertex *v,
		    struct result **ret, struct error **err)
{
	struct http_file file;
	int64_t layer;
	int r = http_file_of_op(&v->op.source, &file, err);

	if (r == 0)
		r = http_files_layer(o->engine->http, &file, job, &layer, err);
	if (r == 0)
		*ret = result_new_rootfs(&layer, 1);
	return r;
}

static int run_git(struct vertex_ops *o, struct job *job, const struct vertex *v,
		   struct result **ret, struct error **err)
{
	int64_t layer;
	int r = git_sources_layer(o->engine->git, &v->op.source, job, &layer, err);

	if (r == 0)
		*ret = result_new_rootfs(&layer, 1);
	return r;
}

static int run_source(struct vertex_ops *o, struct job *job, const struct vertex *v,
		      struct result **ret, struct error **err)
{
	const char *identifier = v->op.source.identifier;

	if (is_image(identifier))
		return run_image(o, job, v, ret, err);
	if (after_scheme(identifier, local_scheme))
		return run_local(o, job, v, ret, err);
	if (is_http(identifier))
		return run_http(o, job, v, ret, err);
	if (after_scheme(identifier, git_scheme))
		return run_git(o, job, v, ret, err);
	return unsupported_source(identifier, err);
}

static int require_layers(void *data, struct job *job, const int64_t *layers, size_t n,
			  struct error **err)
{
	return require_dirs(data, job, layers, n, err);
}

/* An imported cache may have it. */
static int restore_mount(void *data, const struct mount_wish *wish, struct job *job,
			 struct error **err)
{
	struct engine *e = data;

	return remote_imports_restore(e->imports, wish, job, err);
}

static int run_exec(struct vertex_ops *o, struct job *job, const struct vertex *v,
		    struct result *const *inputs, struct result **ret, size_t n_outputs,
		    size_t *ret_hollow, struct error **err)
{
	const struct exec_debugger *debugger = &o->engine->session.debugger;
	_cleanup_free_ char *binfmt = NULL;
	struct exec_options options = {
		.store = o->engine->store,
		.env = o->engine->sandbox,
		.session = &o->engine->session,
		.step = v->meta.name,
		.stop_before = debugger->has_before && digest_equal(&debugger->before, &v->digest),
		.require = require_layers,
		.restore = restore_mount,
		.data = o->engine,
	};
	struct platform platform;
	int r;

	platform_of(&v->op, &platform);
	binfmt = emulation_binfmt(&platform);
	options.binfmt = binfmt;
	r = exec_op_run(&options, &v->op.exec, inputs, v->n_inputs, job, ret, n_outputs, ret_hollow,
			err);
	return r < 0 && err ? emulation_explain(&platform, r, err) : r;
}

static int require_layer(void *data, const int64_t *layers, size_t n, struct error **err)
{
	return require_layers(data, NULL, layers, n, err);
}

static int run_file(struct vertex_ops *o, struct job *job, const struct vertex *v,
		    struct result *const *inputs, struct result **ret, struct error **err)
{
	const struct file_op_form form = {
		.as_blob = !o->needs_dir[v->id],
		.compression = o->engine->output.compression,
		.need = {.require = require_layer, .data = o->engine},
	};

	return file_op_run(o->engine->store, &v->op.file, inputs, v->n_inputs, &form, job, ret,
			   err);
}

/* Inputs that came from the cache may be layers of which only the descriptor is here. */
static int require_inputs(struct vertex_ops *o, struct job *job, const struct vertex *v,
			  struct result *const *inputs, size_t *ret_hollow, struct error **err)
{
	for (size_t i = 0; i < v->n_inputs; i++) {
		int r;

		if (!inputs[i] || inputs[i]->tree)
			continue;
		r = (reads_files(v, i) ? require_dirs : require_indexes)(
			o->engine, job, inputs[i]->layers, inputs[i]->n_layers, err);
		if (r == -ERR_NOTFOUND || r == -ERR_CORRUPT)
			*ret_hollow = i;
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_once(struct vertex_ops *o, struct job *job, const struct vertex *v,
		    struct result *const *inputs, struct result **ret, size_t n_outputs,
		    size_t *ret_hollow, struct error **err)
{
	const struct layer_need_dirs need = {.require = require_layer, .data = o->engine};
	struct store *s = o->engine->store;
	int r = 0;

	if (v->op.kind == OP_FILE || v->op.kind == OP_DIFF)
		r = require_inputs(o, job, v, inputs, ret_hollow, err);
	if (r < 0)
		return r;
	switch (v->op.kind) {
	case OP_SOURCE:
		return run_source(o, job, v, ret, err);
	case OP_EXEC:
		return run_exec(o, job, v, inputs, ret, n_outputs, ret_hollow, err);
	case OP_FILE:
		return run_file(o, job, v, inputs, ret, err);
	case OP_MERGE:
		return merge_op_run(s, inputs, v->n_inputs, &need, job, ret, err);
	case OP_DIFF:
		return diff_op_run(s, v->op.diff.lower < 0 ? NULL : inputs[v->op.diff.lower],
				   v->op.diff.upper < 0 ? NULL : inputs[v->op.diff.upper], job, ret,
				   err);
	case OP_BUILD:
		break;
	}
	return error_new(err, ERR_UNSUPPORTED, 0, "nested builds are not supported");
}

/* The input that has a layer which was found damaged and which nothing but its step can
 * make again. */
static bool find_lost(struct store *s, const struct vertex *v, struct result *const *inputs,
		      size_t *ret)
{
	for (size_t i = 0; i < v->n_inputs; i++) {
		for (size_t k = 0; inputs[i] && k < inputs[i]->n_layers; k++) {
			bool lost = false;

			if (layer_is_lost(s, inputs[i]->layers[k], &lost, NULL) < 0 || !lost)
				continue;
			*ret = i;
			return true;
		}
	}
	return false;
}

/* Looks through all of the inputs' layers, since one of them was not what it should be. */
static void recheck(struct store *s, const struct vertex *v, struct result *const *inputs)
{
	bool whole;

	for (size_t i = 0; i < v->n_inputs; i++)
		for (size_t k = 0; inputs[i] && k < inputs[i]->n_layers; k++)
			(void)!layer_recheck(s, inputs[i]->layers[k], &whole, NULL);
}

/* Somebody may have removed the dir of an input's layer, which shows when a step's mounts
 * are made. */
static bool forget_gone(struct store *s, const struct vertex *v, struct result *const *inputs)
{
	bool any = false, gone;

	for (size_t i = 0; i < v->n_inputs; i++)
		if (inputs[i] &&
		    layer_forget_gone(s, inputs[i]->layers, inputs[i]->n_layers, &gone, NULL) == 0)
			any = any || gone;
	return any;
}

static int ops_run(void *data, struct job *job, const struct vertex *v,
		   struct result *const *inputs, struct result **ret, size_t n_outputs,
		   size_t *ret_hollow, struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	struct vertex_ops *o = data;
	int r = run_once(o, job, v, inputs, ret, n_outputs, ret_hollow, &why);

	if ((r == -ERR_IO || r == -ERR_NOTFOUND) && v->op.kind == OP_EXEC &&
	    *ret_hollow == SOLVER_NOT_HOLLOW && forget_gone(o->engine->store, v, inputs))
		r = -ERR_CORRUPT;
	/* Damage shows when a layer is first read, and from then on it counts as not unpacked:
	 * where its blob can be fetched a second try unpacks it again. */
	if (r == -ERR_CORRUPT && *ret_hollow == SOLVER_NOT_HOLLOW &&
	    !engine_has_lost_base(o->engine) &&
	    !find_lost(o->engine->store, v, inputs, ret_hollow)) {
		recheck(o->engine->store, v, inputs);
		if (!find_lost(o->engine->store, v, inputs, ret_hollow)) {
			error_free(TAKE_PTR(why));
			r = run_once(o, job, v, inputs, ret, n_outputs, ret_hollow, &why);
		}
	}
	if (r < 0 && err)
		*err = TAKE_PTR(why);
	return r;
}

/* --- keys --- */

static bool ops_salt(void *data, const struct vertex *v, struct digest *ret)
{
	struct vertex_ops *o = data;
	bool salted = false;

	/* A secret that cannot be read fails the step that reads it. */
	return v->op.kind == OP_EXEC &&
	       secret_salt(o->engine->store, &o->engine->session.grants, &v->op.exec, &salted, ret,
			   NULL) == 0 &&
	       salted;
}

const struct solver_ops vertex_solver_ops = {
	.salt = ops_salt,
	.pin = ops_pin,
	.content = ops_content,
	.run = ops_run,
	.ref = result_ref,
	.unref = result_unref,
};
