/* SPDX-License-Identifier: Apache-2.0 */
/* EXPOSE: ports and ranges of them. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/dockerfile/df_text.h"
#include "frontend/lower.h"

#define PORT_MAX 65535

struct port_spec {
	const char *ip, *host, *port, *proto; /* "" where absent */
};

static bool parse_number(const char *s, unsigned *ret)
{
	unsigned long n = 0;

	/* Go's numbers may have a sign. */
	if (*s == '+')
		s++;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (unsigned long)(*s - '0');
		if (n > PORT_MAX)
			return false;
	}
	*ret = (unsigned)n;
	return true;
}

/* "80" or "8000-8010" */
static bool parse_range(struct arena *a, const char *s, unsigned *first, unsigned *last)
{
	const char *dash = strchr(s, '-');

	if (!dash)
		return parse_number(s, first) && parse_number(s, last);
	return parse_number(arena_strndup(a, s, (size_t)(dash - s)), first) &&
	       parse_number(dash + 1, last) && *first <= *last;
}

/* [ip:][host:]port[/proto]; an IPv6 address has colons of its own. */
static struct port_spec split(struct arena *a, const char *text)
{
	struct port_spec p = {"", "", text, ""};
	const char *last = strrchr(text, ':'), *slash;

	if (last) {
		char *front = arena_strndup(a, text, (size_t)(last - text));
		char *colon = strrchr(front, ':');

		p.port = last + 1;
		p.host = front;
		if (colon) {
			*colon = '\0';
			p.ip = front;
			p.host = colon + 1;
		}
	}
	slash = strchr(p.port, '/');
	if (slash) {
		p.proto = slash + 1;
		p.port = arena_strndup(a, p.port, (size_t)(slash - p.port));
	}
	return p;
}

static bool ip_ok(struct arena *a, const char *ip)
{
	unsigned char out[16];
	size_t n = strlen(ip);

	if (*ip == '[' && n > 2 && ip[n - 1] == ']')
		ip = arena_strndup(a, ip + 1, n - 2);
	return inet_pton(AF_INET, ip, out) == 1 || inet_pton(AF_INET6, ip, out) == 1;
}

static int check_host(struct arena *a, const struct port_spec *p, unsigned span, struct error **err)
{
	unsigned first, last;

	if (*p->ip && !ip_ok(a, p->ip))
		return error_new(err, ERR_INVALID, 0, "invalid IP address: %s", p->ip);
	if (!*p->host)
		return 0;
	if (!parse_range(a, p->host, &first, &last))
		return error_new(err, ERR_INVALID, 0, "invalid hostPort: %s", p->host);
	if (span > 0 && last - first != span)
		return error_new(err, ERR_INVALID, 0,
				 "invalid ranges specified for container and host Ports: %s and %s",
				 p->port, p->host);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *)b);
}

/* Is `name` among the first n elements, which are sorted? */
static bool is_listed(const struct strv *list, size_t n, const char *name)
{
	return n > 0 && bsearch(name, list->v, n, sizeof(*list->v), compare_names);
}

/* The first n_sorted ports of the stage are sorted. */
static int add_port(struct compiler *c, struct stage *s, const struct df_instruction *in,
		    const char *text, size_t n_sorted, struct buf *listed, struct error **err)
{
	struct port_spec p = split(c->arena, text);
	const char *proto = *p.proto ? df_lower(c->arena, p.proto) : "tcp";
	unsigned first, last;
	int r;

	if (!*p.port)
		return error_new(err, ERR_INVALID, 0, "invalid port: \"%s\": no port specified",
				 text);
	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0 && strcmp(proto, "sctp") != 0)
		return error_new(err, ERR_INVALID, 0, "invalid port: \"%s\": invalid proto: %s",
				 text, p.proto);
	df_lint_port(c->lint, in, text);
	if (!parse_range(c->arena, p.port, &first, &last))
		return error_new(err, ERR_INVALID, 0, "invalid containerPort: %s", p.port);
	r = check_host(c->arena, &p, last - first, err);
	if (r < 0)
		return r;
	if (last - first >= c->ports_left)
		return error_new(err, ERR_INVALID, 0,
				 "invalid containerPort: %s: the Dockerfile exposes more than %d "
				 "ports",
				 p.port, LOWER_PORTS_MAX);
	c->ports_left -= last - first + 1;
	for (unsigned port = first; port <= last; port++) {
		char name[32];
		int n = snprintf(name, sizeof(name), "%u/%s", port, proto);

		if (listed->n > 0)
			buf_addc(listed, ' ');
		buf_add(listed, name, (size_t)n);
		if (!is_listed(&s->config.exposed_ports, n_sorted, name))
			strv_push(&s->config.exposed_ports, name);
	}
	return 0;
}

static bool is_sorted(const struct strv *list)
{
	for (size_t i = 1; i < list->n; i++)
		if (strcmp(list->v[i - 1], list->v[i]) >= 0)
			return false;
	return true;
}

static void sort_unique(struct strv *list)
{
	size_t n = 0;

	if (is_sorted(list))
		return;
	strv_sort(list);
	for (size_t i = 0; i < list->n; i++) {
		if (n > 0 && strcmp(list->v[n - 1], list->v[i]) == 0)
			free(list->v[i]);
		else
			list->v[n++] = list->v[i];
	}
	if (n < list->n)
		list->v[n] = NULL;
	list->n = n;
}

/* Where `name` belongs among the first n elements, which are sorted and others. */
static size_t place_of(const struct strv *list, size_t n, const char *name)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (strcmp(list->v[middle], name) < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* The elements from `head` on come among those before, which are sorted and others: with thousands
 * of instructions nobody can sort them all at each. */
static void merge_tail(struct strv *list, size_t head)
{
	struct strv tail = {0};
	size_t at = head, to = list->n;

	for (size_t i = head; i < list->n; i++)
		strv_push_take(&tail, list->v[i]);
	sort_unique(&tail);
	to = list->n = head + tail.n;
	for (size_t k = tail.n; k-- > 0;) {
		size_t place = place_of(list, at, tail.v[k]), moved = at - place;

		to -= moved;
		memmove(&list->v[to], &list->v[place], moved * sizeof(*list->v));
		at = place;
		list->v[--to] = tail.v[k];
	}
	if (list->v)
		list->v[list->n] = NULL;
	free(tail.v);
}

int lower_expose(struct compiler *c, struct stage *s, const struct df_instruction *in,
		 struct error **err)
{
	struct df_shell shell = lower_shell(c, s);
	_cleanup_buf_ struct buf listed = BUF_INIT;
	size_t n_sorted;

	if (!s->ports_sorted)
		sort_unique(&s->config.exposed_ports);
	s->ports_sorted = true;
	n_sorted = s->config.exposed_ports.n;
	for (size_t i = 0; i < in->words.n; i++) {
		struct df_strings ports = {0};
		int r = df_expand_words(&shell, c->arena, in->words.v[i], NULL, &ports, err);

		for (size_t j = 0; j < ports.n && r == 0; j++)
			r = add_port(c, s, in, ports.v[j], n_sorted, &listed, err);
		if (r < 0)
			return r;
	}
	merge_tail(&s->config.exposed_ports, n_sorted);
	lower_add_history(c, s, true, "EXPOSE [%s]", listed.p);
	return 0;
}
