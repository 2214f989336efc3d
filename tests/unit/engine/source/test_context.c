/* SPDX-License-Identifier: Apache-2.0 */
#include "file_fixture.h"

#include "base/pattern.h"
#include "engine/tree/tree.h"
#include "store/statindex.h"

static struct tree *open_with(struct fixture *f, const char *ignore, const char *const *follow)
{
	struct strv excludes = {0}, paths = {0};
	struct error *err = NULL;
	struct tree *t = NULL;
	int r;

	if (ignore)
		assert_int_equal(
			ignorefile_parse(".dockerignore", ignore, strlen(ignore), &excludes, NULL),
			0);
	for (size_t i = 0; follow && follow[i]; i++)
		strv_push(&paths, follow[i]);
	r = context_open(f->store, f->context, &excludes, follow ? &paths : NULL, NULL, &t, &err);
	if (r < 0)
		fail_msg("%s", error_text(err));
	strv_release(&excludes);
	strv_release(&paths);
	return t;
}

static void assert_listing(struct tree *t, const char *expect)
{
	char *text = list_tree(t);

	assert_string_equal(text, expect);
	free(text);
	tree_unref(t);
}

static void lists_everything_in_order_and_owned_by_root(void **state)
{
	struct fixture *f = *state;

	put_file(f, "b", "2", 0600);
	put_file(f, "a/x", "1", 0755);
	put_file(f, "a-b", "3", 0644);
	put_link(f, "l", "a/x");
	assert_int_equal(fchownat(f->dirfd, "b", 12, 34, 0), 0);
	assert_listing(open_context(f), "d 0755 0:0 a\nf 0755 0:0 a/x '1'\nf 0644 0:0 a-b '3'\n"
					"f 0600 0:0 b '2'\nl 0777 0:0 l -> a/x\n");
}

static void leaves_out_what_is_ignored_but_not_what_is_taken_back(void **state)
{
	struct fixture *f = *state;

	put_file(f, "keep", "k", 0644);
	put_file(f, "log/a.log", "a", 0644);
	put_file(f, "log/b.txt", "b", 0644);
	put_file(f, "node/x/y", "y", 0644);
	assert_listing(open_with(f, "log\n!log/b.txt\nnode\n", NULL),
		       "f 0644 0:0 keep 'k'\nd 0755 0:0 log\nf 0644 0:0 log/b.txt 'b'\n");
}

static void an_ignored_directory_without_taken_back_files_is_gone(void **state)
{
	struct fixture *f = *state;

	put_file(f, "d/a", "a", 0644);
	put_file(f, "e", "e", 0644);
	assert_listing(open_with(f, "d\n!d/none\n", NULL), "f 0644 0:0 e 'e'\n");
}

static void follows_only_what_is_asked_for(void **state)
{
	struct fixture *f = *state;
	const char *const follow[] = {"a/x", "*.txt", "nope", NULL};

	put_file(f, "a/x/1", "1", 0644);
	put_file(f, "a/y/2", "2", 0644);
	put_file(f, "one.txt", "t", 0644);
	put_file(f, "two.md", "m", 0644);
	assert_listing(open_with(f, NULL, follow),
		       "d 0755 0:0 a\nd 0755 0:0 a/x\nf 0644 0:0 a/x/1 '1'\n"
		       "f 0644 0:0 one.txt 't'\n");
}

static void follows_symlinks_on_the_way(void **state)
{
	struct fixture *f = *state;
	const char *const follow[] = {"link/file", NULL};

	put_file(f, "real/file", "x", 0644);
	put_file(f, "real/other", "y", 0644);
	put_file(f, "away", "z", 0644);
	put_link(f, "link", "./real");
	assert_listing(open_with(f, NULL, follow),
		       "l 0777 0:0 link -> ./real\nd 0755 0:0 real\nf 0644 0:0 real/file 'x'\n");
}

static void a_symlink_loop_ends(void **state)
{
	struct fixture *f = *state;
	const char *const follow[] = {"l/x", NULL};

	put_link(f, "l", "m");
	put_link(f, "m", "l");
	tree_unref(open_with(f, NULL, follow));
}

static void sockets_are_empty_files(void **state)
{
	struct fixture *f = *state;
	struct digest d, empty = digest_of("", 0);
	struct entry e;
	uint64_t group;
	struct tree *t;

	assert_int_equal(mknodat(f->dirfd, "sock", S_IFSOCK | 0640, 0), 0);
	assert_int_equal(fchmodat(f->dirfd, "sock", 0640, 0), 0);
	t = open_context(f);
	assert_true(t->ops->get(t, "sock", &e, &group));
	assert_int_equal(e.type, ENTRY_FILE);
	assert_int_equal(tree_content(t, &e, &d, NULL), 0);
	assert_true(digest_equal(&d, &empty));
	assert_listing(t, "f 0640 0:0 sock ''\n");
}

