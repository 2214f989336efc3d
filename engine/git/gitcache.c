/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gitcache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define FOLDER "git"
#define LOCK_KIND "git"
#define LOCK_USE "use" /* shared by those who read, taken by those who remove */

static char *cache_name(const char *url)
{
	struct digest d = digest_of(url, strlen(url));
	char hex[DIGEST_HEX + 1];

	return xasprintf("%.32s", digest_hex(&d, hex));
}

static int open_repository(struct store *s, const char *name, git_repository **ret,
			   struct error **err)
{
	_cleanup_free_ char *path = xasprintf("%s/" FOLDER "/%s", store_root(s), name);
	git_repository_init_options options;
	int r = gitlib_start(err);

	if (r < 0)
		return r;
	if (git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION) < 0)
		return gitlib_fail(err, ERR_INTERNAL, "start libgit2");
	options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH;
	if (git_repository_init_ext(ret, path, &options) < 0)
		return gitlib_fail(err, ERR_IO, "open the git cache %s", path);
	/* Its time says when it was of use last. */
	(void)utimensat(AT_FDCWD, path, NULL, 0);
	return 0;
}

int gitcache_use(struct store *s, struct cancel *cancel, struct lock **ret, struct error **err)
{
	return lock_name(s, LOCK_KIND, LOCK_USE, LOCK_SHARED, cancel, ret, err);
}

int gitcache_open(struct store *s, const char *url, struct cancel *cancel, struct lock **ret_lock,
		  git_repository **ret, struct error **err)
{
	_cleanup_(lock_releasep) struct lock *lock = NULL;
	_cleanup_free_ char *name = cache_name(url);
	int r = lock_name(s, LOCK_KIND, name, LOCK_EXCLUSIVE, cancel, &lock, err);

	if (r == 0)
		r = open_repository(s, name, ret, err);
	if (r == 0)
		*ret_lock = TAKE_PTR(lock);
	return r;
}

/* A ref that says so. */
static char *complete_name(const char *oid)
{
	return xasprintf("refs/kiln/complete/%s", oid);
}

bool gitcache_has(git_repository *repo, const char *oid)
{
	_cleanup_free_ char *name = complete_name(oid);
	git_oid id;

	return git_reference_name_to_id(&id, repo, name) == 0;
}

int gitcache_set_complete(git_repository *repo, const char *oid, struct error **err)
{
	_cleanup_free_ char *name = complete_name(oid);
	git_reference *ref = NULL;
	git_oid id;
	int r = git_oid_fromstr(&id, oid);

	if (r == 0)
		r = git_reference_create(&ref, repo, name, &id, 1, NULL);
	git_reference_free(ref);
	return r < 0 ? gitlib_fail(err, ERR_IO, "note commit %s in the git cache", oid) : 0;
}

/* --- Pruning --- */

/* Bytes on disk below an open folder, which it closes. */
static uint64_t folder_size(int fd, const struct cancel *cancel)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	uint64_t total = 0;

	if (!dir) {
		close(fd);
		return 0;
	}
	while (!cancel_is_set(cancel) && fs_next_entry(dir, &e) > 0) {
		struct stat st;
		int below;

		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		total += (uint64_t)st.st_blocks * 512;
		below = S_ISDIR(st.st_mode) ? fs_open_dir(dirfd(dir), e->d_name) : -1;
		if (below >= 0)
			total += folder_size(below, cancel);
	}
	closedir(dir);
	return total;
}

static int prune_one(int dirfd, const char *name, bool dry_run, const struct cancel *cancel,
		     uint64_t *ret_bytes, struct error **err)
{
	int r = 0, fd = ret_bytes ? fs_open_dir(dirfd, name) : -1;

	if (fd >= 0)
		*ret_bytes += folder_size(fd, cancel);
	if (!dry_run)
		r = fs_remove_tree_until(dirfd, name, cancel);
	if (r == -ECANCELED || cancel_is_set(cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	return r < 0 ? error_new(err, ERR_IO, -r, "remove the git cache '%s'", name) : 0;
}

static int prune_folder(DIR *dir, int64_t before, bool dry_run, const struct cancel *cancel,
			uint64_t *ret_bytes, struct error **err)
{
	struct dirent *e;
	struct stat st;
	int r = 0;

	while (r == 0 && fs_next_entry(dir, &e) > 0) {
		if (*e->d_name == '.' ||
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && st.st_mtim.tv_sec < before)
			r = prune_one(dirfd(dir), e->d_name, dry_run, cancel, ret_bytes, err);
	}
	return r;
}

int gitcache_prune(struct store *s, int64_t before, bool dry_run, uint64_t *ret_bytes,
		   struct error **err)
{
	_cleanup_(lock_releasep) struct lock *lock = NULL;
	int fd = fs_open_dir(store_dirfd(s), FOLDER), r;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	r = lock_name_try(s, LOCK_KIND, LOCK_USE, &lock, err);
	if (r == 0 && lock)
		r = prune_folder(dir, before, dry_run, store_cancel(s), ret_bytes, err);
	closedir(dir);
	return r;
}
