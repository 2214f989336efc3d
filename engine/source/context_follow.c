/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a context a build can need: what its copies name, links followed. */
#include "engine/source/context_scan.h"

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
#include "base/path.h"
#include "base/pattern.h"

enum {
	LINKS_MAX = 40,
	FOLLOW_MAX = 1 << 20, /* paths; beyond it everything is scanned */
	DEPTH_MAX = 1024,
};

struct follow {
	int rootfd;
	struct strv paths;
	bool all;
};

/* Where the walk over one path to follow stands: `at` is resolved, `rest` is to come. */
struct step {
	const char *at, *rest;
	unsigned links, depth;
};

static int follow_step(struct follow *f, const struct step *step, struct error **err);

static void follow_add(struct follow *f, const char *path)
{
	if (*path == '\0' || f->paths.n >= FOLLOW_MAX)
		f->all = true;
	else
		strv_push(&f->paths, path);
}

/* *ret_target is empty if it is not a symlink. */
static int look_at(int rootfd, const char *path, struct buf *ret_target)
{
	struct fs_place at;
	struct stat st;
	int r = fs_place_open(rootfd, path, &at);

	if (r == 0 && fstatat(at.fd, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0 && S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(at.fd, at.name, buf_reserve(ret_target, PATH_MAX), PATH_MAX);

		if (n < 0)
			r = -errno;
		else
			buf_commit(ret_target, (size_t)n);
	}
	fs_place_close(&at);
	return r;
}

/* The component `name`, which has no wildcard. */
static int follow_literal(struct follow *f, const struct step *step, const char *name,
			  const char *rest, struct error **err)
{
	_cleanup_free_ char *path = *step->at ? xasprintf("%s/%s", step->at, name) : xstrdup(name);
	struct step next = {
		.at = path, .rest = rest, .links = step->links, .depth = step->depth + 1};
	_cleanup_buf_ struct buf target = BUF_INIT;

	if (look_at(f->rootfd, path, &target) < 0)
		return 0;
	if (target.n == 0)
		return follow_step(f, &next, err);
	follow_add(f, path);
	if (++next.links > LINKS_MAX)
		return 0;
	next.at = target.p[0] == '/' ? "" : step->at;
	buf_addc(&target, '/');
	buf_adds(&target, rest);
	next.rest = target.p;
	return follow_step(f, &next, err);
}

static int follow_wildcard(struct follow *f, const struct step *step, const char *pattern,
			   const char *rest, struct error **err)
{
	int fd = fs_open_no_symlinks(f->rootfd, step->at, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	int r = 0, more = 0;

	if (!dir)
		return 0;
	while (r >= 0 && (more = fs_next_entry(dir, &de)) > 0) {
		r = glob_match(pattern, de->d_name, err);
		if (r > 0)
			r = follow_literal(f, step, de->d_name, rest, err);
	}
	(void)closedir(dir);
	if (r >= 0 && more < 0)
		return error_new(err, ERR_IO, -more, "read directory '%s'", step->at);
	return r < 0 ? r : 0;
}

static int follow_step(struct follow *f, const struct step *step, struct error **err)
{
	_cleanup_free_ char *name = NULL;
	const char *p = step->rest;
	size_t n;

	while (*p == '/')
		p++;
	n = strcspn(p, "/");
	if (f->all || step->depth > DEPTH_MAX)
		return 0;
	if (n == 0) {
		follow_add(f, step->at);
		return 0;
	}
	name = xstrndup(p, n);
	p += n;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		const char *slash = strrchr(step->at, '/');
		_cleanup_free_ char *up = xstrndup(step->at, name[1] == '\0' ? strlen(step->at)
							     : slash ? (size_t)(slash - step->at)
								     : 0);
		struct step next = {
			.at = up, .rest = p, .links = step->links, .depth = step->depth + 1};

		return follow_step(f, &next, err);
	}
	if (strstr(name, "**")) {
		follow_add(f, step->at);
		return 0;
	}
	if (glob_has_meta(name))
		return follow_wildcard(f, step, name, p, err);
	return follow_literal(f, step, name, p, err);
}

static int compare_paths(const void *a, const void *b)
{
	return path_compare(*(char *const *)a, *(char *const *)b);
}

int context_follow(int rootfd, const struct strv *follow, struct strv *ret, bool *ret_all,
		   struct error **err)
{
	struct follow f = {.rootfd = rootfd};

	for (size_t i = 0; i < follow->n; i++) {
		_cleanup_free_ char *path = path_rooted(follow->v[i]);
		struct step step = {.at = "", .rest = path};
		int r = follow_step(&f, &step, err);

		if (r < 0) {
			strv_release(&f.paths);
			return error_wrap(err, r, "follow '%s'", follow->v[i]);
		}
	}
	if (f.paths.n > 1)
		qsort(f.paths.v, f.paths.n, sizeof(*f.paths.v), compare_paths);
	for (size_t i = 0; i < f.paths.n && !f.all; i++) {
		if (ret->n == 0 || !path_within(f.paths.v[i], ret->v[ret->n - 1]))
			strv_push(ret, f.paths.v[i]);
	}
	strv_release(&f.paths);
	*ret_all = f.all;
	return 0;
}
