#include "engine/tree_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/owner_set.h"
#include "base/path.h"

struct copy {
	struct tree *tree;
	size_t skip; /* bytes of the source path that `name` stands for */
	const char *name;
	int dirfd;
	struct cancel *cancel;
};

static int copy_file(const struct copy *c, const struct entry *e, const char *to,
		     struct error **err)
{
	_cleanup_close_ int in = -1, out = -1;
	int r;

	in = c->tree->ops->open(c->tree, e, err);
	if (in < 0)
		return in;
	/* The directory is ours alone and holds no links but those that we copied. */
	out = fs_open_no_symlinks(c->dirfd, to, O_CREAT | O_EXCL | O_WRONLY, 0600);
	r = out < 0 ? out : fs_copy_data(in, out, UINT64_MAX);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "copy '%s' for a mount", e->path);
	return 0;
}

static int make_node(const struct copy *c, const struct entry *e, const char *to)
{
	int r = 0;

	if (e->type == ENTRY_DIR)
		r = mkdirat(c->dirfd, to, 0755);
	else if (e->type == ENTRY_SYMLINK)
		r = symlinkat(e->link, c->dirfd, to);
	else if (e->type == ENTRY_FIFO)
		r = mkfifoat(c->dirfd, to, 0600);
	return r < 0 ? -errno : 0;
}

static int set_attributes(const struct copy *c, const struct entry *e, const char *to)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = e->mtime}};
	/* The owner first: changing it clears set-id bits. */
	int r = c->tree->is_context ? 0 : owner_set(c->dirfd, to, e->uid, e->gid);

	if (r < 0)
		return r;
	if (e->type != ENTRY_SYMLINK && fchmodat(c->dirfd, to, e->mode, 0) < 0)
		return -errno;
	/* A directory's time moves again when it is filled; nothing depends on it. */
	(void)utimensat(c->dirfd, to, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int copy_entry(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	const struct copy *c = data;
	const char *rest = e->path + c->skip;
	_cleanup_free_ char *joined = path_join(c->name, rest + strspn(rest, "/"));
	int r;

	(void)group; /* links to one file become files of their own */
	if (cancel_is_set(c->cancel))
		return error_new(err, ERR_CANCELED, 0, "copying for a mount was stopped");
	/* Devices have no place in what a mount shows. */
	if (joined[0] == '\0' || e->type == ENTRY_CHAR || e->type == ENTRY_BLOCK)
		return 0;
	if (e->type == ENTRY_FILE) {
		r = copy_file(c, e, joined, err);
		if (r < 0)
			return r;
	} else {
		r = make_node(c, e, joined);
		if (r < 0)
			return error_new(err, ERR_IO, -r, "copy '%s' for a mount", e->path);
	}
	r = set_attributes(c, e, joined);
	return r < 0 ? error_new(err, ERR_IO, -r, "copy '%s' for a mount", e->path) : 0;
}

int tree_copy(struct tree *t, const char *path, int dirfd, const char *name, struct cancel *cancel,
	      struct error **err)
{
	struct copy c = {t, strlen(path), name, dirfd, cancel};

	return t->ops->walk(t, path, copy_entry, &c, err);
}
