/* SPDX-License-Identifier: Apache-2.0 */
/* RUN to an exec op. */
#include <stdlib.h>
#include <string.h>

#include "frontend/dockerfile/df_heredoc.h"
#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

#define PIPES_DIR "/dev/pipes/"

/* One RUN while it is lowered. */
struct running {
	struct compiler *c;
	struct stage *s;
	const struct command *cmd;
	const struct df_instruction *in;
	struct df_strings args;
	const char *text; /* for the step name */
	struct exec_mounts mounts;
};

/* The first line of a document, with "..." if there are more. */
static const char *summary(struct arena *a, const char *text)
{
	struct df_slice s = df_trim((struct df_slice){text, strlen(text)});
	const char *newline = s.n > 0 ? memchr(s.p, '\n', s.n) : NULL;
	size_t n = newline ? (size_t)(newline - s.p) : s.n;

	while (newline && n > 0 && s.p[n - 1] == '\r')
		n--;
	return arena_printf(a, "%.*s%s", (int)n, s.p, newline ? "..." : "");
}

/* Is the command nothing but the marker of its one heredoc? */
static bool is_one_heredoc(struct arena *a, const struct df_instruction *in)
{
	struct df_heredoc marker;

	return in->n_heredocs > 0 && in->run.command.args.n == 1 &&
	       df_heredoc_parse(a, in->run.command.args.v[0], &marker, NULL) > 0;
}

/* A script with "#!" becomes a file that the step runs. */
static void run_script(struct running *run, const struct df_heredoc *doc)
{
	struct compiler *c = run->c;
	struct draft *file = lower_inline_file(c, run->s, doc->name, doc->chomped, 0755);
	struct df_strings args = {0};

	vec_push(&run->mounts.mounts, (struct op_mount){
					      .input = draft_input(&run->mounts.inputs, file),
					      .selector = "",
					      .dest = "/dev/pipes",
					      .output = OP_OUTPUT_NONE,
					      .readonly = true,
					      .cache_id = "",
					      .id = "",
				      });
	df_strings_push(c->arena, &args, arena_printf(c->arena, PIPES_DIR "%s", doc->name));
	run->args = args;
}

static void set_arguments(struct running *run)
{
	const struct df_instruction *in = run->in;
	struct compiler *c = run->c;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct df_strings args = {0};

	run->args = in->run.command.args;
	run->text = in->text;
	if (is_one_heredoc(c->arena, in)) {
		const struct df_heredoc *doc = &in->heredocs[0];

		run->text = arena_printf(c->arena, "%s (%s)", in->text,
					 summary(c->arena, doc->content));
		if (strncmp(doc->chomped, "#!", 2) == 0 &&
		    strcmp(run->s->platform.os, "windows") != 0) {
			run_script(run, doc);
			run->args = lower_with_shell(c, run->s, run->args);
			return;
		}
		df_strings_push(c->arena, &args, doc->chomped);
		run->args = args;
	} else if (in->n_heredocs > 0) {
		/* The shell reads the heredocs itself. */
		buf_adds(&text, run->args.n > 0 ? run->args.v[0] : "");
		for (size_t i = 0; i < in->n_heredocs; i++)
			buf_addf(&text, "\n%s%s", in->heredocs[i].content, in->heredocs[i].name);
		df_strings_push(c->arena, &args, arena_strdup(c->arena, text.p));
		run->args = args;
	}
	if (in->run.command.shell_form)
		run->args = lower_with_shell(c, run->s, run->args);
}

/* "RUN |2 A=1 B=2 /bin/sh -c make": the ARGs declared so far, each once. */
static void add_run_history(struct running *run)
{
	struct stage *s = run->s;
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, "RUN ");
	if (s->args.n > 0)
		buf_addf(&b, "|%zu ", s->args.n);
	for (size_t i = 0; i < s->args.n; i++) {
		const char *key = s->args.v[i].key, *value = scope_get(&s->env, key);

		if (!value)
			value = s->args.v[i].value;
		buf_adds(&b, key);
		buf_addc(&b, '=');
		buf_adds(&b, value ? value : "");
		buf_addc(&b, ' ');
	}
	for (size_t i = 0; i < run->args.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? " " : "", run->args.v[i]);
	lower_add_history(run->c, s, false, "%s # buildkit", b.p);
}

static struct op_strings environment(struct running *run)
{
	struct compiler *c = run->c;
	const char *socket = run->mounts.ssh_socket, *last = NULL;
	struct df_strings env;

	if (socket && !scope_get(&run->s->env, "SSH_AUTH_SOCK"))
		last = arena_printf(c->arena, "SSH_AUTH_SOCK=%s", socket);
	env = scope_environment(&run->s->env, c->arena, last);
	return (struct op_strings){env.v, env.n};
}

