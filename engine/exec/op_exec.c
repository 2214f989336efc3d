/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/op_exec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/owner_mark.h"
#include "base/quote.h"
#include "base/times.h"
#include "engine/exec/explain_step.h"
#include "engine/exec/log_limit.h"
#include "engine/exec/snapshot.h"
#include "engine/exec/step_mounts.h"
#include "engine/exec/users.h"
#include "engine/fileops/op_file.h"
#include "engine/sandbox/sandbox.h"
#include "engine/sandbox/userns.h"
#include "store/layer.h"
#include "store/rootfs.h"

#define STATUS_NOT_FOUND 127 /* of a program that is not there, be it the step's or a shell's */
#define HOSTNAME_DEFAULT "buildkitsandbox" /* builds can see it, so it is BuildKit's */

static int check_op(const struct exec_options *o, const struct op_exec *op, struct error **err)
{
	const struct exec_session *s = o->session;

	if (op->network == NETWORK_HOST && !(s && s->allow_host_network)) {
		(void)error_new(err, ERR_DENIED, 0, "network.host is not allowed");
		return error_hint(err, -ERR_DENIED, "give --allow network.host");
	}
	if (op->security == SECURITY_INSECURE && !(s && s->allow_insecure)) {
		(void)error_new(err, ERR_DENIED, 0, "security.insecure is not allowed");
		return error_hint(err, -ERR_DENIED, "give --allow security.insecure");
	}
	for (size_t i = 0; i < op->n_devices; i++) {
		if (op->devices[i].optional)
			continue;
		(void)error_new(err, ERR_DENIED, 0,
				"device %s is requested by the build but not allowed",
				op->devices[i].name);
		return error_hint(err, -ERR_DENIED, "steps get no devices of this machine");
	}
	return 0;
}

static void set_proxy(struct strv *env, const char *upper, const char *lower, const char *value)
{
	if (!value || !*value)
		return;
	if (!env_get(env, upper))
		env_set(env, upper, value);
	if (!env_get(env, lower))
		env_set(env, lower, value);
}

static void set_env(struct sandbox_plan *p, const struct op_exec *op, const struct user_ids *user)
{
	for (size_t i = 0; i < op->env.n; i++)
		strv_push(&p->env, op->env.v[i]);
	set_proxy(&p->env, "HTTP_PROXY", "http_proxy", op->proxy.http);
	set_proxy(&p->env, "HTTPS_PROXY", "https_proxy", op->proxy.https);
	set_proxy(&p->env, "FTP_PROXY", "ftp_proxy", op->proxy.ftp);
	set_proxy(&p->env, "NO_PROXY", "no_proxy", op->proxy.no);
	set_proxy(&p->env, "ALL_PROXY", "all_proxy", op->proxy.all);
	exec_plan_home(p, user->home);
}

static int set_user(struct exec_options const *o, const struct op_exec *op,
		    const struct result *root, struct sandbox_plan *p, struct error **err)
{
	_cleanup_(user_ids_release) struct user_ids user = {0};
	int r = users_find_in_layers(o->store, root ? root->layers : NULL,
				     root ? root->n_layers : 0, op->user ? op->user : "", &user,
				     err);

	if (r < 0)
		return r;
	p->uid = user.uid;
	p->gid = user.gid;
	for (size_t i = 0; i < user.groups.n; i++)
		vec_push(&p->groups, user.groups.v[i]);
	set_env(p, op, &user);
	return 0;
}

/* The layers below, or, where they cannot be stacked, a copy of them in the step's directory. */
static int plan_root(const struct exec_options *o, const struct result *root, struct job *job,
		     struct sandbox_plan *p, struct layer_snapshot *copy, struct error **err)
{
	const int64_t *layers = root ? root->layers : NULL;
	size_t n = root ? root->n_layers : 0;
	_cleanup_free_ char *clock = xasprintf("%s/clock", p->scratch);

