/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file_read.h"
#include "base/fs.h"
#include "base/owner_set.h"
#include "base/path.h"
#include "store/internal.h"

enum { HOLE_MIN = 1 << 16 }; /* shorter runs of zeros are written */

int layer_writer_check_path(const char *path, struct error **err)
{
	const char *p = path;
	int r = path_check_length(path, err);

	if (r < 0)
		return r;
	while (*p) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > NAME_MAX || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.') || (p[n] == '/' && p[n + 1] == '\0'))
			return error_new(err, ERR_INVALID, 0,
					 "'%s' is not a valid path inside a layer", path);
		p += n + (p[n] == '/');
	}
	return 0;
}

bool layer_name_is_whiteout(const char *path)
{
	return strncmp(path_base(path), ".wh.", 4) == 0;
}

int layer_writer_check_name(const char *path, struct error **err)
{
	int r;

	if (!layer_name_is_whiteout(path))
		return 0;
	r = error_new(err, ERR_INVALID, 0,
		      "'/%s' cannot be in an image: there the name means that '%s' is deleted",
		      path, path_base(path) + 4);
	return error_hint(err, r, "give the file another name, or leave it out");
}

int layer_writer_check_link(const struct index_builder *index, const struct entry *e,
			    struct error **err)
{
	const struct entry *target = e->link ? index_builder_get(index, e->link) : NULL;

	if (!target || (target->type != ENTRY_FILE && target->type != ENTRY_HARDLINK) ||
	    path_within(e->link, e->path))
		return error_new(
			err, ERR_INVALID, 0,
			"'%s' is a hard link to '%s', which is not an earlier file of the layer",
			e->path, e->link ? e->link : "");
	return 0;
}

void layer_writer_forget_parent(struct layer_writer *w)
{
	cleanup_closep(&w->parent_fd);
	free(TAKE_PTR(w->parent));
}

/* Descriptor (borrowed) of the directory that holds `path`, which must be there. */
static int parent_of(struct layer_writer *w, const char *path, struct error **err)
{
	const char *base = path_base(path);
	size_t n = base > path ? (size_t)(base - path) - 1 : 0;
	_cleanup_free_ char *parent = NULL;
	int fd;

	if (n == 0)
		return w->fs;
	if (w->parent && strncmp(w->parent, path, n) == 0 && w->parent[n] == '\0')
		return w->parent_fd;
	layer_writer_forget_parent(w);
	parent = xstrndup(path, n);
	fd = fs_open_no_symlinks(w->fs, parent, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open directory '%s' of a layer", parent);
	w->parent = TAKE_PTR(parent);
	w->parent_fd = fd;
	return fd;
}

static int give_to(int dirfd, const char *name, const struct entry *e, struct error **err)
{
	int r, errnum = -owner_set(dirfd, name, e->uid, e->gid);

	if (errnum == 0)
		return 0;
	r = error_new(err, ERR_IO, errnum, "give '%s' to %u:%u", e->path, e->uid, e->gid);
	if (errnum == EINVAL)
		return error_hint(
			err, r,
			"this user has no such id: extend the user's lines in /etc/subuid and "
			"/etc/subgid");
	return r;
}

/* Of what was made just now, which is this user's. */
static int set_owner(const struct layer_writer *w, int dirfd, const char *name,
		     const struct entry *e, struct error **err)
{
	if (!owner_single_id() && e->uid == w->uid && e->gid == w->gid)
		return 0;
	return give_to(dirfd, name, e, err);
}

static int set_times(int dirfd, const char *name, const struct entry *e, struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = e->mtime}};

	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_new(err, ERR_IO, errno, "set the time of '%s'", e->path);
	return 0;
}

/* Opaque marks go through a descriptor: setxattr has no form with a directory. */
static int mark_opaque(struct layer_writer *w, const char *path, struct error **err)
{
	_cleanup_close_ int fd = fs_open_no_symlinks(w->fs, path, O_RDONLY | O_DIRECTORY, 0);
	int r;

	if (fd < 0)
		return error_new(err, ERR_IO, -fd, "open directory '%s' of a layer", path);
	r = store_mark_opaque(w->s, fd);
	return r < 0 ? error_new(err, ERR_IO, -r, "mark directory '%s' opaque", path) : 0;
}

