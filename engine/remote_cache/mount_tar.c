/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_cache/mount_tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/strv.h"

enum { DEPTH_MAX = 256 }; /* a descriptor is open for each */

struct packing {
	struct tar_writer tar;
	const struct mount_tar *to;
	struct buf path;  /* "./a/b", of what is being written */
	struct map links; /* device and inode of a file with several names -> its first one */
	unsigned depth;
};

static int pack_dir(struct packing *p, int fd, struct error **err);

static struct tar_header header_of(const struct packing *p, const struct stat *st,
				   enum tar_type type)
{
	return (struct tar_header){
		.type = type,
		.name = p->path.p,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim.tv_sec,
	};
}

/* The name under which a file was written already; NULL, and remembers this one, if it was not. */
static const char *earlier_name(struct packing *p, const struct stat *st)
{
	const uint64_t key[2] = {st->st_dev, st->st_ino};
	void **slot;

	if (st->st_nlink < 2)
		return NULL;
	slot = map_put(&p->links, key, sizeof(key));
	if (*slot)
		return *slot;
	*slot = xstrdup(p->path.p);
	return NULL;
}

static int pack_file(struct packing *p, int dirfd, const char *name, const struct stat *looked,
		     struct error **err)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const char *earlier;
	struct tar_header h;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_new(err, ERR_IO, errno, "open '%s'", p->path.p);
	if (st.st_ino != looked->st_ino || !S_ISREG(st.st_mode))
		return error_new(err, ERR_BUSY, 0, "'%s' was replaced meanwhile", p->path.p);
	earlier = earlier_name(p, &st);
	h = header_of(p, &st, earlier ? TAR_HARDLINK : TAR_FILE);
	h.link = earlier;
	h.size = earlier ? 0 : (uint64_t)st.st_size;
	r = tar_write_header(&p->tar, &h, err);
	return r < 0 || earlier ? r : tar_write_fd(&p->tar, fd, p->path.p, p->to->cancel, err);
}

static int pack_symlink(struct packing *p, int dirfd, const char *name, const struct stat *st,
			struct error **err)
{
	struct tar_header h = header_of(p, st, TAR_SYMLINK);
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (n < 0)
		return error_new(err, ERR_IO, errno, "read the symlink '%s'", p->path.p);
	target[n] = '\0';
	h.link = target;
	return tar_write_header(&p->tar, &h, err);
}

static int pack_subdir(struct packing *p, int dirfd, const char *name, struct error **err)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open '%s'", p->path.p);
	buf_addc(&p->path, '/');
	return pack_dir(p, fd, err);
}

static int pack_entry(struct packing *p, int dirfd, const char *name, struct error **err)
{
	struct stat st;
	int r;

	if (cancel_is_set(p->to->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	r = p->to->between(p->to->data, p->path.p, err);
	if (r < 0)
		return r;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_new(err, ERR_IO, errno, "look at '%s'", p->path.p);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return pack_file(p, dirfd, name, &st, err);
	case S_IFLNK:
		return pack_symlink(p, dirfd, name, &st, err);
	case S_IFDIR:
		return pack_subdir(p, dirfd, name, err);
	default:
		return 0;
	}
}

static int read_names(int fd, struct strv *ret)
{
	/* Reads through a descriptor of its own, which closedir takes along. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *de;
	int r;

	if (!dir) {
		r = -errno;
		cleanup_closep(&own);
		return r;
	}
	while ((r = fs_next_entry(dir, &de)) > 0)
		if (strncmp(de->d_name, ".wh.", 4) != 0)
			strv_push(ret, de->d_name);
	closedir(dir);
	strv_sort(ret);
	return r;
}

/* `path` ends with a slash. */
static int pack_dir(struct packing *p, int fd, struct error **err)
{
	_cleanup_strv_ struct strv names = {0};
	size_t n = p->path.n;
	struct tar_header h;
	struct stat st;
	int r;

	if (++p->depth > DEPTH_MAX)
		return error_new(err, ERR_UNSUPPORTED, 0, "'%s': directories more than %d deep",
				 p->path.p, DEPTH_MAX);
	if (fstat(fd, &st) < 0)
		return error_new(err, ERR_IO, errno, "look at '%s'", p->path.p);
	h = header_of(p, &st, TAR_DIR);
	r = tar_write_header(&p->tar, &h, err);
	if (r < 0)
		return r;
	r = read_names(fd, &names);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "read '%s'", p->path.p);
	for (size_t i = 0; i < names.n; i++) {
		buf_adds(&p->path, names.v[i]);
		r = pack_entry(p, fd, names.v[i], err);
		if (r < 0)
			return r;
		buf_truncate(&p->path, n);
	}
	p->depth--;
	return 0;
}

int mount_tar_write(int dirfd, const struct mount_tar *to, struct error **err)
{
	struct packing p = {.to = to, .path = BUF_INIT};
	int r;

	tar_writer_init(&p.tar, to->write, to->data);
	buf_adds(&p.path, "./");
	r = pack_dir(&p, dirfd, err);
	if (r == 0)
		r = tar_write_end(&p.tar, err);
	buf_release(&p.path);
	map_release(&p.links, free);
	return r;
}
