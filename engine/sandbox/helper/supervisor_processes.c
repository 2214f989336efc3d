/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes of a step have other ids than the one there is. Programs want to become somebody
 * and look whether it worked: apt, su, sudo. So the supervisor keeps the ids that they would have.
 *
 * The kernel tells of neither fork nor exec. A process is told from another of its number by its
 * start time; one that is seen first takes over from the nearest forebear that is known; and one
 * that is seen to run another program than before has the ids that this gives it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fields.h"
#include "base/number.h"
#include "engine/sandbox/helper/helper.h"

#define FOREBEARS_MAX 256 /* as deep as one looks for one that is known */
#define TABLE_MIN 64
#define TABLE_MAX (1 << 16)
#define STATUS_MAX 4096

struct process {
	pid_t pid, parent; /* pid 0: an unused entry */
	uint64_t started;
	dev_t program_dev;
	ino_t program_ino;
	struct identity id;
};

/* --- what the kernel says about a process --- */

static bool read_file(const struct step_files *s, pid_t pid, const char *name, char to[STATUS_MAX])
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%d/%.16s", pid, name);
	fd = openat(s->proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, to, STATUS_MAX - 1);
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	to[n] = '\0';
	return true;
}

/* Field 4 of proc_pid_stat(5) is the parent and 22 the start time; field 2 can hold anything and
 * ends with the last ")". */
static bool read_process(const struct step_files *s, pid_t pid, struct process *ret)
{
	enum { PARENT = 4 - 2, STARTED = 22 - 2 };
	char text[STATUS_MAX], *at, *fields[STARTED + 1];
	uint64_t parent, started;

	if (pid <= 0 || !read_file(s, pid, "stat", text))
		return false;
	at = strrchr(text, ')');
	if (!at || fields_split(at, fields, STARTED + 1) <= STARTED ||
	    number_parse(fields[PARENT], 10, INT_MAX, &parent) < 0 ||
	    number_parse(fields[STARTED], 10, UINT64_MAX, &started) < 0)
		return false;
	*ret = (struct process){.pid = pid, .parent = (pid_t)parent, .started = started};
	return true;
}

/* The process that a thread belongs to. */
static pid_t process_of(const struct step_files *s, pid_t tid)
{
	char text[STATUS_MAX];

	return read_file(s, tid, "status", text) ? status_pid(text, "\nTgid:") : -1;
}

static void follow_exec(const struct step_files *s, struct process *p)
{
	char path[64];
	struct owner owner;
	struct stat st;

	(void)snprintf(path, sizeof(path), "%d/exe", p->pid);
	if (fstatat(s->proc, path, &st, 0) < 0 ||
	    (st.st_dev == p->program_dev && st.st_ino == p->program_ino))
		return;
	p->program_dev = st.st_dev;
	p->program_ino = st.st_ino;
	owner = owner_mark_read(path);
	identity_exec(&p->id, st.st_mode, owner.uid == OWNER_UNKNOWN ? 0 : owner.uid,
		      owner.gid == OWNER_UNKNOWN ? 0 : owner.gid);
}

/* --- the table --- */

static struct process *find_known(const struct processes *t, const struct process *p)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->known[i].pid == p->pid && t->known[i].started == p->started)
			return &t->known[i];
	return NULL;
}

/* Drops the processes that are gone. Returns how many are left. */
static size_t forget_gone(struct processes *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct process now;

		if (read_process(t->files, t->known[i].pid, &now) &&
		    now.started == t->known[i].started)
			t->known[n++] = t->known[i];
	}
	t->n = n;
	return n;
}

/* Room for one more, at the end. */
static struct process *make_room(struct processes *t)
{
	if (t->n == t->room && forget_gone(t) >= t->room / 2) {
		size_t room = t->room ? t->room * 2 : TABLE_MIN;
		struct process *more =
			room > TABLE_MAX ? NULL : realloc(t->known, room * sizeof(*more));

		if (!more && t->n == t->room)
			return NULL;
		if (more) {
			t->known = more;
			t->room = room;
		}
	}
	return &t->known[t->n++];
}

/* Takes over from the nearest forebear that is known. */
static struct process *introduce(struct processes *t, const struct process *p)
{
	const struct process *from = NULL;
	struct process at = *p, made = *p, *entry;

	for (int i = 0; i < FOREBEARS_MAX && !from && at.parent > 0; i++) {
		if (!read_process(t->files, at.parent, &at))
			break;
		from = find_known(t, &at);
	}
	if (from) {
		made.id = from->id;
		made.program_dev = from->program_dev;
		made.program_ino = from->program_ino;
	}
	entry = make_room(t);
	if (entry)
		*entry = made;
	return entry;
}

/* By its number for us; all others here are those of /proc. NULL: it has ended, or there are too
 * many. */
static struct process *look_up(struct processes *t, pid_t tid)
{
	pid_t pid = process_of(t->files, proc_pid(t->files->proc, tid));
	struct process now, *p;

	if (!read_process(t->files, pid, &now))
		return NULL;
	p = find_known(t, &now);
	if (!p)
		p = introduce(t, &now);
	if (p)
		follow_exec(t->files, p);
	return p;
}

int processes_get(struct processes *t, pid_t tid, struct identity *ret)
{
	const struct process *p;

	*ret = (struct identity){0};
	if (!t->any)
		return 0;
	p = look_up(t, tid);
	if (!p)
		return -EAGAIN;
	*ret = p->id;
	return 0;
}

int processes_set(struct processes *t, pid_t tid, enum wire_call_kind kind, const uint32_t args[3],
		  uint32_t *ret_value)
{
	struct process *p = look_up(t, tid);

	if (!p)
		return -EAGAIN;
	t->any = true;
	return identity_set(&p->id, kind, args, ret_value);
}
