/* SPDX-License-Identifier: Apache-2.0 */
/* A network namespace with user-mode networking.
 *
 *	network [1 if kiln is in a user namespace, else 0] RULES pasta ARG...
 *
 * This process stays outside with pasta as its child, and decides about each of its connections
 * (guard.c); the namespace lives as long as pasta (and who joined it) does. kiln gets the
 * namespace's descriptor once its default route is there. When kiln closes its end, or dies, pasta
 * is killed.
 *
 * pasta gives up what rights it has before it opens the namespace, so it gets an open descriptor
 * instead of a path below /proc/PID. As real root it would become nobody and could not enter; in
 * a user namespace of its own, which then also owns the network namespace, it need not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#define READY_TIMEOUT_MS 10000

enum { FD_ROUTES = WIRE_FD_NETNS + 1, FD_LISTENER };

struct pasta {
	pid_t pid;
	int pidfd, words; /* words: the read end of its standard error */
};

void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail(errno, "bring the loopback interface up");
	(void)close(fd);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (n < 0)
		fail(errno, "write '%s'", path);
	(void)close(fd);
}

/* Id 0 stays id 0: pasta opens /dev/net/tun with it. */
static void own_user_namespace(void)
{
	if (unshare(CLONE_NEWUSER) < 0)
		fail(errno, "make a user namespace for pasta");
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", "0 0 1");
	write_text("/proc/self/gid_map", "0 0 1");
}

