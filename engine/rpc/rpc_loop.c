/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/rpc_loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/times.h"
#include "engine/rpc/rpc_bytes.h"

enum {
	LINKS_MAX = 256,    /* connections at once */
	HANDLERS_MAX = 512, /* threads at once, over all of them */
	HANDLER_STACK = 512 << 10,
	QUEUED_MAX = 1 << 20, /* bytes of a call that wait to be sent */
	TUNNEL_PIECE = 64 << 10,
	READ_PIECE = 64 << 10,
};

/* A connection of a socket. */
struct link {
	int fd;
	struct rpc_conn *conn;
	struct buf out; /* drained, not yet taken by the socket */
	size_t out_at;
	bool over;
};

/* A connection inside of a call. */
struct rpc_tunnel {
	struct rpc_call *inside;
	struct rpc_conn *conn;
	bool over;
};

struct rpc_loop {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* n_handlers went down */
	pthread_t thread;
	int listen_fd, wake_fd;
	bool stopping;
	rpc_handler *handler;
	void *data;
	size_t n_handlers;
	VEC(struct link *) links;
	VEC(struct rpc_tunnel *) tunnels;
};

static void wake(struct rpc_loop *loop)
{
	uint64_t one = 1;

	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* --- handlers --- */

struct handler_start {
	struct rpc_loop *loop;
	struct rpc_call *call;
};

static void *run_handler(void *arg)
{
	struct handler_start *start = arg;
	struct rpc_loop *loop = start->loop;
	struct rpc_call *c = start->call;

	free(start);
	loop->handler(loop->data, c);
	pthread_mutex_lock(&loop->lock);
	rpc_call_finish(c, RPC_INTERNAL, "the call was not answered", NULL);
	c->on_close = NULL;
	rpc_call_unref(c);
	loop->n_handlers--;
	pthread_cond_broadcast(&loop->idle);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

static void on_called(void *data, struct rpc_call *c)
{
	struct rpc_loop *loop = data;
	struct handler_start *start;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (loop->stopping || loop->n_handlers >= HANDLERS_MAX) {
		rpc_call_finish(c, loop->stopping ? RPC_UNAVAILABLE : RPC_EXHAUSTED,
				loop->stopping ? "the server is being stopped"
					       : "the server has too many calls at once",
				NULL);
		return;
	}
	start = NEW(struct handler_start);
	*start = (struct handler_start){loop, c};
	rpc_call_ref(c);
	pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, HANDLER_STACK);
	r = pthread_create(&thread, &attr, run_handler, start);
	pthread_attr_destroy(&attr);
	if (r == 0) {
		loop->n_handlers++;
		return;
	}
	free(start);
	rpc_call_unref(c);
	rpc_call_finish(c, RPC_EXHAUSTED, "no thread can be started for the call", NULL);
}

static void on_changed(void *data, struct rpc_call *c)
{
	(void)data;
	pthread_cond_broadcast(&c->changed);
}

int rpc_recv(struct rpc_loop *loop, struct rpc_call *c, struct buf *ret)
{
	int r;

	pthread_mutex_lock(&loop->lock);
	for (;;) {
		if (rpc_call_next(c, ret)) {
			r = 1;
			wake(loop); /* the window has grown */
			break;
		}
		if (c->in_ended) {
			r = c->closed && (!c->has_status || c->status != RPC_OK) ? -1 : 0;
			break;
		}
		pthread_cond_wait(&c->changed, &loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
	return r;
}

/* Would nobody read what is sent? */
static bool is_done(const struct rpc_call *c)
{
	return c->closed || (c->is_ours && c->in_ended);
}

int rpc_send(struct rpc_loop *loop, struct rpc_call *c, const void *p, size_t n)
{
	int r;

	pthread_mutex_lock(&loop->lock);
	while (!is_done(c) && rpc_call_queued(c) > QUEUED_MAX)
		pthread_cond_wait(&c->changed, &loop->lock);
	r = is_done(c) ? -1 : 0;
	if (r == 0)
		rpc_call_send(c, p, n);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
	return r;
}

void rpc_add_answer(struct rpc_loop *loop, struct rpc_call *c, const char *name, const char *value)
{
	struct rpc_header header = {xstrdup(name), xstrdup(value)};

	pthread_mutex_lock(&loop->lock);
	vec_push(&c->answer, header);
	pthread_mutex_unlock(&loop->lock);
}

void rpc_finish(struct rpc_loop *loop, struct rpc_call *c, enum rpc_status status,
		const char *message, const char *details)
{
	pthread_mutex_lock(&loop->lock);
	rpc_call_finish(c, status, message, details);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

void rpc_watch(struct rpc_loop *loop, struct rpc_call *c, struct cancel *cancel)
{
	pthread_mutex_lock(&loop->lock);
	c->on_close = cancel;
	if (cancel && c->closed)
		cancel_set(cancel);
	pthread_mutex_unlock(&loop->lock);
}

bool rpc_is_over(struct rpc_loop *loop, const struct rpc_call *c)
{
	bool over;

	pthread_mutex_lock(&loop->lock);
	over = c->closed;
	pthread_mutex_unlock(&loop->lock);
	return over;
}

void rpc_wait_closed(struct rpc_loop *loop, struct rpc_call *c)
{
	pthread_mutex_lock(&loop->lock);
	while (!c->closed && !c->in_ended)
		pthread_cond_wait(&c->changed, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
}

/* --- tunnels --- */

struct rpc_tunnel *rpc_tunnel_open(struct rpc_loop *loop, struct rpc_call *inside)
{
	const struct rpc_events events = {.changed = on_changed, .data = loop};
	struct rpc_tunnel *t = NEW(struct rpc_tunnel);

	pthread_mutex_lock(&loop->lock);
	t->inside = inside;
	rpc_call_ref(inside);
	t->conn = rpc_conn_new(RPC_CLIENT, &events);
	vec_push(&loop->tunnels, t);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
	return t;
}

void rpc_tunnel_close(struct rpc_loop *loop, struct rpc_tunnel *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&loop->lock);
	for (size_t i = 0; i < loop->tunnels.n; i++)
		if (loop->tunnels.v[i] == t) {
			loop->tunnels.v[i] = vec_last(&loop->tunnels);
			loop->tunnels.n--;
			break;
		}
	rpc_conn_free(t->conn);
	rpc_call_unref(t->inside);
	pthread_mutex_unlock(&loop->lock);
	free(t);
}

/* Moves what came inside of the call in, and what is to go out. */
static void move_tunnel(struct rpc_tunnel *t)
{
	struct buf message = BUF_INIT, bytes = BUF_INIT_MAX(RPC_MESSAGE_MAX);

	while (!t->over && rpc_call_next(t->inside, &message)) {
		buf_clear(&bytes);
		if (rpc_bytes_unpack(message.p, message.n, &bytes) < 0 ||
		    !rpc_conn_feed(t->conn, bytes.p, bytes.n))
			t->over = true;
	}
	while (!t->over && rpc_call_queued(t->inside) < QUEUED_MAX) {
		const uint8_t *p = NULL;
		ssize_t n = 0;

		buf_clear(&bytes);
		while (bytes.n < TUNNEL_PIECE && (n = rpc_conn_drain(t->conn, &p)) > 0)
			buf_add(&bytes, p, (size_t)n);
		if (n < 0)
			t->over = true;
		if (bytes.n == 0)
			break;
		buf_clear(&message);
		rpc_bytes_pack(bytes.p, bytes.n, &message);
		rpc_call_send(t->inside, message.p, message.n);
	}
	if (rpc_call_at_end(t->inside) || t->inside->closed)
		t->over = true;
	if (t->over && t->conn) {
		rpc_conn_free(t->conn);
		t->conn = NULL;
	}
	buf_release(&message);
	buf_release(&bytes);
}

struct rpc_call *rpc_start(struct rpc_loop *loop, struct rpc_tunnel *t, const char *path,
			   const struct rpc_header *headers, size_t n, int64_t ns)
{
	struct rpc_call *c;

	pthread_mutex_lock(&loop->lock);
	c = t->conn ? rpc_conn_call(t->conn, path, headers, n) : NULL;
	if (c && ns > 0)
		c->deadline = times_monotonic_ns() + ns;
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
	return c;
}

void rpc_end(struct rpc_loop *loop, struct rpc_call *c)
{
	pthread_mutex_lock(&loop->lock);
	rpc_call_end(c);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

void rpc_abort(struct rpc_loop *loop, struct rpc_call *c)
{
	pthread_mutex_lock(&loop->lock);
	rpc_call_abort(c);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

void rpc_release(struct rpc_loop *loop, struct rpc_call *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&loop->lock);
	c->on_close = NULL;
	rpc_call_abort(c);
	rpc_call_unref(c);
	wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

enum rpc_status rpc_result(struct rpc_loop *loop, struct rpc_call *c, struct error **err)
{
	enum rpc_status status;

	pthread_mutex_lock(&loop->lock);
	while (!c->closed)
		pthread_cond_wait(&c->changed, &loop->lock);
	status = c->status;
	if (status != RPC_OK)
		(void)error_new(err, status == RPC_NOTFOUND ? ERR_NOTFOUND : ERR_UNAVAILABLE, 0,
				"%s", c->message ? c->message : "the client has gone");
	pthread_mutex_unlock(&loop->lock);
	return status;
}

/* --- sockets --- */

static void accept_link(struct rpc_loop *loop)
{
	const struct rpc_events events = {.called = on_called, .changed = on_changed, .data = loop};
	int fd = accept4(loop->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct link *link;

	if (fd < 0)
		return;
	if (loop->links.n >= LINKS_MAX) {
		(void)close(fd);
		return;
	}
	link = NEW(struct link);
	*link = (struct link){.fd = fd, .conn = rpc_conn_new(RPC_SERVER, &events), .out = BUF_INIT};
	vec_push(&loop->links, link);
}

static void read_link(struct link *link)
{
	static _Thread_local unsigned char piece[READ_PIECE];
	ssize_t n = recv(link->fd, piece, sizeof(piece), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !rpc_conn_feed(link->conn, piece, (size_t)n))
		link->over = true;
}

static void write_link(struct link *link)
{
	while (!link->over) {
		ssize_t n;

		if (link->out_at == link->out.n) {
			const uint8_t *p = NULL;

			buf_clear(&link->out);
			link->out_at = 0;
			while (link->out.n < READ_PIECE && (n = rpc_conn_drain(link->conn, &p)) > 0)
				buf_add(&link->out, p, (size_t)n);
			if (link->out.n == 0) {
				if (rpc_conn_is_over(link->conn))
					link->over = true;
				return;
			}
		}
		n = send(link->fd, link->out.p + link->out_at, link->out.n - link->out_at,
			 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			link->over = true;
		else
			link->out_at += (size_t)n;
	}
}

static void link_free(struct link *link)
{
	rpc_conn_free(link->conn);
	(void)close(link->fd);
	buf_release(&link->out);
	free(link);
}

/* Everything that can be moved now. Returns when the next deadline is; 0: never. */
static int64_t move_all(struct rpc_loop *loop)
{
	int64_t first = 0, now = times_monotonic_ns();

	for (size_t i = 0; i < loop->tunnels.n; i++) {
		struct rpc_tunnel *t = loop->tunnels.v[i];
		int64_t due = t->conn ? rpc_conn_expire(t->conn, now) : 0;

		if (due && (!first || due < first))
			first = due;
		move_tunnel(t);
	}
	for (size_t i = 0; i < loop->links.n; i++) {
		int64_t due = rpc_conn_expire(loop->links.v[i]->conn, now);

		if (due && (!first || due < first))
			first = due;
		write_link(loop->links.v[i]);
	}
	for (size_t i = 0; i < loop->links.n;) {
		struct link *link = loop->links.v[i];

		if (!link->over) {
			i++;
			continue;
		}
		loop->links.v[i] = vec_last(&loop->links);
		loop->links.n--;
		link_free(link);
		first = now; /* tunnels inside of it have ended, too */
	}
	return first;
}

/* What to wait for: the wake-up, the listener, then the links in their order. */
static size_t fill_polls(struct rpc_loop *loop, struct pollfd *polls)
{
	size_t n = 0;

	polls[n++] = (struct pollfd){.fd = loop->wake_fd, .events = POLLIN};
	polls[n++] = (struct pollfd){.fd = loop->stopping ? -1 : loop->listen_fd, .events = POLLIN};
	for (size_t i = 0; i < loop->links.n; i++) {
		const struct link *link = loop->links.v[i];

		polls[n++] = (struct pollfd){
			.fd = link->fd,
			.events = (short)(link->out_at < link->out.n ? POLLIN | POLLOUT : POLLIN)};
	}
	return n;
}

static int timeout_of(int64_t due)
{
	int64_t ms = (due - times_monotonic_ns()) / 1000000 + 1;

	if (due == 0)
		return -1;
	return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static void take_events(struct rpc_loop *loop, const struct pollfd *polls, size_t n)
{
	uint64_t count;

	if (polls[0].revents)
		(void)!read(loop->wake_fd, &count, sizeof(count));
	for (size_t i = 2; i < n; i++)
		if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
			read_link(loop->links.v[i - 2]);
	if (polls[1].revents)
		accept_link(loop);
}

static void *run_loop(void *arg)
{
	struct rpc_loop *loop = arg;
	struct pollfd polls[LINKS_MAX + 2];

	pthread_mutex_lock(&loop->lock);
	for (;;) {
		int64_t due = move_all(loop);
		size_t n = fill_polls(loop, polls);

		if (loop->stopping && loop->n_handlers == 0)
			break;
		pthread_mutex_unlock(&loop->lock);
		if (poll(polls, n, timeout_of(due)) < 0)
			n = 0;
		pthread_mutex_lock(&loop->lock);
		if (n > 0)
			take_events(loop, polls, n);
	}
	while (loop->links.n > 0)
		link_free(vec_pop(&loop->links));
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

int rpc_loop_start(int listen_fd, rpc_handler *handler, void *data, struct rpc_loop **ret,
		   struct error **err)
{
	struct rpc_loop *loop = NEW(struct rpc_loop);
	int r;

	loop->listen_fd = listen_fd;
	loop->handler = handler;
	loop->data = data;
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->idle, NULL);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*ret = loop;
	r = loop->wake_fd < 0 ? errno : pthread_create(&loop->thread, NULL, run_loop, loop);
	if (r == 0)
		return 0;
	*ret = NULL;
	cleanup_closep(&loop->wake_fd);
	cleanup_closep(&loop->listen_fd);
	free(loop);
	return error_new(err, ERR_IO, r, "start to serve");
}

void rpc_loop_stop(struct rpc_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->stopping = true;
	/* Every call closes, so every handler comes to its end. */
	for (size_t i = 0; i < loop->links.n; i++)
		loop->links.v[i]->over = true;
	wake(loop);
	while (loop->n_handlers > 0)
		pthread_cond_wait(&loop->idle, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	(void)pthread_join(loop->thread, NULL);
	cleanup_closep(&loop->wake_fd);
	cleanup_closep(&loop->listen_fd);
	vec_release(&loop->links);
	vec_release(&loop->tunnels);
	pthread_cond_destroy(&loop->idle);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}
