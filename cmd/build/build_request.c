/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/build/build_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/times.h"
#include "cmd/build/build_report.h"
#include "engine/source/source_time.h"
#include "engine/upkeep.h"

/* Answers the frontend's questions about images. */
static int resolve_images(void *data, const struct image_request *requests, size_t n,
			  struct image_answer *answers, struct error **err)
{
	struct build_request *q = data;
	_cleanup_free_ struct engine_image *images = xcalloc(n, sizeof(*images));
	int r;

	for (size_t i = 0; i < n; i++) {
		images[i] = (struct engine_image){
			.ref = requests[i].ref,
			.oci_layout = requests[i].oci_layout,
			.platform = requests[i].platform,
			.name = requests[i].name,
			.policy = q->options.pull ? PULL_ALWAYS : PULL_DEFAULT,
		};
	}
	r = engine_resolve(q->session->engine, q->session->progress, images, n, err);
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
	struct build_request *q = data;

	return source ? source_time(&q->session->engine->sources, source, NULL, ret_has, ret, err)
		      : build_input_time(&q->input, q->session->engine, ret_has, ret, err);
}

static void frontend_opts_fill(struct build_request *q, struct frontend_opts *f)
{
	const struct build_options *o = &q->options;

	*f = (struct frontend_opts){
		.name = q->input.name,
		.data = q->input.text.p,
		.size = q->input.text.n,
		.target = o->target,
		.squash_on = o->squash == SQUASH_ON_STAGE ? o->squash_stage : NULL,
		.build_args = o->build_args,
		.labels = o->labels,
		.build_platform = platform_host(),
		.implicit_platform = o->platform_list.n == 0,
		.multi_platform = o->multi_platform,
		.context = q->input.context_is_git ? o->context : NULL,
		.context_source = q->input.context_name,
		.shown_target = q->name,
		.ignore = q->input.ignore,
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
		.resolver = {.resolve = resolve_images, .data = q},
		.cancel = q->session->cancel,
		.parse_only = q->call.method == CALL_TARGETS,
		.all_stages = q->call.method == CALL_CHECK && !o->target,
		.clock = {.time = tell_time, .data = q},
		.reader = {.read = build_input_read_context, .data = &q->options},
	};
}

static int compile(struct build_request *q, struct error **err)
{
	struct frontend_opts f;
	size_t n = q->options.platform_list.n ? q->options.platform_list.n : 1;
	int r = 0;

	frontend_opts_fill(q, &f);
	q->compiled = xcalloc(n, sizeof(*q->compiled));
	while (q->n_platforms < n && r == 0) {
		size_t i = q->n_platforms++;

		f.target_platform = q->options.platform_list.n ? q->options.platform_list.v[i]
							       : f.build_platform;
		r = frontend_compile(&f, &q->session->graph, &q->compiled[i], err);
	}
	/* Platforms share one Dockerfile and find the same things in it. */
	if (q->call.method == CALL_BUILD)
		build_report_stream(q->session->progress, &q->input, &q->compiled[0].lint);
	if (r == 0 && q->call.method == CALL_BUILD)
		r = df_lint_error(&q->compiled[0].lint, err);
	return r;
}

/* Who says --network=host has allowed it; a Dockerfile or a bake file that asks for it has not. */
static int add_allowed(struct build_request *q, struct error **err)
{
	if (q->options.network && q->options.network_mode == NETWORK_HOST)
		q->session->engine->session.allow_host_network = true;
	for (size_t i = 0; i < q->options.allow.n; i++) {
		const char *what = q->options.allow.v[i];

		if (strcmp(what, "network.host") == 0)
			q->session->engine->session.allow_host_network = true;
		else if (strcmp(what, "security.insecure") == 0)
			q->session->engine->session.allow_insecure = true;
		else
			return error_new(err, ERR_INVALID, 0,
					 "--allow: \"%s\" is not network.host or "
					 "security.insecure",
					 what);
	}
	return 0;
}

/* An agent has one meaning for all that is built at once, and so has a secret. */
static int check_agent(struct build_session *s, const struct build_ssh *ssh, bool *ret_new,
		       struct error **err)
{
	_cleanup_free_ char *paths = strv_join(&ssh->paths, ","),
			    *text = xasprintf("%s=%s", ssh->id, paths);
	size_t n = strlen(ssh->id) + 1;

	*ret_new = !strv_contains(&s->agents, text);
	for (size_t i = 0; i < s->agents.n && *ret_new; i++)
		if (strncmp(s->agents.v[i], text, n) == 0)
			return error_hint(err,
					  error_new(err, ERR_UNSUPPORTED, 0,
						    "another target has another ssh agent \"%s\"",
						    ssh->id),
					  "build these targets one after the other, or give one "
					  "agent another id");
	if (*ret_new)
		strv_push(&s->agents, text);
	return 0;
}

static int add_agent(struct build_request *q, const struct build_ssh *ssh, struct error **err)
{
	struct grants *grants = &q->session->engine->session.grants;
	bool is_new;
	int r = check_agent(q->session, ssh, &is_new, err);

	if (r < 0 || !is_new)
		return r;
	if (!ssh->is_socket)
		return grants_add_ssh_keys(grants, q->session->store, ssh->id, &ssh->paths, err);
	grants_add_ssh(grants, ssh->id, ssh->paths.v[0]);
	return 0;
}

