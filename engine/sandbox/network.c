/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fields.h"
#include "base/fs.h"
#include "base/number.h"
#include "base/spawn.h"
#include "base/times.h"
#include "engine/sandbox/machine.h"
#include "engine/sandbox/sandbox_server.h"
#include "engine/sandbox/userns.h"

/* What the container asks where the host's resolver listens on loopback; pasta passes it on. */
#define DNS_FORWARD "169.254.1.1"

static const char no_network[] =
	"--network=none runs without a network, and --network=host (builds: with --allow "
	"network.host) with this machine's, its loopback included";

/* How long one that is in use is waited for before another is made: about what making it takes. */
#define PATIENCE_NS 25000000

struct network {
	struct sandbox_helper helper;
	int fd;
	struct network *next; /* in the pool */
};

struct network_pool {
	pthread_mutex_t lock;	/* protects idle and making */
	pthread_cond_t changed; /* one was put back, or one was made */
	struct network *idle;
	unsigned making;
	unsigned made_first,
		at_once;	/* how many were made without waiting, and may be made at once */
	struct network *ending; /* told to end and not waited for yet; the owner's */
};

/* --- resolv.conf and hosts --- */

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* One line of resolv.conf; its resolver's address, or NULL if it names none. */
static char *line_resolver(const char *line, size_t n)
{
	size_t skip = strspn(line, " \t"), end;

	if (n < skip + 10 || strncmp(line + skip, "nameserver", 10) != 0)
		return NULL;
	skip += 10;
	skip += strspn(line + skip, " \t");
	end = skip < n ? strcspn(line + skip, " \t\r\n%#") : 0;
	return end > 0 ? xstrndup(line + skip, end) : NULL;
}

/* Copies the host's resolv.conf without loopback resolvers; returns how many others it has. */
static size_t copy_resolv_conf(bool keep_loopback, struct buf *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 16);
	size_t resolvers = 0;

	if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", &text) < 0)
		return 0;
	for (const char *line = text.p; *line;) {
		size_t n = strcspn(line, "\n");
		_cleanup_free_ char *address = line_resolver(line, n);

		if (!address || keep_loopback || !is_loopback(address)) {
			buf_add(ret, line, n);
			buf_addc(ret, '\n');
			resolvers += address != NULL;
		}
		line += n + (line[n] == '\n');
	}
	return resolvers;
}

static bool needs_dns_forward(void)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	return copy_resolv_conf(false, &text) == 0;
}

char *network_resolv_conf(bool isolated)
{
	struct buf text = BUF_INIT;

	if (copy_resolv_conf(!isolated, &text) == 0 && isolated)
		buf_adds(&text, "nameserver " DNS_FORWARD "\n");
	return buf_take(&text);
}

char *network_hosts(const char *hostname, const struct strv *extra)
{
	struct buf text = BUF_INIT;

	buf_addf(&text, "127.0.0.1\tlocalhost%s%s\n", hostname ? " " : "",
		 hostname ? hostname : "");
	buf_adds(&text, "::1\tlocalhost ip6-localhost ip6-loopback\n");
	for (size_t i = 0; i < extra->n; i++) {
		const char *equals = strchr(extra->v[i], '=');

		if (equals)
			buf_addf(&text, "%s\t%.*s\n", equals + 1, (int)(equals - extra->v[i]),
				 extra->v[i]);
	}
	return buf_take(&text);
}

/* A datagram socket is told its own address without a packet being sent. */
char *network_host_address(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[INET_ADDRSTRLEN];
	socklen_t n = sizeof(at);

	(void)inet_pton(AF_INET, "192.0.2.1", &at.sin_addr);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) < 0 ||
	    !inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text)))
		return NULL;
	return xstrdup(text);
}

/* --- published ports --- */

/* "80" or "8000-8010". */
static bool is_port(const char *s, size_t n)
{
	size_t digits = 0, parts = 1;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '-' && digits > 0 && parts == 1) {
			parts = 2;
			digits = 0;
		} else if (s[i] >= '0' && s[i] <= '9' && digits < 5) {
			digits++;
		} else {
			return false;
		}
	}
	return digits > 0;
}

