/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a sandbox plan from kiln (wire.h). */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

static void read_all(int fd, void *to, size_t n)
{
	char *p = to;

	while (n > 0) {
		ssize_t r = read(fd, p, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			fail(r < 0 ? errno : EPIPE, "read the plan");
		p += r;
		n -= (size_t)r;
	}
}

static void bad(uint32_t tag)
{
	fail(EINVAL, "read the plan: record %u is malformed", tag);
}

static const char *text(const struct wire_record *r)
{
	const char *s = (const char *)(r + 1);

	if (r->size == 0 || s[r->size - 1] != '\0')
		bad(r->tag);
	return s;
}

static const void *value(const struct wire_record *r, size_t size)
{
	if (r->size != size)
		bad(r->tag);
	return r + 1;
}

static void read_mount(const struct wire_record *r, struct mount_item *item)
{
	const char *strings = (const char *)(r + 1) + sizeof(struct wire_mount);
	size_t n = r->size - sizeof(struct wire_mount), first;

	if (r->size < sizeof(struct wire_mount) + 2 || strings[n - 1] != '\0')
		bad(r->tag);
	memcpy(&item->m, r + 1, sizeof(item->m));
	item->fd = -1;
	item->source = strings;
	first = strlen(strings) + 1;
	if (first >= n)
		bad(r->tag);
	item->dest = strings + first;
}

/* Arrays are as long as the number of records: what a plan can need at most. */
static void plan_allocate(struct plan *p, size_t n)
{
	p->lowers = alloc((n + 1) * sizeof(*p->lowers));
	p->mounts = alloc((n + 1) * sizeof(*p->mounts));
	p->masked = alloc((n + 1) * sizeof(*p->masked));
	p->readonly = alloc((n + 1) * sizeof(*p->readonly));
	p->joins = alloc((n + 1) * sizeof(*p->joins));
	p->dirs = alloc((n + 1) * sizeof(*p->dirs));
	p->args = alloc((n + 1) * sizeof(*p->args));
	p->env = alloc((n + 1) * sizeof(*p->env));
	p->groups = alloc((n + 1) * sizeof(*p->groups));
	p->rlimits = alloc((n + 1) * sizeof(*p->rlimits));
	p->calls = alloc((n + 1) * sizeof(*p->calls));
}

static void read_mount_detail(const struct wire_record *r, struct plan *p, size_t n)
{
	struct mount_item *item = p->mounts + p->n_mounts - 1;

	if (p->n_mounts == 0)
		bad(r->tag);
	if (r->tag == WIRE_MOUNT_DATA) {
		item->data = r + 1;
		item->size = r->size;
		return;
	}
	if (!item->lowers)
		item->lowers = alloc((n + 1) * sizeof(*item->lowers));
	item->lowers[item->n_lowers++] = text(r);
}

static void read_process(const struct wire_record *r, struct plan *p)
{
	switch (r->tag) {
	case WIRE_ARG:
		p->args[p->n_args++] = strdup(text(r));
		break;
	case WIRE_ENV:
		p->env[p->n_env++] = strdup(text(r));
		break;
	case WIRE_CWD:
		p->cwd = text(r);
		break;
	case WIRE_BINFMT:
		p->binfmt = text(r);
		break;
	case WIRE_HOSTNAME:
		p->hostname = text(r);
		break;
	case WIRE_IDS:
		memcpy(&p->ids, value(r, sizeof(p->ids)), sizeof(p->ids));
		break;
	case WIRE_GROUP:
		memcpy(&p->groups[p->n_groups++], value(r, sizeof(gid_t)), sizeof(gid_t));
		break;
	case WIRE_CAPS:
		memcpy(&p->caps, value(r, sizeof(p->caps)), sizeof(p->caps));
		break;
	case WIRE_SECCOMP:
		p->seccomp = (const struct sock_filter *)(const void *)(r + 1);
		p->n_seccomp = r->size / sizeof(struct sock_filter);
		break;
	case WIRE_RLIMIT:
		memcpy(&p->rlimits[p->n_rlimits++], value(r, sizeof(struct wire_rlimit)),
		       sizeof(struct wire_rlimit));
		break;
	case WIRE_NOTIFY:
		p->notify = (const struct sock_filter *)(const void *)(r + 1);
		p->n_notify = r->size / sizeof(struct sock_filter);
		break;
	case WIRE_CALL:
		memcpy(&p->calls[p->n_calls++], value(r, sizeof(struct wire_call)),
		       sizeof(struct wire_call));
		break;
	default:
		bad(r->tag);
	}
}

static void read_record(const struct wire_record *r, struct plan *p, size_t n)
{
	switch (r->tag) {
	case WIRE_FLAGS:
		memcpy(&p->flags, value(r, sizeof(p->flags)), sizeof(p->flags));
		break;
	case WIRE_WINDOW:
		memcpy(&p->window, value(r, sizeof(p->window)), sizeof(p->window));
		break;
	case WIRE_LOWER:
		p->lowers[p->n_lowers++] = text(r);
		break;
	case WIRE_UPPER:
		p->upper = text(r);
		break;
	case WIRE_SCRATCH:
		p->scratch = text(r);
		break;
	case WIRE_MOUNT:
		read_mount(r, &p->mounts[p->n_mounts++]);
		break;
	case WIRE_MOUNT_LOWER:
	case WIRE_MOUNT_DATA:
		read_mount_detail(r, p, n);
		break;
	case WIRE_MASKED:
		p->masked[p->n_masked++] = text(r);
		break;
	case WIRE_READONLY:
		p->readonly[p->n_readonly++] = text(r);
		break;
	case WIRE_JOIN:
		p->joins[p->n_joins++] = text(r);
		break;
	case WIRE_DIR:
		p->dirs[p->n_dirs++] = text(r);
		break;
	default:
		read_process(r, p);
	}
}

void plan_read(int fd, struct plan *ret)
{
	struct wire_header header;
	char *bytes;
	size_t n = 0;

	read_all(fd, &header, sizeof(header));
	if (header.magic != WIRE_MAGIC || header.size > WIRE_PLAN_MAX)
		fail(EINVAL, "read the plan");
	bytes = alloc((size_t)header.size + 1);
	read_all(fd, bytes, header.size);
	/* Twice: to count and check, then to fill arrays of that length. */
	for (int pass = 0; pass < 2; pass++) {
		size_t left = header.size;
		const char *at = bytes;

		while (left > 0) {
			const struct wire_record *r = (const void *)at;
			size_t step;

			if (left < sizeof(*r) || r->size > left - sizeof(*r))
				bad(0);
			step = sizeof(*r) + (((size_t)r->size + 7) & ~(size_t)7);
			if (step > left)
				bad(r->tag);
			if (pass == 1)
				read_record(r, ret, n);
			else
				n++;
			at += step;
			left -= step;
		}
		if (pass == 0)
			plan_allocate(ret, n);
	}
	if (!ret->upper || !ret->scratch || !ret->cwd || ret->n_args == 0)
		fail(EINVAL, "read the plan: it is not complete");
}
