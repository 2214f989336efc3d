/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/spawn.h"
#include "engine/sandbox/machine.h"
#include "engine/sandbox/userns.h"

struct sandbox {
	struct sandbox_helper helper;
	int out, err, terminal; /* our ends; -1 once closed */
	int process;		/* pidfd of the step's; -1: it is not made yet */
	bool have_status, failed;
	int wait_status;
	struct buf exec_text; /* why the program could not be started */
	bool *unstarted;      /* of who wants to know that it could not; NULL for none */
	struct error *error;  /* why the sandbox could not be set up */
	char *name;	      /* of the program, for messages */
};

static atomic_bool outer_proc;

bool sandbox_outer_proc(void)
{
	return atomic_load(&outer_proc);
}

static void sandbox_free(struct sandbox *s)
{
	cleanup_closep(&s->helper.control);
	cleanup_closep(&s->out);
	cleanup_closep(&s->err);
	cleanup_closep(&s->terminal);
	cleanup_closep(&s->process);
	buf_release(&s->exec_text);
	error_free(s->error);
	free(s->name);
	free(s);
}

int sandbox_start(const struct sandbox_plan *p, const struct sandbox_io *io, struct sandbox **ret,
		  struct error **err)
{
	static const char *const args[] = {"run", NULL};
	_cleanup_buf_ struct buf plan = BUF_INIT;
	_cleanup_close_ int out = -1, errout = -1;
	struct sandbox_io theirs = *io;
	struct sandbox *s = NULL;
	int po[2] = {-1, -1}, pe[2] = {-1, -1}, r;

	r = sandbox_plan_encode(p, &plan, err);
	if (r < 0)
		return r;
	s = NEW(struct sandbox);
	s->helper = (struct sandbox_helper){-1, -1, -1};
	s->exec_text = (struct buf)BUF_INIT;
	s->name = xstrdup(p->args.v[0]);
	s->terminal = s->process = -1;
	if ((io->out < 0 && pipe2(po, O_CLOEXEC) < 0) || (io->err < 0 && pipe2(pe, O_CLOEXEC) < 0))
		r = error_new(err, ERR_IO, errno, "make the log pipes of a step");
	s->out = po[0];
	s->err = pe[0];
	out = po[1];
	errout = pe[1];
	if (io->out < 0)
		theirs.out = out;
	if (io->err < 0)
		theirs.err = errout;
	if (r == 0)
		r = sandbox_helper_start(args, &theirs, p->flags & WIRE_NET_JOIN ? p->netns : -1,
					 &plan, &s->helper, err);
	explicit_bzero(plan.p, plan.n);
	if (r < 0) {
		sandbox_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Namespaces that may not be made, and mounts. */
static void explain_setup(int errnum, struct error **err)
{
	_cleanup_free_ char *hint = NULL;

	if (errnum != EPERM && errnum != EACCES && errnum != ENOSPC)
		return;
	hint = machine_namespaces_hint("", !userns_inside() && geteuid() == 0);
	if (hint)
		(void)error_hint(err, 0, "%s", hint);
	else if (errnum == EPERM)
		(void)error_hint(
			err, 0, "steps need namespaces and mounts: %s; " FINDINGS_MORE,
			geteuid() == 0 ? "root needs CAP_SYS_ADMIN here, or permission to create "
					 "user namespaces"
				       : "run as root, or where users may create user namespaces");
}

static void setup_failed(struct sandbox *s, const struct wire_message *m, const char *text)
{
	error_free(s->error);
	s->error = NULL;
	(void)error_new(&s->error, ERR_IO, m->value, "set up the sandbox: %s", text);
	explain_setup(m->value, &s->error);
	s->failed = true;
}

/* The result cannot be used. If the step was never set up, that has been said. */
static void not_sealed(struct sandbox *s, int errnum)
{
	if (s->failed)
		return;
	s->failed = true;
	if (errnum != EBUSY) {
		(void)error_new(&s->error, ERR_IO, errnum, "make what the step has left read-only");
		return;
	}
	(void)error_hint(
		&s->error,
		error_new(&s->error, ERR_BUSY, 0,
			  "a file of this step is still open for writing in another step"),
		"a socket in a cache mount that both share took it there; let the step close "
		"what it hands over, or open it for reading");
}

/* Takes one message; false at the end. */
static bool receive(struct sandbox *s)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct wire_message m;
	int fd = -1, r = sandbox_helper_receive(s->helper.control, &m, &text, &fd);

	if (r <= 0)
		return false;
	switch (m.kind) {
	case WIRE_FAILED:
		setup_failed(s, &m, text.p);
		break;
	case WIRE_EXEC_FAILED:
		buf_clear(&s->exec_text);
		buf_addf(&s->exec_text, "%s\n", text.p);
		if (s->unstarted)
			*s->unstarted = true;
		break;
	case WIRE_NOT_SEALED:
		not_sealed(s, m.value);
		break;
	case WIRE_EXITED:
		s->have_status = true;
		s->wait_status = m.value;
		break;
	case WIRE_OUTER_PROC:
		atomic_store(&outer_proc, true);
		break;
	case WIRE_PTY:
		cleanup_closep(&s->terminal);
		s->terminal = TAKE_FD(fd);
		break;
	case WIRE_PROCESS:
		cleanup_closep(&s->process);
		s->process = TAKE_FD(fd);
		break;
	default:
		break;
	}
	cleanup_closep(&fd);
	return true;
}

/* What the helper leaves when it is killed: the signal that it would take its process along with is
 * forgotten where a set-user-id program is that process, or it has asked for that. */
static void kill_orphan(struct sandbox *s)
{
	if (s->process >= 0)
		(void)syscall(SYS_pidfd_send_signal, s->process, SIGKILL, NULL, 0);
	cleanup_closep(&s->process);
}

int sandbox_terminal(struct sandbox *s, struct error **err)
{
	while (s->terminal < 0 && !s->failed)
		if (!receive(s))
			break;
	if (s->terminal >= 0)
		return s->terminal;
	if (s->error) {
		int r = -(int)error_code(s->error);

		if (err)
			*err = error_copy(s->error);
		return r;
	}
	return error_new(err, ERR_INTERNAL, 0, "the sandbox ended without a terminal");
}

void sandbox_signal(struct sandbox *s, int sig)
{
	struct wire_order order = {.kind = WIRE_SIGNAL, .value = (uint32_t)sig};

	(void)send(s->helper.control, &order, sizeof(order), MSG_NOSIGNAL);
}

static void read_log(int *fd, int stream, sandbox_log_fn log, void *data)
{
	char chunk[32768];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n > 0) {
		if (log)
			log(data, stream, chunk, (size_t)n);
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		cleanup_closep(fd);
	}
}