static void lock_index(struct layer_writer *w)
{
	if (w->main)
		(void)pthread_mutex_lock(&w->main->lock);
}

static void unlock_index(struct layer_writer *w)
{
	if (w->main)
		(void)pthread_mutex_unlock(&w->main->lock);
}

static bool is_listed(struct layer_writer *w, const char *path)
{
	bool listed;

	lock_index(w);
	listed = index_builder_get(w->index, path) != NULL;
	unlock_index(w);
	return listed;
}

void layer_writer_refuse_devices(struct layer_writer *w)
{
	w->no_devices = true;
}

int layer_writer_remove(struct layer_writer *w, const char *path, struct error **err)
{
	int dirfd, r;

	if (!*path || !is_listed(w, path))
		return 0;
	dirfd = parent_of(w, path, err);
	if (dirfd < 0)
		return dirfd;
	r = fs_remove_tree(dirfd, path_base(path));
	if (r < 0)
		return error_new(err, ERR_IO, -r, "remove '%s' from a layer", path);
	layer_writer_forget_parent(w);
	lock_index(w);
	index_builder_remove_tree(w->index, path);
	unlock_index(w);
	return 0;
}

/* Makes or updates one directory whose parent is there. Mode and time are set at commit, when
 * nobody has to write into it any more. */
static int put_dir(struct layer_writer *w, const struct entry *e, struct error **err)
{
	const struct entry *old = index_builder_get(w->index, e->path);
	bool was_dir = old && old->type == ENTRY_DIR;
	struct entry made = *e;
	int dirfd, r;

	made.opaque = e->opaque || (old && (!was_dir || old->opaque));
	if (!*e->path) {
		r = give_to(w->fs, "", e, err);
		if (r == 0)
			index_builder_add(w->index, &made);
		return r;
	}
	if (old && !was_dir) {
		r = layer_writer_remove(w, e->path, err);
		if (r < 0)
			return r;
	}
	dirfd = parent_of(w, e->path, err);
	if (dirfd < 0)
		return dirfd;
	if (!was_dir && mkdirat(dirfd, path_base(e->path), 0700) < 0)
		return error_new(err, ERR_IO, errno, "create directory '%s' in a layer", e->path);
	/* One that was put before may be anybody's. */
	r = (was_dir ? give_to(dirfd, path_base(e->path), e, err)
		     : set_owner(w, dirfd, path_base(e->path), e, err));
	if (r == 0 && made.opaque)
		r = mark_opaque(w, e->path, err);
	if (r == 0)
		index_builder_add(w->index, &made);
	return r;
}

