/* SPDX-License-Identifier: Apache-2.0 */
/* The flattened root file system: type=local writes it below a directory, owned by who runs the
 * build; type=tar writes it as a tar with the owners that the image has. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file_read.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/path.h"
#include "base/times.h"
#include "engine/export/export_make.h"
#include "engine/layer/layer_tar.h"
#include "engine/registry/pull.h"
#include "engine/stream/out_file.h"
#include "store/rootfs.h"

#define TICK INT64_C(100000000) /* between progress events, ns */

/* One image on its way out. */
struct files {
	struct export_job *j;
	const struct export_image *in;
	const struct rootfs *rootfs;
	const char *prefix; /* "linux_amd64", or "" */
	struct map names;   /* "layer:path" of a file's bytes -> path first written */
	char *status;
	uint64_t bytes;
	int64_t last_tick;
	/* local */
	int rootfd; /* of this image's directory */
	char *at;   /* the directory that `atfd` is */
	int atfd;
	VEC(struct entry)
	dirs;		    /* whose times and modes are set at the end; strings are the rootfs's */
	struct map *owners; /* without platform-split: path -> image that wrote it */
	/* tar */
	struct tar_writer *w;
};

static void progress(struct files *f, uint64_t n, bool done)
{
	int64_t now = times_monotonic_ns();

	f->bytes += n;
	if (!done && now - f->last_tick < TICK)
		return;
	f->last_tick = now;
	job_status(f->j->job, f->status, f->bytes, 0, done);
}

static int64_t mtime_of(const struct files *f, const struct entry *e)
{
	if (f->j->o->has_epoch && e->mtime > f->j->o->epoch)
		return f->j->o->epoch;
	return e->mtime;
}

/* The name that this node's bytes were written under before, or NULL; remembers the first. */
static const char *first_name(struct files *f, const struct rootfs_node *node)
{
	_cleanup_free_ char *key = NULL;
	void **slot;

	if (node->entry.type == ENTRY_DIR)
		return NULL;
	key = xasprintf("%zu:%s", node->layer,
			node->data_path ? node->data_path : node->entry.path);
	slot = map_puts(&f->names, key);
	if (*slot)
		return *slot;
	*slot = xstrdup(node->entry.path);
	return NULL;
}

/* --- tar
 * ------------------------------------------------------------------------------------------ */

