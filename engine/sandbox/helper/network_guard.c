/* SPDX-License-Identifier: Apache-2.0 */
/* What pasta may connect to: the network, not this machine.
 *
 * All that leaves a step's network goes through sockets of pasta, which lie in this machine's
 * network namespace: what a step puts into its frames, by whatever socket, comes out as a connect
 * or send call of pasta's or not at all. A seccomp filter holds those calls back, and for each the
 * kernel is asked how it would route the address now. Only a unicast address behind an interface
 * goes on; so addresses that this machine gets while a step runs are not among those that it reaches, and
 * nothing in the step's namespace decides about it.
 *
 * A call that goes on is made by pasta itself. It has one thread at a time and its memory to
 * itself, so what was read of it is what the kernel will read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/number.h"
#include "engine/sandbox/helper/helper.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#else
#error "which AUDIT_ARCH is this?"
#endif
#define X32_SYSCALL_BIT 0x40000000 /* other numbers for the same calls */

#define LOOPBACK_INDEX 1 /* of the interface, in every network namespace */
#define RULES_MAX 64
#define PEERS_MAX 256
#define MESSAGES_MAX 1024 /* UIO_MAXIOV: more the kernel does not take */

struct address {
	int family;
	uint8_t bytes[16];
	uint16_t port; /* 0 in a rule: all */
	uint32_t scope;
};

struct port_range {
	unsigned first, last;
};

/* Who has sent a datagram to a published port: it may be answered. */
struct peer {
	struct address from;
	uint16_t to; /* our port */
};

static struct {
	struct notify calls;
	int pasta, netns, routes; /* pidfd, namespace, netlink socket */
	struct address let[RULES_MAX];
	size_t n_let;
	struct port_range answers[RULES_MAX];
	size_t n_answers;
	struct peer peers[PEERS_MAX];
	size_t n_peers;
} guard;

/* --- the filter --- */

/* Where nobody may look into another process, pasta's addresses cannot be read. */
static bool may_look(void)
{
	char level = '0';
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!read(fd, &level, 1);
		(void)close(fd);
	}
	return level != '3';
}

int guard_install(bool answers)
{
	const uint32_t reads = answers ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
	int listener;
#define CALL(nr, action) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, (action))
	const struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_SYSCALL_BIT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		CALL(SYS_connect, SECCOMP_RET_USER_NOTIF),
		CALL(SYS_sendto, SECCOMP_RET_USER_NOTIF),
		CALL(SYS_sendmsg, SECCOMP_RET_USER_NOTIF),
		CALL(SYS_sendmmsg, SECCOMP_RET_USER_NOTIF),
		CALL(SYS_recvfrom, reads),
		CALL(SYS_recvmsg, reads),
		CALL(SYS_recvmmsg, reads),
		/* It would make such calls unseen. */
		CALL(SYS_io_uring_setup, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
#undef CALL

	if (!may_look())
		fail(0,
		     "pasta cannot be kept from this machine's addresses: the setting "
		     "kernel.yama.ptrace_scope is 3, so that nobody can look at its connections");
	listener = notify_install(filter, sizeof(filter) / sizeof(filter[0]));
	if (listener < 0)
		fail(errno, "pasta cannot be kept from this machine's addresses%s",
		     errno == EBUSY ? ": whoever has started kiln supervises its system calls"
				    : "");
	return listener;
}

/* --- addresses --- */

static size_t address_size(const struct address *a)
{
	return a->family == AF_INET ? 4 : 16;
}

static bool same_host(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, address_size(a)) == 0;
}

/* False: it is not an address of the internet. An IPv4 address in IPv6's clothes is an IPv4 address. */
static bool get_address(const struct sockaddr_storage *name, size_t n, struct address *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct sockaddr_in *four = (const void *)name;
	const struct sockaddr_in6 *six = (const void *)name;

	memset(ret, 0, sizeof(*ret));
	if (name->ss_family == AF_INET6 && n >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		ret->port = ntohs(six->sin6_port);
		if (memcmp(&six->sin6_addr, mapped, sizeof(mapped)) == 0) {
			ret->family = AF_INET;
			memcpy(ret->bytes, six->sin6_addr.s6_addr + sizeof(mapped), 4);
			return true;
		}
		ret->family = AF_INET6;
		ret->scope = n >= sizeof(*six) ? six->sin6_scope_id : 0;
		memcpy(ret->bytes, &six->sin6_addr, 16);
		return true;
	}
	/* The kernel sends to an address without a family, too. */
	if ((name->ss_family == AF_INET || name->ss_family == AF_UNSPEC) && n >= sizeof(*four)) {
		ret->family = AF_INET;
		ret->port = ntohs(four->sin_port);
		memcpy(ret->bytes, &four->sin_addr, 4);
		return true;
	}
	return false;
}

/* Nobody's, which the kernel takes for its own, and that of a group, which we may be in. */
static bool names_one_host(const struct address *a)
{
	static const uint8_t zeros[16];

	if (memcmp(a->bytes, zeros, address_size(a)) == 0)
		return false;
	return a->family == AF_INET ? (a->bytes[0] & 0xf0) != 0xe0 : a->bytes[0] != 0xff;
}

