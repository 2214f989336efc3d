#include "engine/tree_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"

struct copy {
	struct tree *tree;
	int dirfd;
	struct cancel *cancel;
};

static int copy_file(const struct copy *c, const struct entry *e, struct error **err)
{
	_cleanup_close_ int from = -1, to = -1;
	int r;

	from = c->tree->ops->open(c->tree, e, err);
	if (from < 0)
		return from;
	/* The directory is ours alone and holds no links but those that we copied. */
	to = fs_open_no_symlinks(c->dirfd, e->path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	r = to < 0 ? to : fs_copy_data(from, to, UINT64_MAX);
	if (r == 0 && fchmod(to, e->mode) < 0)
		r = -errno;
	if (r < 0)
		return error_new(err, ERR_IO, -r, "copy '%s' for a mount", e->path);
	return 0;
}

static int make_node(const struct copy *c, const struct entry *e)
{
	switch (e->type) {
	case ENTRY_DIR:
		/* The root and the parents are there. */
		if (mkdirat(c->dirfd, e->path, 0755) < 0 && errno != EEXIST)
			return -errno;
		return fchmodat(c->dirfd, e->path, e->mode, 0) < 0 ? -errno : 0;
	case ENTRY_SYMLINK:
		return symlinkat(e->link, c->dirfd, e->path) < 0 ? -errno : 0;
	case ENTRY_FIFO:
		return mkfifoat(c->dirfd, e->path, e->mode) < 0 ? -errno : 0;
	default:
		return 0;
	}
}

static int copy_entry(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	const struct copy *c = data;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = e->mtime}};
	int r;

	(void)group; /* links to one file become files of their own */
	if (cancel_is_set(c->cancel))
		return error_new(err, ERR_CANCELED, 0, "copying for a mount was stopped");
	if (e->path[0] == '\0')
		return 0;
	if (e->type == ENTRY_FILE) {
		r = copy_file(c, e, err);
		if (r < 0)
			return r;
	} else {
		r = make_node(c, e);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "copy '%s' for a mount", e->path);
	}
	if (!c->tree->is_context &&
	    fchownat(c->dirfd, e->path, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_new(err, ERR_IO, errno, "set the owner of '%s' for a mount", e->path);
	(void)utimensat(c->dirfd, e->path, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

int tree_copy(struct tree *t, const char *path, int dirfd, struct cancel *cancel,
	      struct error **err)
{
	struct copy c = {.tree = t, .dirfd = dirfd, .cancel = cancel};
	_cleanup_free_ char *parent = path_dir(path);
	int r;

	if (strcmp(parent, ".") != 0) {
		r = fs_mkdir_p(dirfd, parent, 0755);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "make '%s' for a mount", parent);
	}
	return t->ops->walk(t, path, copy_entry, &c, err);
}
