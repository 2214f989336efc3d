/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/times.h"
#include "engine/git/gitnet.h"
#include "engine/http/resolve.h"

/* The clock and the resolver are these (the linker's --wrap), so that hours pass when the test says
 * so, and a name server is as silent as it wants. */
int64_t __real_times_monotonic_ns(void);
int64_t __wrap_times_monotonic_ns(void);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **ret);
int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **ret);

static atomic_llong later_ns;
static sem_t asked, answer, answered;

int64_t __wrap_times_monotonic_ns(void)
{
	return __real_times_monotonic_ns() + atomic_load(&later_ns);
}

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **ret)
{
	int r;

	if (strcmp(host, "silent.example") != 0)
		return __real_getaddrinfo(host, port, hints, ret);
	sem_post(&asked);
	sem_wait(&answer);
	r = __real_getaddrinfo("127.0.0.1", port, hints, ret);
	sem_post(&answered);
	return r;
}

/* --- A server that sends a byte every 100 seconds, for as long as somebody takes them --- */

struct trickle {
	int fd;
	unsigned sent;
};

static void *trickle_main(void *data)
{
	static const char pkt[] = "fff0";
	struct trickle *t = data;
	int fd = accept(t->fd, NULL, NULL);

	while (t->sent < 1000) {
		char c = t->sent < 4 ? pkt[t->sent] : 'x';
		struct pollfd gone = {.fd = fd, .events = POLLRDHUP};

		atomic_fetch_add(&later_ns, 100 * INT64_C(1000000000));
		if (send(fd, &c, 1, MSG_NOSIGNAL) != 1)
			break;
		t->sent++;
		/* Each byte alone: what waits for it in between is counted. */
		if (poll(&gone, 1, 5) == 1 && gone.revents & (POLLRDHUP | POLLHUP))
			break;
	}
	close(fd);
	return NULL;
}

static void a_server_that_trickles_has_a_deadline(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(addr);
	struct trickle t = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	_cleanup_(error_freep) struct error *err = NULL;
	_cleanup_(gitref_list_release) struct gitref_list refs = {.heads = {.v = NULL}};
	_cleanup_free_ char *url = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(bind(t.fd, (struct sockaddr *)&addr, n), 0);
	assert_int_equal(listen(t.fd, 1), 0);
	assert_int_equal(getsockname(t.fd, (struct sockaddr *)&addr, &n), 0);
	assert_int_equal(pthread_create(&thread, NULL, trickle_main, &t), 0);
	url = xasprintf("git://127.0.0.1:%d/repo", ntohs(addr.sin_port));
	assert_int_equal(gitnet_list(&(struct gitnet){.url = url}, &refs, &err), -ERR_TIMEOUT);
	assert_non_null(strstr(error_text(err), "too slow"));
	pthread_join(thread, NULL);
	close(t.fd);
	assert_true(t.sent < 1000);
}

/* --- Names --- */

static void *cancel_when_asked(void *data)
{
	sem_wait(&asked);
	cancel_set(data);
	return NULL;
}

static void a_lookup_can_be_canceled(void **state)
{
	struct addrinfo *list = NULL;
	struct cancel cancel;
	pthread_t thread;

	(void)state;
	cancel_init(&cancel);
	assert_int_equal(pthread_create(&thread, NULL, cancel_when_asked, &cancel), 0);
	assert_int_equal(resolve_host("silent.example", "1", &cancel, 3600000, &list, NULL),
			 -ERR_CANCELED);
	assert_null(list);
	pthread_join(thread, NULL);
	cancel_release(&cancel);
	/* Its answer comes when nobody waits any more, and is freed. */
	sem_post(&answer);
	sem_wait(&answered);
}

static void a_lookup_has_its_time(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct addrinfo *list = NULL;

	(void)state;
	assert_int_equal(resolve_host("silent.example", "1", NULL, 1, &list, &err), -ERR_TIMEOUT);
	assert_non_null(strstr(error_text(err), "silent.example"));
	sem_wait(&asked);
	sem_post(&answer);
	sem_wait(&answered);
}

static void a_lookup_finds_addresses(void **state)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct addrinfo *list = NULL;

	(void)state;
	assert_int_equal(resolve_host("127.0.0.1", "9418", NULL, 3600000, &list, NULL), 0);
	assert_int_equal(ntohs(((struct sockaddr_in *)(void *)list->ai_addr)->sin_port), 9418);
	freeaddrinfo(list);
	assert_int_equal(resolve_host("no.such.host.invalid", "1", NULL, 3600000, &list, &err),
			 -ERR_UNAVAILABLE);
	assert_non_null(strstr(error_text(err), "unknown host no.such.host.invalid"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_that_trickles_has_a_deadline),
		cmocka_unit_test(a_lookup_can_be_canceled),
		cmocka_unit_test(a_lookup_has_its_time),
		cmocka_unit_test(a_lookup_finds_addresses),
	};

	sem_init(&asked, 0, 0);
	sem_init(&answer, 0, 0);
	sem_init(&answered, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
