/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above every number that a caller asks for, so that no dup2 can overwrite a source. */
#define SPAWN_FD_BASE 100

static int spawn_actions(const struct spawn *s, posix_spawn_file_actions_t *actions, int *moved)
{
	for (size_t i = 0; i < s->n_fds; i++) {
		moved[i] = fcntl(s->fds[i].fd, F_DUPFD_CLOEXEC, SPAWN_FD_BASE);
		if (moved[i] < 0)
			return errno == EINVAL ? EMFILE
					       : errno; /* so high a number is not allowed */
	}
	for (size_t i = 0; i < s->n_fds; i++) {
		int r = posix_spawn_file_actions_adddup2(actions, moved[i], s->fds[i].as);
		if (r != 0)
			return r;
	}
	return 0;
}

/* The child starts with default signals and an empty mask, whatever our threads block. */
static int spawn_attributes(const struct spawn *s, posix_spawnattr_t *attr)
{
	short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
	sigset_t all, none;
	int r;

	sigfillset(&all);
	sigemptyset(&none);
	if (s->own_group)
		flags = (short)(flags | POSIX_SPAWN_SETPGROUP);
	r = posix_spawnattr_setsigdefault(attr, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(attr, flags);
	return r;
}

int spawn_start(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, struct error **err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	_cleanup_free_ int *moved = xcalloc(s->n_fds + 1, sizeof(*moved));
	pid_t pid = -1;
	int r, pidfd;

	for (size_t i = 0; i < s->n_fds; i++)
		moved[i] = -1;
	if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attr) != 0)
		return error_new(err, ERR_INTERNAL, ENOMEM, "start %s", s->path);
	r = spawn_attributes(s, &attr);
	if (r == 0)
		r = spawn_actions(s, &actions, moved);
	if (r == 0)
		r = posix_spawnp(&pid, s->path, &actions, &attr, s->argv,
				 s->envp ? s->envp : environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	for (size_t i = 0; i < s->n_fds; i++)
		cleanup_closep(&moved[i]);
	if (r != 0)
		return error_new(err, ERR_IO, r, "start %s", s->path);
	/* The pid cannot have been reused: nobody has waited for it. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return error_new(err, ERR_IO, r, "open a descriptor for %s (process %d)", s->path,
				 pid);
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}

int spawn_wait(pid_t pid, int pidfd, int *ret_status)
{
	int r, status = 0;

	do {
		r = waitpid(pid, &status, 0);
	} while (r < 0 && errno == EINTR);
	r = r < 0 ? -errno : 0;
	cleanup_closep(&pidfd);
	if (r == 0)
		*ret_status = status;
	return r;
}

/* One program of spawn_run: our ends of its pipes. */
struct spawn_io {
	int in, out, err;
	size_t written;
	const struct buf *input;
	struct buf *output, *errout;
};

/* Moves what is readable into b. A full buffer drops the rest: the program must not block on us. */
static void spawn_read(int *fd, struct buf *b)
{
	char chunk[16384];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n > 0)
		buf_add(b, chunk, (size_t)n);
	else if (n == 0 || errno != EINTR)
		cleanup_closep(fd);
}

static void spawn_feed(struct spawn_io *io)
{
	ssize_t n = write(io->in, io->input->p + io->written, io->input->n - io->written);

	if (n > 0)
		io->written += (size_t)n;
	/* EPIPE is the program's choice not to read on; its exit status tells what it thought. */
	else if (n < 0 && errno != EINTR && errno != EAGAIN)
		cleanup_closep(&io->in);
	if (io->in >= 0 && io->written == io->input->n)
		cleanup_closep(&io->in);
}

