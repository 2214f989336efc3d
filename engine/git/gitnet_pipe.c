/* SPDX-License-Identifier: Apache-2.0 */
/* Git's protocol over a stream of bytes: TCP (git://, gitprotocol-pack of git, "Git Transport") or
 * ssh(1), which runs git-upload-pack on the other side. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "base/times.h"
#include "engine/git/gitnet_transport.h"
#include "engine/http/resolve.h"

enum {
	CONNECT_TIMEOUT_MS = 20000,
	SILENCE_TIMEOUT_MS = 300000, /* a server may think long before it sends a pack, */
	THINKING_S = 180,	     /* and this is not counted against its pace */
	SSH_END_MS = 500,	     /* for ssh to end by itself */
	ERROR_MAX = 16 << 10,
};
#define GIT_PORT "9418"

struct stream {
	git_smart_subtransport_stream base;
	struct transport *transport;
	int in, out; /* what we read, what we write; -1 or the same for a socket */
	pid_t ssh;   /* 0: none */
	int ssh_pidfd;
	int ssh_errors; /* file with what it printed */
	bool heard;	/* something has arrived */
	/* For the pace: what went over, and how long we waited for the other side. */
	uint64_t moved;
	int64_t waited_ns;
};

struct transport {
	git_smart_subtransport base;
	struct gitnet_call *call;
	struct stream *current; /* libgit2 frees it */
};

/* Waits until `fd` can be read or written, Ctrl-C comes (ERR_CANCELED), the time is over, or the
 * other side has been too slow on the whole (ERR_TIMEOUT). */
