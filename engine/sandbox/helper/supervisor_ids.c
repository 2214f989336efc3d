/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/helper/supervisor_ids.h"

#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>

#define KEEP UINT32_MAX

static bool has(const struct id_set *set, uint32_t id)
{
	return id == set->real || id == set->effective || id == set->saved;
}

/* setuid, setgid: root changes all, others what they act as. */
static int set_one(struct id_set *set, uint32_t id, bool root)
{
	if (id == KEEP)
		return -EINVAL;
	if (!root && id != set->real && id != set->saved)
		return -EPERM;
	set->effective = set->fs = id;
	if (root)
		set->real = set->saved = id;
	return 0;
}

static int set_three(struct id_set *set, uint32_t real, uint32_t effective, uint32_t saved,
		     bool root)
{
	if (!root && ((real != KEEP && !has(set, real)) || (saved != KEEP && !has(set, saved)) ||
		      (effective != KEEP && !has(set, effective))))
		return -EPERM;
	if (real != KEEP)
		set->real = real;
	if (effective != KEEP)
		set->effective = effective;
	if (saved != KEEP)
		set->saved = saved;
	set->fs = set->effective;
	return 0;
}

/* setreuid, setregid: the saved id follows where the real one is set, or the effective one to
 * something that is not the real one. */
static int set_two(struct id_set *set, uint32_t real, uint32_t effective, bool root)
{
	struct id_set old = *set;
	int r;

	if (!root && real != KEEP && real != set->real && real != set->effective)
		return -EPERM;
	r = set_three(set, real, effective, KEEP, root);
	if (r == 0 && (real != KEEP || (effective != KEEP && effective != old.real)))
		set->saved = set->effective;
	return r;
}

/* These return the old id, whether they work or not. */
static void set_fs(struct id_set *set, uint32_t id, bool root, uint32_t *ret_old)
{
	*ret_old = set->fs;
	if (id != KEEP && (root || has(set, id) || id == set->fs))
		set->fs = id;
}

int identity_set(struct identity *id, enum wire_call_kind kind, const uint32_t args[3],
		 uint32_t *ret_value)
{
	bool root = id->user.effective == 0 || id->keeps_caps;

	*ret_value = 0;
	id->changed |= kind != WIRE_CALL_KEEPCAPS;
	switch (kind) {
	case WIRE_CALL_SETUID:
		return set_one(&id->user, args[0], root);
	case WIRE_CALL_SETGID:
		return set_one(&id->group, args[0], root);
	case WIRE_CALL_SETREUID:
		return set_two(&id->user, args[0], args[1], root);
	case WIRE_CALL_SETREGID:
		return set_two(&id->group, args[0], args[1], root);
	case WIRE_CALL_SETRESUID:
		return set_three(&id->user, args[0], args[1], args[2], root);
	case WIRE_CALL_SETRESGID:
		return set_three(&id->group, args[0], args[1], args[2], root);
	case WIRE_CALL_SETFSUID:
		set_fs(&id->user, args[0], root, ret_value);
		return 0;
	case WIRE_CALL_SETFSGID:
		set_fs(&id->group, args[0], root, ret_value);
		return 0;
	case WIRE_CALL_SETGROUPS:
		return root ? 0 : -EPERM;
	case WIRE_CALL_KEEPCAPS:
		/* setpriv, capsh: first the user, then the groups. The capabilities themselves are
		 * the one id's, and stay in any case. */
		id->keeps_caps = root && args[1] == 1;
		return 0;
	default:
		return -ENOSYS;
	}
}

void identity_exec(struct identity *id, uint32_t mode, uint32_t uid, uint32_t gid)
{
	id->keeps_caps = false;
	if (mode & S_ISUID) {
		id->user.effective = uid;
		id->changed = true;
	}
	if (mode & S_ISGID && mode & S_IXGRP)
		id->group.effective = gid;
	id->user.saved = id->user.fs = id->user.effective;
	id->group.saved = id->group.fs = id->group.effective;
}