/* Programs in the container may listen on low ports and ping, as they may under Docker. */
static void set_defaults(void)
{
	static const char *const settings[][2] = {
		{"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
		{"/proc/sys/net/ipv4/ping_group_range", "0 0"},
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		int fd = open(settings[i][0], O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		(void)!write(fd, settings[i][1], strlen(settings[i][1]));
		(void)close(fd);
	}
}

/* The interface that pasta takes over. One that pasta makes goes when pasta ends, which takes the
 * kernel tens of milliseconds that somebody waits for; this one stays, and goes with the namespace
 * in the kernel's own time. */
static void make_interface(void)
{
	struct ifreq request = {.ifr_name = NETWORK_INTERFACE, .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0)
		fail(errno, "make a network interface");
	(void)close(fd);
}

static int watch_routes(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail(errno, "watch the network namespace");
	return fd;
}

/* A new route without a destination is the default one, the last thing that pasta sets. */
static bool default_route_came(int fd)
{
	_Alignas(struct nlmsghdr) char space[8192];
	ssize_t got = recv(fd, space, sizeof(space), 0);

	if (got <= 0)
		return false;
	for (struct nlmsghdr *h = (void *)space; NLMSG_OK(h, (size_t)got); h = NLMSG_NEXT(h, got)) {
		const struct rtmsg *route = NLMSG_DATA(h);

		if (h->nlmsg_type == RTM_NEWROUTE && route->rtm_dst_len == 0 &&
		    route->rtm_type == RTN_UNICAST)
			return true;
	}
	return false;
}

/* pasta's own words, for the error text. */
static const char *last_words(int fd)
{
	static char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	char *line;

	if (n <= 0)
		return "";
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

/* In the child, which shares our descriptors until then. */
static void __attribute__((noreturn)) become_pasta(char **argv, const char *rules, int words)
{
	int listener;

	/* Open again when pasta is guarded; else there will be no pasta. */
	(void)close(FD_LISTENER);
	listener = guard_install(strchr(rules, '=') != NULL);
	if (listener != FD_LISTENER &&
	    (dup3(listener, FD_LISTENER, O_CLOEXEC) < 0 || close(listener) < 0))
		fail(errno, "start pasta");
	if (unshare(CLONE_FILES) < 0 || dup2(words, 2) < 0)
		_exit(125);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)close(WIRE_FD_CONTROL);
	(void)execvp(argv[0], argv);
	_exit(127);
}

static void start_pasta(char **argv, const char *rules, struct pasta *ret)
{
	pid_t parent = getpid();
	int words[2];

	if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0)
		fail(errno, "make a pipe");
	ret->words = words[0];
	ret->pid = clone_self(CLONE_FILES | CLONE_VFORK | CLONE_PIDFD, SIGCHLD, &ret->pidfd);
	if (ret->pid < 0)
		fail(errno, "start pasta");
	if (ret->pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(125);
		become_pasta(argv, rules, words[1]);
	}
	/* The child has said why. */
	if (fcntl(FD_LISTENER, F_GETFD) < 0)
		_exit(125);
	guard_open(FD_LISTENER, ret->pidfd, WIRE_FD_NETNS, rules);
}

static void wait_ready(const struct pasta *p)
{
	for (;;) {
		struct pollfd fds[4] = {
			{.fd = p->pidfd, .events = POLLIN},
			{.fd = FD_ROUTES, .events = POLLIN},
			{.fd = WIRE_FD_CONTROL, .events = POLLIN},
			{.fd = FD_LISTENER, .events = POLLIN},
		};
		int n = poll(fds, 4, READY_TIMEOUT_MS);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			fail(ETIMEDOUT, "wait for pasta to set up the network");
		if (fds[0].revents) {
			(void)waitpid(p->pid, NULL, 0);
			fail(0, "pasta could not set up the network: %s", last_words(p->words));
		}
		if (fds[2].revents)
			_exit(0);
		if (fds[3].revents & POLLIN)
			guard_serve();
		if (fds[1].revents && default_route_came(FD_ROUTES))
			break;
	}
	send_message(WIRE_NETNS, 0, "", WIRE_FD_NETNS);
}

/* Until kiln closes its end, or dies. */
static void serve(const struct pasta *p)
{
	for (;;) {
		struct pollfd fds[3] = {
			{.fd = WIRE_FD_CONTROL, .events = POLLIN},
			{.fd = FD_LISTENER, .events = POLLIN},
			{.fd = p->pidfd, .events = POLLIN},
		};
		int n = poll(fds, 3, -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || fds[0].revents || fds[2].revents)
			return;
		if (fds[1].revents & POLLIN)
			guard_serve();
	}
}

/* A child that shares our descriptors makes the namespace and leaves us open files of it: we stay
 * in the host's, where pasta's sockets belong, and could not come back from the new one. */
static void make_namespace(void)
{
	int status, netns, routes;
	pid_t pid = clone_self(CLONE_FILES | CLONE_VFORK, SIGCHLD, NULL);

	if (pid < 0)
		fail(errno, "make a network namespace");
	if (pid > 0) {
		if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			_exit(125);
		return;
	}
	if (unshare(CLONE_NEWNET) < 0)
		fail(errno, "make a network namespace");
	loopback_up();
	make_interface();
	set_defaults();
	routes = watch_routes();
	netns = open("/proc/self/ns/net", O_RDONLY);
	if (routes < 0 || netns < 0 || dup3(routes, FD_ROUTES, O_CLOEXEC) < 0)
		fail(errno, "open the new network namespace");
	/* Inherited by pasta at the number that kiln wrote into its arguments. */
	if (netns != WIRE_FD_NETNS && (dup2(netns, WIRE_FD_NETNS) < 0 || close(netns) < 0))
		fail(errno, "open the new network namespace");
	_exit(0);
}

int network_main(int argc, char **argv)
{
	struct pasta pasta;

	if (argc < 3)
		return 2;
	if (argv[0][0] == '0')
		own_user_namespace();
	/* Reserves the numbers, which the children then fill. */
	for (int fd = WIRE_FD_NETNS; fd <= FD_LISTENER; fd++)
		if (dup2(0, fd) < 0)
			fail(errno, "reserve descriptors");
	make_namespace();
	start_pasta(argv + 2, argv[1], &pasta);
	wait_ready(&pasta);
	serve(&pasta);
	(void)kill(pasta.pid, SIGKILL);
	(void)waitpid(pasta.pid, NULL, 0);
	return 0;
}