/* pasta takes it for a success if it got the port for one of IPv4 and IPv6; people would then talk
 * to whatever else has the other. */
static int check_free(const char *text, const char *address, unsigned port, bool udp,
		      struct error **err)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	_cleanup_close_ int fd = -1;
	int one = 1;

	if (*address && inet_pton(AF_INET, address, &at.sin_addr) != 1)
		return error_new(err, ERR_INVALID, 0, "publish '%s': '%s' is not an IPv4 address",
				 text, address);
	fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "publish '%s': make a socket", text);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || (!udp && listen(fd, 1) < 0))
		return error_new(err, ERR_IO, errno, "publish '%s': port %u of this machine", text,
				 port);
	return 0;
}

static int check_ports(const char *text, const char *address, const char *range, bool udp,
		       struct buf *rules, struct error **err)
{
	const char *end = range;
	uint64_t first = 0, last = 0;
	int r = number_take(&end, 10, UINT16_MAX, &first);

	last = first;
	if (r == 0 && *end == '-') {
		end++;
		r = number_take(&end, 10, UINT16_MAX, &last);
	}
	if (r < 0 || *end || first == 0 || first > last)
		return error_new(err, ERR_INVALID, 0, "publish '%s': no such port", text);
	for (unsigned port = (unsigned)first; port <= last && r == 0; port++)
		r = check_free(text, address, port, udp, err);
	if (udp)
		buf_addf(rules, ",=%u-%u", (unsigned)first, (unsigned)last);
	return r;
}

/* [ADDRESS:]HOST:CONTAINER[/PROTOCOL] as pasta wants it: [ADDRESS/]HOST:CONTAINER. */
static int add_port(const char *text, struct strv *args, bool *ret_tcp, bool *ret_udp,
		    struct buf *rules, struct error **err)
{
	const char *slash = strchr(text, '/'), *end = slash ? slash : text + strlen(text);
	const char *container = NULL, *host = text;
	_cleanup_free_ char *address = NULL, *range = NULL;
	bool udp = slash && strcmp(slash, "/udp") == 0;
	int r;

	for (const char *p = text; p < end; p++) {
		if (*p != ':')
			continue;
		if (container)
			host = container;
		container = p + 1;
	}
	if (slash && !udp && strcmp(slash, "/tcp") != 0)
		return error_new(err, ERR_INVALID, 0, "publish '%s': unknown protocol '%s'", text,
				 slash + 1);
	if (!container)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "publish '%s': a port of this machine must be named, as in %s:%s",
				 text, text, text);
	if (!is_port(host, (size_t)(container - 1 - host)) ||
	    !is_port(container, (size_t)(end - container)))
		return error_new(
			err, ERR_INVALID, 0,
			"publish '%s': expected [ADDRESS:]HOSTPORT:CONTAINERPORT[/PROTOCOL]", text);
	address = xstrndup(text, host > text ? (size_t)(host - 1 - text) : 0);
	range = xstrndup(host, (size_t)(container - 1 - host));
	r = check_ports(text, address, range, udp, rules, err);
	if (r < 0)
		return r;
	strv_push(args, udp ? "-u" : "-t");
	strv_pushf(args, "%s%s%.*s", address, *address ? "/" : "", (int)(end - host), host);
	*(udp ? ret_udp : ret_tcp) = true;
	return 0;
}

/* What of this machine may be reached: its resolvers, and on request its address. */
static void add_rules(bool reach_host, struct buf *rules)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 16);
	_cleanup_free_ char *own = reach_host ? network_host_address() : NULL;
	char *save = NULL;

	if (own)
		buf_addf(rules, ",%s/0", own);
	if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", &text) < 0)
		return;
	for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		_cleanup_free_ char *address = line_resolver(line, strlen(line));
		unsigned char bytes[16];

		if (address && (inet_pton(AF_INET, address, bytes) == 1 ||
				inet_pton(AF_INET6, address, bytes) == 1))
			buf_addf(rules, ",%s/53", address);
	}
}