static int tar_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct files *f = data;
	const struct entry *e = &node->entry;
	_cleanup_free_ char *name = NULL, *link = NULL;
	_cleanup_close_ int fd = -1;
	const char *first;
	struct tar_header h;
	int r;

	if (cancel_is_set(f->j->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	if (e->path[0] == '\0')
		return 0;
	name = xasprintf("%s%s%s%s", f->prefix, *f->prefix ? "/" : "", e->path,
			 e->type == ENTRY_DIR ? "/" : "");
	layer_tar_header(e, name, &h);
	h.mtime = mtime_of(f, e);
	first = first_name(f, node);
	if (first) {
		link = xasprintf("%s%s%s", f->prefix, *f->prefix ? "/" : "", first);
		h.type = TAR_HARDLINK;
		h.link = link;
		h.size = 0;
	}
	r = tar_write_header(f->w, &h, err);
	if (r < 0 || h.type != TAR_FILE || h.size == 0)
		return r;
	fd = rootfs_open_file(f->rootfs, node, err);
	if (fd < 0)
		return fd;
	return tar_write_fd(f->w, fd, e->path, f->j->cancel, err);
}

/* --- directory
 * --------------------------------------------------------------------------------------- */

/* The descriptor of the directory that `path` is in; valid until the next call. */
static int parent_of(struct files *f, const char *path, struct error **err)
{
	const char *base = path_base(path);
	_cleanup_free_ char *dir = xstrndup(path, base == path ? 0 : (size_t)(base - path) - 1);

	if (*dir == '\0')
		return f->rootfd;
	if (f->at && strcmp(f->at, dir) == 0)
		return f->atfd;
	cleanup_closep(&f->atfd);
	free(f->at);
	f->at = NULL;
	f->atfd = fs_open_no_symlinks(f->rootfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (f->atfd < 0)
		return error_new(err, ERR_IO, -f->atfd, "open directory '%s'", dir);
	f->at = TAKE_PTR(dir);
	return f->atfd;
}

/* Clears the way for something that is not a directory. */
static int make_way(int dirfd, const char *base, const char *path, struct error **err)
{
	int r = fs_remove_tree(dirfd, base);

	return r < 0 ? error_new(err, ERR_IO, -r, "replace '%s'", path) : 0;
}

static int put_dir(struct files *f, int dirfd, const char *base, const struct entry *e,
		   struct error **err)
{
	struct stat st;
	int r;

	vec_push(&f->dirs, *e);
	if (mkdirat(dirfd, base, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return error_new(err, ERR_IO, errno, "create directory '%s'", e->path);
	if (fstatat(dirfd, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return 0;
	r = make_way(dirfd, base, e->path, err);
	if (r == 0 && mkdirat(dirfd, base, 0700) < 0)
		r = error_new(err, ERR_IO, errno, "create directory '%s'", e->path);
	return r;
}

static int fill_file(struct files *f, int fd, const struct rootfs_node *node, struct error **err)
{
	const struct entry *e = &node->entry;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime_of(f, e)}};
	_cleanup_close_ int from = rootfs_open_file(f->rootfs, node, err);
	int r;

	if (from < 0)
		return from;
	r = file_copy(from, fd, UINT64_MAX, f->j->cancel);
	if (r == 0 && fchmod(fd, e->mode & 07777) < 0)
		r = -errno;
	/* Only root may give capabilities; a file without them is still the file. */
	if (r == 0 && e->capability_size > 0)
		(void)fsetxattr(fd, "security.capability", e->capability, e->capability_size, 0);
	if (r == 0 && futimens(fd, times) < 0)
		r = -errno;
	return r < 0 ? error_new(err, ERR_IO, -r, "write '%s'", e->path) : 0;
}

static int put_file(struct files *f, int dirfd, const char *base, const struct rootfs_node *node,
		    struct error **err)
{
	char temporary[48];
	struct stat st;
	_cleanup_close_ int fd = -1;
	int r = 0;

	snprintf(temporary, sizeof(temporary), ".kiln-tmp-%d", (int)getpid());
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s'", node->entry.path);
	r = fill_file(f, fd, node, err);
	if (r == 0 && fstatat(dirfd, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		r = make_way(dirfd, base, node->entry.path, err);
	if (r == 0 && renameat(dirfd, temporary, dirfd, base) < 0)
		r = error_new(err, ERR_IO, errno, "rename to '%s'", node->entry.path);
	if (r < 0)
		unlinkat(dirfd, temporary, 0);
	else
		progress(f, node->entry.size, false);
	return r;
}

static int put_link(struct files *f, const char *base, const char *path, const char *first,
		    struct error **err)
{
	_cleanup_close_ int from = -1;
	int dirfd = parent_of(f, first, err), r;

	if (dirfd < 0)
		return dirfd;
	from = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	dirfd = parent_of(f, path, err);
	if (dirfd < 0)
		return dirfd;
	r = make_way(dirfd, base, path, err);
	if (r == 0 && linkat(from, path_base(first), dirfd, base, 0) < 0)
		r = error_new(err, ERR_IO, errno, "link '%s' to '%s'", path, first);
	return r;
}

static int put_special(struct files *f, int dirfd, const char *base, const struct entry *e,
		       struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime_of(f, e)}};
	mode_t type = e->type == ENTRY_CHAR ? S_IFCHR : e->type == ENTRY_BLOCK ? S_IFBLK : S_IFIFO;
	int r = make_way(dirfd, base, e->path, err);

	if (r < 0)
		return r;
	if (e->type == ENTRY_SYMLINK)
		r = symlinkat(e->link, dirfd, base);
	else
		r = mknodat(dirfd, base, type | (e->mode & 07777),
			    makedev(e->dev_major, e->dev_minor));
	if (r == 0 && e->type != ENTRY_SYMLINK)
		r = fchmodat(dirfd, base, e->mode & 07777, 0);
	if (r == 0)
		r = utimensat(dirfd, base, times, AT_SYMLINK_NOFOLLOW);
	return r < 0 ? error_new(err, ERR_IO, errno, "create '%s'", e->path) : 0;
}

/* Without a directory for each platform no file may come from two of them. */
static int claim(struct files *f, const struct entry *e, struct error **err)
{
	void **owner;

	if (!f->owners || e->type == ENTRY_DIR)
		return 0;
	owner = map_puts(f->owners, e->path);
	if (*owner && *owner != f->in)
		return error_hint(err,
				  error_new(err, ERR_INVALID, 0,
					    "cannot overwrite '%s': two platforms have it",
					    e->path),
				  "leave out platform-split=false");
	*owner = (void *)(uintptr_t)f->in;
	return 0;
}

static int dir_node(void *data, const struct rootfs_node *node, struct error **err)
{
	struct files *f = data;
	const struct entry *e = &node->entry;
	const char *base = path_base(e->path), *first;
	int dirfd, r;

	if (cancel_is_set(f->j->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	if (e->path[0] == '\0')
		return 0;
	r = claim(f, e, err);
	if (r < 0)
		return r;
	first = first_name(f, node);
	if (first)
		return put_link(f, base, e->path, first, err);
	dirfd = parent_of(f, e->path, err);
	if (dirfd < 0)
		return dirfd;
	switch (e->type) {
	case ENTRY_DIR:
		return put_dir(f, dirfd, base, e, err);
	case ENTRY_FILE:
		return put_file(f, dirfd, base, node, err);
	default:
		return put_special(f, dirfd, base, e, err);
	}
}

/* From the deepest up: what is put into a directory changes its time, and needs to be allowed. */
static int finish_dirs(struct files *f, struct error **err)
{
	for (size_t i = f->dirs.n; i-- > 0;) {
		const struct entry *e = &f->dirs.v[i];
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime_of(f, e)}};
		_cleanup_close_ int fd = fs_open_no_symlinks(f->rootfd, e->path,
							     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

		if (fd < 0)
			return error_new(err, ERR_IO, -fd, "open directory '%s'", e->path);
		if (fchmod(fd, e->mode & 07777) < 0 || futimens(fd, times) < 0)
			return error_new(err, ERR_IO, errno, "finish directory '%s'", e->path);
	}
	return 0;
}

/* mode=delete: removes what the image does not have. */
static int remove_extra(struct files *f, int dirfd, const char *path, struct error **err)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int r = 0, more = 0;

	if (!d)
		return error_new(err, ERR_IO, errno, "read directory '%s'", path);
	while (r == 0 && (more = fs_next_entry(d, &entry)) > 0) {
		_cleanup_free_ char *below = path_join(path, entry->d_name);
		struct rootfs_node node;

		if (!rootfs_get(f->rootfs, below, &node)) {
			r = make_way(dirfd, entry->d_name, below, err);
		} else if (node.entry.type == ENTRY_DIR) {
			_cleanup_close_ int fd =
				openat(dirfd, entry->d_name,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			r = fd < 0 ? error_new(err, ERR_IO, errno, "open directory '%s'", below)
				   : remove_extra(f, fd, below, err);
		}
	}
	closedir(d);
	return more < 0 ? error_new(err, ERR_IO, -more, "read directory '%s'", path) : r;
}

/* What failed below the destination is named by its path in the image: here is where that is. */
static int name_destination(const char *path, int r, struct error **err)
{
	if (r == 0 || r == -ERR_CANCELED)
		return r;
	r = error_wrap(err, r, "export to directory '%s'", path);
	return r == -ERR_NOSPACE ? error_hint(err, r, "free some space on the disk of '%s'", path)
				 : r;
}

/* --- attestations: files beside those of the image --- */

static int64_t attested_at(const struct files *f)
{
	return f->j->o->has_epoch ? f->j->o->epoch : times_now_ns() / NS_PER_S;
}

static int put_attestation(void *data, const char *name, const struct buf *b, struct error **err)
{
	struct files *f = data;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = attested_at(f)}};
	_cleanup_close_ int fd = -1;
	int r = make_way(f->rootfd, name, name, err);

	if (r < 0)
		return r;
	fd = openat(f->rootfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "create '%s'", name);
	r = fs_write_full(fd, b->p, b->n);
	if (r == 0 && futimens(fd, times) < 0)
		r = -errno;
	return r < 0 ? error_new(err, ERR_IO, -r, "write '%s'", name) : 0;
}

static int tar_attestation(void *data, const char *name, const struct buf *b, struct error **err)
{
	struct files *f = data;
	_cleanup_free_ char *path = xasprintf("%s%s%s", f->prefix, *f->prefix ? "/" : "", name);
	struct tar_header h = {.name = path,
			       .type = TAR_FILE,
			       .mode = 0600,
			       .size = b->n,
			       .mtime = attested_at(f)};
	int r = tar_write_header(f->w, &h, err);

	return r < 0 ? r : tar_write_data(f->w, b->p, b->n, err);
}

static int write_dir(struct files *f, struct error **err)
{
	_cleanup_free_ char *path = path_join(f->j->o->dest, f->prefix);
	int r = fs_mkdir_p(AT_FDCWD, path, 0755);

	if (r < 0)
		return error_new(err, ERR_IO, -r, "create directory '%s'", path);
	f->rootfd = fs_open_dir(AT_FDCWD, path);
	if (f->rootfd < 0)
		return error_new(err, ERR_IO, -f->rootfd, "open directory '%s'", path);
	r = rootfs_walk(f->rootfs, "", dir_node, f, err);
	if (r == 0 && f->j->o->delete_extra)
		r = remove_extra(f, f->rootfd, "", err);
	if (r == 0)
		r = finish_dirs(f, err);
	if (r == 0)
		r = export_attest_files(f->j, f->in, f->rootfs, put_attestation, f, err);
	return name_destination(path, r, err);
}

/* --- both
 * --------------------------------------------------------------------------------------------- */

static void files_release(struct files *f)
{
	map_release(&f->names, free);
	free(f->status);
	cleanup_closep(&f->rootfd);
	cleanup_closep(&f->atfd);
	free(f->at);
	vec_release(&f->dirs);
}

/* Files are read from the layers' dirs: what is a blob only, here or elsewhere, is unpacked
 * first. */
static int require_dirs(struct export_job *j, const struct export_image *in, struct error **err)
{
	const struct blob_fetcher *fetcher = &j->o->layers.fetcher;
	_cleanup_free_ int64_t *packed = xcalloc(in->n_layers + 1, sizeof(*packed));
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < in->n_layers; i++) {
		_cleanup_(layer_info_release) struct layer_info info = {0};

		r = layer_get(j->s, in->layers[i], &info, err);
		if (r < 0)
			return r;
		if (!info.has_dir)
			packed[n++] = in->layers[i];
	}
	if (n > 0 && fetcher->require)
		r = fetcher->require(fetcher->data, packed, n, err);
	return r < 0 || n == 0 ? r : layers_require(j->s, NULL, j->job, packed, n, err);
}

static int open_rootfs(struct export_job *j, const struct export_image *in, struct rootfs **ret,
		       struct error **err)
{
	int r = require_dirs(j, in, err);

	return r < 0 ? r : rootfs_open(j->s, in->layers, in->n_layers, ret, err);
}

bool export_is_split(const struct export_job *j)
{
	return j->o->platform_split_set ? j->o->platform_split : export_is_several(j->o, j->n);
}

static char *prefix_of(const struct export_job *j, const struct export_image *in)
{
	char text[64];

	if (!export_is_split(j))
		return xstrdup("");
	return xstrdup(export_platform_name(&in->platform, text));
}

static int export_one_dir(struct export_job *j, const struct export_image *in, struct map *owners,
			  struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	_cleanup_free_ char *prefix = prefix_of(j, in);
	_cleanup_(files_release) struct files f = {
		.j = j, .in = in, .prefix = prefix, .rootfd = -1, .atfd = -1, .owners = owners};
	char platform[64];
	int r = open_rootfs(j, in, &rootfs, err);

	if (r < 0)
		return r;
	f.rootfs = rootfs;
	f.status = *prefix ? xasprintf("copying files %s", platform_format(&in->platform, platform))
			   : xstrdup("copying files");
	progress(&f, 0, false);
	r = write_dir(&f, err);
	if (r == 0)
		progress(&f, 0, true);
	return r;
}

int export_to_dir(struct export_job *j, struct error **err)
{
	struct map owners = MAP_INIT;
	bool check = j->n > 1 && !export_is_split(j);
	int r = 0;

	for (size_t i = 0; r == 0 && i < j->n; i++)
		r = export_one_dir(j, &j->images[i], check ? &owners : NULL, err);
	map_release(&owners, NULL);
	return r;
}

static int export_one_tar(struct export_job *j, const struct export_image *in, struct tar_writer *w,
			  struct error **err)
{
	_cleanup_(rootfs_freep) struct rootfs *rootfs = NULL;
	_cleanup_free_ char *prefix = prefix_of(j, in), *name = NULL;
	_cleanup_(files_release) struct files f = {
		.j = j, .in = in, .prefix = prefix, .rootfd = -1, .atfd = -1, .w = w};
	int r = open_rootfs(j, in, &rootfs, err);

	if (r < 0)
		return r;
	f.rootfs = rootfs;
	if (*prefix) {
		struct tar_header h = {.type = TAR_DIR, .mode = 0755};

		name = xasprintf("%s/", prefix);
		h.name = name;
		h.mtime = j->o->has_epoch ? j->o->epoch : 0;
		r = tar_write_header(w, &h, err);
		if (r < 0)
			return r;
	}
	f.rootfs = rootfs;
	r = rootfs_walk(rootfs, "", tar_node, &f, err);
	return r < 0 ? r : export_attest_files(j, in, rootfs, tar_attestation, &f, err);
}

int export_to_tar(struct export_job *j, struct error **err)
{
	struct tar_writer w;
	struct out_file f;
	int r;

	job_status(j->job, "sending tarball", 0, 0, false);
	r = out_file_open(&f, j->o->dest, j->o->dest_fd, j->cancel, err);
	tar_writer_init(&w, out_file_write, &f);
	for (size_t i = 0; r == 0 && i < j->n; i++)
		r = export_one_tar(j, &j->images[i], &w, err);
	if (r == 0)
		r = tar_write_end(&w, err);
	if (r == 0)
		r = out_file_commit(&f, err);
	out_file_release(&f);
	if (r == 0)
		job_status(j->job, "sending tarball", 0, 0, true);
	return r;
}