/* Anything but a directory gives way: a name is never looked up through a symlink of this layer. */
static int make_parents(struct layer_writer *w, const char *path, struct error **err)
{
	_cleanup_free_ char *copy = xstrdup(path);

	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct entry dir = {.path = copy, .type = ENTRY_DIR, .mode = 0755};
		const struct entry *old;
		int r = 0;

		*slash = '\0';
		old = index_builder_get(w->index, copy);
		if (!old || old->type != ENTRY_DIR) {
			if (w->uid != 0) {
				dir.uid = w->uid;
				dir.gid = w->gid;
			}
			r = put_dir(w, &dir, err);
			if (r == 0)
				*map_puts(&w->implied, copy) = w;
		}
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

bool layer_writer_has_implied(const struct layer_writer *w)
{
	return w->implied.n > 0;
}

int layer_writer_imply(struct layer_writer *w, layer_implied_fn fill, void *data,
		       struct error **err)
{
	const struct map_entry *m;
	int r = 0;

	for (size_t i = 0; r == 0 && (m = map_next(&w->implied, &i));) {
		const struct entry *old = index_builder_get(w->index, m->key);
		struct entry dir;

		if (!m->value || !old || old->type != ENTRY_DIR)
			continue;
		dir = *old;
		dir.path = m->key;
		r = fill(data, &dir, err);
		if (r == 0)
			r = put_dir(w, &dir, err);
	}
	return r;
}

static int put_hardlink(struct layer_writer *w, const struct entry *e, struct error **err)
{
	_cleanup_close_ int from = -1;
	_cleanup_free_ char *dir = NULL;
	int to, r = layer_writer_check_link(w->index, e, err);

	if (r == 0)
		r = layer_writer_remove(w, e->path, err);
	if (r < 0)
		return r;
	dir = path_dir(e->link);
	from = fs_open_no_symlinks(w->fs, dir, O_PATH | O_DIRECTORY, 0);
	if (from < 0)
		return error_new(err, ERR_IO, -from, "open directory '%s' of a layer", dir);
	to = parent_of(w, e->path, err);
	if (to < 0)
		return to;
	if (linkat(from, path_base(e->link), to, path_base(e->path), 0) < 0)
		return error_new(err, ERR_IO, errno, "link '%s' to '%s'", e->path, e->link);
	index_builder_add(w->index, e);
	return 0;
}

/* A device that may not be made here lives in the index; on disk a whiteout keeps a lower layer
 * from showing through. */
static int make_device(struct store *s, int dirfd, const char *name, const struct entry *e,
		       bool *ret_real)
{
	mode_t type = e->type == ENTRY_CHAR ? S_IFCHR : S_IFBLK;
	bool looks_like_whiteout = e->type == ENTRY_CHAR && e->dev_major == 0 && e->dev_minor == 0;

	*ret_real = false;
	if (!looks_like_whiteout &&
	    mknodat(dirfd, name, type | 0600, makedev(e->dev_major, e->dev_minor)) == 0) {
		*ret_real = true;
		return 0;
	}
	if (!looks_like_whiteout && errno != EPERM)
		return -errno;
	return store_put_whiteout(s, dirfd, name);
}

static int put_special(struct layer_writer *w, const struct entry *e, struct error **err)
{
	const char *name = path_base(e->path);
	bool real = true;
	int dirfd, r = layer_writer_remove(w, e->path, err);

	if (r < 0)
		return r;
	dirfd = parent_of(w, e->path, err);
	if (dirfd < 0)
		return dirfd;
	switch (e->type) {
	case ENTRY_SYMLINK:
		if (!e->link || !*e->link)
			return error_new(err, ERR_INVALID, 0, "symlink '%s' has no target",
					 e->path);
		r = symlinkat(e->link, dirfd, name) < 0 ? -errno : 0;
		break;
	case ENTRY_FIFO:
		r = mkfifoat(dirfd, name, 0600) < 0 ? -errno : 0;
		break;
	case ENTRY_WHITEOUT:
		real = false;
		r = store_put_whiteout(w->s, dirfd, name);
		break;
	default:
		r = make_device(w->s, dirfd, name, e, &real);
		break;
	}
	if (r < 0)
		return error_new(err, ERR_IO, -r, "create '%s' in a layer", e->path);
	if (real) {
		r = set_owner(w, dirfd, name, e, err);
		if (r == 0 && e->type != ENTRY_SYMLINK && fchmodat(dirfd, name, e->mode, 0) < 0)
			r = error_new(err, ERR_IO, errno, "set the mode of '%s'", e->path);
		if (r == 0)
			r = set_times(dirfd, name, e, err);
		if (r < 0)
			return r;
	}
	index_builder_add(w->index, e);
	return 0;
}

/* A whiteout hides lower layers only: beside a directory of this layer it makes that opaque, and
 * anything else of this layer hides what is below it already. */
static int put_whiteout(struct layer_writer *w, const struct entry *e, struct error **err)
{
	const struct entry *old = index_builder_get(w->index, e->path);
	struct entry dir;
	int r;

	if (!old)
		return put_special(w, e, err);
	if (old->type != ENTRY_DIR)
		return 0;
	dir = *old;
	dir.opaque = true;
	r = mark_opaque(w, e->path, err);
	if (r == 0)
		index_builder_add(w->index, &dir);
	return r;
}

int layer_writer_put(struct layer_writer *w, const struct entry *e, struct error **err)
{
	int r = layer_writer_check_path(e->path, err);

	if (r == 0)
		r = make_parents(w, e->path, err);
	if (r < 0)
		return r;
	if (!*e->path && e->type != ENTRY_DIR)
		return error_new(err, ERR_INVALID, 0,
				 "the root of a layer can only be a directory");
	switch (e->type) {
	case ENTRY_DIR:
		if (w->implied.n > 0 && map_gets(&w->implied, e->path))
			*map_puts(&w->implied, e->path) = NULL;
		return put_dir(w, e, err);
	case ENTRY_HARDLINK:
		return put_hardlink(w, e, err);
	case ENTRY_WHITEOUT:
		return put_whiteout(w, e, err);
	case ENTRY_CHAR:
	case ENTRY_BLOCK:
		if (w->no_devices)
			return error_new(err, ERR_INVALID, 0, "'%s' is a device", e->path);
		return put_special(w, e, err);
	case ENTRY_SYMLINK:
	case ENTRY_FIFO:
		return put_special(w, e, err);
	case ENTRY_FILE:
		break;
	}
	return error_new(err, ERR_INTERNAL, 0, "'%s' is a file: it is written, not put", e->path);
}

/* In a lane: the directories are there, and nothing but an earlier try at the same file is. */
static int make_room(struct layer_writer *w, const char *path, struct error **err)
{
	int r = w->main ? 0 : make_parents(w, path, err);

	return r < 0 ? r : layer_writer_remove(w, path, err);
}

int layer_writer_file(struct layer_writer *w, const struct entry *e, struct error **err)
{
	int dirfd, r = layer_writer_check_path(e->path, err);

	if (r < 0)
		return r;
	if (!*e->path || w->file_fd >= 0)
		return error_new(err, ERR_INVALID, 0, "'%s' cannot be written as a file now",
				 e->path);
	r = make_room(w, e->path, err);
	if (r < 0)
		return r;
	dirfd = parent_of(w, e->path, err);
	if (dirfd < 0)
		return dirfd;
	w->file_fd = openat(dirfd, path_base(e->path),
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->file_fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s' in a layer", e->path);
	free(w->file_path);
	w->file_path = xstrdup(e->path);
	w->file = *e;
	w->file.path = w->file_path;
	w->file.type = ENTRY_FILE;
	w->file.link = NULL;
	w->file.size = 0;
	w->content_known = w->ends_in_hole = false;
	hasher_release(&w->hasher);
	hasher_init(&w->hasher);
	return 0;
}

static bool is_zeros(const char *p, size_t n)
{
	return n >= HOLE_MIN && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* The next bytes of the file. A hole is passed over. */
static int put_piece(struct layer_writer *w, const void *p, size_t n, bool hole, struct error **err)
{
	int r = 0;

	w->ends_in_hole = hole;
	if (!hole)
		r = fs_write_full(w->file_fd, p, n);
	else if (lseek(w->file_fd, (off_t)n, SEEK_CUR) < 0)
		r = -errno;
	if (r < 0)
		return error_new(err, ERR_IO, -r, "write '%s' in a layer", w->file.path);
	hasher_add(&w->hasher, p, n);
	w->file.size += n;
	return 0;
}

int layer_writer_write(struct layer_writer *w, const void *p, size_t n, struct error **err)
{
	int r = layer_writer_canceled(w, err);

	return r < 0 ? r : put_piece(w, p, n, is_zeros(p, n), err);
}

/* Hashes what was cloned, not its source: that may change meanwhile. */
static int hash_clone(struct layer_writer *w, struct error **err)
{
	int r = file_read_digest(w->file_fd, w->cancel, &w->file.content, &w->file.size);

	w->content_known = true;
	return r < 0 ? error_new(err, ERR_IO, -r, "read '%s' in a layer", w->file.path) : 0;
}

/* Whether files can be cloned at all is found out once. */
static bool clone_file(struct layer_writer *w, int from)
{
	if (w->no_clones)
		return false;
	if (ioctl(w->file_fd, FICLONE, from) == 0)
		return true;
	w->no_clones = errno == EOPNOTSUPP || errno == ENOTTY;
	return false;
}

int layer_writer_copy(struct layer_writer *w, int from, struct error **err)
{
	struct file_piece piece;
	struct file_read in;
	int r, k = 0;

	if (w->file.size == 0 && clone_file(w, from))
		return hash_clone(w, err);
	file_read_init(&in, from, w->cancel);
	while (k == 0 && (r = file_read_next(&in, &piece)) > 0)
		k = put_piece(w, piece.p, piece.n, piece.hole, err);
	file_read_release(&in);
	if (k < 0)
		return k;
	return r < 0 ? error_new(err, ERR_IO, -r, "read the source of '%s'", w->file.path) : 0;
}

int layer_writer_copy_known(struct layer_writer *w, int from, const struct digest *content,
			    uint64_t size, struct error **err)
{
	struct stat st;
	int r = file_copy(from, w->file_fd, size, w->cancel);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "copy the source of '%s'", w->file.path);
	if (fstat(w->file_fd, &st) < 0 || (uint64_t)st.st_size != size)
		return error_new(err, ERR_INVALID, 0,
				 "the source of '%s' changed while it was copied", w->file.path);
	w->file.size = size;
	w->file.content = *content;
	w->content_known = true;
	return 0;
}

/* After its owner, whose change clears set-id bits and capabilities. The time comes last. */
static int set_file_attributes(int fd, const struct entry *e, struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = e->mtime}};

	if (fchmod(fd, e->mode & 07777) < 0)
		return error_new(err, ERR_IO, errno, "set the mode of '%s'", e->path);
	/* Without privilege a capability lives in the index, like a device. */
	if (e->capability_size > 0 &&
	    fsetxattr(fd, "security.capability", e->capability, e->capability_size, 0) < 0 &&
	    errno != EPERM)
		return error_new(err, ERR_IO, errno, "set the capabilities of '%s'", e->path);
	if (futimens(fd, times) < 0)
		return error_new(err, ERR_IO, errno, "set the time of '%s'", e->path);
	return 0;
}

