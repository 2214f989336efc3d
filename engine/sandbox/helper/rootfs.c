/* SPDX-License-Identifier: Apache-2.0 */
/* The root file system: overlayfs over the layers.
 *
 * Mount points that the image lacks (/proc, /etc/resolv.conf, the targets of RUN --mount) must not
 * appear in the layer that the step makes. They are put into one more lower layer on top of the
 * image's: directories that are there already are repeated in it with their owner, mode and times,
 * since the topmost one decides what a merged directory looks like.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

#define LINKS_MAX 40

/* --- overlayfs --- */

static void set_string(int fs, const char *key, const char *value)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0)
		fail(errno, "mount the root file system: overlayfs option %s=%s", key, value);
}

/* A name that fits the 256 bytes of an fsconfig value however deep the store lies, and that shows
 * nothing of the host in the container's /proc/mounts. */
static char *fd_name(const char *path, int *ret_fd)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fail(errno, "open the layer directory '%s'", path);
	*ret_fd = fd;
	return format("/proc/self/fd/%d", fd);
}

/* One descriptor a layer; the soft limit of 1024 is for programs that use select. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Kernels before 6.5 know no lowerdir+, and all options together must fit one page: short links in
 * a directory of our own stand for the layers. */
static int overlay_classic(const struct plan *p, const char *const *lowers, size_t n,
			   const char *upper, const char *work)
{
	char *dir = format("%s/links.XXXXXX", p->scratch);
	char *options = format("lowerdir=");
	int fd;

	if (!mkdtemp(dir) || chdir(dir) < 0)
		fail(errno, "make a directory of links in '%s'", p->scratch);
	for (size_t i = 0; i < n; i++) {
		char *name = format("%zx", i);

		if (symlink(lowers[i], name) < 0)
			fail(errno, "link the layer directory '%s'", lowers[i]);
		options = format("%s%s%s", options, i > 0 ? ":" : "", name);
	}
	if (upper) {
		if (symlink(upper, "u") < 0 || symlink(work, "w") < 0)
			fail(errno, "link the directory '%s'", upper);
		options = format("%s,upperdir=u,workdir=w,volatile", options);
	}
	if (p->flags & WIRE_USERNS)
		options = format("%s,userxattr", options);
	if (mount("overlay", dir, "overlay", 0, options) < 0)
		fail(errno, "mount the root file system of %zu layers", n);
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || umount2(dir, MNT_DETACH) < 0)
		fail(errno, "take the root file system");
	return fd;
}

/* What the kernel says about a file system that it will not mount, beside an errno. */
static const char *kernel_words(int fs)
{
	static char text[512];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 0)
		return "";
	text[n] = '\0';
	/* "e overlay: ...": the first letter is the kind of message. */
	return n > 2 && text[1] == ' ' ? text + 2 : text;
}

