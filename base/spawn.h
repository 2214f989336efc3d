/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs: posix_spawn with a descriptor for its death. */
#ifndef KILN_BASE_SPAWN_H
#define KILN_BASE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"

struct spawn_fd {
	int fd, as; /* descriptor `fd` becomes `as` in the child; all others are closed (CLOEXEC) */
};

struct spawn {
	const char *path;		 /* looked up in PATH if it has no slash */
	char *const *argv, *const *envp; /* envp NULL: ours */
	const struct spawn_fd *fds;
	size_t n_fds;
	bool own_group; /* a process group of its own */
};

/* Starts it; *ret_pidfd is readable when it has ended; reap with spawn_wait. */
int spawn_start(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd,
		struct error **err) _must_check_;
/* Waits and closes pidfd; *ret_status as waitpid gives. */
int spawn_wait(pid_t pid, int pidfd, int *ret_status) _must_check_;
/* Runs a helper program to its end with `in` as stdin (may be NULL), collecting stdout and stderr
 * (may be NULL, bounded by their max). ERR_PROCESS with its stderr's last line if it fails. */
int spawn_run(const char *const *argv, const struct buf *in, struct buf *out, struct buf *errout,
	      struct cancel *cancel, struct error **err) _must_check_;

#endif
