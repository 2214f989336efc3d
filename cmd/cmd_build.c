/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln build`: from the command line to the graph, its results and what is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/build/build_cache.h"
#include "cmd/build/build_call.h"
#include "cmd/build/build_input.h"
#include "cmd/build/build_options.h"
#include "cmd/build/build_outputs.h"
#include "cmd/build/build_report.h"
#include "cmd/build/debug_graph.h"
#include "cmd/build/debug_shell.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"
#include "engine/engine.h"
#include "engine/remote_cache/remote_import.h"
#include "engine/source/source_time.h"
#include "engine/upkeep.h"
#include "store/space.h"

/* One build: everything that lives from the parsed command line to the exit status. */
struct build {
	struct build_options options;
	struct call call; /* not CALL_BUILD: a question instead of a build */
	struct build_input input;
	struct store *store;
	struct cancel *cancel;
	struct display *display;
	struct debug_shell shell;
	const char *shell_step; /* `kiln debug shell`: open one there and build no more; NULL: no */
	const struct progress *progress;
	struct engine *engine;
	struct graph graph;
	struct frontend_result *compiled; /* one per platform */
	size_t n_platforms;
	struct build_outputs outputs;
};

static void build_release(struct build *b)
{
	build_outputs_release(&b->outputs);
	for (size_t i = 0; i < b->n_platforms; i++)
		frontend_result_release(&b->compiled[i]);
	free(b->compiled);
	graph_release(&b->graph);
	engine_close(b->engine);
	build_input_release(&b->input);
	store_close(b->store);
	build_options_release(&b->options);
}

/* Answers the frontend's questions about images. */
static int resolve_images(void *data, const struct image_request *requests, size_t n,
			  struct image_answer *answers, struct error **err)
{
	struct build *b = data;
	_cleanup_free_ struct engine_image *images = xcalloc(n, sizeof(*images));
	int r;

	for (size_t i = 0; i < n; i++) {
		images[i] = (struct engine_image){
			.ref = requests[i].ref,
			.oci_layout = requests[i].oci_layout,
			.platform = requests[i].platform,
			.name = requests[i].name,
			.policy = b->options.pull ? PULL_ALWAYS : PULL_DEFAULT,
		};
	}
	r = engine_resolve(b->engine, b->progress, images, n, err);
	for (size_t i = 0; i < n; i++) {
		answers[i].error = TAKE_PTR(images[i].error);
		if (r < 0 || answers[i].error)
			continue;
		answers[i].digest = images[i].source->digest;
		answers[i].config_size = images[i].source->config.n;
		answers[i].config = xmalloc(answers[i].config_size);
		memcpy(answers[i].config, images[i].source->config.p, answers[i].config_size);
	}
	return r;
}

/* Answers the frontend's questions about when sources were made. */
static int tell_time(void *data, const struct op_source *source, bool *ret_has, int64_t *ret,
		     struct error **err)
{
	struct build *b = data;

	return source ? source_time(&b->engine->sources, source, NULL, ret_has, ret, err)
		      : build_input_time(&b->input, b->engine, ret_has, ret, err);
}

static void frontend_opts_fill(struct build *b, struct frontend_opts *f)
{
	const struct build_options *o = &b->options;

	*f = (struct frontend_opts){
		.name = b->input.name,
		.data = b->input.text.p,
		.size = b->input.text.n,
		.target = o->target,
		.squash_on = o->squash == SQUASH_ON_STAGE ? o->squash_stage : NULL,
		.build_args = o->build_args,
		.labels = o->labels,
		.build_platform = platform_host(),
		.implicit_platform = o->platform_list.n == 0,
		.multi_platform = o->multi_platform,
		.context = b->input.context_is_git ? o->context : NULL,
		.ignore = b->input.ignore,
		.contexts = o->contexts.v,
		.n_contexts = o->contexts.n,
		.has_default_epoch = o->reproducible,
		.no_cache = o->no_cache,
		.no_cache_filter = o->no_cache_filter,
		.resolve_mode = o->pull ? RESOLVE_PULL : RESOLVE_DEFAULT,
		.network = o->network_mode,
		.extra_hosts = o->hosts.v,
		.n_extra_hosts = o->hosts.n,
		.ulimits = o->ulimits.v,
		.n_ulimits = o->ulimits.n,
		.shm_size = o->shm_size,
		.cgroup_parent = o->cgroup_parent,
		.resolver = {.resolve = resolve_images, .data = b},
		.cancel = b->cancel,
		.parse_only = b->call.method == CALL_TARGETS,
		.all_stages = b->call.method == CALL_CHECK && !o->target,
		.clock = {.time = tell_time, .data = b},
		.reader = {.read = build_input_read_context, .data = &b->options},
	};
}

static int compile(struct build *b, struct error **err)
{
	struct frontend_opts f;
	size_t n = b->options.platform_list.n ? b->options.platform_list.n : 1;
	int r = 0;

	frontend_opts_fill(b, &f);
	b->compiled = xcalloc(n, sizeof(*b->compiled));
	while (b->n_platforms < n && r == 0) {
		size_t i = b->n_platforms++;

		f.target_platform = b->options.platform_list.n ? b->options.platform_list.v[i]
							       : f.build_platform;
		r = frontend_compile(&f, &b->graph, &b->compiled[i], err);
	}
	/* Platforms share one Dockerfile and find the same things in it. */
	if (b->call.method == CALL_BUILD)
		build_report_stream(b->progress, &b->input, &b->compiled[0].lint);
	if (r == 0 && b->call.method == CALL_BUILD)
		r = df_lint_error(&b->compiled[0].lint, err);
	return r;
}

/* What was compiled, as it is made and exported. */
static int make(struct build *b, struct error **err)
{
	b->outputs = (struct build_outputs){.options = &b->options,
					    .engine = b->engine,
					    .progress = b->progress,
					    .graph = &b->graph,
					    .images = b->compiled,
					    .n_images = b->n_platforms};
	return build_outputs_make(&b->outputs, err);
}

/* Who says --network=host has allowed it; a Dockerfile or a bake file that asks for it has not. */
static int add_allowed(struct build *b, struct error **err)
{
	if (b->options.network && b->options.network_mode == NETWORK_HOST)
		b->engine->session.allow_host_network = true;
	for (size_t i = 0; i < b->options.allow.n; i++) {
		const char *what = b->options.allow.v[i];

		if (strcmp(what, "network.host") == 0)
			b->engine->session.allow_host_network = true;
		else if (strcmp(what, "security.insecure") == 0)
			b->engine->session.allow_insecure = true;
		else
			return error_new(err, ERR_INVALID, 0,
					 "--allow: \"%s\" is not network.host or "
					 "security.insecure",
					 what);
	}
	return 0;
}

static int add_agents(struct build *b, struct error **err)
{
	struct grants *grants = &b->engine->session.grants;
	int r = 0;

	for (size_t i = 0; i < b->options.ssh.n && r == 0; i++) {
		const struct build_ssh *ssh = &b->options.ssh.v[i];

		if (ssh->is_socket)
			grants_add_ssh(grants, ssh->id, ssh->paths.v[0]);
		else
			r = grants_add_ssh_keys(grants, b->store, ssh->id, &ssh->paths, err);
	}
	return r;
}

static int open_engine(struct build *b, struct error **err)
{
	const struct build_options *o = &b->options;
	int r = engine_open(b->store, b->cancel, &b->engine, err);

	if (r == 0)
		b->engine->session.limits = o->limits;
	if (r == 0)
		r = add_agents(b, err);
	if (r < 0)
		return r;
	upkeep_set_policy(b->store, &b->engine->config.gc, false);
	b->engine->max_parallelism = (unsigned)o->max_parallelism;
	for (size_t i = 0; i < o->contexts.n; i++)
		engine_add_context(b->engine, o->contexts.v[i].name, o->contexts.v[i].value);
	for (size_t i = 0; i < o->secrets.n; i++)
		grants_add_secret(&b->engine->session.grants, o->secrets.v[i].id,
				  o->secrets.v[i].file, o->secrets.v[i].env);
	for (size_t i = 0; i < o->secrets.n; i++)
		if (o->secrets.v[i].in_key)
			grants_key_secret(&b->engine->session.grants, o->secrets.v[i].id);
	build_cache_policy(o, &b->engine->cache_policy);
	if (o->debug_shell)
		debug_shell_on_failure(&b->shell, &b->engine->session.debugger);
	return add_allowed(b, err);
}

/* Builds what the step needs; its shell ends the build. */
static int open_shell(struct build *b, struct error **err)
{
	_cleanup_(result_unrefp) struct result *result = NULL;
	struct vertex *step = NULL;
	struct edge target = {0};
	int r = debug_shell_before(&b->shell, &b->graph, b->shell_step,
				   &b->engine->session.debugger, &step, err);

	target.vertex = step;
	if (r == 0)
		r = engine_solve(b->engine, &b->graph, &target, 1, b->progress, &result, err);
	return r;
}

/* Does this output take new layers as they are, compressed as it says? */
static bool takes_layers(const struct build *b, const struct export_options *o)
{
	bool sends = o->type == EXPORT_OCI || o->type == EXPORT_DOCKER ||
		     o->type == EXPORT_REGISTRY || (o->type == EXPORT_IMAGE && o->push);

	return sends && !(o->rewrite_timestamp && (o->has_epoch || b->compiled[0].has_epoch));
}

static void foresee_output(struct build *b)
{
	struct engine_output *out = &b->engine->output;

	out->files = b->options.squash != SQUASH_NOT;
	for (size_t i = 0; i < b->options.exports.n; i++) {
		const struct export_options *o = &b->options.exports.v[i];

		out->files = out->files || o->type == EXPORT_LOCAL || o->type == EXPORT_TAR;
		if (out->compression.type == COMPRESS_NONE && takes_layers(b, o))
			out->compression = o->layers.compression;
	}
}

static int run(struct build *b, struct error **err)
{
	int r = open_engine(b, err);

	if (r == 0 && b->call.method == CALL_BUILD)
		r = build_cache_import(&b->options, b->engine, b->progress, err);
	if (r == 0)
		r = build_input_load(&b->input, &b->options, b->engine, &b->graph, b->progress,
				     err);
	if (r == 0)
		r = compile(b, err);
	if (r < 0 || b->call.method != CALL_BUILD)
		return r;
	b->engine->cache_policy.project =
		arena_printf(&b->graph.arena, "%s/%s",
			     b->input.context_dir ? b->input.context_dir : "", b->input.name);
	r = build_cache_mark(&b->options, &b->graph, err);
	if (r == 0)
		r = build_cache_reset_mounts(&b->options, &b->graph, b->store, err);
	foresee_output(b);
	if (r == 0)
		r = b->shell_step ? open_shell(b, err) : make(b, err);
	return r;
}

static int finish(struct build *b, int r, struct error **err)
{
	const struct df_file *file = b->n_platforms ? b->compiled[0].file : NULL;

	/* What is read in the background tells the display of it. */
	if (b->engine)
		remote_imports_stop(b->engine->imports);
	display_close(b->display, r < 0);
	if (b->shell_step && b->shell.opened) {
		error_free(*err);
		return b->shell.status;
	}
	if (b->options.display != DISPLAY_QUIET)
		session_warn(b->store);
	if (b->call.method == CALL_GRAPH && r == 0)
		return debug_graph_print(&b->graph, b->compiled, b->n_platforms, b->call.json, err);
	if (b->call.method != CALL_BUILD && b->n_platforms) {
		r = build_call_answer(&b->call, &b->compiled[0], r, err);
		return r < 0 ? build_report_error(file, r, err) : r;
	}
	if (b->n_platforms && b->options.display != DISPLAY_QUIET)
		build_report_warnings(&b->compiled[0].lint);
	if (b->engine && b->options.explain && (r == 0 || b->engine->cache_policy.reasons.n > 0))
		build_cache_explain(&b->engine->cache_policy.reasons);
	if (r == 0)
		r = build_report_result(&b->options, b->outputs.exported, b->outputs.n_exported,
					err);
	return r < 0 ? build_report_error(file, r, err) : 0;
}

static int build(const struct command *self, struct build *b, struct error **err)
{
	int r = build_input_check(&b->options, err);

	if (r == 0 && b->call.method == CALL_BUILD)
		r = build_outputs_check(&b->options, err);
	if (r == 0)
		r = session_open_store(&b->store, err);
	if (r < 0) {
		(void)error_wrap(err, r, "failed to build");
		return session_fail(r, err);
	}
	b->cancel = session_cancel();
	r = display_open(b->options.display, "Building", &b->display, err);
	if (r == -ERR_IO)
		return session_fail(error_wrap(err, r, "failed to build"), err);
	if (r < 0)
		return session_usage(self, err);
	b->progress = display_progress(b->display);
	b->shell.display = b->display;
	b->shell.cancel = b->cancel;
	r = run(b, err);
	/* They take some milliseconds to go, and the store to wait for its disk. */
	if (b->engine)
		engine_dismiss(b->engine);
	r = finish(b, r, err);
	/* The build is done; what the store could not tidy now it tidies after the next. */
	if (!cancel_is_set(b->cancel))
		(void)!space_maintain(b->store, NULL);
	store_settle(b->store);
	return r;
}

/* A build for another command. */
static int build_for(struct build *b, const struct command *self, int argc, char **argv)
{
	struct error *err = NULL;
	int r = build_options_parse(&b->options, self, argc, argv, &err), status;

	graph_init(&b->graph);
	if (r < 0)
		status = session_usage(self, &err);
	else
		status = r > 0 ? 0 : build(self, b, &err);
	build_release(b);
	return status;
}

int build_debug_graph(const struct command *self, int argc, char **argv, bool json)
{
	struct build b = {.call = {.method = CALL_GRAPH, .json = json}};

	return build_for(&b, self, argc, argv);
}

int build_debug_shell(const struct command *self, int argc, char **argv, const char *step)
{
	struct build b = {.shell_step = step};

	return build_for(&b, self, argc, argv);
}

int cmd_build(const struct command *self, int argc, char **argv)
{
	struct build b = {0};
	struct error *err = NULL;
	int r = build_options_parse(&b.options, self, argc, argv, &err), status;

	graph_init(&b.graph);
	if (r == 0)
		r = build_call_parse(b.options.check ? "check" : b.options.call, &b.call, &err);
	if (r < 0)
		status = session_usage(self, &err);
	else if (r > 0)
		status = 0;
	else
		status = build(self, &b, &err);
	build_release(&b);
	return status;
}
