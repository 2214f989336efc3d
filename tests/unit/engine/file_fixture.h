/* SPDX-License-Identifier: Apache-2.0 */
/* A store, a directory to use as context, and short spellings for what the tests of contexts and
 * file ops do again and again. Included by one test program each. */
#ifndef KILN_TESTS_ENGINE_FILE_FIXTURE_H
#define KILN_TESTS_ENGINE_FILE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/fileops/op_file.h"
#include "engine/source/context_local.h"
#include "engine/tree/tree_rootfs.h"
#include "store/store.h"
#include "tests/unit/store/durable_check.h"

#define OLD_TIME 1000000000

struct fixture {
	char dir[64];
	int dirfd; /* of the context */
	char *context;
	struct store *store;
};

static int fixture_setup(void **state)
{
	struct fixture *f = NEW(struct fixture);
	char *root;

	strcpy(f->dir, "/tmp/kiln-file-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)umask(022);
	root = xasprintf("%s/store", f->dir);
	f->context = xasprintf("%s/context", f->dir);
	assert_int_equal(mkdir(f->context, 0755), 0);
	f->dirfd = fs_open_dir(AT_FDCWD, f->context);
	assert_true(f->dirfd >= 0);
	assert_int_equal(store_open(root, &f->store, NULL), 0);
	durable_check_start(root);
	free(root);
	*state = f;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	int r = durable_check_end();

	store_close(f->store);
	(void)close(f->dirfd);
	assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir), 0);
	free(f->context);
	free(f);
	return r;
}

/* A file of the context, with an old time. */
__attribute__((unused)) static void put_file(struct fixture *f, const char *path, const char *text,
					     mode_t mode)
{
	struct timespec times[2] = {{.tv_sec = OLD_TIME}, {.tv_sec = OLD_TIME}};
	char *dir = path_dir(path);
	int fd;

	assert_int_equal(fs_mkdir_p(f->dirfd, dir, 0755), 0);
	free(dir);
	fd = openat(f->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fs_write_full(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(futimens(fd, times), 0);
	(void)close(fd);
}

__attribute__((unused)) static void put_link(struct fixture *f, const char *path,
					     const char *target)
{
	assert_int_equal(symlinkat(target, f->dirfd, path), 0);
}

__attribute__((unused)) static struct tree *open_context(struct fixture *f)
{
	struct error *err = NULL;
	struct tree *t = NULL;
	int r = context_open(f->store, f->context, NULL, NULL, NULL, &t, &err);

	if (r < 0)
		fail_msg("%s", error_text(err));
	return t;
}

__attribute__((unused)) static struct result *context_result(struct fixture *f)
{
	struct tree *t = open_context(f);
	struct result *r = result_new_tree(t);

	tree_unref(t);
	return r;
}

/* A copy as the frontend makes it of COPY src dest. */
__attribute__((unused)) static struct op_file_action copy_action(const char *src, const char *dest)
{
	struct op_file_action a = {.kind = FILE_COPY, .input = 0, .secondary_input = 1};

	a.copy = (struct op_file_copy){.src = src,
				       .dest = dest,
				       .mode = -1,
				       .mode_text = "",
				       .follow_symlink = true,
				       .dir_copy_contents = true,
				       .create_dest_path = true,
				       .allow_wildcard = true,
				       .allow_empty_wildcard = true,
				       .timestamp = OP_TIME_NONE};
	return a;
}

/* Runs one action on `base` (NULL is scratch) with `source` as second input. */
__attribute__((unused)) static int run_action(struct fixture *f, const struct op_file_action *a,
					      struct result *base, struct result *source,
					      struct result **ret, struct error **err)
{
	const struct op_file op = {.actions = a, .n = 1};
	struct result *const inputs[] = {base, source};

	return file_op_run(f->store, &op, inputs, 2, NULL, NULL, ret, err);
}

__attribute__((unused)) static struct result *must_run(struct fixture *f,
						       const struct op_file_action *a,
						       struct result *base, struct result *source)
{
	struct error *err = NULL;
	struct result *ret = NULL;
	int r = run_action(f, a, base, source, &ret, &err);

	if (r < 0)
		fail_msg("%s", error_text(err));
	return ret;
}

/* One line a path of a tree, without times: "d 0755 0:0 a", "f 0644 0:0 a/b 'text'", "l a -> b". */
static int list_visit(void *data, const struct entry *e, uint64_t group, struct error **err)
{
	struct tree *t = ((struct tree **)data)[0];
	struct buf *out = ((struct buf **)data)[1];
	static const char letters[] = "?fdlcbp??";

	(void)group;
	if (*e->path == '\0')
		return 0;
	buf_addf(out, "%c %04o %u:%u %s", letters[e->type], e->mode, e->uid, e->gid, e->path);
	if (e->type == ENTRY_SYMLINK)
		buf_addf(out, " -> %s", e->link);
	if (e->type == ENTRY_FILE) {
		int fd = t->ops->open(t, e, err);
		struct buf text = BUF_INIT;

		assert_true(fd >= 0);
		assert_int_equal(fs_read_fd(fd, &text), 0);
		buf_addf(out, " '%s'", text.p);
		buf_release(&text);
		(void)close(fd);
	}
	buf_addc(out, '\n');
	return 0;
}

__attribute__((unused)) static char *list_tree(struct tree *t)
{
	struct buf out = BUF_INIT;
	void *data[] = {t, &out};

	assert_int_equal(t->ops->walk(t, "", list_visit, data, NULL), 0);
	return buf_take(&out);
}

__attribute__((unused)) static void assert_result(struct fixture *f, const struct result *r,
						  const char *expect)
{
	struct error *err = NULL;
	struct tree *t = NULL;
	char *text;

	if (tree_of_result(f->store, r, &t, &err) < 0)
		fail_msg("%s", error_text(err));
	text = list_tree(t);
	assert_string_equal(text, expect);
	free(text);
	tree_unref(t);
}

#endif
