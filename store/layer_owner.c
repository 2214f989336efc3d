/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/path.h"
#include "store/rootfs.h"

#define SUFFIX_MAX 16		 /* bytes of ".dpkg-old" and the like */
#define RECORDS_MAX (256u << 20) /* bytes: some ten million symlinks */

int step_owners_open(struct step_owners *o, int dirfd, const char *work,
		     const struct layer_step *step, struct error **err)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT_MAX(RECORDS_MAX);
	_cleanup_free_ char *path = xasprintf("%s/" OWNER_RECORDS, work);
	int r;

	*o = (struct step_owners){.step = step};
	if (!step)
		return 0;
	r = fs_read_file(dirfd, path, &bytes);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read the owners that a step recorded");
	for (size_t at = 0; at + sizeof(struct owner_record) <= bytes.n;
	     at += sizeof(struct owner_record)) {
		struct owner_record record;
		void **slot;

		memcpy(&record, bytes.p + at, sizeof(record));
		slot = map_put(&o->records, &record.inode, sizeof(record.inode));
		if (!*slot) {
			*slot = NEW(struct owner);
			*(struct owner *)*slot = OWNER_NONE;
		}
		owner_merge(*slot, &record.owner);
	}
	return 0;
}

void step_owners_release(struct step_owners *o)
{
	map_release(&o->records, free);
}

static bool takes_mark(const struct entry *e)
{
	return e->type == ENTRY_FILE || e->type == ENTRY_DIR;
}

/* What a file was made in place of: what the layers below have there; or, for a copy that is named
 * after its original ("shadow-", "conf~", "conf.orig"), that. */
static bool find_original(const struct step_owners *o, const struct entry *e, bool marked,
			  struct rootfs_node *ret)
{
	_cleanup_free_ char *path = xstrdup(e->path);
	size_t n = strlen(path), shortest = (size_t)(path_base(path) - path) + 1;

	if (rootfs_get(o->step->below, path, ret))
		return true;
	if (!marked || e->type != ENTRY_FILE)
		return false;
	for (size_t cut = 1; cut <= SUFFIX_MAX && n - cut >= shortest; cut++) {
		path[n - cut] = '\0';
		if (rootfs_get(o->step->below, path, ret))
			return true;
	}
	return false;
}

/* Whose it is if nobody changed that. What is copied up brings its mark along, and the files of
 * lower layers have one unless they are root's, so that a copy without a mark is root's. */
static struct owner owner_by_default(const struct step_owners *o, const struct entry *e,
				     bool marked, bool copied, const struct entry *dir)
{
	struct owner made = {o->step->uid, dir->mode & S_ISGID ? dir->gid : o->step->gid};
	struct rootfs_node below;
	bool same;

	if (e->type == ENTRY_FILE && copied)
		return (struct owner){0, 0};
	if (!find_original(o, e, marked, &below) || below.entry.type != e->type)
		return made;
	/* A directory made anew where one was is opaque; a file, if it has a mark, was to have the
	 * owner of the one that it replaced. */
	if (takes_mark(e))
		same = marked || (e->type == ENTRY_DIR && !e->opaque);
	else /* the overlay has no sign for these, but a copy keeps its time */
		same = e->mtime == below.entry.mtime;
	return same ? (struct owner){below.entry.uid, below.entry.gid} : made;
}

/* A step sees the xattr, so that what copies xattrs copies owners; root's need none. */
static int leave_mark(const char *node, const struct owner *mark, const struct owner *owner)
{
	if (owner->uid == 0 && owner->gid == 0)
		return mark && removexattr(node, OWNER_MARK_XATTR) < 0 ? -errno : 0;
	if (mark && owner->uid == mark->uid && owner->gid == mark->gid)
		return 0;
	return owner_mark_write(node, owner);
}

int step_owners_apply(const struct step_owners *o, int fd, const char *node,
		      const struct owner *mark, bool copied, const struct entry *dir,
		      struct entry *e, struct error **err)
{
	struct owner owner;
	int r = 0;

	if (!o->step || e->type == ENTRY_WHITEOUT)
		return 0;
	owner = owner_by_default(o, e, mark, copied, dir);
	if (mark)
		owner_merge(&owner, mark);
	if (!takes_mark(e) && o->records.n > 0) {
		struct owner_inode inode;
		const struct owner *record;

		r = owner_inode_of(fd, "", AT_EMPTY_PATH, &inode);
		record = r < 0 ? NULL : map_get(&o->records, &inode, sizeof(inode));
		if (record)
			owner_merge(&owner, record);
	}
	e->uid = owner.uid;
	e->gid = owner.gid;
	if (r == 0 && takes_mark(e))
		r = leave_mark(node, mark, &owner);
	return r < 0 ? error_new(err, ERR_IO, -r, "record the owner of '%s'", e->path) : 0;
}
