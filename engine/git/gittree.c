/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gittree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* libgit2 holds a whole object in memory. */
#define FILE_SIZE_MAX ((git_object_size_t)2 << 30)
#define LFS_SIZE_MAX 1024
#define LFS_START "version https://git-lfs.github.com/spec/"

void gittree_release(struct gittree *t)
{
	free(t->pointer);
	t->pointer = NULL;
}

static int check_name(const char *name, const char *dir, struct error **err)
{
	if (*name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	    strcasecmp(name, ".git") != 0)
		return 0;
	return error_new(err, ERR_INVALID, 0,
			 "the git tree is refused: it has an entry \"%s\" in \"/%s\"", name, dir);
}

/* Before anything is written at `path`. */
static int claim(struct gittree *t, const char *path, uint64_t size, struct error **err)
{
	if (cancel_is_set(t->cancel))
		return error_new(err, ERR_CANCELED, 0, "canceled");
	if (t->entries_left == 0 || size > t->bytes_left)
		return error_hint(err,
				  error_new(err, ERR_INVALID, 0,
					    "the git checkout exceeds the limit of %s",
					    t->entries_left == 0 ? "entries" : "bytes"),
				  "see \"limits\" in docs/contexts.md");
	if (*path && layer_writer_get(t->writer, path))
		return error_new(err, ERR_INVALID, 0,
				 "the git tree is refused: it has \"%s\" twice", path);
	t->entries_left--;
	t->bytes_left -= size;
	return 0;
}

static int put(struct gittree *t, const struct entry *e, struct error **err)
{
	int r = claim(t, e->path, 0, err);

	return r < 0 ? r : layer_writer_put(t->writer, e, err);
}

int gittree_put_dir(struct gittree *t, const char *path, struct error **err)
{
	const struct entry e = {.path = path, .type = ENTRY_DIR, .mode = 0755, .mtime = t->mtime};

	return put(t, &e, err);
}

static int put_file(struct gittree *t, const char *path, uint32_t mode, const void *p, size_t n,
		    struct error **err)
{
	const struct entry e = {.path = path, .type = ENTRY_FILE, .mode = mode, .mtime = t->mtime};
	int r = claim(t, path, n, err);

	if (r == 0)
		r = layer_writer_file(t->writer, &e, err);
	if (r == 0)
		r = layer_writer_write(t->writer, p, n, err);
	return r < 0 ? r : layer_writer_file_end(t->writer, NULL, err);
}

int gittree_put_file(struct gittree *t, const char *path, const void *p, size_t n,
		     struct error **err)
{
	return put_file(t, path, 0644, p, n, err);
}

static int put_symlink(struct gittree *t, const char *path, const char *target, size_t n,
		       struct error **err)
{
	_cleanup_free_ char *text = NULL;
	struct entry e = {.path = path, .type = ENTRY_SYMLINK, .mode = 0777, .mtime = t->mtime};

	if (n == 0 || n >= PATH_MAX || memchr(target, '\0', n))
		return error_new(
			err, ERR_INVALID, 0,
			"the git tree is refused: the symlink \"%s\" has an empty target, or one "
			"that is too long",
			path);
	text = xstrndup(target, n);
	e.link = text;
	return put(t, &e, err);
}

static void note_pointer(struct gittree *t, const char *path, const char *p, size_t n)
{
	if (n > LFS_SIZE_MAX || n < strlen(LFS_START) ||
	    memcmp(p, LFS_START, strlen(LFS_START)) != 0)
		return;
	if (t->n_pointers++ == 0)
		t->pointer = xstrdup(path);
}