static void hard_links_share_a_group(void **state)
{
	struct fixture *f = *state;
	uint64_t a, b, c;
	struct entry e;
	struct tree *t;

	put_file(f, "a", "1", 0644);
	put_file(f, "c", "1", 0644);
	assert_int_equal(linkat(f->dirfd, "a", f->dirfd, "b", 0), 0);
	t = open_context(f);
	assert_true(t->ops->get(t, "a", &e, &a));
	assert_true(t->ops->get(t, "b", &e, &b));
	assert_true(t->ops->get(t, "c", &e, &c));
	assert_int_not_equal(a, 0);
	assert_int_equal(a, b);
	assert_int_equal(c, 0);
	tree_unref(t);
}

static bool knows_content(struct tree *t, const char *path)
{
	struct entry e;
	uint64_t group;

	assert_true(t->ops->get(t, path, &e, &group));
	return !digest_is_zero(&e.content);
}

static void hash(struct tree *t, const char *path, const char *text)
{
	struct digest d, expect = digest_of(text, strlen(text));
	struct entry e;
	uint64_t group;

	assert_true(t->ops->get(t, path, &e, &group));
	assert_int_equal(tree_content(t, &e, &d, NULL), 0);
	assert_true(digest_equal(&d, &expect));
}

static void a_second_scan_knows_what_the_first_one_hashed(void **state)
{
	struct fixture *f = *state;
	struct tree *t;

	put_file(f, "a", "one", 0644);
	put_file(f, "b", "two", 0644);
	(void)usleep(60 * 1000); /* past the clock tick that makes a file racy */
	t = open_context(f);
	assert_false(knows_content(t, "a"));
	hash(t, "a", "one");
	tree_unref(t);
	t = open_context(f);
	assert_true(knows_content(t, "a"));
	assert_false(knows_content(t, "b"));
	tree_unref(t);
	put_file(f, "a", "1ne", 0644);
	t = open_context(f);
	assert_false(knows_content(t, "a"));
	hash(t, "a", "1ne");
	tree_unref(t);
}

static void a_file_just_written_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	struct tree *t;

	put_file(f, "a", "one", 0644);
	t = open_context(f);
	hash(t, "a", "one");
	tree_unref(t);
	t = open_context(f);
	assert_false(knows_content(t, "a"));
	tree_unref(t);
}

static void a_scan_of_a_part_keeps_what_is_known_of_the_rest(void **state)
{
	struct fixture *f = *state;
	const char *const follow[] = {"b", NULL};
	struct tree *t;

	put_file(f, "a", "one", 0644);
	put_file(f, "b", "two", 0644);
	(void)usleep(60 * 1000);
	t = open_context(f);
	hash(t, "a", "one");
	tree_unref(t);
	t = open_with(f, NULL, follow);
	hash(t, "b", "two");
	tree_unref(t);
	t = open_context(f);
	assert_true(knows_content(t, "a"));
	assert_true(knows_content(t, "b"));
	tree_unref(t);
}

static void what_is_gone_from_a_followed_directory_is_forgotten(void **state)
{
	struct fixture *f = *state;
	const char *const follow[] = {"d", NULL};
	struct statindex *index;
	struct tree *t;

	put_file(f, "d/a", "one", 0644);
	put_file(f, "d/b", "two", 0644);
	put_file(f, "e", "three", 0644);
	(void)usleep(60 * 1000);
	t = open_context(f);
	hash(t, "d/a", "one");
	hash(t, "e", "three");
	tree_unref(t);
	assert_int_equal(unlinkat(f->dirfd, "d/a", 0), 0);
	t = open_with(f, NULL, follow);
	hash(t, "d/b", "two");
	tree_unref(t);
	index = statindex_open(f->store, f->context);
	assert_int_equal(statindex_count(index), 2);
	statindex_free(index);
}

static void a_file_that_changes_while_it_is_read_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct digest wrong = digest_of("wrong", 5);
	struct entry e;
	uint64_t group;
	struct tree *t;
	int fd;

	put_file(f, "a", "one", 0644);
	t = open_context(f);
	assert_true(t->ops->get(t, "a", &e, &group));
	fd = t->ops->open(t, &e, NULL);
	assert_true(fd >= 0);
	put_file(f, "a", "other", 0644);
	assert_false(t->ops->still(t, &e, fd, &wrong));
	hash(t, "a", "other");
	assert_true(t->ops->still(t, &e, fd, NULL));
	(void)close(fd);
	tree_unref(t);
}

static void a_missing_directory_is_named(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct tree *t;

	assert_int_equal(context_open(f->store, "/no/such/dir", NULL, NULL, NULL, &t, &err),
			 -ERR_NOTFOUND);
	assert_non_null(strstr(error_text(err), "path \"/no/such/dir\" not found"));
	error_free(err);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(lists_everything_in_order_and_owned_by_root),
		T(leaves_out_what_is_ignored_but_not_what_is_taken_back),
		T(an_ignored_directory_without_taken_back_files_is_gone),
		T(follows_only_what_is_asked_for),
		T(follows_symlinks_on_the_way),
		T(a_symlink_loop_ends),
		T(sockets_are_empty_files),
		T(hard_links_share_a_group),
		T(a_second_scan_knows_what_the_first_one_hashed),
		T(a_file_just_written_is_not_trusted),
		T(a_scan_of_a_part_keeps_what_is_known_of_the_rest),
		T(what_is_gone_from_a_followed_directory_is_forgotten),
		T(a_file_that_changes_while_it_is_read_is_noticed),
		T(a_missing_directory_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