static void *copy_array(struct arena *a, const void *v, size_t n, size_t size)
{
	void *copy = arena_alloc(a, n * size + 1);

	if (n > 0)
		memcpy(copy, v, n * size);
	return copy;
}

static void set_devices(struct running *run, struct op_exec *exec)
{
	const struct df_run *df = &run->in->run;
	struct op_device *devices =
		arena_alloc(run->c->arena, (df->n_devices + 1) * sizeof(*devices));

	for (size_t i = 0; i < df->n_devices; i++)
		devices[i] = (struct op_device){
			.name = arena_strdup(run->c->arena, df->devices[i].name),
			.optional = !df->devices[i].required,
		};
	exec->devices = devices;
	exec->n_devices = df->n_devices;
}

static void set_mounts(struct running *run, struct op_exec *exec)
{
	struct exec_mounts *m = &run->mounts;
	struct arena *a = run->c->arena;
	struct op_mount *mounts = arena_alloc(a, (m->mounts.n + 1) * sizeof(*mounts));

	mounts[0] = (struct op_mount){
		.input = draft_input(&m->inputs, run->s->state),
		.selector = "",
		.dest = "/",
		.output = 0,
		.cache_id = "",
		.id = "",
	};
	if (m->mounts.n > 0)
		memcpy(mounts + 1, m->mounts.v, m->mounts.n * sizeof(*mounts));
	exec->mounts = mounts;
	exec->n_mounts = m->mounts.n + 1;
	exec->secret_envs =
		copy_array(a, m->secret_envs.v, m->secret_envs.n, sizeof(*m->secret_envs.v));
	exec->n_secret_envs = m->secret_envs.n;
}

static enum op_network network_of(const struct running *run)
{
	if (run->in->run.network == DF_NETWORK_NONE)
		return NETWORK_NONE;
	if (run->in->run.network == DF_NETWORK_HOST)
		return NETWORK_HOST;
	return run->c->opts->network;
}

static struct draft *exec_draft(struct running *run, const struct vertex_meta *meta)
{
	const struct frontend_opts *opts = run->c->opts;
	struct arena *a = run->c->arena;
	struct op op = {.kind = OP_EXEC, .platform = lower_platform(run->c, &run->s->platform)};
	struct op_exec *exec = &op.exec;

	exec->args = (struct op_strings){run->args.v, run->args.n};
	exec->env = environment(run);
	exec->cwd = *run->s->dir ? run->s->dir : "/";
	exec->user = run->s->user ? run->s->user : "";
	exec->hostname = run->c->hostname;
	exec->cgroup_parent = opts->cgroup_parent ? arena_strdup(a, opts->cgroup_parent) : "";
	exec->proxy = run->c->proxy;
	exec->extra_hosts = run->c->extra_hosts;
	exec->ulimits = run->c->ulimits;
	exec->n_ulimits = opts->n_ulimits;
	exec->shm_size = opts->shm_size;
	exec->network = network_of(run);
	exec->security = run->in->run.security == DF_SECURITY_INSECURE ? SECURITY_INSECURE
								       : SECURITY_SANDBOX;
	set_devices(run, exec);
	set_mounts(run, exec);
	return draft_new(&run->c->drafts, &op, &run->mounts.inputs, meta);
}

static int lower_running(struct running *run, struct error **err)
{
	struct vertex_meta meta;
	const char *name;
	int r;

	/* The rootfs should be input 0. */
	(void)draft_input(&run->mounts.inputs, run->s->state);
	set_arguments(run);
	if (run->args.n == 0)
		return error_new(err, ERR_INVALID, 0,
				 "arguments are required: RUN has no command to run");
	r = lower_count_environment(run->c, run->s, 1, err);
	if (r < 0)
		return r;
	r = lower_mounts(run->c, run->s, run->cmd, &run->mounts, err);
	if (r < 0)
		return r;
	if (run->s->use)
		run->s->use->whole = true;
	name = step_name(run->c, run->s, run->cmd, step_text(run->c, run->s, run->in, run->text),
			 false);
	meta = lower_meta(run->c, run->s, name, run->in->span);
	meta.ignore_cache = run->s->ignore_cache;
	meta.if_missing = run->mounts.if_missing;
	run->s->state = exec_draft(run, &meta);
	add_run_history(run);
	return 0;
}

int lower_run(struct compiler *c, struct stage *s, const struct command *cmd, struct error **err)
{
	struct running run = {.c = c, .s = s, .cmd = cmd, .in = cmd->instruction};
	int r = lower_running(&run, err);

	exec_mounts_release(&run.mounts);
	return r;
}
