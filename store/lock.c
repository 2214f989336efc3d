/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

enum { WAIT_MIN_MS = 1, WAIT_MAX_MS = 50 };

struct lock {
	struct store *s;
	char *path;
	int fd;
};

static int try_lock(int fd, enum lock_mode mode)
{
	struct flock lock = {.l_type = mode == LOCK_SHARED ? F_RDLCK : F_WRLCK,
			     .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* Is the file that we locked still the one of that name? The last holder removes it. */
static bool is_current(struct store *s, const char *path, int fd)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && fstatat(s->dirfd, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* The kernel's own waiting for a file lock can only be broken by a signal, which a thread of a
 * library must not use; so we ask again, ever more slowly, and sleep on the cancel switch. */
static int wait_a_little(struct cancel *cancel, int *ms)
{
	struct pollfd p = {.fd = cancel ? cancel->fd : -1, .events = POLLIN};

	if (cancel_is_set(cancel))
		return -ECANCELED;
	(void)poll(&p, 1, *ms);
	*ms = *ms * 2 > WAIT_MAX_MS ? WAIT_MAX_MS : *ms * 2;
	return cancel_is_set(cancel) ? -ECANCELED : 0;
}

static int take(struct store *s, const char *path, enum lock_mode mode, bool try_only,
		struct cancel *cancel, int *ret_fd)
{
	int ms = WAIT_MIN_MS;

	for (;;) {
		_cleanup_close_ int fd = openat(s->dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		int r;

		if (fd < 0)
			return -errno;
		while ((r = try_lock(fd, mode)) == -EAGAIN || r == -EACCES) {
			if (try_only)
				return -EAGAIN;
			r = wait_a_little(cancel, &ms);
			if (r < 0)
				return r;
		}
		if (r < 0)
			return r;
		if (is_current(s, path, fd)) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
}

static int lock_path(struct store *s, char *path, enum lock_mode mode, bool try_only,
		     struct cancel *cancel, struct lock **ret, struct error **err)
{
	_cleanup_free_ char *owned = path;
	struct lock *l;
	int fd = -1, r = take(s, path, mode, try_only, cancel, &fd);

	if (r == -EAGAIN && try_only) {
		*ret = NULL;
		return 0;
	}
	if (r == -ECANCELED)
		return error_new(err, ERR_CANCELED, 0, "canceled while waiting for another build");
	if (r < 0)
		return error_new(err, ERR_IO, -r, "lock '%s/%s'", s->root, path);
	l = NEW(struct lock);
	l->s = s;
	l->path = TAKE_PTR(owned);
	l->fd = fd;
	*ret = l;
	return 0;
}

int lock_step(struct store *s, const struct digest *key, bool try_only, struct cancel *cancel,
	      struct lock **ret, struct error **err)
{
	char hex[DIGEST_HEX + 1];

	return lock_path(s, xasprintf("lock/step.%s", digest_hex(key, hex)), LOCK_EXCLUSIVE,
			 try_only, cancel, ret, err);
}

static char *path_of_name(const char *kind, const char *name)
{
	struct hasher h;
	struct digest digest;
	char hex[DIGEST_HEX + 1];

	hasher_init(&h);
	hasher_add_string(&h, name);
	hasher_final(&h, &digest);
	return xasprintf("lock/%s.%s", kind, digest_hex(&digest, hex));
}

int lock_name(struct store *s, const char *kind, const char *name, enum lock_mode mode,
	      struct cancel *cancel, struct lock **ret, struct error **err)
{
	return lock_path(s, path_of_name(kind, name), mode, false, cancel, ret, err);
}

int lock_name_try(struct store *s, const char *kind, const char *name, struct lock **ret,
		  struct error **err)
{
	return lock_path(s, path_of_name(kind, name), LOCK_EXCLUSIVE, true, NULL, ret, err);
}

void lock_release(struct lock *l)
{
	if (!l)
		return;
	/* The name goes with its last holder, under an exclusive lock; who waits on the removed
	 * file sees that it is not the current one. */
	if (try_lock(l->fd, LOCK_EXCLUSIVE) == 0)
		(void)unlinkat(l->s->dirfd, l->path, 0);
	(void)close(l->fd);
	free(l->path);
	free(l);
}