int overlay_open(const struct plan *p, const char *const *lowers, size_t n, const char *upper,
		 const char *work)
{
	int *fds = alloc((n + 2) * sizeof(*fds));
	int fs, fd;

	if (n > WIRE_LOWERS_MAX)
		fail(0, "mount the root file system: %zu layers, and overlayfs takes %d", n,
		     WIRE_LOWERS_MAX);
	if (p->flags & WIRE_CLASSIC_MOUNT)
		return overlay_classic(p, lowers, n, upper, work);
	raise_descriptor_limit();
	fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		fail(errno, "use overlayfs");
	set_string(fs, "source", "overlay");
	for (size_t i = 0; i < n; i++) {
		char *name = fd_name(lowers[i], &fds[i]);

		if (fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", name, 0) == 0)
			continue;
		if (errno == EINVAL)
			return overlay_classic(p, lowers, n, upper, work);
		fail(errno, "mount the root file system: layer '%s'", lowers[i]);
	}
	if (upper) {
		set_string(fs, "upperdir", fd_name(upper, &fds[n]));
		set_string(fs, "workdir", fd_name(work, &fds[n + 1]));
		/* The step's own syncs cost time and protect nothing: the layer is made durable
		 * when it is committed. */
		if (fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
			fail(errno, "mount the root file system: overlayfs option volatile");
	}
	if (p->flags & WIRE_USERNS && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		fail(errno, "mount the root file system: overlayfs option userxattr");
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		int errnum = errno;
		const char *words = kernel_words(fs);

		/* Older kernels collect options unseen, refuse lowerdir+ only here and say
		 * nothing; newer ones tell what they mind. */
		if (errnum == EINVAL && !*words)
			return overlay_classic(p, lowers, n, upper, work);
		fail(errnum, "mount the root file system of %zu layers (%s)", n, words);
	}
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
	if (fd < 0)
		fail(errno, "mount the root file system of %zu layers", n);
	(void)close(fs);
	/* There may be more stacks, and even hard limits may be near 1024. */
	for (size_t i = 0; i < n + (upper ? 2 : 0); i++)
		(void)close(fds[i]);
	return fd;
}

/* --- mount points --- */

/* An existing directory that was repeated in the stub layer. */
struct repeated {
	char *path;
	struct stat st;
	struct repeated *next;
};

struct stubs {
	const char *path;
	int dir;    /* -1 until the first stub is made */
	int record; /* of those made in the step's own root; -1: they are in a layer below it */
	const struct layers *layers;
	struct repeated *repeated;
};

static bool image_stat(const struct layers *l, const char *path, struct stat *ret)
{
	int fd = layers_find(l, path);

	if (fd < 0)
		return false;
	if (fstat(fd, ret) < 0)
		fail(errno, "look at '/%s' of the image", path);
	(void)close(fd);
	return true;
}

/* Most images have all mount points, and a directory on disk is not for free. */
static int stub_layer(struct stubs *s)
{
	if (s->dir >= 0)
		return s->dir;
	if (mkdir(s->path, 0755) < 0)
		fail(errno, "make the directory '%s'", s->path);
	s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		fail(errno, "open '%s'", s->path);
	return s->dir;
}

/* A copied root has no layers below: what is made in it is written down, to be removed again, and
 * the directory that it is in keeps its times. */
static struct stat look_at_parent(const struct stubs *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat st = {0};

	if (s->record >= 0 &&
	    fstatat(s->dir, slash ? format("%.*s", (int)(slash - path), path) : ".", &st, 0) < 0)
		fail(errno, "look at the directory of '/%s'", path);
	return st;
}

static void record_stub(const struct stubs *s, const char *path, const struct stat *parent)
{
	struct timespec times[2] = {parent->st_atim, parent->st_mtim};
	const char *slash = strrchr(path, '/');
	size_t n = strlen(path) + 1;

	if (s->record < 0)
		return;
	if (write(s->record, path, n) != (ssize_t)n ||
	    utimensat(s->dir, slash ? format("%.*s", (int)(slash - path), path) : ".", times, 0) <
		    0)
		fail(errno, "note the mount point '/%s'", path);
}

/* Makes one directory in the stub layer; an existing one of the image lends its attributes. */
static void stub_dir(struct stubs *s, const char *path)
{
	int dir = stub_layer(s);
	struct stat parent = look_at_parent(s, path), st;
	struct repeated *r;

	if (mkdirat(dir, path, 0755) < 0) {
		if (errno == EEXIST)
			return;
		fail(errno, "make the mount point '/%s'", path);
	}
	record_stub(s, path, &parent);
	if (s->record >= 0)
		return;
	if (!image_stat(s->layers, path, &st))
		return;
	r = alloc(sizeof(*r));
	r->path = strdup(path);
	r->st = st;
	r->next = s->repeated;
	s->repeated = r;
}

/* Makes `path`, which has no symlinks in it and does not exist, and its parents. */
static void stub_make(struct stubs *s, const char *path, bool is_dir)
{
	char *copy = strdup(path);

	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		stub_dir(s, copy);
		*slash = '/';
	}
	if (is_dir) {
		stub_dir(s, copy);
	} else {
		int dir = stub_layer(s);
		struct stat parent = look_at_parent(s, copy);
		int fd = openat(dir, copy, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);

		if (fd < 0)
			fail(errno, "make the mount point '/%s'", path);
		(void)close(fd);
		record_stub(s, copy, &parent);
	}
}

/* Parents are all there when a directory's attributes are set, else its times would move again. */
static void stub_attributes(const struct stubs *s)
{
	for (const struct repeated *r = s->repeated; r; r = r->next) {
		struct timespec times[2] = {r->st.st_atim, r->st.st_mtim};

		if (fchownat(s->dir, r->path, r->st.st_uid, r->st.st_gid, 0) < 0 ||
		    fchmodat(s->dir, r->path, r->st.st_mode & 07777, 0) < 0 ||
		    utimensat(s->dir, r->path, times, 0) < 0)
			fail(errno, "make the mount point '/%s'", r->path);
	}
}

static char *read_link(const struct stubs *s, const char *path)
{
	char *target = alloc(PATH_MAX);
	int fd = layers_find(s->layers, path);

	if (fd < 0 || readlinkat(fd, "", target, PATH_MAX - 1) < 0)
		fail(errno, "read the link '/%s' of the image", path);
	(void)close(fd);
	return target;
}

/* Walks `path` through the image as a process in it would, and makes what is missing. Was it? A ".."
 * behind what is missing leaves that, which then need not be made: see leaves in mounts.c. */
static bool stub_for(struct stubs *s, const char *path, bool is_dir)
{
	char *at = strdup(""), *rest = strdup(path);
	unsigned links = 0;
	bool missing = false;

	while (*rest) {
		size_t n = strcspn(rest, "/");
		char *name = strndup(rest, n), *next;
		struct stat st;

		rest += n + (rest[n] == '/');
		if (n == 0 || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			char *slash = strrchr(at, '/');

			*(slash ? slash : at) = '\0';
			missing = *at && !image_stat(s->layers, at, &st);
			continue;
		}
		next = *at ? format("%s/%s", at, name) : name;
		missing = missing || !image_stat(s->layers, next, &st);
		if (!missing && S_ISLNK(st.st_mode)) {
			char *target = read_link(s, next);

			if (++links > LINKS_MAX)
				fail(ELOOP, "find the mount point '%s'", path);
			if (target[0] == '/')
				at = strdup("");
			rest = *rest ? format("%s/%s", target, rest) : target;
			continue;
		}
		at = next;
	}
	if (missing)
		stub_make(s, at, is_dir);
	return missing;
}

/* Is the mount point inside what an earlier mount of the plan shows? Then it is made there. */
static bool below_mount(const struct plan *p, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		size_t n = strlen(p->mounts[j].dest);

		if (strncmp(p->mounts[i].dest, p->mounts[j].dest, n) == 0 &&
		    p->mounts[i].dest[n] == '/')
			return true;
	}
	return false;
}

