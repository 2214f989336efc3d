/* SPDX-License-Identifier: Apache-2.0 */
/* Exec ops: RUN. An op and its inputs become a sandbox plan; what the process leaves in its root
 * becomes a layer on top of the root input. */
#ifndef KILN_ENGINE_EXEC_OP_EXEC_H
#define KILN_ENGINE_EXEC_OP_EXEC_H

#include "base/buf.h"
#include "base/strv.h"
#include "base/vec.h"
#include "engine/sandbox/cgroup.h"
#include "engine/sandbox/sandbox_plan.h"
#include "engine/secrets/grants.h"
#include "engine/tree/result.h"
#include "solver/op.h"
#include "solver/progress.h"
#include "store/mounts.h"
#include "store/store.h"

/* What steps of one command share: networks, copies of contexts that are mounted. Thread safe. */
struct sandbox_env;
struct sandbox_env *sandbox_env_new(void);
/* Tells what serves steps to end: networks and the like. No step may be running. */
void sandbox_env_dismiss(struct sandbox_env *e);
void sandbox_env_free(struct sandbox_env *e); /* does so, too, and waits until all have */
struct selections *sandbox_env_selections(struct sandbox_env *e);
/* Why processes share this machine's network instead of an isolated one; NULL if they do not. Steps
 * of a build warn about it themselves. */
const char *sandbox_env_shares_network(const struct sandbox_env *e);

/* A step that stands still for somebody to look at it. */
struct exec_stop {
	const char *name;	   /* of the step; may be NULL */
	int status;		   /* of its process, which has failed; -1: it has not run */
	struct sandbox_plan *plan; /* everything the process has or had; may be run with other
				    * arguments (engine/exec/shell.h) */
};
struct exec_debugger {
	/* Called on the step's thread, which holds on to mounts, network and directories meanwhile.
	 * NULL: nobody looks. */
	void (*stopped)(void *data, struct job *job, const struct exec_stop *stop);
	void *data;
	bool on_failure; /* stop where a process has failed */
	bool has_before; /* stop before this vertex, which is then not run: ERR_CANCELED */
	struct digest before;
};

/* What one build hands to its steps beside the graph; no part of a key but for secrets that are
 * marked so. */
struct exec_session {
	struct grants grants;			 /* secrets and agents */
	bool allow_host_network, allow_insecure; /* --allow */
	struct cgroup_limits limits;		 /* --resource; its texts are borrowed */
	struct exec_debugger debugger;
};
struct exec_options {
	struct store *store;
	struct sandbox_env *env;
	const struct exec_session *session;
	const char
		*binfmt; /* an emulator for its programs (engine/sandbox/emulation.h); NULL: none */
	const char *step; /* what people call it, for what outlives it; may be NULL */
	bool stop_before; /* the session's debugger wants it not run but shown */
	/* What the step needs and may lie elsewhere; each may be NULL. */
	int (*require)(void *data, struct job *job, const int64_t *layers, size_t n,
		       struct error **err); /* layers have their dirs */
	int (*restore)(void *data, const struct mount_wish *wish, struct job *job,
		       struct error **err); /* a cache mount that is new here may be elsewhere */
	void *data;
};

/* Runs the op. ret_outputs[0 .. n_outputs) get a reference each: output of the root mount the
 * extended root. A process that fails is ERR_PROCESS with its exit status. `ret_hollow` as in
 * solver/solver.h: the input whose layers are not available. */
int exec_op_run(const struct exec_options *o, const struct op_exec *op,
		struct result *const *inputs, size_t n_inputs, struct job *job,
		struct result **ret_outputs, size_t n_outputs, size_t *ret_hollow,
		struct error **err) _must_check_;

/* --- for op_exec and container --- */

/* The network of one process: fills the plan's network, resolv.conf and hosts. */
struct exec_network {
	struct network *network; /* NULL: none or the host's */
	bool pooled;
};
int exec_network_join(struct sandbox_env *e, enum op_network mode, const struct strv *publish,
		      const char *hostname, const struct strv *extra_hosts, bool readonly_files,
		      struct job *job, struct sandbox_plan *p, struct exec_network *ret,
		      struct error **err) _must_check_;
void exec_network_leave(struct sandbox_env *e, struct exec_network *n);
/* Warns once of a user namespace with a single id. */
void exec_notice_single(struct sandbox_env *e, struct job *job);
/* Warns once that steps see this machine's processes, after one that did. */
void exec_notice_proc(struct sandbox_env *e, struct job *job);
/* /proc, /dev and so on, masks, capabilities and seccomp as the mode asks for. */
void exec_plan_defaults(struct sandbox_plan *p, enum op_security security, uint64_t shm_size);
/* HOME, unless the environment has one that is not empty. */
void exec_plan_home(struct sandbox_plan *p, const char *home);
/* Are layers stacked by overlayfs here? Else they are copied, of which the first step tells. */
bool exec_overlays(struct sandbox_env *e, struct store *s, struct job *job);
/* The layers' directories, as the plan wants them. */
void exec_plan_layers(struct store *s, const int64_t *layers, size_t n, struct strv *ret);
/* The control group of the plan's process, for cgroup_remove when it has ended; NULL where none was
 * asked for and none can be made. */
int exec_plan_group(struct sandbox_plan *p, const struct cgroup_limits *limits, const char *parent,
		    struct cgroup **ret, struct error **err) _must_check_;
/* Is there such a limit? */
int exec_ulimit_check(const char *name, struct error **err) _must_check_;
/* --ulimit, as op_ulimit. */
int exec_plan_ulimit(struct sandbox_plan *p, const char *name, int64_t soft, int64_t hard,
		     struct error **err) _must_check_;

#endif