	if (exec_overlays(o->env, o->store, job)) {
		exec_plan_layers(o->store, layers, n, &p->lowers);
		return 0;
	}
	p->flags |= WIRE_COPIED;
	return snapshot_make(&(struct layer_chain){o->store, layers, n, 0}, p->upper, clock,
			     job ? job_cancel(job) : NULL, copy, err);
}

static int make_plan(const struct exec_options *o, const struct op_exec *op,
		     const struct result *root, struct job *job, struct sandbox_plan *p,
		     struct layer_snapshot *copy, struct error **err)
{
	const char *hostname = op->hostname && op->hostname[0] ? op->hostname : HOSTNAME_DEFAULT;
	int r;

	r = plan_root(o, root, job, p, copy, err);
	if (r < 0)
		return r;
	p->cwd = xstrdup(op->cwd && op->cwd[0] ? op->cwd : "/");
	p->hostname = xstrdup(hostname);
	p->binfmt = xstrdup(o->binfmt);
	for (size_t i = 0; i < op->args.n; i++)
		strv_push(&p->args, op->args.v[i]);
	for (size_t i = 0; i < op->n_ulimits; i++) {
		r = exec_plan_ulimit(p, op->ulimits[i].name, op->ulimits[i].soft,
				     op->ulimits[i].hard, err);
		if (r < 0)
			return r;
	}
	p->flags |= WIRE_RECORD_OWNERS;
	exec_plan_defaults(p, op->security, op->shm_size);
	return set_user(o, op, root, p, err);
}

static int join_network(const struct exec_options *o, const struct op_exec *op, struct job *job,
			struct sandbox_plan *p, struct exec_network *ret, struct error **err)
{
	_cleanup_strv_ struct strv hosts = {0};

	for (size_t i = 0; i < op->extra_hosts.n; i++)
		strv_pushf(&hosts, "%s=%s", op->extra_hosts.v[i].key, op->extra_hosts.v[i].value);
	return exec_network_join(o->env, op->network, NULL, p->hostname, &hosts, true, job, p, ret,
				 err);
}

static void log_to_job(void *data, int stream, const void *bytes, size_t n)
{
	if (data)
		job_log(data, stream, bytes, n);
}

static void log_some(void *data, int stream, const void *bytes, size_t n)
{
	log_limit_write(data, stream, bytes, n, times_monotonic_ns());
}

/* `unstarted`: the program could not be started, which BuildKit tells as its runtime's status. */
static const struct cgroup_limits *step_limits(const struct exec_options *o)
{
	static const struct cgroup_limits none;

	return o->session ? &o->session->limits : &none;
}

/* `how` is what comes behind "did not complete successfully: ". */
static int process_failed(const struct op_exec *op, int status, const char *how, struct error **err)
{
	_cleanup_buf_ struct buf args = BUF_INIT, quoted = BUF_INIT;

	for (size_t i = 0; i < op->args.n; i++)
		buf_addf(&args, "%s%s", i > 0 ? " " : "", op->args.v[i]);
	quote_add(&quoted, args.p, args.n);
	(void)error_new(err, ERR_PROCESS, 0, "process %s did not complete successfully: %s",
			quoted.p, how);
	if (err)
		error_set_exit_status(*err, status);
	return -ERR_PROCESS;
}

/* Programs and their loaders are often reached through these links, and `COPY --link` puts a
 * directory in place of a link of its destination: with /bin goes /bin/sh. */
static int look_for_hidden(const struct exec_options *o, const struct result *root, int failed,
			   struct error **err)
{
	static const char *const links[] = {"bin", "sbin", "lib", "lib64"};
	_cleanup_(rootfs_freep) struct rootfs *all = NULL, *below = NULL;
	struct rootfs_node node;