/* pasta's options for the ports, and as rules who may be answered. */
static int port_args(const struct strv *publish, struct strv *args, struct buf *rules,
		     struct error **err)
{
	bool tcp = false, udp = false;

	for (size_t i = 0; publish && i < publish->n; i++) {
		int r = add_port(publish->v[i], args, &tcp, &udp, rules, err);

		if (r < 0)
			return r;
	}
	/* By default pasta would publish whatever listens. */
	if (!tcp) {
		strv_push(args, "-t");
		strv_push(args, "none");
	}
	if (!udp) {
		strv_push(args, "-u");
		strv_push(args, "none");
	}
	return 0;
}

static int pasta_args(const struct strv *publish, bool reach_host, struct strv *args,
		      struct error **err)
{
	/* By default it would also bring the host's loopback to the inside. */
	static const char *const fixed[] = {
		"pasta", "-f", "-q",   "--config-net", "--netns-only", "-T",
		"none",	 "-U", "none", "--no-map-gw",  "-I",	       NETWORK_INTERFACE};
	static const char *const other_address[] = {"-a", "10.231.117.2", "-n",
						    "30", "-g",		  "10.231.117.1"};
	_cleanup_strv_ struct strv ports = {0};
	_cleanup_buf_ struct buf rules = BUF_INIT;
	int r = port_args(publish, &ports, &rules, err);

	if (r < 0)
		return r;
	add_rules(reach_host, &rules);
	strv_push(args, "network");
	strv_push(args, userns_inside() ? "1" : "0");
	strv_pushn(args, rules.n > 0 ? rules.p : "", rules.n);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		strv_push(args, fixed[i]);
	/* By default the inside has this machine's own address, which then leads to itself. */
	for (size_t i = 0; reach_host && i < ARRAY_SIZE(other_address); i++)
		strv_push(args, other_address[i]);
	for (size_t i = 0; i < ports.n; i++)
		strv_push(args, ports.v[i]);
	if (needs_dns_forward()) {
		strv_push(args, "--dns-forward");
		strv_push(args, DNS_FORWARD);
	}
	strv_push(args, "--netns");
	strv_pushf(args, "/proc/self/fd/%d", WIRE_FD_NETNS);
	return 0;
}

/* --- one network --- */

static void network_stop(struct network *n)
{
	int status;

	cleanup_closep(&n->helper.control);
	if (n->helper.pid > 0)
		(void)!spawn_wait(n->helper.pid, n->helper.pidfd, &status);
	cleanup_closep(&n->fd);
	free(n);
}

static int wait_ready(struct network *n, struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct wire_message m;
	int r = sandbox_helper_receive(n->helper.control, &m, &text, &n->fd);

	if (r > 0 && m.kind == WIRE_NETNS && n->fd >= 0)
		return 0;
	if (r > 0 && m.kind == WIRE_FAILED) {
		r = error_new(err, ERR_IO, m.value, "set up the network: %s", text.p);
		return error_hint(err, r, "%s", no_network);
	}
	return error_new(err, ERR_INTERNAL, r < 0 ? -r : 0, "set up the network: no answer");
}

/* pasta wants a user namespace also of root. */
static int explain(int r, struct error **err)
{
	_cleanup_free_ char *hint = machine_namespaces_hint("", !userns_inside() && geteuid() == 0);

	return hint ? error_hint(err, r, "%s", hint) : r;
}

int network_open(const struct strv *publish, bool reach_host, struct network **ret,
		 struct error **err)
{
	_cleanup_strv_ struct strv args = {0};
	struct sandbox_io io = SANDBOX_IO_LOGS;
	struct network *n;
	int r = pasta_args(publish, reach_host, &args, err);

	if (r < 0)
		return r;
	n = NEW(struct network);
	n->fd = -1;
	n->helper = (struct sandbox_helper){-1, -1, -1};
	r = sandbox_helper_start((const char *const *)strv_argv(&args), &io, -1, NULL, &n->helper,
				 err);
	if (r == 0)
		r = wait_ready(n, err);
	if (r < 0) {
		network_stop(n);
		return explain(r, err);
	}
	*ret = n;
	return 0;
}