static void spawn_pump(struct spawn_io *io, int pidfd, const struct cancel *cancel)
{
	bool killed = false, ended = false;

	while (io->out >= 0 || io->err >= 0 || !ended) {
		struct pollfd p[5] = {
			{.fd = ended ? -1 : pidfd, .events = POLLIN},
			{.fd = io->out, .events = POLLIN},
			{.fd = io->err, .events = POLLIN},
			{.fd = io->in, .events = POLLOUT},
			{.fd = cancel && !killed ? cancel->fd : -1, .events = POLLIN},
		};

		/* Once it has ended only what lies in the pipes is read: a daemon that it left
		 * behind may hold them open for ever. */
		if (poll(p, ARRAY_SIZE(p), ended ? 0 : -1) < 0 && errno != EINTR)
			return;
		if (ended && !p[1].revents && !p[2].revents)
			return;
		if (p[1].revents)
			spawn_read(&io->out, io->output);
		if (p[2].revents)
			spawn_read(&io->err, io->errout);
		if (p[3].revents)
			spawn_feed(io);
		if (p[4].revents) {
			(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
			killed = true;
		}
		if (p[0].revents)
			ended = true;
	}
}

/* The last line that is not empty, as what most programs say when they fail. */
static const char *spawn_last_line(struct buf *b, int *ret_n)
{
	size_t end = b->n, start;

	while (end > 0 && (b->p[end - 1] == '\n' || b->p[end - 1] == '\r'))
		end--;
	start = end;
	while (start > 0 && b->p[start - 1] != '\n')
		start--;
	*ret_n = (int)(end - start);
	return b->p + start;
}

static int spawn_result(const char *path, int status, struct buf *errout, struct error **err)
{
	int n, r;
	const char *line = spawn_last_line(errout, &n);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		r = error_new(err, ERR_PROCESS, 0, "%s was ended by signal %d%s%.*s", path,
			      WTERMSIG(status), n > 0 ? ": " : "", n, line);
	else
		r = error_new(err, ERR_PROCESS, 0, "%s failed with exit status %d%s%.*s", path,
			      WEXITSTATUS(status), n > 0 ? ": " : "", n, line);
	if (err)
		error_set_exit_status(*err, WIFSIGNALED(status) ? 128 + WTERMSIG(status)
								: WEXITSTATUS(status));
	return r;
}

int spawn_run(const char *const *argv, const struct buf *in, struct buf *out, struct buf *errout,
	      struct cancel *cancel, struct error **err)
{
	_cleanup_buf_ struct buf own_out = BUF_INIT_MAX(1), own_err = BUF_INIT_MAX(65536);
	struct spawn_io io = {.in = -1, .out = -1, .err = -1, .input = in};
	_cleanup_close_ int null = -1;
	int pi[2] = {-1, -1}, po[2] = {-1, -1}, pe[2] = {-1, -1};
	int r = 0, pidfd = -1, status = 0;
	pid_t pid = -1;

	io.output = out ? out : &own_out;
	io.errout = errout ? errout : &own_err;
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || (in && pipe2(pi, O_CLOEXEC) < 0) || pipe2(po, O_CLOEXEC) < 0 ||
	    pipe2(pe, O_CLOEXEC) < 0)
		r = error_new(err, ERR_IO, errno, "make the pipes to run %s", argv[0]);
	if (r == 0) {
		struct spawn_fd fds[] = {{in ? pi[0] : null, 0}, {po[1], 1}, {pe[1], 2}};
		struct spawn s = {
			.path = argv[0],
			.argv = (char *const *)(uintptr_t)argv,
			.fds = fds,
			.n_fds = ARRAY_SIZE(fds),
		};
		r = spawn_start(&s, &pid, &pidfd, err);
	}
	cleanup_closep(&pi[0]);
	cleanup_closep(&po[1]);
	cleanup_closep(&pe[1]);
	io.in = pi[1];
	io.out = po[0];
	io.err = pe[0];
	if (r == 0) {
		if (io.in >= 0)
			(void)fcntl(io.in, F_SETFL, O_NONBLOCK);
		spawn_pump(&io, pidfd, cancel);
		r = spawn_wait(pid, pidfd, &status);
		if (r < 0)
			r = error_new(err, ERR_IO, -r, "wait for %s", argv[0]);
		else if (cancel_is_set(cancel))
			r = error_new(err, ERR_CANCELED, 0, "%s was stopped", argv[0]);
		else
			r = spawn_result(argv[0], status, io.errout, err);
	}
	cleanup_closep(&io.in);
	cleanup_closep(&io.out);
	cleanup_closep(&io.err);
	return r;
}
