/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny HTTP server in a thread, for tests that want a server to misbehave. One request a
 * connection, one connection at a time; a handler writes the answer as it likes. */
#ifndef KILN_TESTS_FAKE_SERVER_H
#define KILN_TESTS_FAKE_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

struct fake_request {
	char method[8];
	char target[2048];
	struct buf head; /* request line and headers */
	struct buf body;
};

struct fake_server;
typedef void (*fake_handler)(struct fake_server *s, const struct fake_request *req, int fd);

struct fake_server {
	int fd;
	char host[32]; /* "127.0.0.1:PORT" */
	pthread_t thread;
	fake_handler handler;
	void *data;
	atomic_int requests;
	atomic_bool stop;
};

static inline void fake_send(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		at += sent;
		n -= (size_t)sent;
	}
}

/* A whole answer; `headers` is lines, each with CRLF, or "". */
static inline void fake_answer(int fd, int status, const char *headers, const void *body, size_t n)
{
	_cleanup_free_ char *head = xasprintf(
		"HTTP/1.1 %d Status\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", status,
		n, headers);

	fake_send(fd, head, strlen(head));
	if (body)
		fake_send(fd, body, n);
}

/* Value of a request header, heap; NULL if it is not there. */
static inline char *fake_header(const struct fake_request *req, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = strstr(req->head.p, "\r\n"); p; p = strstr(p, "\r\n")) {
		p += 2;
		if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
			p += n + 1 + strspn(p + n + 1, " ");
			return xstrndup(p, strcspn(p, "\r\n"));
		}
	}
	return NULL;
}

static inline void fake_serve_one(struct fake_server *s, int fd)
{
	struct fake_request req = {.head = BUF_INIT, .body = BUF_INIT};
	_cleanup_free_ char *length = NULL;
	size_t want, head;
	char *end;

	while (!(end = strstr(req.head.p, "\r\n\r\n"))) {
		char chunk[4096];
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		if (n <= 0)
			goto out;
		buf_add(&req.head, chunk, (size_t)n);
		if (req.head.p[0] == 0x16) /* TLS */
			goto out;
	}
	if (sscanf(req.head.p, "%7s %2047s", req.method, req.target) != 2)
		goto out;
	head = (size_t)(end - req.head.p) + 4;
	buf_add(&req.body, req.head.p + head, req.head.n - head);
	buf_truncate(&req.head, head);
	length = fake_header(&req, "content-length");
	want = length ? strtoull(length, NULL, 10) : 0;
	while (req.body.n < want) {
		char chunk[65536];
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		if (n <= 0)
			goto out;
		buf_add(&req.body, chunk, (size_t)n);
	}
	atomic_fetch_add(&s->requests, 1);
	s->handler(s, &req, fd);
out:
	buf_release(&req.head);
	buf_release(&req.body);
}

static inline void *fake_main(void *data)
{
	struct fake_server *s = data;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0 || atomic_load(&s->stop)) {
			if (fd >= 0)
				close(fd);
			return NULL;
		}
		fake_serve_one(s, fd);
		/* An orderly end, so that what was sent is not lost to a reset. */
		shutdown(fd, SHUT_WR);
		close(fd);
	}
}

static inline void fake_start(struct fake_server *s, fake_handler handler, void *data)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(addr);

	*s = (struct fake_server){.handler = handler, .data = data};
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&addr, n) < 0 || listen(s->fd, 32) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&addr, &n) < 0)
		abort();
	snprintf(s->host, sizeof(s->host), "127.0.0.1:%d", ntohs(addr.sin_port));
	if (pthread_create(&s->thread, NULL, fake_main, s) != 0)
		abort();
}

static inline void fake_stop(struct fake_server *s)
{
	atomic_store(&s->stop, true);
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

#endif