static int wait_for(struct stream *s, int fd, short events, int timeout_ms, struct error **err)
{
	struct cancel *cancel = gitnet_cancel(s->transport->call->net);
	struct pollfd fds[] = {{.fd = fd, .events = events},
			       {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};
	int64_t before = times_monotonic_ns(), until = before + (int64_t)timeout_ms * 1000000;

	for (;;) {
		int64_t left = (until - times_monotonic_ns()) / 1000000;
		int r = poll(fds, ARRAY_SIZE(fds), left > 0 ? (int)left : 0);
		int64_t now = times_monotonic_ns();

		s->waited_ns += now - before;
		before = now;
		if (r < 0 && errno != EINTR)
			return error_new(err, ERR_IO, errno, "wait for the git server");
		if (cancel_is_set(cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		if (r > 0 && fds[0].revents)
			return http_check_pace(s->waited_ns - THINKING_S * NS_PER_S, s->moved, err);
		if (left <= 0)
			return error_new(err, ERR_TIMEOUT, 0, "the git server does not answer");
	}
}

/* --- git:// --- */

/* "host", "host:port", "[::1]:port" */
static void split_host(const char *text, char **ret_host, const char **ret_port)
{
	const char *close = *text == '[' ? strchr(text, ']') : NULL;
	const char *colon = strchr(close ? close : text, ':');

	if (close)
		*ret_host = xstrndup(text + 1, (size_t)(close - text) - 1);
	else
		*ret_host = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
	*ret_port = colon ? colon + 1 : NULL;
}

static int connect_one(struct stream *s, const struct addrinfo *a, struct error **err)
{
	_cleanup_close_ int fd =
		socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	socklen_t size = sizeof(int);
	int failure = 0, r;

	if (fd < 0)
		return error_new(err, ERR_UNAVAILABLE, errno, "open a socket");
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
		return error_new(err, ERR_UNAVAILABLE, errno, "connect");
	r = wait_for(s, fd, POLLOUT, CONNECT_TIMEOUT_MS, err);
	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
		failure = errno;
	if (failure != 0)
		return error_new(err, ERR_UNAVAILABLE, failure, "connect");
	return TAKE_FD(fd);
}

static int connect_host(struct stream *s, const char *where, struct error **err)
{
	_cleanup_free_ char *host = NULL;
	struct addrinfo *list = NULL;
	const char *port;
	int r;

	split_host(where, &host, &port);
	r = resolve_host(host, port ? port : GIT_PORT, gitnet_cancel(s->transport->call->net),
			 CONNECT_TIMEOUT_MS, &list, err);
	if (r < 0)
		return r;
	r = -ERR_UNAVAILABLE;
	for (struct addrinfo *a = list; a && r < 0 && r != -ERR_CANCELED; a = a->ai_next) {
		if (err) {
			error_free(*err);
			*err = NULL;
		}
		r = connect_one(s, a, err);
	}
	freeaddrinfo(list);
	return r;
}

static int send_all(struct stream *s, const char *p, size_t n, struct error **err)
{
	while (n > 0) {
		ssize_t k = s->ssh ? write(s->out, p, n) : send(s->out, p, n, MSG_NOSIGNAL);
		int r;

		if (k >= 0) {
			p += k;
			n -= (size_t)k;
			s->moved += (uint64_t)k;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return error_new(err, ERR_UNAVAILABLE, errno, "write to the git server");
		r = wait_for(s, s->out, POLLOUT, SILENCE_TIMEOUT_MS, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_tcp(struct stream *s, const char *url, struct error **err)
{
	const char *after = strstr(url, "://") + 3;
	const char *path = after + strcspn(after, "/");
	_cleanup_free_ char *host = gitnet_host(url);
	_cleanup_buf_ struct buf line = BUF_INIT;
	size_t n;
	int r = connect_host(s, host, err);

	if (r < 0)
		return r;
	s->in = s->out = r;
	n = 4 + strlen("git-upload-pack ") + strlen(path) + 1 + strlen("host=") + strlen(host) + 1;
	if (n > 0xfff0)
		return error_new(err, ERR_INVALID, 0, "the URL is too long");
	buf_addf(&line, "%04zxgit-upload-pack %s", n, path);
	buf_addc(&line, '\0');
	buf_addf(&line, "host=%s", host);
	buf_addc(&line, '\0');
	return send_all(s, line.p, line.n, err);
}

/* --- ssh --- */

/* 'path' for the shell on the other side. */
static char *shell_quote(const char *text)
{
	struct buf b = BUF_INIT;

	buf_addc(&b, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '!')
			buf_addf(&b, "'\\%c'", *text);
		else
			buf_addc(&b, *text);
	}
	buf_addc(&b, '\'');
	return buf_take(&b);
}

/* user@host:path or ssh://user@host:port/path */
static void split_ssh(const char *url, char **ret_user, char **ret_host, char **ret_port,
		      const char **ret_path)
{
	const char *scheme = strstr(url, "://"), *at = scheme ? scheme + 3 : url;
	size_t n = strcspn(at, scheme ? "/" : ":");
	_cleanup_free_ char *authority = xstrndup(at, n), *where = NULL;
	char *sign = strrchr(authority, '@');
	const char *port = NULL;

	where = xstrdup(sign ? sign + 1 : authority);
	if (sign) {
		*sign = '\0';
		*ret_user = xstrndup(authority, strcspn(authority, ":"));
	}
	if (scheme) {
		split_host(where, ret_host, &port);
		*ret_port = xstrdup(port);
		*ret_path = at + n;
		if (strncmp(*ret_path, "/~", 2) == 0)
			(*ret_path)++;
	} else {
		*ret_host = xstrdup(where);
		*ret_path = at + n + (at[n] == ':');
	}
}

static void ssh_arguments(const struct gitnet *n, const char *url, struct strv *argv)
{
	_cleanup_free_ char *user = NULL, *host = NULL, *port = NULL, *quoted = NULL;
	const char *path, *home = getenv("HOME");

	split_ssh(url, &user, &host, &port, &path);
	quoted = shell_quote(path);
	strv_push(argv, "ssh");
	strv_push(argv, "-oBatchMode=yes");
	strv_push(argv, "-oClearAllForwardings=yes");
	strv_push(argv, "-x");
	/* In a user namespace ssh takes its user for root, and root's files for its own. */
	if (home && *home)
		strv_pushf(argv, "-oUserKnownHostsFile=\"%s/.ssh/known_hosts\"", home);
	if (n->ssh_socket)
		strv_push(argv, "-oIdentityAgent=SSH_AUTH_SOCK");
	if (port && *port)
		strv_pushf(argv, "-p%s", port);
	if (user && *user)
		strv_pushf(argv, "-l%s", user);
	strv_push(argv, "--");
	strv_push(argv, host);
	strv_pushf(argv, "git-upload-pack %s", quoted);
}

static int open_errors(struct store *store, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int dir = -1, fd = -1;
	int r = store_tmp_dir(store, &name, &dir, err);

	if (r < 0)
		return r;
	fd = openat(dir, "errors", O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	r = fd < 0 ? error_new(err, ERR_IO, errno, "create a file in the store") : 0;
	store_tmp_remove(store, name);
	return r < 0 ? r : TAKE_FD(fd);
}

static int open_ssh(struct stream *s, const char *url, struct error **err)
{
	const struct gitnet *n = s->transport->call->net;
	_cleanup_strv_ struct strv argv = {0}, env = {0};
	int pair[2], r;

	for (char **e = environ; *e; e++)
		strv_push(&env, *e);
	if (n->ssh_socket)
		env_set(&env, "SSH_AUTH_SOCK", n->ssh_socket);
	ssh_arguments(n, url, &argv);
	s->ssh_errors = open_errors(n->store, err);
	if (s->ssh_errors < 0)
		return s->ssh_errors;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_new(err, ERR_IO, errno, "make a pair of sockets");
	s->in = s->out = pair[0];
	r = spawn_start(
		&(struct spawn){
			.path = "ssh",
			.argv = strv_argv(&argv),
			.envp = strv_argv(&env),
			.fds = (struct spawn_fd[]){{pair[1], 0}, {pair[1], 1}, {s->ssh_errors, 2}},
			.n_fds = 3},
		&s->ssh, &s->ssh_pidfd, err);
	close(pair[1]);
	if (r < 0) {
		s->ssh = 0;
		return error_hint(err, r, "ssh:// needs the program ssh (openssh-client)");
	}
	(void)fcntl(s->in, F_SETFL, O_NONBLOCK);
	return 0;
}

static const char *last_line(struct buf *b)
{
	char *start;

	while (b->n > 0 && strchr("\r\n ", b->p[b->n - 1]))
		buf_truncate(b, b->n - 1);
	start = memrchr(b->p, '\n', b->n);
	return start ? start + 1 : b->p;
}

/* ssh ended before the server said anything: what it printed says why. */
static int ssh_failure(struct stream *s, struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(ERROR_MAX);
	_cleanup_free_ char *shown = giturl_display(s->transport->call->net->url);
	const char *why;
	int r;

	if (lseek(s->ssh_errors, 0, SEEK_SET) == 0)
		(void)!fs_read_fd(s->ssh_errors, &text);
	why = strstr(text.p, "ERROR: ") ? strstr(text.p, "ERROR: ") + 7 : NULL;
	if (!why || !strchr(why, '\n'))
		why = last_line(&text);
	if (strstr(text.p, "Host key verification failed"))
		return error_hint(
			err,
			error_new(err, ERR_DENIED, 0, "%s: Host key verification failed", shown),
			"add the host's key to ~/.ssh/known_hosts, e.g. with ssh-keyscan");
	if (strstr(text.p, "Permission denied")) {
		r = error_new(err, ERR_DENIED, 0, "%s: authentication failed: %s", shown, why);
		return error_hint(err, r, "load a key that the server knows into an ssh agent%s",
				  s->transport->call->net->ssh_socket ? ""
								      : " and set SSH_AUTH_SOCK");
	}
	if (strstr(text.p, "not appear to be a git repository") ||
	    strstr(text.p, "epository not found"))
		return error_new(err, ERR_NOTFOUND, 0, "%s: repository not found", shown);
	return error_new(err, ERR_UNAVAILABLE, 0, "%s: %.*s", shown, (int)strcspn(why, "\n"),
			 *why ? why : "the connection was closed");
}

/* --- What libgit2 calls --- */

static int receive(struct stream *s, char *p, size_t n, size_t *ret_n, struct error **err)
{
	for (;;) {
		ssize_t k = read(s->in, p, n);
		int r;

		if (k > 0) {
			s->heard = true;
			s->moved += (uint64_t)k;
		}
		if (k == 0 && !s->heard && s->ssh)
			return ssh_failure(s, err);
		if (k >= 0) {
			*ret_n = (size_t)k;
			return 0;
		}
		if (errno == EINTR)
			continue;
		if (errno == ECONNRESET && !s->heard && s->ssh)
			return ssh_failure(s, err);
		if (errno != EAGAIN)
			return error_new(err, ERR_UNAVAILABLE, errno, "read from the git server");
		r = wait_for(s, s->in, POLLIN, SILENCE_TIMEOUT_MS, err);
		if (r < 0)
			return r;
	}
}

static int stream_read(git_smart_subtransport_stream *base, char *p, size_t n, size_t *ret_n)
{
	struct stream *s = (struct stream *)base;
	struct error *failed = NULL;

	return receive(s, p, n, ret_n, &failed) < 0
		       ? gitnet_callback_failed(s->transport->call, failed)
		       : 0;
}

static int stream_write(git_smart_subtransport_stream *base, const char *p, size_t n)
{
	struct stream *s = (struct stream *)base;
	struct error *failed = NULL;

	return send_all(s, p, n, &failed) < 0 ? gitnet_callback_failed(s->transport->call, failed)
					      : 0;
}

/* It ends when it is asked to, and has to when it does not: it may hang or be stopped. */
static void end_ssh(const struct stream *s)
{
	struct pollfd ended = {.fd = s->ssh_pidfd, .events = POLLIN};
	int status, r;

	(void)kill(s->ssh, SIGTERM);
	do {
		r = poll(&ended, 1, SSH_END_MS);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		(void)kill(s->ssh, SIGKILL);
	(void)!spawn_wait(s->ssh, s->ssh_pidfd, &status);
}

static void stream_free(git_smart_subtransport_stream *base)
{
	struct stream *s = (struct stream *)base;

	if (s->transport->current == s)
		s->transport->current = NULL;
	cleanup_closep(&s->in);
	if (s->ssh)
		end_ssh(s);
	cleanup_closep(&s->ssh_errors);
	free(s);
}

static int open_stream(struct stream *s, const char *url, struct error **err)
{
	_cleanup_free_ char *shown = giturl_display(url);
	int r;

	if (strncasecmp(url, "git://", 6) != 0)
		return open_ssh(s, url, err);
	r = open_tcp(s, url, err);
	return r < 0 ? error_wrap(err, r, "%s", shown) : 0;
}

static int transport_action(git_smart_subtransport_stream **out, git_smart_subtransport *base,
			    const char *url, git_smart_service_t action)
{
	struct transport *t = (struct transport *)base;
	struct error *failed = NULL;
	struct stream *s;

	if (action == GIT_SERVICE_UPLOADPACK && t->current) {
		*out = &t->current->base;
		return 0;
	}
	if (action != GIT_SERVICE_UPLOADPACK_LS)
		return -1;
	s = NEW(struct stream);
	s->base.subtransport = base;
	s->base.read = stream_read;
	s->base.write = stream_write;
	s->base.free = stream_free;
	s->transport = t;
	s->in = s->out = s->ssh_pidfd = s->ssh_errors = -1;
	if (open_stream(s, url, &failed) < 0) {
		stream_free(&s->base);
		return gitnet_callback_failed(t->call, failed);
	}
	t->current = s;
	*out = &s->base;
	return 0;
}

static int transport_close(git_smart_subtransport *base)
{
	(void)base;
	return 0;
}

static void transport_free(git_smart_subtransport *base)
{
	free(base);
}

int gitnet_pipe_new(git_smart_subtransport **out, git_transport *owner, void *call)
{
	struct transport *t = NEW(struct transport);

	(void)owner;
	t->base.action = transport_action;
	t->base.close = transport_close;
	t->base.free = transport_free;
	t->call = call;
	*out = &t->base;
	return 0;
}