int build_session_open(struct build_session *s, struct error **err)
{
	int r = engine_open(s->store, s->cancel, &s->engine, err);

	s->started = times_now_ns();

	if (r == 0)
		upkeep_set_policy(s->store, &s->engine->config.gc, false);
	return r;
}

void build_session_close(struct build_session *s)
{
	strv_release(&s->agents);
	graph_release(&s->graph);
	engine_close(s->engine);
	store_close(s->store);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static int add_secret(struct grants *grants, const struct build_secret *s, struct error **err)
{
	for (size_t i = 0; i < grants->secrets.n; i++) {
		const struct grant_secret *old = &grants->secrets.v[i];

		if (strcmp(old->id, s->id) != 0)
			continue;
		if (same(old->file, s->file) && same(old->env, s->env))
			return 0;
		return error_hint(
			err,
			error_new(err, ERR_UNSUPPORTED, 0,
				  "another target takes the secret \"%s\" from elsewhere", s->id),
			"build these targets one after the other, or give one secret another id");
	}
	grants_add_secret(grants, s->id, s->file, s->env);
	if (s->in_key)
		grants_key_secret(grants, s->id);
	return 0;
}

static bool same_limits(const struct cgroup_limits *a, const struct cgroup_limits *b)
{
	return a->memory == b->memory && a->memory_swap == b->memory_swap &&
	       a->cpu_shares == b->cpu_shares && a->cpu_period == b->cpu_period &&
	       a->cpu_quota == b->cpu_quota && a->pids == b->pids &&
	       same(a->cpuset_cpus, b->cpuset_cpus) && same(a->cpuset_mems, b->cpuset_mems);
}

static int add_limits(struct build_session *s, const struct build_options *o, struct error **err)
{
	struct cgroup_limits *limits = &s->engine->session.limits;

	if (!s->has_limits)
		*limits = o->limits;
	else if (!same_limits(limits, &o->limits))
		return error_hint(
			err,
			error_new(err, ERR_UNSUPPORTED, 0,
				  "another target has other limits of its steps (resources)"),
			"build these targets one after the other");
	s->has_limits = true;
	return 0;
}

int build_request_grant(struct build_request *q, struct error **err)
{
	struct build_options *o = &q->options;
	struct engine *e = q->session->engine;
	int r = add_limits(q->session, o, err);

	for (size_t i = 0; i < o->ssh.n && r == 0; i++)
		r = add_agent(q, &o->ssh.v[i], err);
	if (r < 0)
		return r;
	e->max_parallelism = (unsigned)o->max_parallelism;
	for (size_t i = 0; i < o->contexts.n; i++)
		if (!o->contexts.v[i].built)
			o->contexts.v[i].source = build_input_add_context(
				e, &q->session->graph.arena, o->contexts.v[i].name,
				o->contexts.v[i].value, 0);
	for (size_t i = 0; i < o->secrets.n && r == 0; i++)
		r = add_secret(&e->session.grants, &o->secrets.v[i], err);
	return r == 0 ? add_allowed(q, err) : r;
}

int build_request_compile(struct build_request *q, struct error **err)
{
	struct build_session *s = q->session;
	int r;

	q->input.target = q->name;
	r = build_input_load(&q->input, &q->options, s->engine, &s->graph, s->progress, err);

	if (r == 0)
		r = compile(q, err);
	q->outputs = (struct build_outputs){.options = &q->options,
					    .input = &q->input,
					    .started = s->started,
					    .engine = q->session->engine,
					    .progress = q->session->progress,
					    .graph = &q->session->graph,
					    .images = q->compiled,
					    .n_images = q->n_platforms,
					    .target = q->name};
	return r;
}

void build_request_release(struct build_request *q)
{
	build_outputs_release(&q->outputs);
	for (size_t i = 0; i < q->n_platforms; i++)
		frontend_result_release(&q->compiled[i]);
	free(q->compiled);
	build_input_release(&q->input);
	build_options_release(&q->options);
}

/* Does this output take new layers as they are, compressed as it says? */
static bool takes_layers(const struct build_request *q, const struct export_options *o)
{
	bool sends = o->type == EXPORT_OCI || o->type == EXPORT_DOCKER ||
		     o->type == EXPORT_REGISTRY || (o->type == EXPORT_IMAGE && o->push);

	return sends && !(o->rewrite_timestamp && (o->has_epoch || q->compiled[0].has_epoch));
}

void build_request_foresee(struct build_request *q)
{
	struct engine_output *out = &q->session->engine->output;

	out->files = q->options.squash != SQUASH_NOT;
	for (size_t i = 0; i < q->options.exports.n; i++) {
		const struct export_options *o = &q->options.exports.v[i];

		out->files = out->files || o->type == EXPORT_LOCAL || o->type == EXPORT_TAR;
		if (out->compression.type == COMPRESS_NONE && takes_layers(q, o))
			out->compression = o->layers.compression;
	}
}
