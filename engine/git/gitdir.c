/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gitdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"

static int put_text(struct gittree *t, const char *path, const char *text, struct error **err)
{
	return gittree_put_file(t, path, text, strlen(text), err);
}

/* In double quotes, as git's configuration wants it. */
static void add_quoted(struct buf *b, const char *text)
{
	buf_addc(b, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *text);
	}
	buf_addc(b, '"');
}

static int put_config(struct gittree *t, const char *url, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
		     "\tlogallrefupdates = true\n[remote \"origin\"]\n\turl = ");
	add_quoted(&b, url);
	buf_adds(&b, "\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n");
	return gittree_put_file(t, ".git/config", b.p, b.n, err);
}

/* The branch or tag that was asked for; "^" lines tell what an annotated tag leads to. */
static int put_refs(struct gittree *t, const struct gitref *ref, struct error **err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (!ref->name || strncmp(ref->name, "refs/", 5) != 0)
		return 0;
	buf_adds(&b, "# pack-refs with: peeled fully-peeled sorted \n");
	buf_addf(&b, "%s %s\n", ref->oid, ref->name);
	if (strcmp(ref->oid, ref->commit) != 0)
		buf_addf(&b, "^%s\n", ref->commit);
	return gittree_put_file(t, ".git/packed-refs", b.p, b.n, err);
}

static int copy_file(struct gittree *t, int dirfd, const char *name, const char *path,
		     uint32_t mode, struct error **err)
{
	const struct entry e = {.path = path, .type = ENTRY_FILE, .mode = mode, .mtime = t->mtime};
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open '%s'", name);
	r = layer_writer_file(t->writer, &e, err);
	if (r == 0)
		r = layer_writer_copy(t->writer, fd, err);
	return r < 0 ? r : layer_writer_file_end(t->writer, NULL, err);
}

/* Everything that git_packbuilder_write left in the folder. */
static int copy_pack(struct gittree *t, int dirfd, struct error **err)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0, more = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir) {
		r = error_new(err, ERR_IO, errno, "list a pack");
		cleanup_closep(&copy);
		return r;
	}
	while (r == 0 && (more = fs_next_entry(dir, &e)) > 0) {
		_cleanup_free_ char *path = xasprintf(".git/objects/pack/%s", e->d_name);

		if (strncmp(e->d_name, "pack-", 5) == 0)
			r = copy_file(t, dirfd, e->d_name, path, 0444, err);
	}
	closedir(dir);
	return more < 0 ? error_new(err, ERR_IO, -more, "list a pack") : r;
}

static int write_pack(git_repository *repo, const struct gitref *ref, const char *folder,
		      struct error **err)
{
	git_packbuilder *pack = NULL;
	git_oid commit, tag;
	int r = git_packbuilder_new(&pack, repo);

	if (r == 0)
		r = git_oid_fromstr(&commit, ref->commit);
	if (r == 0)
		r = git_oid_fromstr(&tag, ref->oid);
	if (r == 0) {
		/* One thread gives the same bytes every time. */
		git_packbuilder_set_threads(pack, 1);
		r = git_packbuilder_insert_commit(pack, &commit);
	}
	if (r == 0 && !git_oid_equal(&commit, &tag))
		r = git_packbuilder_insert(pack, &tag, NULL);
	if (r == 0)
		r = git_packbuilder_write(pack, folder, 0644, NULL, NULL);
	git_packbuilder_free(pack);
	return r < 0 ? gitlib_fail(err, ERR_IO, "write the pack of .git") : 0;
}

static int write_index(git_repository *repo, const struct gitref *ref, const char *path,
		       struct error **err)
{
	_cleanup_(gitlib_commit_freep) git_commit *commit = NULL;
	_cleanup_(gitlib_tree_freep) git_tree *tree = NULL;
	git_index *index = NULL;
	git_oid id;
	int r = git_oid_fromstr(&id, ref->commit);

	if (r == 0)
		r = git_commit_lookup(&commit, repo, &id);
	if (r == 0)
		r = git_commit_tree(&tree, commit);
	if (r == 0)
		r = git_index_open(&index, path);
	if (r == 0)
		r = git_index_read_tree(index, tree);
	if (r == 0)
		r = git_index_write(index);
	git_index_free(index);
	return r < 0 ? gitlib_fail(err, ERR_IO, "write the index of .git") : 0;
}

static bool has_parents(git_repository *repo, const char *commit)
{
	_cleanup_(gitlib_commit_freep) git_commit *c = NULL;
	git_oid id;

	return git_oid_fromstr(&id, commit) == 0 && git_commit_lookup(&c, repo, &id) == 0 &&
	       git_commit_parentcount(c) > 0;
}

static int put_objects(struct gittree *t, struct store *s, git_repository *repo,
		       const struct gitref *ref, struct error **err)
{
	_cleanup_free_ char *name = NULL, *folder = NULL, *index = NULL;
	_cleanup_close_ int dirfd = -1;
	int r = store_tmp_dir(s, &name, &dirfd, err);

	if (r < 0)
		return r;
	folder = xasprintf("%s/tmp/%s", store_root(s), name);
	index = xasprintf("%s/index", folder);
	r = write_pack(repo, ref, folder, err);
	if (r == 0)
		r = write_index(repo, ref, index, err);
	if (r == 0)
		r = copy_pack(t, dirfd, err);
	if (r == 0)
		r = copy_file(t, dirfd, "index", ".git/index", 0644, err);
	store_tmp_remove(s, name);
	return r;
}

int gitdir_write(struct gittree *t, struct store *s, git_repository *repo, const struct gitref *ref,
		 const char *url, struct error **err)
{
	static const char *const dirs[] = {
		".git",	     ".git/objects",	".git/objects/info", ".git/objects/pack",
		".git/refs", ".git/refs/heads", ".git/refs/tags"};
	_cleanup_free_ char *head = xasprintf("%s\n", ref->commit);
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && r == 0; i++)
		r = gittree_put_dir(t, dirs[i], err);
	if (r == 0)
		r = put_text(t, ".git/HEAD", head, err);
	if (r == 0 && has_parents(repo, ref->commit))
		r = put_text(t, ".git/shallow", head, err);
	if (r == 0)
		r = put_config(t, url, err);
	if (r == 0)
		r = put_refs(t, ref, err);
	return r < 0 ? r : put_objects(t, s, repo, ref, err);
}