/* A mount point for each mount of the plan that has none. */
static void stub_all(struct stubs *s, const struct plan *p)
{
	for (size_t i = 0; i < p->n_mounts; i++)
		if (!below_mount(p, i))
			p->mounts[i].is_new =
				stub_for(s, p->mounts[i].dest + 1, p->mounts[i].is_dir);
}

/* The root directory of the step's own layer covers the image's. It is always root's and 0755, as
 * the store leaves that of each layer (store/layer_commit.c); of the image come its times. */
static void set_root_attributes(const struct plan *p, const struct layers *l)
{
	struct timespec times[2];
	struct stat st;

	if (!image_stat(l, "", &st))
		return;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (chown(p->upper, 0, 0) < 0 || chmod(p->upper, 0755) < 0 ||
	    utimensat(AT_FDCWD, p->upper, times, 0) < 0)
		fail(errno, "prepare the directory of the step's changes");
}

/* With as many layers as overlayfs takes there is no room for the stubs: the two lowest become one,
 * by an overlay of their own. */
static void join_lowest(const struct plan *p, const char **lowers, size_t *n)
{
	char *dir = format("%s/work.lowest", p->scratch);
	int fd = overlay_open(p, lowers + *n - 2, 2, NULL, NULL);

	/* Attached: older kernels take no layer from a mount that is nowhere. */
	if (mkdir(dir, 0700) < 0 || move_mount(fd, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail(errno, "join the two lowest layers");
	(void)close(fd);
	(*n)--;
	lowers[*n - 1] = dir;
}

/* The step's directory is the root as it is; only mount points may be missing. */
static int open_copied(const struct plan *p)
{
	struct plan alone = *p;
	struct layers layers;
	struct stubs s = {.layers = &layers};
	int root;

	alone.lowers = (const char *[]){p->upper};
	alone.n_lowers = 1;
	layers_open(&alone, &layers);
	s.dir = open(p->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s.record = open(format("%s/" WIRE_STUBS_FILE, p->scratch),
			O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	if (s.dir < 0 || s.record < 0)
		fail(errno, "open '%s'", p->upper);
	stub_all(&s, p);
	layers_close(&layers);
	root = (int)syscall(SYS_open_tree, AT_FDCWD, p->upper, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (root < 0)
		fail(errno, "mount the root file system from '%s'", p->upper);
	set_attributes(root, p->flags & WIRE_ROOT_READONLY ? WIRE_MOUNT_READONLY : 0, true,
		       "the root file system");
	(void)close(s.record);
	(void)close(s.dir);
	return root;
}

int rootfs_open(const struct plan *p)
{
	char *stub = format("%s/stub", p->scratch), *work = format("%s/work", p->scratch);
	const char **lowers = alloc((p->n_lowers + 1) * sizeof(*lowers));
	struct layers layers;
	struct stubs s = {.path = stub, .dir = -1, .record = -1, .layers = &layers};
	size_t n = p->n_lowers + 1;
	int root;

	if (p->flags & WIRE_COPIED)
		return open_copied(p);
	raise_descriptor_limit();
	layers_open(p, &layers);
	if (mkdir(work, 0700) < 0)
		fail(errno, "make the directory '%s'", work);
	stub_all(&s, p);
	stub_attributes(&s);
	set_root_attributes(p, &layers);
	layers_close(&layers);
	/* Overlayfs wants one lower layer at least. */
	if (p->n_lowers == 0)
		(void)stub_layer(&s);
	lowers[0] = stub;
	memcpy(lowers + 1, p->lowers, p->n_lowers * sizeof(*lowers));
	if (s.dir < 0)
		root = overlay_open(p, p->lowers, p->n_lowers, p->upper, work);
	else {
		if (n > WIRE_LOWERS_MAX)
			join_lowest(p, lowers, &n);
		root = overlay_open(p, lowers, n, p->upper, work);
	}
	set_attributes(root, p->flags & WIRE_ROOT_READONLY ? WIRE_MOUNT_READONLY : 0, true,
		       "the root file system");
	if (s.dir >= 0)
		(void)close(s.dir);
	return root;
}
