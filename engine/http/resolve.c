/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/http/resolve.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/times.h"

/* One question: its thread and whoever waits for the answer hold it, and the last one frees it. */
struct query {
	atomic_uint holders;
	char *host, *port;
	int done; /* eventfd */
	int failure;
	struct addrinfo *list;
};

static void query_put(struct query *q)
{
	if (atomic_fetch_sub(&q->holders, 1) > 1)
		return;
	if (q->list)
		freeaddrinfo(q->list);
	cleanup_closep(&q->done);
	free(q->host);
	free(q->port);
	free(q);
}
DEFINE_FREEP(struct query, query_put)

static void *ask(void *data)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct query *q = data;

	q->failure = getaddrinfo(q->host, q->port, &hints, &q->list);
	(void)eventfd_write(q->done, 1);
	query_put(q);
	return NULL;
}

static int start(struct query *q, struct error **err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	q->done = eventfd(0, EFD_CLOEXEC);
	if (q->done < 0)
		return error_new(err, ERR_IO, errno, "look up host %s", q->host);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	atomic_fetch_add(&q->holders, 1);
	r = pthread_create(&thread, &attr, ask, q);
	pthread_attr_destroy(&attr);
	if (r != 0)
		atomic_fetch_sub(&q->holders, 1);
	return r != 0 ? error_new(err, ERR_IO, r, "start a thread to look up host %s", q->host) : 0;
}

static int wait_for(const struct query *q, struct cancel *cancel, int timeout_ms,
		    struct error **err)
{
	struct pollfd fds[] = {{.fd = q->done, .events = POLLIN},
			       {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};
	int64_t until = times_monotonic_ns() + (int64_t)timeout_ms * 1000000;

	for (;;) {
		int64_t left = (until - times_monotonic_ns()) / 1000000;
		int r = poll(fds, ARRAY_SIZE(fds), left > 0 ? (int)left : 0);

		if (r < 0 && errno != EINTR)
			return error_new(err, ERR_IO, errno, "look up host %s", q->host);
		if (cancel_is_set(cancel))
			return error_new(err, ERR_CANCELED, 0, "canceled");
		if (r > 0 && fds[0].revents)
			return 0;
		if (left <= 0)
			break;
	}
	return error_hint(err,
			  error_new(err, ERR_TIMEOUT, 0, "look up host %s: no answer in %d s",
				    q->host, timeout_ms / 1000),
			  "check this machine's DNS");
}

int resolve_host(const char *host, const char *port, struct cancel *cancel, int timeout_ms,
		 struct addrinfo **ret, struct error **err)
{
	_cleanup_(query_putp) struct query *q = NEW(struct query);
	int r;

	atomic_init(&q->holders, 1);
	q->host = xstrdup(host);
	q->port = xstrdup(port);
	r = start(q, err);
	if (r == 0)
		r = wait_for(q, cancel, timeout_ms, err);
	if (r < 0)
		return r;
	if (q->failure != 0)
		return error_hint(err,
				  error_new(err, ERR_UNAVAILABLE, 0, "unknown host %s: %s", host,
					    gai_strerror(q->failure)),
				  "check the name and this machine's DNS");
	*ret = TAKE_PTR(q->list);
	return 0;
}
