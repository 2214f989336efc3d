/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/users.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/passwd.h"
#include "store/rootfs.h"

void user_ids_release(struct user_ids *u)
{
	vec_release(&u->groups);
	free(u->home);
	u->home = NULL;
}

/* A number is an id, also where a user has that name: so it is in runc, and for groups below. */
static bool find_user(const struct buf *passwd, const char *who, struct passwd_user *ret)
{
	uint32_t uid;

	if (passwd_parse_id(who, strlen(who), &uid))
		return passwd_user_by_id(passwd->p, passwd->n, uid, ret);
	return passwd_user_by_name(passwd->p, passwd->n, who, ret);
}

static int find_group(const char *name, const struct buf *group, uint32_t *ret, struct error **err)
{
	struct passwd_group g;
	int r;

	if (passwd_parse_id(name, strlen(name), ret))
		return 0;
	if (passwd_group_by_name(group->p, group->n, name, &g)) {
		*ret = g.gid;
		return 0;
	}
	r = error_new(err, ERR_NOTFOUND, 0,
		      "unable to find group %s: no matching entries in group file", name);
	return error_hint(err, r, "make the group in an earlier step, or give its number");
}

static void add_groups_of(const struct passwd_user *user, const struct buf *group,
			  struct user_ids *ret)
{
	_cleanup_free_ char *name = xstrndup(user->name.p, user->name.n);
	struct passwd_group g;
	size_t pos = 0;

	while (passwd_next_group(group->p, group->n, &pos, &g))
		if (g.gid != ret->gid && passwd_group_has_member(&g, name))
			vec_push(&ret->groups, g.gid);
}

int users_find(const char *spec, const struct buf *passwd, const struct buf *group,
	       struct user_ids *ret, struct error **err)
{
	const char *colon = strchr(spec, ':');
	_cleanup_free_ char *who = xstrndup(spec, colon ? (size_t)(colon - spec) : strlen(spec));
	const char *group_name = colon ? colon + 1 : "";
	struct user_ids u = {0};
	struct passwd_user user;
	bool found = find_user(passwd, *who ? who : "0", &user);

	if (found) {
		u.uid = user.uid;
		u.gid = user.gid;
	} else if (*who && !passwd_parse_id(who, strlen(who), &u.uid)) {
		int r = error_new(err, ERR_NOTFOUND, 0,
				  "unable to find user %s: no matching entries in passwd file",
				  who);

		return error_hint(err, r, "make the user in an earlier step, or give its number");
	}
	if (*group_name) {
		int r = find_group(group_name, group, &u.gid, err);
		if (r < 0)
			return r;
	}
	vec_push(&u.groups, u.gid);
	if (found && !*group_name)
		add_groups_of(&user, group, &u);
	u.home = passwd_user_by_id(passwd->p, passwd->n, u.uid, &user)
			 ? xstrndup(user.home.p, user.home.n)
			 : xstrdup("/");
	*ret = u;
	return 0;
}

/* A file that is not there is an empty one. */
static int read_optional(const struct rootfs *r, const char *path, struct buf *ret,
			 struct error **err)
{
	_cleanup_(error_freep) struct error *why = NULL;
	int e = rootfs_read(r, path, PASSWD_FILE_MAX, ret, &why);

	if (e == -ERR_NOTFOUND)
		return 0;
	if (e < 0 && err)
		*err = TAKE_PTR(why);
	return e;
}

int users_find_in_layers(struct store *s, const int64_t *layers, size_t n, const char *spec,
			 struct user_ids *ret, struct error **err)
{
	_cleanup_buf_ struct buf passwd = BUF_INIT, group = BUF_INIT;
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	int r = rootfs_open(s, layers, n, &rootfs, err);

	if (r == 0)
		r = read_optional(rootfs, "etc/passwd", &passwd, err);
	if (r == 0)
		r = read_optional(rootfs, "etc/group", &group, err);
	return r == 0 ? users_find(spec, &passwd, &group, ret, err) : r;
}
