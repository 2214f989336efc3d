/* SPDX-License-Identifier: Apache-2.0 */
/* What of this machine decides whether kiln may do what it does: settings of the kernel, ids that
 * are granted to users, programs. It is only read, below a root directory: "" for this machine's
 * own, other directories for tests.
 */
#ifndef KILN_ENGINE_SANDBOX_MACHINE_H
#define KILN_ENGINE_SANDBOX_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/sandbox/findings.h"

struct id_range {
	unsigned long start, count;
};

struct machine_user {
	const char *name; /* NULL: it has none */
	unsigned uid;
	const char *path; /* where programs are; PATH */
};

/* The number in a file like /proc/sys/user/max_user_namespaces; false: there is none. */
bool machine_number(const char *root, const char *file, int64_t *ret);
/* Where a program is: the first of that name in `path`; heap, without the root. NULL: nowhere. */
char *machine_program(const char *root, const char *path, const char *name);

/* What keeps user namespaces, and the others, from being made. For a `privileged` user (root) fewer
 * settings count. Nothing is added where nothing is in the way. */
void machine_namespaces(const char *root, bool privileged, struct findings *ret);
/* The same as the text of a hint; heap. NULL: nothing is known to be in the way. */
char *machine_namespaces_hint(const char *root, bool privileged);

/* The first range of at least two ids that a file like /etc/subuid grants the user. */
bool machine_range(const char *root, const char *file, const struct machine_user *user,
		   struct id_range *ret);
/* Why this user can map no range of ids, or only a poor one; static or NULL if he can. */
void machine_ids(const char *root, const struct machine_user *user, struct findings *ret);

#endif
