/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of steps: what they reach and, above all, what they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/sandbox/network.h"

static bool possible(void)
{
	const char *why = "needs root";

	if (geteuid() == 0 && network_available(&why))
		return true;
	(void)printf("skipped: %s\n", why);
	return false;
}

static void expect_refused(const char *publish, const char *why)
{
	_cleanup_strv_ struct strv ports = {0};
	struct network *n = NULL;
	struct error *err = NULL;

	strv_push(&ports, publish);
	assert_true(network_open(&ports, false, &n, &err) < 0);
	if (!strstr(error_text(err), why))
		fail_msg("%s: %s", publish, error_text(err));
	error_free(err);
}

static void published_ports_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	expect_refused("80", "a port of this machine must be named");
	expect_refused("80:", "expected [ADDRESS:]HOSTPORT");
	expect_refused("x:80", "expected [ADDRESS:]HOSTPORT");
	expect_refused("80:80/sctp", "unknown protocol");
	expect_refused("123456:80", "expected [ADDRESS:]HOSTPORT");
	expect_refused("80-:80", "expected [ADDRESS:]HOSTPORT");
	expect_refused("70000:80", "no such port");
	expect_refused("90-80:80", "no such port");
	expect_refused("there:80:80", "is not an IPv4 address");
}

static void hosts_name_the_container_and_what_was_added(void **state)
{
	_cleanup_strv_ struct strv extra = {0};
	_cleanup_free_ char *hosts = NULL;

	(void)state;
	strv_push(&extra, "db=10.0.0.5");
	hosts = network_hosts("box", &extra);
	assert_string_equal(hosts, "127.0.0.1\tlocalhost box\n"
				   "::1\tlocalhost ip6-localhost ip6-loopback\n"
				   "10.0.0.5\tdb\n");
}

/* Can a TCP connection to address:port be made from inside the network? */
static bool can_connect(const struct network *n, const char *address, uint16_t port)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
		struct timeval limit = {.tv_sec = 2};
		int fd;

		(void)inet_pton(AF_INET, address, &to.sin_addr);
		if (setns(network_fd(n), CLONE_NEWNET) < 0)
			_exit(2);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		_exit(connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

/* A listening socket of the host on `address`; *ret_port is its port. */
static int listen_on(const char *address, uint16_t *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)inet_pton(AF_INET, address, &at.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

/* The gateway of the host's default route; false if there is none. */
static bool gateway(char ret[INET_ADDRSTRLEN])
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[256], name[32];
	unsigned to, via;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s %x %x", name, &to, &via) == 3 && to == 0 && via != 0)
			found = inet_ntop(AF_INET, &via, ret, INET_ADDRSTRLEN) != NULL;
	if (f)
		(void)fclose(f);
	return found;
}

static void the_hosts_services_cannot_be_reached(void **state)
{
	struct network_pool *pool;
	struct network *n = NULL;
	struct error *err = NULL;
	char via[INET_ADDRSTRLEN];
	uint16_t port;
	int fd;

	(void)state;
	if (!possible())
		return;
	pool = network_pool_new();
	if (network_acquire(pool, &n, &err) < 0)
		fail_msg("%s", error_text(err));
	fd = listen_on("127.0.0.1", &port);
	assert_false(can_connect(n, "127.0.0.1", port));
	/* pasta's default would map the gateway's address to the host's loopback. */
	if (gateway(via))
		assert_false(can_connect(n, via, port));
	(void)close(fd);
	network_put(pool, n);
	network_pool_free(pool);
}

static void a_network_goes_back_to_the_pool_and_is_used_again(void **state)
{
	struct network_pool *pool;
	struct network *one = NULL, *two = NULL, *three = NULL;

	(void)state;
	if (!possible())
		return;
	pool = network_pool_new();
	assert_int_equal(network_acquire(pool, &one, NULL), 0);
	assert_int_equal(network_acquire(pool, &two, NULL), 0);
	assert_ptr_not_equal(one, two);
	network_put(pool, one);
	assert_int_equal(network_acquire(pool, &three, NULL), 0);
	assert_ptr_equal(one, three);
	network_put(pool, two);
	network_put(pool, three);
	network_pool_free(pool);
}

struct user {
	struct network_pool *pool;
	pthread_t thread;
	bool failed;
};
static atomic_int users_of[FD_SETSIZE]; /* by the descriptor of the namespace */

static void *use_networks(void *data)
{
	struct user *user = data;

	for (int i = 0; i < 20; i++) {
		struct network *n = NULL;
		int fd;

		if (network_acquire(user->pool, &n, NULL) < 0) {
			user->failed = true;
			return NULL;
		}
		fd = network_fd(n);
		user->failed = user->failed || atomic_fetch_add(&users_of[fd], 1) != 0;
		(void)sched_yield();
		(void)atomic_fetch_sub(&users_of[fd], 1);
		network_put(user->pool, n);
	}
	return NULL;
}

static void steps_that_want_networks_at_once_get_one_each(void **state)
{
	struct network_pool *pool;
	struct user users[12] = {0};

	(void)state;
	if (!possible())
		return;
	pool = network_pool_new();
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		users[i].pool = pool;
		assert_int_equal(pthread_create(&users[i].thread, NULL, use_networks, &users[i]),
				 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		assert_int_equal(pthread_join(users[i].thread, NULL), 0);
		assert_false(users[i].failed);
	}
	network_pool_free(pool);
}

static void a_published_port_that_is_taken_is_an_error(void **state)
{
	_cleanup_strv_ struct strv ports = {0};
	struct network *n = NULL;
	struct error *err = NULL;
	uint16_t port;
	int fd;

	(void)state;
	if (!possible())
		return;
	fd = listen_on("0.0.0.0", &port);
	strv_pushf(&ports, "%u:80", port);
	assert_true(network_open(&ports, false, &n, &err) < 0);
	assert_non_null(strstr(error_text(err), "Address already in use"));
	error_free(err);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_ports_that_make_no_sense_are_refused),
		cmocka_unit_test(hosts_name_the_container_and_what_was_added),
		cmocka_unit_test(the_hosts_services_cannot_be_reached),
		cmocka_unit_test(a_network_goes_back_to_the_pool_and_is_used_again),
		cmocka_unit_test(steps_that_want_networks_at_once_get_one_each),
		cmocka_unit_test(a_published_port_that_is_taken_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
