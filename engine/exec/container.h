/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln run`: an image's process in the sandbox that steps use, on an overlay that is
 * thrown away. */
#ifndef KILN_ENGINE_EXEC_CONTAINER_H
#define KILN_ENGINE_EXEC_CONTAINER_H

#include <stdbool.h>

#include "base/error.h"
#include "base/image_config.h"
#include "base/strv.h"
#include "engine/exec/op_exec.h"
#include "store/store.h"

struct container_options {
	struct store *store;
	struct sandbox_env *env;
	const struct image_config *config;
	const int64_t *layers; /* lowest first; each has its dir */
	size_t n_layers;
	/* Overrides, as `docker run` takes them. */
	struct strv args;		       /* after the image's name; empty: the image's CMD */
	const char *entrypoint;		       /* NULL: the image's; "" clears it */
	struct strv environment;	       /* "KEY=value", or "KEY" to pass ours on */
	struct strv volumes;		       /* "HOST:CONTAINER[:ro]" */
	struct strv publish;		       /* see network_open */
	struct strv hosts;		       /* lines of /etc/hosts, "name=address" */
	const char *workdir, *user, *hostname; /* NULL: the image's, or made up */
	enum op_network network;
	bool tty, interactive;
	bool init; /* put one before the process */
};

/* Runs it with our stdin (if interactive), stdout and stderr, or, with `tty`, on a pseudo terminal
 * between ours and it. Signals that ask us to end go to the process. *ret_status is its exit
 * status, 128 + n for signal n. A program that cannot be started is ERR_PROCESS with exit status
 * 126 (not executable) or 127 (not found); all other errors are ours (exit status 125). */
int container_run(const struct container_options *o, int *ret_status,
		  struct error **err) _must_check_;

#endif