void network_close(struct network *n)
{
	if (n)
		network_stop(n);
}

int network_fd(const struct network *n)
{
	return n->fd;
}

bool network_available(const char **ret_why)
{
	_cleanup_free_ char *pasta = machine_program("", getenv("PATH"), "pasta");

	/* Where users may not open it, pasta of a user cannot make an interface. */
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		*ret_why = errno == ENOENT ? "/dev/net/tun does not exist (see 'kiln doctor')"
					   : "/dev/net/tun cannot be opened (see 'kiln doctor')";
		return false;
	}
	*ret_why = "pasta (package passt) is not installed (see 'kiln doctor')";
	return pasta != NULL;
}

static bool only_zeros(const char *text)
{
	return text[strspn(text, "0")] == '\0';
}

/* A line of /proc/net/route or ipv6_route whose destination is everything, and not by loopback. */
static bool has_default_route(const char *path, bool six)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 20);
	const size_t n = six ? 10 : 8, at_mask = six ? 1 : 7;
	char *save = NULL, *fields[10];

	if (fs_read_file(AT_FDCWD, path, &text) < 0)
		return false;
	for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (fields_split(line, fields, n) == n && only_zeros(fields[six ? 0 : 1]) &&
		    only_zeros(fields[at_mask]) && strcmp(fields[six ? 9 : 0], "lo") != 0)
			return true;
	}
	return false;
}

bool network_routed(void)
{
	return has_default_route("/proc/net/route", false) ||
	       has_default_route("/proc/net/ipv6_route", true);
}

/* --- the pool --- */

struct network_pool *network_pool_new(void)
{
	struct network_pool *p = NEW(struct network_pool);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	p->at_once = cores > 2 ? (unsigned)cores : 2;
	return p;
}

void network_pool_dismiss(struct network_pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
	while (p->idle) {
		struct network *n = p->idle;

		p->idle = n->next;
		n->next = p->ending;
		p->ending = n;
		cleanup_closep(&n->helper.control);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

void network_pool_free(struct network_pool *p)
{
	if (!p)
		return;
	network_pool_dismiss(p);
	while (p->ending) {
		struct network *n = p->ending;

		p->ending = n->next;
		network_stop(n);
	}
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

static bool network_alive(const struct network *n)
{
	struct pollfd fd = {.fd = n->helper.pidfd, .events = POLLIN};

	return poll(&fd, 1, 0) == 0;
}

/* With the lock held: waits until there is an idle one or it is time to make one. Making one takes
 * as long as a few short steps do, so one that is about to be put back is waited for; and more at
 * once than there are cores would only be made later, all of them. */
static struct network *wait_for_idle(struct network_pool *p)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PATIENCE_NS;
	until.tv_sec += until.tv_nsec / NS_PER_S;
	until.tv_nsec %= NS_PER_S;
	for (bool waited = false; !p->idle;) {
		if (p->making >= p->at_once) {
			(void)pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		if (waited || p->made_first < p->at_once)
			return NULL;
		waited = pthread_cond_timedwait(&p->changed, &p->lock, &until) == ETIMEDOUT;
	}
	return p->idle;
}

int network_acquire(struct network_pool *p, struct network **ret, struct error **err)
{
	struct network *n;
	int r;

	(void)pthread_mutex_lock(&p->lock);
	n = wait_for_idle(p);
	if (n && network_alive(n)) {
		p->idle = n->next;
		(void)pthread_mutex_unlock(&p->lock);
		*ret = n;
		return 0;
	}
	if (n)
		p->idle = n->next;
	p->making++;
	p->made_first += p->made_first < p->at_once;
	(void)pthread_mutex_unlock(&p->lock);
	network_close(n);
	r = network_open(NULL, false, ret, err);
	(void)pthread_mutex_lock(&p->lock);
	p->making--;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

void network_put(struct network_pool *p, struct network *n)
{
	if (!n)
		return;
	if (!network_alive(n)) {
		network_close(n);
		return;
	}
	(void)pthread_mutex_lock(&p->lock);
	n->next = p->idle;
	p->idle = n;
	(void)pthread_cond_signal(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}
