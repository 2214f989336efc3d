/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/serve/agent.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/rpc/rpc_bytes.h"

enum {
	TALKS_MAX = 32,		/* at once */
	PACKET_MAX = 256 << 10, /* ssh's own limit of a request and an answer */
	LENGTH = 4,
};

/* One conversation: a thread that passes a request on and its answer back, one after the other, as
 * the protocol has it (draft-miller-ssh-agent). */
struct talk {
	struct agent *agent;
	pthread_t thread;
	int fd;
	struct rpc_call *call;
	bool over; /* its thread is about to end */
};

struct agent {
	struct server *server;
	struct session *session;
	char *id, *path;
	int listen_fd;
	struct cancel stop;
	pthread_t thread;
	pthread_mutex_t lock; /* protects the talks' `over` */
	struct talk *talks[TALKS_MAX];
};

static size_t length_of(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return LENGTH + ((size_t)u[0] << 24 | (size_t)u[1] << 16 | (size_t)u[2] << 8 | u[3]);
}

/* A whole request; false at the end. */
static bool read_request(int fd, struct buf *b)
{
	size_t n;

	buf_clear(b);
	if (fs_read_full(fd, buf_reserve(b, LENGTH), LENGTH) != LENGTH)
		return false;
	buf_commit(b, LENGTH);
	n = length_of(b->p);
	if (n > PACKET_MAX ||
	    fs_read_full(fd, buf_reserve(b, n - LENGTH), n - LENGTH) != (ssize_t)(n - LENGTH))
		return false;
	buf_commit(b, n - LENGTH);
	return true;
}

/* A whole answer, which may come in pieces. */
static bool receive_answer(struct talk *t, struct buf *b)
{
	_cleanup_buf_ struct buf message = BUF_INIT;

	buf_clear(b);
	while (b->n < LENGTH || b->n < length_of(b->p)) {
		if (rpc_recv(t->agent->server->loop, t->call, &message) <= 0 ||
		    rpc_bytes_unpack(message.p, message.n, b) < 0 ||
		    (b->n >= LENGTH && length_of(b->p) > PACKET_MAX))
			return false;
	}
	return true;
}

static void *talk(void *arg)
{
	_cleanup_buf_ struct buf packet = BUF_INIT_MAX(2 * PACKET_MAX);
	struct talk *t = arg;
	struct rpc_loop *loop = t->agent->server->loop;

	while (read_request(t->fd, &packet)) {
		_cleanup_buf_ struct buf message = BUF_INIT;

		rpc_bytes_pack(packet.p, packet.n, &message);
		if (rpc_send(loop, t->call, message.p, message.n) < 0 ||
		    !receive_answer(t, &packet) || fs_write_full(t->fd, packet.p, packet.n) < 0)
			break;
	}
	/* The other end must not wait for more; the descriptor stays ours until the thread is joined. */
	(void)shutdown(t->fd, SHUT_RDWR);
	pthread_mutex_lock(&t->agent->lock);
	t->over = true;
	pthread_mutex_unlock(&t->agent->lock);
	return NULL;
}

static void end_talk(struct talk **slot)
{
	struct talk *t = *slot;

	(void)shutdown(t->fd, SHUT_RDWR);
	rpc_abort(t->agent->server->loop, t->call);
	(void)pthread_join(t->thread, NULL);
	rpc_release(t->agent->server->loop, t->call);
	cleanup_closep(&t->fd);
	free(t);
	*slot = NULL;
}

/* A place for one more; those that are over make room. NULL: there are too many. */
static struct talk **find_slot(struct agent *a)
{
	for (size_t i = 0; i < TALKS_MAX; i++) {
		bool over;

		pthread_mutex_lock(&a->lock);
		over = a->talks[i] && a->talks[i]->over;
		pthread_mutex_unlock(&a->lock);
		if (over)
			end_talk(&a->talks[i]);
		if (!a->talks[i])
			return &a->talks[i];
	}
	return NULL;
}

static void start_talk(struct agent *a, int fd)
{
	const struct rpc_header headers[] = {{serve_text("buildkit.ssh.id"), a->id}};
	struct talk **slot = find_slot(a), *t;

	if (!slot) {
		cleanup_closep(&fd);
		return;
	}
	t = NEW(struct talk);
	t->agent = a;
	t->fd = fd;
	if (session_call(a->server, a->session, "/moby.sshforward.v1.SSH/ForwardAgent", headers, 1,
			 &t->call, NULL) < 0 ||
	    pthread_create(&t->thread, NULL, talk, t) != 0) {
		rpc_release(a->server->loop, t->call);
		cleanup_closep(&t->fd);
		free(t);
		return;
	}
	*slot = t;
}

static void *run_agent(void *arg)
{
	struct agent *a = arg;
	struct pollfd polls[] = {{.fd = a->listen_fd, .events = POLLIN},
				 {.fd = a->stop.fd, .events = POLLIN}};

	while (!cancel_is_set(&a->stop)) {
		int fd = -1;

		(void)poll(polls, ARRAY_SIZE(polls), -1);
		if (!cancel_is_set(&a->stop))
			fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			start_talk(a, fd);
	}
	return NULL;
}

static int listen_at(const char *path, int *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	/* Its folder is this user's alone. */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		return errno;
	*ret = TAKE_FD(fd);
	return 0;
}

int agent_open(struct server *s, struct session *session, const char *id, const char *path,
	       struct agent **ret, struct error **err)
{
	struct agent *a = NEW(struct agent);
	int r;

	*a = (struct agent){.server = s,
			    .session = session,
			    .id = xstrdup(id),
			    .path = xstrdup(path),
			    .listen_fd = -1};
	pthread_mutex_init(&a->lock, NULL);
	cancel_init(&a->stop);
	r = listen_at(path, &a->listen_fd);
	if (r == 0)
		r = pthread_create(&a->thread, NULL, run_agent, a);
	if (r == 0) {
		*ret = a;
		return 0;
	}
	cleanup_closep(&a->listen_fd);
	cancel_release(&a->stop);
	free(a->id);
	free(a->path);
	free(a);
	return error_new(err, ERR_IO, r, "listen at '%s'", path);
}

void agent_close(struct agent *a)
{
	cancel_set(&a->stop);
	(void)pthread_join(a->thread, NULL);
	for (size_t i = 0; i < TALKS_MAX; i++)
		if (a->talks[i])
			end_talk(&a->talks[i]);
	cleanup_closep(&a->listen_fd);
	cancel_release(&a->stop);
	pthread_mutex_destroy(&a->lock);
	free(a->id);
	free(a->path);
	free(a);
}

const char *agent_id(const struct agent *a)
{
	return a->id;
}

const char *agent_path(const struct agent *a)
{
	return a->path;
}