int layer_writer_set_attributes(struct layer_writer *w, const char *path, const struct entry *e,
				struct error **err)
{
	const struct entry *have = index_builder_get(w->index, path);
	_cleanup_close_ int fd = -1;
	int dirfd, r;

	if (!have || (have->type != ENTRY_FILE && have->type != ENTRY_HARDLINK))
		return error_new(err, ERR_INTERNAL, 0, "'%s' is not a file of the layer", path);
	if (entry_same_attributes(have, e))
		return 0;
	dirfd = parent_of(w, path, err);
	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, path_base(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open '%s' of a layer", path);
	/* It may have any owner by now, so it is given to e's even where that is this user. */
	r = give_to(fd, "", e, err);
	if (r == 0 && e->capability_size == 0 && have->capability_size > 0)
		(void)fremovexattr(fd, "security.capability");
	if (r == 0)
		r = set_file_attributes(fd, e, err);
	if (r == 0)
		index_builder_set_attributes(w->index, path, e);
	return r;
}

void layer_writer_xattr(struct layer_writer *w, const char *dir, const char *name,
			const void *value, size_t n)
{
	_cleanup_close_ int fd = -1;
	int dirfd;

	if (!dir) {
		(void)fsetxattr(w->file_fd, name, value, n, 0);
		return;
	}
	dirfd = parent_of(w, dir, NULL);
	if (dirfd >= 0)
		fd = openat(dirfd, *dir ? path_base(dir) : ".",
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		(void)fsetxattr(fd, name, value, n, 0);
}

int layer_writer_file_end(struct layer_writer *w, struct digest *ret_content, struct error **err)
{
	_cleanup_close_ int fd = TAKE_FD(w->file_fd);
	struct entry *e = &w->file;
	int r;

	if (!w->content_known)
		hasher_final(&w->hasher, &e->content);
	if (w->ends_in_hole && ftruncate(fd, (off_t)e->size) < 0)
		return error_new(err, ERR_IO, errno, "write '%s' in a layer", e->path);
	r = set_owner(w, fd, "", e, err);
	if (r == 0)
		r = set_file_attributes(fd, e, err);
	if (r < 0)
		return r;
	lock_index(w);
	index_builder_add(w->index, e);
	unlock_index(w);
	if (ret_content)
		*ret_content = e->content;
	return 0;
}

const struct entry *layer_writer_get(const struct layer_writer *w, const char *path)
{
	return index_builder_get(w->index, path);
}
