/* SPDX-License-Identifier: Apache-2.0 */
/* A first process of the namespace that does what programs count on it for: it reaps orphans and
 * passes signals on. Only where it was asked for (kiln run --init): a step's program is the first
 * process itself, as under runc. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

/* Never called: signals are waited for. The kernel, and our helper, see that they are minded, else
 * they would not reach the first process of a namespace. */
static void minded(int sig)
{
	(void)sig;
}

static void mind_signals(void)
{
	struct sigaction action = {.sa_handler = minded};

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &action, NULL);
}

/* Ends as the process has; a first process cannot end by a signal of its own. */
static void reap(pid_t process)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == process)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void init_fork(const struct plan *p)
{
	sigset_t all, before;
	pid_t process;

	/* Blocked, so that none is lost. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	/* Before there is anyone to see it; the process takes the name of what it executes. */
	(void)prctl(PR_SET_NAME, "kiln-init");
	process = fork();
	if (process < 0)
		fail(errno, "start the process beside its init");
	if (process == 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		return;
	}
	mind_signals();
	drop_privileges(p);
	/* Nothing that is open here may outlive the process. */
	(void)syscall(SYS_close_range, 0, ~0U, 0);
	for (;;) {
		int sig = sigwaitinfo(&all, NULL);

		if (sig == SIGCHLD)
			reap(process);
		else if (sig > 0)
			(void)kill(process, sig);
	}
}