/* --- the kernel's routes --- */

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	char attributes[64];
};

static void add_attribute(struct route_request *r, unsigned short type, const void *data, size_t n)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->header.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), data, n);
	r->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->header.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* What is only read is not const: the macros of netlink cast that away, which clang minds. */
static int read_route(struct nlmsghdr *h, size_t n)
{
	struct rtmsg *route = NLMSG_DATA(h);
	size_t left;

	if (!NLMSG_OK(h, n))
		return -EPROTO;
	if (h->nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	if (h->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST)
		return -EACCES;
	left = RTM_PAYLOAD(h);
	for (struct rtattr *a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		int index;

		if (a->rta_type != RTA_OIF || RTA_PAYLOAD(a) != sizeof(index))
			continue;
		memcpy(&index, RTA_DATA(a), sizeof(index));
		return index == LOOPBACK_INDEX ? -EACCES : 0;
	}
	return -EACCES;
}

/* 0: packets to it leave this machine; else -errno. */
static int leaves(const struct address *a)
{
	struct route_request r = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.route)),
			   .nlmsg_type = RTM_GETROUTE,
			   .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = (unsigned char)a->family,
			  .rtm_dst_len = (unsigned char)(address_size(a) * 8)},
	};
	_Alignas(struct nlmsghdr) char answer[4096];
	ssize_t n;

	if (!names_one_host(a))
		return -EACCES;
	add_attribute(&r, RTA_DST, a->bytes, address_size(a));
	if (a->scope != 0)
		add_attribute(&r, RTA_OIF, &a->scope, sizeof(a->scope));
	if (send(guard.routes, &r, r.header.nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recv(guard.routes, answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : read_route((void *)answer, (size_t)n);
}

/* --- what may be reached all the same --- */

static bool is_let(const struct address *a)
{
	for (size_t i = 0; i < guard.n_let; i++)
		if (same_host(&guard.let[i], a) &&
		    (guard.let[i].port == 0 || guard.let[i].port == a->port))
			return true;
	return false;
}

/* pasta's connections to what listens in the step's own namespace. */
static bool is_inside(int socket)
{
	int fd = ioctl(socket, SIOCGSKNS);
	struct stat theirs, ours;
	bool same;

	/* The machine's namespace, which is not ours to open. */
	if (fd < 0)
		return false;
	same = fstat(fd, &theirs) == 0 && fstat(guard.netns, &ours) == 0 &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
	(void)close(fd);
	return same;
}

/* A UDP socket's own port if it is a published one, else 0. */
static uint16_t published_port(int socket)
{
	struct sockaddr_storage name = {0};
	socklen_t n = sizeof(name), size = sizeof(int);
	struct address own;
	int type;

	if (guard.n_answers == 0 || getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    type != SOCK_DGRAM || getsockname(socket, (struct sockaddr *)&name, &n) < 0 ||
	    !get_address(&name, n, &own))
		return 0;
	for (size_t i = 0; i < guard.n_answers; i++)
		if (own.port >= guard.answers[i].first && own.port <= guard.answers[i].last)
			return own.port;
	return 0;
}

static bool is_peer(const struct address *a, uint16_t port)
{
	size_t n = guard.n_peers < PEERS_MAX ? guard.n_peers : PEERS_MAX;

	for (size_t i = 0; i < n; i++)
		if (guard.peers[i].to == port && guard.peers[i].from.port == a->port &&
		    same_host(&guard.peers[i].from, a))
			return true;
	return false;
}

static int pasta_socket(int number)
{
	return (int)syscall(SYS_pidfd_getfd, guard.pasta, number, 0);
}

/* pasta is about to receive from a socket: who sent the datagram that it will get? Nobody else of
 * this machine may be answered. */
static void note_sender(int number)
{
	int socket = pasta_socket(number);
	struct sockaddr_storage name = {0};
	socklen_t n = sizeof(name);
	struct peer peer = {0};
	char byte;

	if (socket < 0)
		return;
	peer.to = published_port(socket);
	if (peer.to != 0 && !is_inside(socket) &&
	    recvfrom(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC,
		     (struct sockaddr *)&name, &n) >= 0 &&
	    get_address(&name, n, &peer.from) && !is_peer(&peer.from, peer.to))
		guard.peers[guard.n_peers++ % PEERS_MAX] = peer;
	(void)close(socket);
}

/* --- the calls --- */

/* 0 or -errno. */
static int judge(int number, const struct address *to)
{
	int r = leaves(to), socket;

	if (r == 0 || is_let(to))
		return 0;
	socket = pasta_socket(number);
	if (socket < 0)
		return r;
	if (is_inside(socket) || is_peer(to, published_port(socket)))
		r = 0;
	(void)close(socket);
	return r;
}

static int judge_name(int number, uint64_t at, uint64_t size, bool connect)
{
	struct sockaddr_storage name = {0};
	struct address to;

	if (size > sizeof(name) || size < sizeof(name.ss_family))
		return -EINVAL;
	if (!notify_read(&guard.calls, at, &name, size))
		return -EFAULT;
	/* This ends a connection, or it has nothing to do with a step. */
	if ((connect && name.ss_family == AF_UNSPEC) || !get_address(&name, size, &to))
		return 0;
	return judge(number, &to);
}

/* A connection's other end was judged when it was made, but a datagram is routed anew. */
static int judge_peer(int number)
{
	int socket = pasta_socket(number), type = SOCK_STREAM, r = 0;
	struct sockaddr_storage name = {0};
	socklen_t n = sizeof(name), size = sizeof(type);
	struct address to;

	if (socket < 0)
		return -errno;
	if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		r = -errno;
	else if (type != SOCK_STREAM && getpeername(socket, (struct sockaddr *)&name, &n) == 0 &&
		 get_address(&name, n, &to))
		r = judge(number, &to);
	(void)close(socket);
	return r;
}

static int judge_message(int number, const struct msghdr *m)
{
	return m->msg_name
		       ? judge_name(number, (uint64_t)(uintptr_t)m->msg_name, m->msg_namelen, false)
		       : judge_peer(number);
}

static int judge_messages(int number, uint64_t at, uint64_t n)
{
	struct mmsghdr m, last = {0};
	int r = 0;

	for (uint64_t i = 0; i < n && i < MESSAGES_MAX && r == 0; i++, last = m) {
		if (!notify_read(&guard.calls, at + i * sizeof(m), &m, sizeof(m)))
			return -EFAULT;
		if (i == 0 || m.msg_hdr.msg_name != last.msg_hdr.msg_name ||
		    m.msg_hdr.msg_namelen != last.msg_hdr.msg_namelen)
			r = judge_message(number, &m.msg_hdr);
	}
	return r;
}

static int judge_call(const struct seccomp_data *call)
{
	const __u64 *args = call->args;
	int number = (int)args[0];
	struct msghdr m;

	switch (call->nr) {
	case SYS_connect:
		return judge_name(number, args[1], (uint32_t)args[2], true);
	case SYS_sendto:
		return args[4] ? judge_name(number, args[4], (uint32_t)args[5], false)
			       : judge_peer(number);
	case SYS_sendmsg:
		return notify_read(&guard.calls, args[1], &m, sizeof(m)) ? judge_message(number, &m)
									 : -EFAULT;
	case SYS_sendmmsg:
		return judge_messages(number, args[1], (uint32_t)args[2]);
	default:
		note_sender(number);
		return 0;
	}
}

void guard_serve(void)
{
	int r = notify_receive(&guard.calls);

	if (r == 0)
		return;
	if (r < 0)
		fail(-r, "look at pasta's connections");
	guard.calls.response->error = judge_call(&guard.calls.request->data);
	if (guard.calls.response->error == 0)
		guard.calls.response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	r = notify_answer(&guard.calls);
	if (r < 0)
		fail(-r, "answer pasta");
}

/* --- setting up --- */

static bool take_ports(const char *at, struct port_range *ret)
{
	uint64_t first, last;

	if (number_take(&at, 10, UINT16_MAX, &first) < 0 || *at++ != '-' ||
	    number_parse(at, 10, UINT16_MAX, &last) < 0)
		return false;
	*ret = (struct port_range){(unsigned)first, (unsigned)last};
	return true;
}

/* "=FIRST-LAST": UDP ports that are published; "ADDRESS/PORT": what may be reached. */
static void add_rule(const char *rule)
{
	struct address *let = &guard.let[guard.n_let];
	const char *slash = strchr(rule, '/');
	uint64_t port;
	char text[INET6_ADDRSTRLEN];

	if (guard.n_let == RULES_MAX || guard.n_answers == RULES_MAX)
		fail(0, "too many exceptions for a network");
	if (*rule == '=' && take_ports(rule + 1, &guard.answers[guard.n_answers])) {
		guard.n_answers++;
		return;
	}
	if (!slash || number_parse(slash + 1, 10, UINT16_MAX, &port) < 0 ||
	    slash - rule >= (ptrdiff_t)sizeof(text))
		fail(0, "'%s' is not a valid exception for a network", rule);
	(void)snprintf(text, sizeof(text), "%.*s", (int)(slash - rule), rule);
	let->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	let->port = (uint16_t)port;
	if (inet_pton(let->family, text, let->bytes) != 1)
		fail(0, "exception for a network: '%s' is not an IP address", text);
	guard.n_let++;
}

void guard_open(int listener, int pasta, int netns, const char *rules)
{
	char *copy = format("%s", rules), *save = NULL;
	int r = notify_open(listener, &guard.calls);

	if (r < 0)
		fail(-r, "look at pasta's connections");
	guard.pasta = pasta;
	guard.netns = netns;
	guard.routes = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (guard.routes < 0)
		fail(errno, "ask for routes");
	for (char *rule = strtok_r(copy, ",", &save); rule; rule = strtok_r(NULL, ",", &save))
		add_rule(rule);
}