static bool draining(const struct sandbox_watch *watches, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (watches[i].drain && watches[i].fd >= 0)
			return true;
	return false;
}

/* Until the helper has ended and the pipes are empty: when it has, so has everything in the
 * namespace, so the pipes end, too. */
static void pump(struct sandbox *s, struct sandbox_watch *watches, size_t n, sandbox_log_fn log,
		 void *data, struct cancel *cancel)
{
	enum { HELPER, CONTROL, OUT, ERR, CANCEL, OWN };
	bool ended = false, stopped = false, talking = true;

	while (!ended || s->out >= 0 || s->err >= 0 || draining(watches, n)) {
		struct pollfd fds[OWN + SANDBOX_WATCHES_MAX] = {
			[HELPER] = {.fd = ended ? -1 : s->helper.pidfd, .events = POLLIN},
			[CONTROL] = {.fd = talking ? s->helper.control : -1, .events = POLLIN},
			[OUT] = {.fd = s->out, .events = POLLIN},
			[ERR] = {.fd = s->err, .events = POLLIN},
			[CANCEL] = {.fd = cancel && !stopped ? cancel->fd : -1, .events = POLLIN},
		};

		for (size_t i = 0; i < n; i++)
			fds[OWN + i] = (struct pollfd){watches[i].fd, watches[i].events, 0};
		if (poll(fds, (nfds_t)(OWN + n), -1) < 0)
			continue;
		if (fds[OUT].revents)
			read_log(&s->out, 1, log, data);
		if (fds[ERR].revents)
			read_log(&s->err, 2, log, data);
		if (fds[CONTROL].revents && !receive(s))
			talking = false;
		for (size_t i = 0; i < n; i++)
			if (fds[OWN + i].revents)
				watches[i].ready(&watches[i], fds[OWN + i].revents, data);
		if (fds[CANCEL].revents) {
			/* The helper kills the tree when we stop talking; it may still talk. */
			(void)shutdown(s->helper.control, SHUT_WR);
			stopped = true;
		}
		if (fds[HELPER].revents)
			ended = true;
		if (ended)
			kill_orphan(s);
	}
	while (talking)
		talking = receive(s);
}

int sandbox_wait_watching(struct sandbox *s, struct sandbox_watch *watches, size_t n,
			  sandbox_log_fn log, void *data, struct cancel *cancel, int *ret_status,
			  struct error **err)
{
	int helper_status = 0, r = 0;

	pump(s, watches, n, log, data, cancel);
	(void)!spawn_wait(s->helper.pid, s->helper.pidfd, &helper_status);
	if (s->have_status && !s->failed) {
		if (s->exec_text.n > 0 && log)
			log(data, 2, s->exec_text.p, s->exec_text.n);
		*ret_status = WIFSIGNALED(s->wait_status) ? 128 + WTERMSIG(s->wait_status)
							  : WEXITSTATUS(s->wait_status);
	} else if (s->error) {
		r = -(int)error_code(s->error);
		if (err)
			*err = TAKE_PTR(s->error);
	} else if (cancel_is_set(cancel)) {
		r = error_new(err, ERR_CANCELED, 0, "%s was stopped", s->name);
	} else {
		r = error_new(err, ERR_INTERNAL, 0,
			      "the sandbox of %s ended without a status (helper status %d)",
			      s->name, helper_status);
	}
	sandbox_free(s);
	return r;
}

int sandbox_wait(struct sandbox *s, sandbox_log_fn log, void *data, struct cancel *cancel,
		 int *ret_status, struct error **err)
{
	return sandbox_wait_watching(s, NULL, 0, log, data, cancel, ret_status, err);
}

int sandbox_run(const struct sandbox_plan *p, sandbox_log_fn log, void *data, struct cancel *cancel,
		int *ret_status, bool *ret_unstarted, struct error **err)
{
	struct sandbox_io io = SANDBOX_IO_LOGS;
	struct sandbox *s;
	int r = sandbox_start(p, &io, &s, err);

	*ret_unstarted = false;
	if (r < 0)
		return r;
	s->unstarted = ret_unstarted;
	return sandbox_wait(s, log, data, cancel, ret_status, err);
}
