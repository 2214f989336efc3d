#include "engine/file_owner.h"

#include "base/fs.h"
#include "engine/layer_edit.h"
#include "engine/passwd.h"
#include "engine/tree_rootfs.h"

/* Reads one of the two files. */
typedef int (*read_fn)(const void *data, const char *path, struct buf *ret, struct error **err);

static int no_such_name(const char *what, const char *name, const char *file, struct error **err)
{
	int r = error_new(err, ERR_INVALID, 0, "look up %s '%s': not in %s", what, name, file);

	return error_hint(err, r, "create the %s in an earlier step, or give its number", what);
}

static int find_user(read_fn read, const void *data, const char *name, struct file_owner *ret,
		     struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(PASSWD_FILE_MAX);
	struct passwd_user user;
	int r = read(data, "etc/passwd", &text, err);

	if (r < 0)
		return error_wrap(err, r, "look up user '%s'", name);
	if (!passwd_user_by_name(text.p, text.n, name, &user))
		return no_such_name("user", name, "/etc/passwd", err);
	ret->uid = user.uid;
	ret->gid = user.gid;
	return 0;
}

static int find_group(read_fn read, const void *data, const char *name, struct file_owner *ret,
		      struct error **err)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(PASSWD_FILE_MAX);
	struct passwd_group group;
	int r = read(data, "etc/group", &text, err);

	if (r < 0)
		return error_wrap(err, r, "look up group '%s'", name);
	if (!passwd_group_by_name(text.p, text.n, name, &group))
		return no_such_name("group", name, "/etc/group", err);
	ret->gid = group.gid;
	return 0;
}

static int resolve(read_fn read, const void *data, const struct op_owner *owner,
		   struct file_owner *ret, struct error **err)
{
	int r;

	*ret = (struct file_owner){0};
	if (!owner->set)
		return 0;
	*ret = (struct file_owner){.set = true, .uid = owner->uid, .gid = owner->uid};
	if (owner->user && *owner->user) {
		r = find_user(read, data, owner->user, ret, err);
		if (r < 0)
			return r;
	}
	if (!owner->group_set)
		return 0;
	if (owner->group && *owner->group)
		return find_group(read, data, owner->group, ret, err);
	ret->gid = owner->gid;
	return 0;
}

static int read_edit(const void *data, const char *path, struct buf *ret, struct error **err)
{
	return layer_edit_read(data, path, PASSWD_FILE_MAX, ret, err);
}

int file_owner_in_edit(const struct layer_edit *edit, const struct op_owner *owner,
		       struct file_owner *ret, struct error **err)
{
	return resolve(read_edit, edit, owner, ret, err);
}

static int read_tree(const void *data, const char *path, struct buf *ret, struct error **err)
{
	struct tree *const *tree = data;
	_cleanup_free_ char *resolved = NULL;
	_cleanup_close_ int fd = -1;
	struct entry entry;
	bool exists;
	int r = tree_resolve(*tree, path, true, &resolved, &exists, &entry, err);

	if (r < 0)
		return r;
	if (!exists || entry.type != ENTRY_FILE)
		return error_new(err, ERR_NOTFOUND, 0, "'/%s' is no file of the image", path);
	fd = (*tree)->ops->open(*tree, &entry, err);
	if (fd < 0)
		return fd;
	r = fs_read_fd(fd, ret);
	return r < 0 ? error_new(err, ERR_IO, -r, "read '/%s'", resolved) : 0;
}

int file_owner_in_result(struct store *s, const struct result *result, const struct op_owner *owner,
			 struct file_owner *ret, struct error **err)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	int r = tree_of_result(s, result, &tree, err);

	return r < 0 ? r : resolve(read_tree, &tree, owner, ret, err);
}