	if (!root || rootfs_open(o->store, root->layers, root->n_layers, &all, NULL) < 0)
		return failed;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (!rootfs_get(all, links[i], &node) || node.entry.type != ENTRY_DIR)
			continue;
		rootfs_free(TAKE_PTR(below));
		if (rootfs_open(o->store, root->layers, node.layer, &below, NULL) == 0 &&
		    rootfs_get(below, links[i], &node) && node.entry.type == ENTRY_SYMLINK)
			return error_hint(
				err, failed,
				"a layer replaced '/%s', a link to '%s', with a directory: COPY "
				"--link does not follow links in its destination, so copy to the "
				"link's target, or leave out --link",
				links[i], node.entry.link);
	}
	return failed;
}

static void stop(const struct exec_options *o, struct job *job, struct sandbox_plan *p, int status)
{
	const struct exec_debugger *d = &o->session->debugger;
	const struct exec_stop what = {.name = o->step, .status = status, .plan = p};

	d->stopped(d->data, job, &what);
}

static int run_process(const struct exec_options *o, const struct op_exec *op, struct job *job,
		       struct sandbox_plan *p, const struct cgroup *group, struct error **err)
{
	_cleanup_free_ char *how = NULL;
	struct log_limit log;
	bool unstarted = false;
	int status = 0, r;

	if (o->stop_before) {
		stop(o, job, p, -1);
		return error_new(err, ERR_CANCELED, 0,
				 "the build was stopped before this step, to look at it");
	}
	log_limit_init(&log, log_to_job, job);
	r = sandbox_run(p, log_some, &log, job ? job_cancel(job) : NULL, &status, &unstarted, err);
	exec_notice_proc(o->env, job);
	if (r == 0 && status != 0)
		log_limit_flush(&log);
	log_limit_release(&log);
	if (r < 0 || status == 0)
		return r;
	if (o->session && o->session->debugger.on_failure)
		stop(o, job, p, status);
	/* The kernel kills what goes beyond a limit of memory, which looks like any other kill. */
	if (status == 128 + SIGKILL && cgroup_out_of_memory(group))
		how = xstrdup("cannot allocate memory");
	else
		how = xasprintf("exit code: %d", unstarted ? EXIT_FAILURE : status);
	r = process_failed(op, status, how, err);
	explain_limits(o, group, p->upper, status, err);
	return r;
}

/* Runs the process of the plan; everything but the layer is gone when it returns. */
static int run(const struct exec_options *o, const struct op_exec *op, struct result *const *inputs,
	       size_t n_inputs, struct job *job, struct sandbox_plan *p, size_t *ret_hollow,
	       struct error **err)
{
	struct step_mounts mounts = STEP_MOUNTS_INIT;
	struct exec_network network = {0};
	struct cgroup *group = NULL;
	int r = join_network(o, op, job, p, &network, err);

	if (r == 0)
		r = step_mounts_add(o, op, inputs, n_inputs, job, p, &mounts, ret_hollow, err);
	if (r == 0)
		r = exec_plan_group(p, step_limits(o), op->cgroup_parent, &group, err);
	if (r == 0)
		r = run_process(o, op, job, p, group, err);
	cgroup_remove(group);
	exec_network_leave(o->env, &network);
	step_mounts_release(&mounts);
	return r;
}

/* What runc leaves in the layer of a step where the image has no such directory. Layers that
 * BuildKit makes hold these mount points, and layers of equal bytes must come from equal steps. */
static int leave_mount_points(const struct rootfs *below, struct layer_writer *w,
			      struct error **err)
{
	static const char *const names[] = {"dev", "proc", "sys"};
	_cleanup_free_ char *upper = layer_writer_upper(w);
	static const struct owner owner = {0, 0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", upper, names[i]);
		struct rootfs_node node;

		if (rootfs_get(below, names[i], &node))
			continue;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			r = error_new(err, ERR_IO, errno, "make '%s'", path);
		else if (chmod(path, 0755) < 0) /* whatever the umask */
			r = error_new(err, ERR_IO, errno, "make '%s'", path);
		/* Root's, whoever ran the step. */
		else if (userns_single() && owner_mark_write(path, &owner) < 0)
			r = error_new(err, ERR_IO, errno, "mark '%s'", path);
	}
	return r;
}

