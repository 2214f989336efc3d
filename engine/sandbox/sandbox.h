/* SPDX-License-Identifier: Apache-2.0 */
/* Running a sandbox plan: starts the helper program, hands it the plan over a socket pair, reads
 *the logs, kills the whole tree when cancelled and collects the exit status.
 *
 *	sandbox_start(&plan, &io, &s, err);
 *	sandbox_wait(s, log, data, cancel, &status, err);
 *
 * or sandbox_run for both. When sandbox_wait returns no process and no mount of the plan is left.
 * Safe from any thread.
 */
#ifndef KILN_ENGINE_SANDBOX_SANDBOX_H
#define KILN_ENGINE_SANDBOX_SANDBOX_H

#include "base/cancel.h"
#include "base/error.h"
#include "engine/sandbox/sandbox_plan.h"
#include "engine/sandbox/sandbox_server.h"

/* Bytes that the process wrote; stream 1 or 2. Called on the thread that waits. */
typedef void (*sandbox_log_fn)(void *data, int stream, const void *p, size_t n);

struct sandbox;

/* A descriptor that sandbox_wait polls beside its own. `ready` may change fd and events; fd = -1
 * ends the watch. With `drain` waiting goes on after the process's end until it has ended. */
struct sandbox_watch {
	int fd;
	short events;
	bool drain;
	void (*ready)(struct sandbox_watch *w, short revents, void *data);
};
#define SANDBOX_WATCHES_MAX 4

int sandbox_start(const struct sandbox_plan *p, const struct sandbox_io *io, struct sandbox **ret,
		  struct error **err) _must_check_;
/* Ends when the process has. *ret_status is its exit status, 128 + n for signal n. A program that
 * cannot be started is status 126 or 127, with the reason in the log's stream 2. Failing to set the
 * sandbox up is an error. Frees s. */
int sandbox_wait(struct sandbox *s, sandbox_log_fn log, void *data, struct cancel *cancel,
		 int *ret_status, struct error **err) _must_check_;
/* The same with watches (at most SANDBOX_WATCHES_MAX), which get `data`, too. */
int sandbox_wait_watching(struct sandbox *s, struct sandbox_watch *watches, size_t n,
			  sandbox_log_fn log, void *data, struct cancel *cancel, int *ret_status,
			  struct error **err) _must_check_;
/* *ret_unstarted: the program could not be started, and the status says why. */
int sandbox_run(const struct sandbox_plan *p, sandbox_log_fn log, void *data, struct cancel *cancel,
		int *ret_status, bool *ret_unstarted, struct error **err) _must_check_;

/* Has a process of ours been shown this machine's /proc, since no other could be mounted? */
bool sandbox_outer_proc(void);
#define SANDBOX_OUTER_PROC_NOTICE                                                                 \
	"parts of /proc are covered here, as in a container: steps cannot have a /proc of their " \
	"own and see the names of this container's processes; to change that, start the "         \
	"container with --security-opt systempaths=unconfined (podman: unmask=ALL, Kubernetes: "  \
	"procMount: Unmasked)"

/* Sends a signal to the process. */
void sandbox_signal(struct sandbox *s, int sig);
/* Waits until the process's terminal (WIRE_TTY) is there; the master end belongs to the sandbox. */
int sandbox_terminal(struct sandbox *s, struct error **err) _must_check_;

#endif
