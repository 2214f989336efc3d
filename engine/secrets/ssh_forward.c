/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/secrets/ssh_forward.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/fs.h"
#include "base/owner_set.h"

enum {
	MESSAGE_MAX = 256 << 10, /* bytes, OpenSSH's bound */
	CLIENTS_MAX = 32,
};

enum agent_message {
	AGENT_FAILURE = 5,
	AGENT_REQUEST_IDENTITIES = 11,
	AGENT_SIGN_REQUEST = 13,
};

struct client {
	int fd, agent;
};

struct ssh_forward {
	char *agent;
	int listener;
	struct cancel stop;
	pthread_t thread;
	struct client clients[CLIENTS_MAX];
	size_t n_clients;
	unsigned char message[4 + MESSAGE_MAX];
};

/* Paths in a sockaddr_un are short; the descriptor of the directory makes any path short. */
static int open_address(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? xstrndup(path, (size_t)(slash - path) + 1) : NULL;
	int n, fd = open(dir ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", fd,
		     slash ? slash + 1 : path);
	*ret_dir = fd;
	return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

static int connect_agent(const char *path)
{
	_cleanup_close_ int dir = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	if (fd < 0 || open_address(path, &address, &dir) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* Waits until fd can be read or written; false when the forwarding is to stop. */
static bool wait_for(struct ssh_forward *f, int fd, short events)
{
	struct pollfd fds[2] = {{fd, events, 0}, {f->stop.fd, POLLIN, 0}};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return !fds[1].revents;
}

static bool receive(struct ssh_forward *f, int fd, unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t got;

		if (!wait_for(f, fd, POLLIN))
			return false;
		got = recv(fd, p, n, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static bool transmit(struct ssh_forward *f, int fd, const unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent;

		if (!wait_for(f, fd, POLLOUT))
			return false;
		sent = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* One message into f->message; its size with the length, 0 if there is none. */
static size_t receive_message(struct ssh_forward *f, int fd)
{
	unsigned char *m = f->message;
	size_t n;

	if (!receive(f, fd, m, 4))
		return 0;
	n = (size_t)m[0] << 24 | (size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3];
	if (n == 0 || n > MESSAGE_MAX || !receive(f, fd, m + 4, n))
		return 0;
	return n + 4;
}

static bool serve(struct ssh_forward *f, const struct client *c)
{
	static const unsigned char refusal[] = {0, 0, 0, 1, AGENT_FAILURE};
	size_t n = receive_message(f, c->fd);

	if (n == 0)
		return false;
	if (f->message[4] != AGENT_REQUEST_IDENTITIES && f->message[4] != AGENT_SIGN_REQUEST)
		return transmit(f, c->fd, refusal, sizeof(refusal));
	if (!transmit(f, c->agent, f->message, n))
		return false;
	n = receive_message(f, c->agent);
	return n > 0 && transmit(f, c->fd, f->message, n);
}

static void add_client(struct ssh_forward *f)
{
	struct client c = {accept4(f->listener, NULL, NULL, SOCK_CLOEXEC), -1};

	if (c.fd < 0)
		return;
	if (f->n_clients < CLIENTS_MAX)
		c.agent = connect_agent(f->agent);
	if (c.agent < 0)
		(void)close(c.fd);
	else
		f->clients[f->n_clients++] = c;
}

static void drop_client(struct ssh_forward *f, size_t i)
{
	(void)close(f->clients[i].fd);
	(void)close(f->clients[i].agent);
	f->clients[i] = f->clients[--f->n_clients];
}

static void *forward(void *data)
{
	struct ssh_forward *f = data;

	for (;;) {
		struct pollfd fds[2 + CLIENTS_MAX] = {{f->stop.fd, POLLIN, 0},
						      {f->listener, POLLIN, 0}};
		size_t n = f->n_clients;

		for (size_t i = 0; i < n; i++)
			fds[2 + i] = (struct pollfd){f->clients[i].fd, POLLIN, 0};
		if (poll(fds, (nfds_t)(2 + n), -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		/* From the end, as dropping one moves the last. */
		for (size_t i = n; i > 0; i--)
			if (fds[1 + i].revents && !serve(f, &f->clients[i - 1]))
				drop_client(f, i - 1);
		if (fds[1].revents)
			add_client(f);
	}
	return NULL;
}

static int listen_at(const char *dir, const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_close_ int at = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	int r = fd < 0 ? -errno : open_address(path, &address, &at);

	if (r < 0)
		return r;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchmodat(at, name, mode & 07777, 0) < 0 || listen(fd, CLIENTS_MAX) < 0)
		return -errno;
	r = owner_set(at, name, uid, gid);
	return r < 0 ? r : TAKE_FD(fd);
}

static void forward_free(struct ssh_forward *f)
{
	while (f->n_clients > 0)
		drop_client(f, f->n_clients - 1);
	cleanup_closep(&f->listener);
	cancel_release(&f->stop);
	free(f->agent);
	free(f);
}

int ssh_forward_start(const char *agent, const char *dir, const char *name, uid_t uid, gid_t gid,
		      mode_t mode, struct ssh_forward **ret, struct error **err)
{
	struct ssh_forward *f = NEW(struct ssh_forward);
	int r;

	f->agent = xstrdup(agent);
	cancel_init(&f->stop);
	f->listener = listen_at(dir, name, uid, gid, mode);
	r = f->listener < 0 ? f->listener : -pthread_create(&f->thread, NULL, forward, f);
	if (r < 0) {
		forward_free(f);
		return error_new(err, ERR_IO, -r, "forward the ssh agent at '%s'", agent);
	}
	*ret = f;
	return 0;
}

void ssh_forward_stop(struct ssh_forward *f)
{
	if (!f)
		return;
	cancel_set(&f->stop);
	(void)pthread_join(f->thread, NULL);
	forward_free(f);
}