/* What the process has left becomes the layer. */
static int read_back(const struct exec_options *o, const struct result *root,
		     const struct sandbox_plan *p, const struct layer_snapshot *copy,
		     struct layer_writer *w, struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *below = NULL;
	struct layer_step step = {.uid = p->uid, .gid = p->gid};
	const struct layer_snapshot *from = p->flags & WIRE_COPIED ? copy : NULL;
	int r = rootfs_open(o->store, root ? root->layers : NULL, root ? root->n_layers : 0, &below,
			    err);

	step.below = below;
	if (r == 0 && from)
		r = snapshot_clear(p->upper, p->scratch, err);
	if (r == 0)
		r = leave_mount_points(below, w, err);
	if (r == 0)
		r = layer_writer_scan(w, userns_single() ? &step : NULL, from, err);
	return r == 0 ? layer_writer_settle(w, below, err) : r;
}

/* A reference to the root mount's result, whose layers are there. A context becomes a layer. */
static int get_root(const struct exec_options *o, const struct op_exec *op,
		    struct result *const *inputs, size_t n_inputs, struct job *job,
		    struct result **ret, size_t *ret_hollow, struct error **err)
{
	const struct op_mount *mount = op_exec_root(op);
	struct result *root, *made = NULL;
	int r = 0;

	if (!mount || (mount->input != OP_INPUT_NONE &&
		       (mount->input < 0 || (size_t)mount->input >= n_inputs)))
		return error_new(err, ERR_INTERNAL, 0, "an exec op without a root");
	root = mount->input == OP_INPUT_NONE ? NULL : inputs[mount->input];
	if (root && root->tree)
		r = file_op_materialise(o->store, root->tree, NULL, job, &made, err);
	else if (root && o->require)
		r = o->require(o->data, job, root->layers, root->n_layers, err);
	if (r < 0 && ret_hollow)
		*ret_hollow = (size_t)mount->input;
	*ret = made ? made : result_ref(root);
	return r;
}

int exec_op_run(const struct exec_options *o, const struct op_exec *op,
		struct result *const *inputs, size_t n_inputs, struct job *job,
		struct result **ret_outputs, size_t n_outputs, size_t *ret_hollow,
		struct error **err)
{
	_cleanup_(layer_writer_freep) struct layer_writer *w = NULL;
	const struct op_mount *mount = op_exec_root(op);
	_cleanup_(result_unrefp) struct result *root = NULL;
	struct layer_snapshot copy = {0};
	struct sandbox_plan plan;
	int64_t layer = 0;
	int r = check_op(o, op, err);

	if (r == 0)
		r = get_root(o, op, inputs, n_inputs, job, &root, ret_hollow, err);
	exec_notice_single(o->env, job);
	if (r == 0)
		r = layer_writer_open(o->store, &w, err);
	if (r < 0)
		return r;
	layer_writer_watch(w, job ? job_cancel(job) : NULL);
	sandbox_plan_init(&plan);
	plan.upper = layer_writer_upper(w);
	plan.scratch = layer_writer_work(w);
	r = make_plan(o, op, root, job, &plan, &copy, err);
	if (r == 0)
		r = run(o, op, inputs, n_inputs, job, &plan, ret_hollow, err);
	if (r == -ERR_PROCESS && err) {
		const struct failed_step step = {o,	 op,	   root,
						 inputs, n_inputs, error_exit_status(*err)};

		if (step.status == STATUS_NOT_FOUND)
			r = look_for_hidden(o, root, r, err);
		explain_program(&step, err);
	}
	if (r == 0)
		r = read_back(o, root, &plan, &copy, w, err);
	layer_snapshot_release(&copy);
	sandbox_plan_release(&plan);
	if (r == 0)
		r = layer_writer_commit(w, &layer, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_outputs; i++) {
		if (mount->output == (int)i)
			ret_outputs[i] = result_extend(root, layer);
		else
			ret_outputs[i] = result_ref(root);
	}
	return 0;
}