static int put_blob(struct gittree *t, git_repository *repo, const git_tree_entry *entry,
		    const char *path, struct error **err)
{
	git_filemode_t mode = git_tree_entry_filemode(entry);
	_cleanup_(gitlib_odb_object_freep) git_odb_object *object = NULL;
	_cleanup_(gitlib_odb_freep) git_odb *odb = NULL;
	const git_oid *id = git_tree_entry_id(entry);
	git_object_t type;
	const char *p;
	size_t n;

	if (git_repository_odb(&odb, repo) < 0 || git_odb_read_header(&n, &type, odb, id) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read '%s' of the git repository", path);
	if (type != GIT_OBJECT_BLOB)
		return error_new(
			err, ERR_CORRUPT, 0,
			"the git tree is refused: \"%s\" should be a file and is something else",
			path);
	if (n > FILE_SIZE_MAX)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "the file '%s' of the git repository exceeds 2 GiB", path);
	if (git_odb_read(&object, odb, id) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read '%s' of the git repository", path);
	p = git_odb_object_data(object);
	n = git_odb_object_size(object);
	if (mode == GIT_FILEMODE_LINK)
		return put_symlink(t, path, p, n, err);
	note_pointer(t, path, p, n);
	return put_file(t, path, mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644, p, n, err);
}

static int put_link(struct gittree *t, const git_tree_entry *entry, const char *path,
		    const char *dest, struct error **err)
{
	char oid[GIT_OID_HEXSZ + 1];

	git_oid_tostr(oid, sizeof(oid), git_tree_entry_id(entry));
	if (!t->link)
		return gittree_put_dir(t, dest, err);
	return t->link(t->link_data, path, oid, "", dest, err);
}

/* `path` is in the repository, `dest` in the layer. */
static int put_tree(struct gittree *t, git_repository *repo, const git_oid *id, const char *path,
		    const char *dest, struct error **err)
{
	_cleanup_(gitlib_tree_freep) git_tree *tree = NULL;
	int r;

	if (git_tree_lookup(&tree, repo, id) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read directory '/%s' of the git repository",
				   path);
	r = gittree_put_dir(t, dest, err);
	for (size_t i = 0; i < git_tree_entrycount(tree) && r == 0; i++) {
		const git_tree_entry *e = git_tree_entry_byindex(tree, i);
		const char *name = git_tree_entry_name(e);
		_cleanup_free_ char *below = NULL, *target = NULL;

		r = check_name(name, path, err);
		if (r < 0)
			break;
		below = xasprintf("%s%s%s", path, *path ? "/" : "", name);
		target = xasprintf("%s%s%s", dest, *dest ? "/" : "", name);
		if (git_tree_entry_filemode(e) == GIT_FILEMODE_TREE)
			r = put_tree(t, repo, git_tree_entry_id(e), below, target, err);
		else if (git_tree_entry_filemode(e) == GIT_FILEMODE_COMMIT)
			r = put_link(t, e, below, target, err);
		else
			r = put_blob(t, repo, e, target, err);
	}
	return r;
}

static int no_subdir(const char *subdir, const char *why, struct error **err)
{
	return error_new(err, ERR_NOTFOUND, 0, "invalid subdir %s: %s in the git repository",
			 subdir, why);
}

/* Goes down from `tree` along `subdir`, perhaps into a submodule. */
static int put_subdir(struct gittree *t, git_repository *repo, const git_tree *root,
		      const char *subdir, const char *dest, struct error **err)
{
	_cleanup_(gitlib_tree_freep) git_tree *tree = NULL;
	char oid[GIT_OID_HEXSZ + 1];

	if (!*subdir)
		return put_tree(t, repo, git_tree_id(root), "", dest, err);
	for (size_t at = 0;;) {
		size_t n = strcspn(subdir + at, "/");
		_cleanup_free_ char *name = xstrndup(subdir + at, n);
		_cleanup_free_ char *path = xstrndup(subdir, at + n);
		const git_tree_entry *e = git_tree_entry_byname(tree ? tree : root, name);
		git_tree *next = NULL;

		at += n + (subdir[at + n] == '/');
		if (!e)
			return no_subdir(subdir, "there is no such directory", err);
		git_oid_tostr(oid, sizeof(oid), git_tree_entry_id(e));
		if (git_tree_entry_filemode(e) == GIT_FILEMODE_COMMIT && t->link)
			return t->link(t->link_data, path, oid, subdir + at, dest, err);
		if (git_tree_entry_filemode(e) != GIT_FILEMODE_TREE)
			return no_subdir(subdir, "it is not a directory", err);
		if (!subdir[at])
			return put_tree(t, repo, git_tree_entry_id(e), path, dest, err);
		if (git_tree_lookup(&next, repo, git_tree_entry_id(e)) < 0)
			return gitlib_fail(err, ERR_CORRUPT, "read '%s' of the git repository",
					   path);
		git_tree_free(tree);
		tree = next;
	}
}

int gittree_checkout(struct gittree *t, git_repository *repo, const char *commit,
		     const char *subdir, const char *dest, struct error **err)
{
	_cleanup_(gitlib_commit_freep) git_commit *c = NULL;
	_cleanup_(gitlib_tree_freep) git_tree *tree = NULL;
	git_oid id;

	if (git_oid_fromstr(&id, commit) < 0 || git_commit_lookup(&c, repo, &id) < 0 ||
	    git_commit_tree(&tree, c) < 0)
		return gitlib_fail(err, ERR_CORRUPT, "read commit %s", commit);
	return put_subdir(t, repo, tree, subdir, dest, err);
}
