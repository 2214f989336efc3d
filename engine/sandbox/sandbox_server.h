/* SPDX-License-Identifier: Apache-2.0 */
/* The helper program (engine/sandbox/helper/) and its processes.
 *
 * kiln carries it in itself and starts it once, when one is first needed, as a server that copies
 * itself for every step and network: copying a process that is there takes a tenth of the time that
 * loading even a static program takes. The copies are kiln's children and get nothing but the
 * descriptors they are given. Thread safe.
 */
#ifndef KILN_ENGINE_SANDBOX_SANDBOX_SERVER_H
#define KILN_ENGINE_SANDBOX_SANDBOX_SERVER_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "engine/sandbox/wire.h"

struct sandbox_io {
	int in, out, err; /* descriptors to pass as they are; -1: /dev/null and log pipes */
};
#define SANDBOX_IO_LOGS    \
	{                  \
		-1, -1, -1 \
	}

struct sandbox_helper {
	pid_t pid;
	int pidfd, control; /* control: our end of its socket pair */
};

/* Starts one with `args` after its name. netns (-1: none) becomes its WIRE_FD_NETNS; `input` (NULL:
 * none) is sent to it over its socket. */
int sandbox_helper_start(const char *const *args, const struct sandbox_io *io, int netns,
			 const struct buf *input, struct sandbox_helper *ret,
			 struct error **err) _must_check_;
/* One message of the helper: its text (NUL-terminated) and perhaps a descriptor. Returns 1, 0 at
 * the end, or -errno. */
int sandbox_helper_receive(int control, struct wire_message *ret, struct buf *ret_text,
			   int *ret_fd) _must_check_;
/* The program itself, a static one: doctor_trial.c runs it in a sandbox, to see whether it can. */
const char *sandbox_helper_program(size_t *ret_size);
/* Tells the server to end, if one runs; helpers that run are not touched. */
void sandbox_helper_dismiss(void);
void sandbox_helper_stop(void); /* does so, too, and waits until it has */

#endif
