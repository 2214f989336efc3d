/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"

enum { WATCH_SIGNALS, WATCH_MASTER, WATCH_INPUT, N_WATCHES };

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

struct console {
	struct sandbox *sandbox;
	struct sandbox_watch watches[N_WATCHES];
	int signals[2]; /* pipe from the handler */
	struct sigaction old[ARRAY_SIZE(forwarded)];
	int input_fd; /* -1: nothing (more) is typed */
	int out;      /* where what the process prints on its terminal goes */
	int master;   /* borrowed from the sandbox; -1: no terminal */
	bool input, raw;
	struct termios saved;
	struct buf pending; /* typed, not yet taken by the process */
	size_t written;
	struct buf notes;
};

static int signal_pipe = -1; /* for the handler; written before it is installed */

static void on_signal(int sig)
{
	int saved = errno;
	unsigned char byte = (unsigned char)sig;

	(void)!write(signal_pipe, &byte, 1);
	errno = saved;
}

static void copy_window_size(const struct console *c)
{
	struct winsize size;

	if (c->master >= 0 && ioctl(c->out, TIOCGWINSZ, &size) == 0)
		(void)ioctl(c->master, TIOCSWINSZ, &size);
}

static void signals_ready(struct sandbox_watch *w, short revents, void *data)
{
	struct console *c = data;
	unsigned char sig;

	(void)revents;
	if (read(w->fd, &sig, 1) != 1)
		return;
	if (sig == SIGWINCH)
		copy_window_size(c);
	else
		sandbox_signal(c->sandbox, sig);
}

/* Typed bytes wait in `pending` while the process does not take them; then nothing more is read. */
static void update_events(struct console *c)
{
	bool waiting = c->written < c->pending.n;

	c->watches[WATCH_MASTER].events = (short)(waiting ? POLLIN | POLLOUT : POLLIN);
	c->watches[WATCH_INPUT].fd = waiting ? -1 : c->input_fd;
}

static void master_ready(struct sandbox_watch *w, short revents, void *data)
{
	struct console *c = data;
	char chunk[8192];
	ssize_t n;

	if (revents & POLLOUT && c->written < c->pending.n) {
		n = write(w->fd, c->pending.p + c->written, c->pending.n - c->written);
		if (n > 0)
			c->written += (size_t)n;
	}
	if (revents & (POLLIN | POLLHUP | POLLERR)) {
		n = read(w->fd, chunk, sizeof(chunk));
		if (n > 0)
			(void)!fs_write_full(c->out, chunk, (size_t)n);
		/* EIO: the other end is closed. */
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			w->fd = -1;
	}
	update_events(c);
}

static void input_ready(struct sandbox_watch *w, short revents, void *data)
{
	struct console *c = data;
	char chunk[1024];
	ssize_t n;

	if (!(revents & POLLIN) && !(revents & POLLHUP))
		return;
	n = read(w->fd, chunk, sizeof(chunk));
	if (n <= 0) {
		w->fd = c->input_fd = -1;
		return;
	}
	buf_clear(&c->pending);
	buf_add(&c->pending, chunk, (size_t)n);
	c->written = 0;
	update_events(c);
}

static void make_raw(struct console *c)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &c->saved) < 0)
		return;
	raw = c->saved;
	cfmakeraw(&raw);
	c->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void open_terminal(struct console *c)
{
	/* If there is none the sandbox has failed, and waiting for it tells why. */
	c->master = sandbox_terminal(c->sandbox, NULL);
	if (c->master < 0) {
		c->master = -1;
		return;
	}
	(void)fcntl(c->master, F_SETFL, O_RDWR | O_NONBLOCK);
	copy_window_size(c);
	c->watches[WATCH_MASTER].fd = c->master;
	if (!c->input)
		return;
	make_raw(c);
	c->watches[WATCH_INPUT].fd = c->input_fd = STDIN_FILENO;
}

/* Takes over signals and, with `tty`, the terminal; console_close gives both back. */
static struct console *console_open(struct sandbox *s, bool tty, bool input, int out)
{
	struct console *c = NEW(struct console);
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	c->sandbox = s;
	c->master = c->input_fd = -1;
	c->input = input;
	c->out = out;
	c->pending = c->notes = (struct buf)BUF_INIT;
	c->watches[WATCH_SIGNALS] = (struct sandbox_watch){-1, POLLIN, false, signals_ready};
	c->watches[WATCH_MASTER] = (struct sandbox_watch){-1, POLLIN, true, master_ready};
	c->watches[WATCH_INPUT] = (struct sandbox_watch){-1, POLLIN, false, input_ready};
	if (pipe2(c->signals, O_CLOEXEC | O_NONBLOCK) == 0) {
		c->watches[WATCH_SIGNALS].fd = c->signals[0];
		signal_pipe = c->signals[1];
		sigemptyset(&action.sa_mask);
		for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
			(void)sigaction(forwarded[i], &action, &c->old[i]);
	} else {
		c->signals[0] = c->signals[1] = -1;
	}
	if (tty)
		open_terminal(c);
	return c;
}

static void console_close(struct console *c)
{
	if (c->raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &c->saved);
	if (c->signals[1] >= 0)
		for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
			(void)sigaction(forwarded[i], &c->old[i], NULL);
	signal_pipe = -1;
	cleanup_closep(&c->signals[0]);
	cleanup_closep(&c->signals[1]);
	buf_release(&c->pending);
	buf_release(&c->notes);
	free(c);
}

/* With descriptors passed through, only the reason why a program did not start comes this way. */
static void keep_text(void *data, int stream, const void *p, size_t n)
{
	struct console *c = data;

	(void)stream;
	buf_add(&c->notes, p, n);
}

static void note_window_size(struct sandbox_plan *p, int out)
{
	struct winsize size;

	if (ioctl(out, TIOCGWINSZ, &size) == 0)
		p->window = (struct wire_window){size.ws_row, size.ws_col};
}

int console_run(struct sandbox_plan *p, bool input, int out, int *ret_status, struct error **err)
{
	bool tty = p->flags & WIRE_TTY;
	/* On a terminal the process's streams are the pseudo terminal's. */
	struct sandbox_io io = {input && !tty ? STDIN_FILENO : -1, out, STDERR_FILENO};
	struct sandbox *s;
	struct console *c;
	int status = 0, r;

	if (tty)
		note_window_size(p, out);
	r = sandbox_start(p, &io, &s, err);
	if (r < 0)
		return r;
	c = console_open(s, tty, input, out);
	r = sandbox_wait_watching(s, c->watches, N_WATCHES, keep_text, c, NULL, &status, err);
	while (c->notes.n > 0 && c->notes.p[c->notes.n - 1] == '\n')
		buf_truncate(&c->notes, c->notes.n - 1);
	if (r == 0 && c->notes.n > 0) {
		r = error_new(err, ERR_PROCESS, 0, "%s", c->notes.p);
		if (err)
			error_set_exit_status(*err, status);
	}
	console_close(c);
	if (r == 0)
		*ret_status = status;
	return r;
}
