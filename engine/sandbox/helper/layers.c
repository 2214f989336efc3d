/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers of the root file system hold, looked up in their directories one by one: only a
 * few names are asked for, and mounting all layers for that would cost a step more. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/sandbox/helper/helper.h"

void layers_open(const struct plan *p, struct layers *ret)
{
	ret->opaque = p->flags & WIRE_USERNS ? "user.overlay.opaque" : "trusted.overlay.opaque";
	ret->n = p->n_lowers;
	ret->dirs = alloc(ret->n * sizeof(*ret->dirs));
	for (size_t i = 0; i < ret->n; i++) {
		ret->dirs[i] = open(p->lowers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (ret->dirs[i] < 0)
			fail(errno, "open the layer directory '%s'", p->lowers[i]);
	}
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
}

void layers_close(struct layers *l)
{
	close_all(l->dirs, l->n);
	l->n = 0;
}

/* Does the directory hide those of the layers below? */
static bool is_opaque(const struct layers *l, int fd)
{
	char path[64], value = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, l->opaque, &value, 1) == 1 && value == 'y';
}

/* Opens the entry `name` of a directory that is merged from dirs[0 .. n): the topmost one, and for
 * a directory those below that are merged with it. Returns how many; 0: there is none. */
static size_t enter(const struct layers *l, const int *dirs, size_t n, const char *name, int *ret)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		int fd = openat(dirs[i], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		bool is_whiteout, is_dir;
		struct stat st;

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
			continue;
		if (fd < 0 || fstat(fd, &st) < 0)
			fail(errno, "look at '%s' of the image", name);
		is_whiteout = S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
		is_dir = S_ISDIR(st.st_mode);
		if (is_whiteout || (found > 0 && !is_dir)) {
			(void)close(fd);
			break;
		}
		ret[found++] = fd;
		if (!is_dir || (i + 1 < n && is_opaque(l, fd)))
			break;
	}
	return found;
}

int layers_find(const struct layers *l, const char *path)
{
	int *at = l->dirs, top;
	size_t n = l->n;

	for (const char *end; n > 0 && *path; path = *end ? end + 1 : end) {
		int *next = alloc(n * sizeof(*next));
		size_t n_next;

		end = path + strcspn(path, "/");
		n_next = enter(l, at, n, format("%.*s", (int)(end - path), path), next);
		if (at != l->dirs)
			close_all(at, n);
		at = next;
		n = n_next;
	}
	if (n == 0)
		return -1;
	top = at == l->dirs ? fcntl(at[0], F_DUPFD_CLOEXEC, 0) : at[0];
	if (at != l->dirs)
		close_all(at + 1, n - 1);
	return top;
}
